import type { ErrorCode } from '../errors.ts'

const FIRST_MS = 500
/** An outer layer that is back is found within this time and a handshake. A dial that nobody answers costs both sides next to nothing. */
const AWAY_MS = 1_500
/** The pause after a refusal: the next attempt is refused again until somebody changes something. */
const REFUSED_MS = 30_000

/** The outer layer is away, is leaving, or had no time: nothing that it has against this inner layer. */
const AWAY: ReadonlySet<ErrorCode> = new Set(['OUTER_LAYER_LOST', 'LINK_DEAD', 'GOING_AWAY', 'DRAINING', 'AUTH_TIMEOUT'])

/** Pauses between the attempts to reach one outer layer, each with full jitter: many that lost it together come back spread out, not in step. */
export class BackOff {
  #attempts = 0

  /** @param random  0 … 1 */
  constructor(private readonly random: () => number) {}

  /** The next pause, milliseconds, after an attempt or a connection that ended with `code`. */
  next(code: ErrorCode): number {
    const longest = AWAY.has(code) ? AWAY_MS : REFUSED_MS
    return Math.round(Math.min(longest, FIRST_MS * 2 ** this.#attempts++) * this.random())
  }

  /** A connection has served for a while: the next pause is short again. */
  reset(): void {
    this.#attempts = 0
  }
}
