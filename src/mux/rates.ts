import { GatewayError } from '../errors.ts'
import { TokenBucket } from '../rates/token-bucket.ts'

/**
 * The rates at which a peer may do what costs more than its bytes: [each second in the long run, at once].
 *
 * `opens` and `resets` are far above what two layers in good faith reach, on purpose. The outer layer passes on the cancellations of
 * strangers, and an inner layer reports every failure of a dead origin: a limit within their reach would let any client end the
 * session for all others. `pings` mark the data in flight: sixteen in each
 * round trip's worth of bytes. The number of streams is what bounds the work; OPENs beyond it (`refusals`) are counted strictly.
 */
const RATES = {
  opens: [50_000, 100_000, 'OPEN frames'],
  resets: [50_000, 100_000, 'RESET frames'],
  refusals: [500, 2_000, 'OPEN frames that had to be refused'],
  empties: [100, 200, 'empty DATA frames'],
  pings: [5_000, 10_000, 'PING frames'],
  notes: [500, 5_000, 'NOTE frames'],
  overruns: [1, 10, 'frames beyond their credit'],
} as const

/** The events that are counted. */
export type Counted = keyof typeof RATES

/** Counts what one peer does. */
export class PeerRates {
  readonly #limits: Readonly<Record<Counted, TokenBucket>>

  /** @param clock  milliseconds, rising */
  constructor(clock: () => number) {
    const limit = (what: Counted): TokenBucket => new TokenBucket(RATES[what][0], RATES[what][1], clock)
    this.#limits = {
      opens: limit('opens'),
      resets: limit('resets'),
      refusals: limit('refusals'),
      empties: limit('empties'),
      pings: limit('pings'),
      notes: limit('notes'),
      overruns: limit('overruns'),
    }
  }

  /** Counts one event. @throws GatewayError CALM when it is one too many */
  count(what: Counted): void {
    if (!this.#limits[what].take()) throw new GatewayError('CALM', `too many ${RATES[what][2]}`)
  }
}
