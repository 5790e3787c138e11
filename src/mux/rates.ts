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
  /** Each from its first event on: most peers do little of most. */
  readonly #limits = new Map<Counted, TokenBucket>()

  /** @param clock  milliseconds, rising */
  constructor(private readonly clock: () => number) {}

  /** Counts one event. @throws GatewayError CALM when it is one too many */
  count(what: Counted): void {
    let limit = this.#limits.get(what)
    if (limit === undefined) this.#limits.set(what, (limit = new TokenBucket(RATES[what][0], RATES[what][1], this.clock)))
    if (!limit.take()) throw new GatewayError('CALM', `too many ${RATES[what][2]}`)
  }
}
