import { GatewayError } from '../../errors.ts'
import type { Tally } from '../../rates/shared-counts.ts'

/** Requests that are under way at all edges. */
export class RequestLimit {
  #count = 0

  /** @param max  requests at a time; 0: any number @param tally  those of other processes; undefined: there are none */
  constructor(
    private readonly max: number,
    private readonly tally?: Tally,
  ) {}

  /** Requests under way. */
  get count(): number {
    return this.#count
  }

  /** Counts one more, whatever becomes of it. */
  enter(): void {
    this.#count++
    this.tally?.add('', 1)
  }

  /** @throws GatewayError OVERLOADED when the last one that came is one too many */
  check(): void {
    if (this.max > 0 && this.#count + (this.tally?.others('') ?? 0) > this.max)
      throw new GatewayError('OVERLOADED', `${this.max} requests are under way (--max-requests)`)
  }

  leave(): void {
    this.#count--
    this.tally?.add('', -1)
  }
}
