/** The best of the last so many milliseconds is kept, or of the last so many round trips if they are longer. */
const WINDOW_MS = 500
const WINDOW_ROUND_TRIPS = 10

/**
 * An estimate of how fast a link delivers: the best rate of the last rounds. One round that was held up elsewhere says nothing about the
 * link; nor does one in which there was less to send than might have been, unless it was faster than all before. While there is little to
 * send the estimate therefore stays.
 */
export class RateEstimate {
  /** Best of the current half of the window, and of the half before. */
  #current = 0
  #before = 0
  #turnedAtMs = 0

  /** Bytes per millisecond; 0 until measured. */
  get bytesPerMs(): number {
    return Math.max(this.#current, this.#before)
  }

  /**
   * @param isFull  as much was under way as might have been
   * @param roundTripMs  without any queue; Infinity while it is not known
   */
  add(bytesPerMs: number, { isFull, nowMs, roundTripMs }: { isFull: boolean; nowMs: number; roundTripMs: number }): void {
    if (isFull && nowMs - this.#turnedAtMs > Math.max(WINDOW_MS, WINDOW_ROUND_TRIPS * roundTripMs) / 2) {
      this.#before = this.#current
      this.#current = 0
      this.#turnedAtMs = nowMs
    }
    if (isFull || bytesPerMs > this.bytesPerMs) this.#current = Math.max(this.#current, bytesPerMs)
  }
}
