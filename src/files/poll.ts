/** Looks again and again, one look after the other. Files are polled rather than watched: it works on every kind of mount. */
export class Poll {
  #timer: NodeJS.Timeout | undefined
  #looking: Promise<void> = Promise.resolve()
  #isClosed = false

  /**
   * @param look     one look
   * @param pollMs   between the end of one and the beginning of the next, milliseconds
   * @param onFault  what a look has thrown; the next one comes all the same
   */
  constructor(
    private readonly look: () => Promise<void>,
    private readonly pollMs: number,
    private readonly onFault: (thrown: unknown) => void,
  ) {}

  /** True when nobody wants to know any more. */
  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Begins; the first look comes after `pollMs`. */
  start(): void {
    if (this.#isClosed) return
    clearTimeout(this.#timer)
    const again = (): void => {
      this.#looking = this.look()
        .catch(this.onFault)
        .finally(() => this.start())
    }
    this.#timer = setTimeout(again, this.pollMs).unref()
  }

  /** Looks now, behind the look that is under way, and goes on from there. Resolves when it has looked. */
  lookNow(): Promise<void> {
    clearTimeout(this.#timer)
    this.#looking = this.#looking
      .then(() => {
        clearTimeout(this.#timer)
        return this.#isClosed ? undefined : this.look()
      })
      .catch(this.onFault)
      .finally(() => this.start())
    return this.#looking
  }

  /** Ends; resolves when the look under way is over. Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#timer)
    await this.#looking
  }
}
