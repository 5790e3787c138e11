/** Connections that are open now, and the most there may be. */
export class ConnectionCount {
  #active = 0
  #onIdle: (() => void)[] = []

  constructor(readonly max: number) {}

  get active(): number {
    return this.#active
  }

  /** Takes a place before anything is dialled, so that a burst cannot pass the limit; false when there is none. */
  take(): boolean {
    if (this.#active >= this.max) return false
    this.#active++
    return true
  }

  /** Gives a place back; once for each `take`. */
  release(): void {
    this.#active--
    if (this.#active === 0) for (const resolve of this.#onIdle.splice(0)) resolve()
  }

  /** Resolves when no connection is open, or after `deadlineMs`. */
  async idle(deadlineMs: number): Promise<void> {
    if (this.#active === 0) return
    await new Promise<void>(resolve => {
      const timer = setTimeout(resolve, deadlineMs)
      this.#onIdle.push(() => {
        clearTimeout(timer)
        resolve()
      })
    })
  }
}
