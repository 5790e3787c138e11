/** A token bucket. */
export class TokenBucket {
  #tokens: number
  #at: number

  /**
   * @param perSecond  events that may happen each second in the long run
   * @param burst      events that may happen at once
   * @param clock      milliseconds, rising
   */
  constructor(
    private readonly perSecond: number,
    private readonly burst: number,
    private readonly clock: () => number,
  ) {
    this.#tokens = burst
    this.#at = clock()
  }

  /** Counts one event; false when it is one too many. */
  take(): boolean {
    const now = this.clock()
    this.#tokens = Math.min(this.burst, this.#tokens + ((now - this.#at) / 1000) * this.perSecond)
    this.#at = now
    if (this.#tokens < 1) return false
    this.#tokens--
    return true
  }
}
