import { addressKey } from '../address/address-key.ts'
import { RateMeter } from '../rates/rate-meter.ts'
import type { SharedCounts } from '../rates/shared-counts.ts'
import type { Rejection } from './lane.ts'

/** Wrong credentials of one address: twenty, then one each three seconds. */
const FAILURES = { perSecond: 1 / 3, burst: 20 } as const

/**
 * Counts wrong credentials by address. Whoever sends a good one is let in whatever others at that address have sent: good ones are found
 * before anything is counted.
 */
export class Failures {
  readonly #meter: RateMeter

  /**
   * @param clock      milliseconds, rising
   * @param onRefused  told of those that are not too many
   * @param shared     counts of all processes, and the name of this one among them; undefined: it is alone
   */
  constructor(
    clock: () => number,
    rate: { readonly perSecond: number; readonly burst: number } = FAILURES,
    private readonly onRefused: (address: string, reason: string) => void = () => undefined,
    shared?: { readonly counts: SharedCounts; readonly name: string },
  ) {
    this.#meter = shared?.counts.meter(shared.name, rate) ?? new RateMeter(rate, clock)
  }

  /** Refuses a wrong credential, or the address that has sent too many. @param reason  for the log */
  refuse(address: string, reason: string): Rejection {
    const waitMs = this.#meter.take(addressKey(address))
    if (waitMs === 0) this.onRefused(address, reason)
    if (waitMs === 0) return { kind: 'refuse', code: 'VISITOR_CREDENTIALS', reason }
    // RFC 9110 §10.2.3
    const fields = ['Retry-After', String(Math.ceil(waitMs / 1000))]
    return { kind: 'refuse', code: 'RATE_LIMITED', reason: `too many wrong credentials from this address; ${reason}`, fields }
  }
}
