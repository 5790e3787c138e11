import { GatewayError, type ErrorCode } from '../../errors.ts'
import type { StreamHandler } from '../../mux/stream.ts'

/** A TCP stream until its origin is connected: the peer has one thing to say, that it is, or that it will not be. */
export abstract class BeforeOrigin implements StreamHandler {
  abstract onHead(payload: Buffer, info: boolean): void
  abstract onReset(code: ErrorCode, reason: string): void

  onData(): void {
    throw new GatewayError('PROTOCOL', 'DATA before the origin is connected')
  }

  onTrailers(): void {
    throw new GatewayError('PROTOCOL', 'trailers in a TCP stream')
  }

  onEnd(): void {
    throw new GatewayError('PROTOCOL', 'an end before the origin is connected')
  }

  onWritable(): void {
    // The client is not read before the origin is connected.
  }
}
