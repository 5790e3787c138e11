import { GatewayError } from '../../errors.ts'

/** Requests that are under way at all edges. */
export class RequestLimit {
  #count = 0

  /** @param max  requests at a time; 0: any number */
  constructor(private readonly max: number) {}

  /** Requests under way. */
  get count(): number {
    return this.#count
  }

  /** Counts one more, whatever becomes of it. */
  enter(): void {
    this.#count++
  }

  /** @throws GatewayError OVERLOADED when the last one that came is one too many */
  check(): void {
    if (this.max > 0 && this.#count > this.max) throw new GatewayError('OVERLOADED', `${this.max} requests are under way (--max-requests)`)
  }

  leave(): void {
    this.#count--
  }
}
