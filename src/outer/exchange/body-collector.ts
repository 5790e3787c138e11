import { GatewayError } from '../../errors.ts'

/** The body of a request that the gateway answers itself, in memory. */
export class BodyCollector {
  readonly #chunks: Buffer[] = []
  #bytes = 0

  /** @param onEnd  all of it is here */
  constructor(
    private readonly maxBytes: number,
    private readonly onEnd: (body: Buffer) => void,
  ) {}

  /** @throws GatewayError BODY_TOO_LARGE */
  add(chunk: Buffer): void {
    this.#bytes += chunk.length
    if (this.#bytes > this.maxBytes)
      throw new GatewayError('BODY_TOO_LARGE', `a page of the gateway takes ${this.maxBytes} bytes, and more came`)
    this.#chunks.push(chunk)
  }

  end(): void {
    this.onEnd(Buffer.concat(this.#chunks))
  }
}
