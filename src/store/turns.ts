import { unavailable } from './faults.ts'

/** The longest that anybody waits, milliseconds: so a transaction that waits for itself ends, and says so. */
const MAX_WAIT_MS = 30_000
/** The most that wait; a flood is refused before it costs memory. */
const MAX_WAITING = 10_000

/** Turns at connections of which there are a few, first come, first served. */
export class Turns {
  readonly #waiting = new Set<() => void>()
  #free: number

  constructor(connections: number) {
    this.#free = connections
  }

  /** @throws GatewayError STORE_UNAVAILABLE after half a minute, or when too many wait */
  async take(): Promise<void> {
    if (this.#free > 0) {
      this.#free -= 1
      return
    }
    if (this.#waiting.size >= MAX_WAITING) throw unavailable(`${MAX_WAITING} calls wait for a connection already`)
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(take)
        reject(
          unavailable(`no connection was free for ${MAX_WAIT_MS / 1_000} s; there are too many calls, or a transaction waits for itself`),
        )
      }, MAX_WAIT_MS)
      const take = (): void => {
        clearTimeout(timer)
        resolve()
      }
      this.#waiting.add(take)
    })
  }

  /** The turn goes from hand to hand, so that nobody who comes now takes it from who waits. */
  give(): void {
    const [next] = this.#waiting
    if (next === undefined) {
      this.#free += 1
      return
    }
    this.#waiting.delete(next)
    next()
  }
}
