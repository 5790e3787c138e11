/** Processes that are gone and remembered: after so many others the oldest is forgotten, and would be new if it came back. */
const MAX_GONE = 4_096

/** The place of a process among the logins of its tunnel. */
interface Place {
  /** The number that the service has given its login, which counts over restarts; undefined: it has given none. */
  readonly login: number | undefined
  /** In the order in which they came here for the first time. */
  readonly arrival: number
}

/**
 * The order in which processes logged in to their tunnels. The newest login of a tunnel serves it; an earlier one whose link was lost meanwhile, or
 * that was there before this process, dials again by itself, and that is no new login.
 */
export class LoginOrder {
  readonly #here = new Map<string, Place & { connections: number }>()
  /** In the order in which they left. */
  readonly #gone = new Map<string, Place>()
  #next = 1

  /** A connection of the process has come. @param login  of it, as the service counts */
  came(instance: string, login?: number): void {
    const known = this.#here.get(instance)
    const { arrival } = known ?? this.#gone.get(instance) ?? { arrival: this.#next++ }
    this.#here.set(instance, { login, arrival, connections: (known?.connections ?? 0) + 1 })
    this.#gone.delete(instance)
  }

  /** One of its connections has gone. */
  left(instance: string): void {
    const known = this.#here.get(instance)
    if (known === undefined || --known.connections > 0) return
    this.#here.delete(instance)
    this.#gone.set(instance, known)
    if (this.#gone.size > MAX_GONE) for (const [oldest] of this.#gone) return void this.#gone.delete(oldest)
  }

  /** Has the one logged in before the other, which is here? False where nobody knows. @param login  of the one, which may not be here yet */
  isBefore(instance: string, other: string, login?: number): boolean {
    const [a, b] = [instance, other].map(name => this.#here.get(name) ?? this.#gone.get(name))
    const [first, second] = [login ?? a?.login, b?.login]
    if (first !== undefined && second !== undefined && first !== second) return first < second
    return a !== undefined && b !== undefined && a.arrival < b.arrival
  }
}
