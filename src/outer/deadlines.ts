/** Something that may wait only so long. */
export interface Waiter {
  /** Milliseconds on the clock of the queue; written by the queue alone. */
  deadlineMs: number
  onDeadline(): void
}

/**
 * Many waiters with one and the same patience: those that came or showed life last are at the end, so that one timer looks at the
 * front. A timer per request would cost more than everything else that is done about timeouts.
 */
export class Deadlines {
  readonly #waiting = new Set<Waiter>()
  readonly #timer: NodeJS.Timeout

  constructor(
    private readonly patienceMs: number,
    private readonly clock: () => number,
  ) {
    this.#timer = setInterval(() => this.#check(), Math.max(10, Math.min(1_000, patienceMs / 4)))
    this.#timer.unref()
  }

  /** Starts to wait, or starts anew. */
  refresh(waiter: Waiter): void {
    this.#waiting.delete(waiter)
    waiter.deadlineMs = this.clock() + this.patienceMs
    this.#waiting.add(waiter)
  }

  /** Waits no longer. */
  cancel(waiter: Waiter): void {
    this.#waiting.delete(waiter)
  }

  close(): void {
    clearInterval(this.#timer)
    this.#waiting.clear()
  }

  #check(): void {
    const now = this.clock()
    for (const waiter of this.#waiting) {
      if (waiter.deadlineMs > now) return
      this.#waiting.delete(waiter)
      waiter.onDeadline()
    }
  }
}
