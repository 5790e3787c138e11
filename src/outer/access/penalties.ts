import { addressKey } from '../../address/address-key.ts'

const MAX_ADDRESSES = 10_000

/**
 * Addresses that are left alone for a while. Whoever floods one connection after the other would otherwise get a first read of each: tens
 * of thousands of frames, which node:http2 takes in before anybody can object.
 */
export class Penalties {
  /** In the order in which they end, each with the time of that. */
  readonly #ends = new Map<string, number>()

  /** @param clock  milliseconds, rising */
  constructor(
    private readonly lengthMs: number,
    private readonly clock: () => number,
  ) {}

  /** Begins, or begins anew. Beyond 10,000 addresses the oldest goes free. */
  add(address: string): void {
    const key = addressKey(address)
    this.#ends.delete(key)
    const [oldest] = this.#ends.size >= MAX_ADDRESSES ? this.#ends.keys() : []
    if (oldest !== undefined) this.#ends.delete(oldest)
    this.#ends.set(key, this.clock() + this.lengthMs)
  }

  /** Is this address being left alone? */
  has(address: string): boolean {
    if (this.#ends.size === 0) return false
    const key = addressKey(address)
    const end = this.#ends.get(key)
    if (end === undefined || end > this.clock()) return end !== undefined
    this.#ends.delete(key)
    return false
  }
}
