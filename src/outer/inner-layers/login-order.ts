/** Processes that are gone and remembered: after so many others the oldest is forgotten, and would be new if it came back. */
const MAX_GONE = 4_096

/**
 * The order in which processes logged in to their tunnels for the first time. The newest login of a tunnel serves it; an earlier one whose link was
 * lost meanwhile dials again by itself, and that is no new login.
 */
export class LoginOrder {
  readonly #here = new Map<string, { readonly number: number; connections: number }>()
  /** In the order in which they left. */
  readonly #gone = new Map<string, number>()
  #next = 1

  /** A connection of the process has come. */
  came(instance: string): void {
    const known = this.#here.get(instance)
    if (known !== undefined) {
      known.connections++
      return
    }
    this.#here.set(instance, { number: this.#gone.get(instance) ?? this.#next++, connections: 1 })
    this.#gone.delete(instance)
  }

  /** One of its connections has gone. */
  left(instance: string): void {
    const known = this.#here.get(instance)
    if (known === undefined || --known.connections > 0) return
    this.#here.delete(instance)
    this.#gone.set(instance, known.number)
    if (this.#gone.size > MAX_GONE) for (const [oldest] of this.#gone) return void this.#gone.delete(oldest)
  }

  /** Has the one logged in before the other? False where it has not logged in yet. */
  isBefore(instance: string, other: string): boolean {
    const [a, b] = [instance, other].map(name => this.#here.get(name)?.number ?? this.#gone.get(name))
    return a !== undefined && b !== undefined && a < b
  }
}
