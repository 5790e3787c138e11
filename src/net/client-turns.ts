/** Time of one turn of the event loop for requests or connections that come at the same moment, milliseconds; one of them takes a tenth of that. */
export const BEGIN_TURN_MS = 2

/** Bounds of `ClientTurns`. */
export interface ClientTurnsOptions {
  /** Time of the event loop that all that is begun in one turn of it may take, milliseconds; what crosses it is the last. 0: one at a time. */
  readonly turnMs: number
  /** So many may wait, of all clients and of one; more are refused. Default: what waits is bounded elsewhere. */
  readonly maxWaiting?: number
  readonly maxWaitingOfOne?: number
  /** Milliseconds, rising. */
  readonly clock?: () => number
}

/** Something that waits. */
interface Waiting {
  readonly begin: () => void
  readonly refuse: () => void
}

/**
 * Turns of work that clients cause at moments of their choice, such as handshakes or requests on new connections. Whatever has come at the same time
 * would be done one after the other, while everything else waits: so only a little of it begins in each turn of the event loop, between which whatever
 * else is there has its turn. Clients take turns as well: one with many connections does not keep another waiting.
 */
export class ClientTurns {
  readonly #waiting = new Map<string, Waiting[]>()
  readonly #options: Required<ClientTurnsOptions>
  #count = 0
  /** True while the time of this turn of the loop is counted. */
  #isBusy = false
  #spentMs = 0

  constructor({ turnMs, maxWaiting = Infinity, maxWaitingOfOne = Infinity, clock = () => performance.now() }: ClientTurnsOptions) {
    this.#options = { turnMs, maxWaiting, maxWaitingOfOne, clock }
  }

  /** Number of those that wait. */
  get count(): number {
    return this.#count
  }

  /**
   * Begins something, now or when it is its turn. What `begin` throws is for the caller of `take` where it is begun at once, and ends with `refuse`
   * where it is not; a caller that has left meanwhile looks for that in `begin`.
   * @param client  whose turn it is, such as its address
   * @param begin   does it
   * @param refuse  too many wait, or it could not be begun
   */
  take(client: string, begin: () => void, refuse: () => void): void {
    const { turnMs, maxWaiting, maxWaitingOfOne } = this.#options
    if (!this.#isBusy || (this.#count === 0 && this.#spentMs < turnMs)) {
      this.#goOn()
      return this.#spend(begin)
    }
    const known = this.#waiting.get(client)
    if (this.#count >= maxWaiting || (known?.length ?? 0) >= maxWaitingOfOne) return refuse()
    this.#count++
    if (known === undefined) this.#waiting.set(client, [{ begin, refuse }])
    else known.push({ begin, refuse })
  }

  /** Looks again in the next turn of the loop. */
  #goOn(): void {
    if (this.#isBusy) return
    this.#isBusy = true
    setImmediate(this.#next)
  }

  #spend(begin: () => void): void {
    const { clock } = this.#options
    const from = clock()
    try {
      begin()
    } finally {
      this.#spentMs += clock() - from
    }
  }

  readonly #next = (): void => {
    this.#isBusy = false
    this.#spentMs = 0
    for (const [client, waiting] of this.#waiting) {
      const { begin, refuse } = waiting.shift()!
      this.#count--
      // Behind all others; the loop comes to it again while there is time.
      this.#waiting.delete(client)
      if (waiting.length > 0) this.#waiting.set(client, waiting)
      this.#goOn()
      try {
        this.#spend(begin)
      } catch {
        refuse()
      }
      if (this.#spentMs >= this.#options.turnMs) return
    }
  }
}
