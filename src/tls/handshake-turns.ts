/** Handshakes that wait for their turn, of all clients and of one; more are refused. */
const MAX_WAITING = 2_048
const MAX_WAITING_OF_ONE = 256

/** A handshake that waits. */
interface Waiting {
  readonly begin: () => void
  readonly refuse: () => void
}

/**
 * Turns of TLS handshakes. One costs about a millisecond of the event loop, and all whose first bytes have come would be made one after the other, while
 * requests wait: so one begins in each turn of the loop, between which whatever else is there has its turn. Clients take turns as well: one with many
 * connections does not keep another waiting.
 */
export class HandshakeTurns {
  readonly #waiting = new Map<string, Waiting[]>()
  #count = 0
  #isBusy = false

  /** Handshakes that wait. */
  get count(): number {
    return this.#count
  }

  /**
   * Begins a handshake, now or when it is its turn. What `begin` throws is for the caller of `take` where it is begun at once, and ends with `refuse`
   * where it is not; a caller that has left meanwhile looks for that in `begin`.
   * @param client  whose turn it is, such as its address
   * @param begin   makes the handshake
   * @param refuse  too many wait, or it could not be begun
   */
  take(client: string, begin: () => void, refuse: () => void): void {
    if (!this.#isBusy) {
      this.#isBusy = true
      setImmediate(this.#next)
      return begin()
    }
    const known = this.#waiting.get(client)
    if (this.#count >= MAX_WAITING || (known?.length ?? 0) >= MAX_WAITING_OF_ONE) return refuse()
    this.#count++
    if (known === undefined) this.#waiting.set(client, [{ begin, refuse }])
    else known.push({ begin, refuse })
  }

  readonly #next = (): void => {
    for (const [client, waiting] of this.#waiting) {
      const next = waiting.shift()!
      this.#count--
      // Behind all others.
      this.#waiting.delete(client)
      if (waiting.length > 0) this.#waiting.set(client, waiting)
      setImmediate(this.#next)
      try {
        return next.begin()
      } catch {
        return next.refuse()
      }
    }
    this.#isBusy = false
  }
}
