/** The most that may be saved up. */
const CAPACITY = 10_000
const PER_SECOND = 500

/** Prices of what a client can do for next to nothing, and of what it gets back for requests that come to an end. */
export const FRAME_COST = {
  /** A stream that was given up before its answer was complete, by whomever (CVE-2023-44487, CVE-2025-8671). */
  brokenStream: 20,
  /** RFC 9113 §6.5: each has to be applied and acknowledged. */
  settings: 100,
  /** Each has to be answered; clients of gRPC measure the way with them while they send or receive. */
  ping: 2,
  /** Earned by a stream that came to its end. */
  wholeStream: -20,
  /** Earned by a piece of a body. */
  piece: -2,
} as const

/**
 * The most that those frames of one client may cost that lead to nothing (RFC 9113 §10.5): five hundred broken streams, five thousand PINGs
 * or a hundred SETTINGS at once, and a twentieth of that in each second. Clients that also get something done are never near it.
 */
export class FrameBudget {
  #left: number
  #atMs: number

  /**
   * @param clock  milliseconds, rising
   * @param scale  how many times as much as above
   */
  constructor(
    private readonly clock: () => number,
    private readonly scale = 1,
  ) {
    this.#atMs = clock()
    this.#left = CAPACITY * scale
  }

  /** False when there is no budget left for it. */
  spend(cost: number): boolean {
    const now = this.clock()
    const { scale } = this
    this.#left = Math.min(CAPACITY * scale, this.#left + ((now - this.#atMs) * PER_SECOND * scale) / 1000) - cost
    this.#atMs = now
    return this.#left >= 0
  }

  /** Gives something back. @param cost  negative */
  earn(cost: number): void {
    this.#left = Math.min(CAPACITY * this.scale, this.#left - cost)
  }
}
