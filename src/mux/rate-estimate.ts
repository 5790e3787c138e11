/** The best of the last so many milliseconds is kept, or of the last so many round trips if they are longer. */
const WINDOW_MS = 500
const WINDOW_ROUND_TRIPS = 10
/** The shortest standstill, milliseconds. */
const MIN_STALL_MS = 1
/** Behind a standstill so much of what would have come meanwhile is there at once, or at least within a round trip. */
const CAUGHT_UP_PART = 1 / 4

/** The largest of what was added lately: of the current half of the window, and of the half before. */
class RecentMost {
  #current = 0
  #before = 0
  #turnedAtMs = 0

  /** 0 until something was added. */
  get value(): number {
    return Math.max(this.#current, this.#before)
  }

  /** Forgets what is older than the window. @param roundTripMs  without any queue; Infinity while it is not known */
  age(nowMs: number, roundTripMs: number): void {
    if (nowMs - this.#turnedAtMs <= Math.max(WINDOW_MS, WINDOW_ROUND_TRIPS * roundTripMs) / 2) return
    this.#before = this.#current
    this.#current = 0
    this.#turnedAtMs = nowMs
  }

  add(value: number): void {
    this.#current = Math.max(this.#current, value)
  }
}

/**
 * An estimate of how fast a link delivers: the best rate of the last rounds. One round that was held up elsewhere says nothing about the
 * link; nor does one in which there was less to send than might have been, unless it was faster than all before. While there is little to
 * send the estimate therefore stays.
 */
export class RateEstimate {
  readonly #best = new RecentMost()

  /** Bytes per millisecond; 0 until measured. */
  get bytesPerMs(): number {
    return this.#best.value
  }

  /**
   * @param isFull  as much was under way as might have been
   * @param roundTripMs  without any queue; Infinity while it is not known
   */
  add(bytesPerMs: number, { isFull, nowMs, roundTripMs }: { isFull: boolean; nowMs: number; roundTripMs: number }): void {
    if (isFull) this.#best.age(nowMs, roundTripMs)
    if (isFull || bytesPerMs > this.bytesPerMs) this.#best.add(bytesPerMs)
  }
}

/** One answer, as `StallEstimate` looks at it. */
export interface Delivery {
  readonly nowMs: number
  /** That are known to be delivered by this answer, and in all. */
  readonly newBytes: number
  readonly deliveredBytes: number
  /** Of the link, as it is estimated. */
  readonly bytesPerMs: number
  /** Of this answer, and without any queue. */
  readonly roundTripMs: number
  readonly minRoundTripMs: number
}

/**
 * The time for which answers of a link stand still, before they come together: an end, or something on the way, does something else for a while, as
 * all do on a busy machine. Looks like a queue, and is none: the link carries more meanwhile, if more is under way. A link that has become
 * slow stands still as well, and nothing comes together behind that. Never longer than the way itself: what is under way for the sake of
 * busy ends makes others wait.
 */
export class StallEstimate {
  readonly #longest = new RecentMost()
  #heardAtMs = 0
  /** A standstill that has just ended, unless the link has become slow. */
  #ended: { readonly ms: number; readonly caughtUpBytes: number; readonly untilMs: number } | undefined

  /** The longest of late, milliseconds. */
  get ms(): number {
    return this.#longest.value
  }

  add({ nowMs, newBytes, deliveredBytes, bytesPerMs, roundTripMs, minRoundTripMs }: Delivery): void {
    const ms = Math.min(nowMs - this.#heardAtMs - newBytes / bytesPerMs, roundTripMs - minRoundTripMs, minRoundTripMs)
    this.#heardAtMs = nowMs
    this.#longest.age(nowMs, minRoundTripMs)
    if (ms > MIN_STALL_MS) {
      const caughtUpBytes = deliveredBytes - newBytes + bytesPerMs * ms * CAUGHT_UP_PART
      this.#ended = { ms, caughtUpBytes, untilMs: nowMs + minRoundTripMs }
    }
    if (this.#ended === undefined || deliveredBytes < this.#ended.caughtUpBytes) return
    if (nowMs <= this.#ended.untilMs) this.#longest.add(this.#ended.ms)
    this.#ended = undefined
  }
}
