import type { ErrorCode } from '../../errors.ts'
import type { MuxStream, StreamHandler } from '../../mux/stream.ts'

/** A stream as its user needs it; its handler hears the other half. */
export type CarrierStream = Pick<
  MuxStream,
  'handler' | 'isRemoteOpen' | 'needsPause' | 'sentBytes' | 'write' | 'end' | 'reset' | 'consumed'
>

/**
 * A connection that carries streams to origins, as far as the edges need it. The session of an inner layer is one; whatever else brings
 * streams to an origin implements this and comes into the registry, and no edge changes for it.
 */
export interface Carrier {
  /** True while `open` can succeed. */
  readonly isOpen: boolean
  /** True while one more stream fits. */
  readonly hasRoom: boolean
  /** Bytes of all streams that are queued, under way, or received and not consumed. */
  readonly outstandingBytes: number
  /** Streams that are open. */
  readonly streamCount: number
  /** Smoothed round trip, milliseconds; 0 while it is not measured. */
  readonly roundTripMs: number
  /** Bytes sent and not known to be delivered, and how many may be; undefined where nobody counts them. */
  readonly inFlightBytes?: number
  readonly flightLimitBytes?: number
  /** True while notes have to wait, since nothing leaves at the moment; undefined where nobody knows. */
  readonly isHeldUp?: boolean

  /**
   * Opens a stream at once, without a round trip.
   * @param payload  a head, as `payload/` encodes them
   * @param options  `end`: nothing follows the head
   * @throws GatewayError REFUSED_STREAM when it is closing or full, HEADERS_TOO_LARGE for a payload beyond 64 KiB
   */
  open(payload: Uint8Array, handler: StreamHandler, options?: { readonly end?: boolean }): CarrierStream
  /** Tells something about all streams that are opened later, such as what an origin profile is; at most 64 KiB. */
  note(payload: Uint8Array): void
  /** Refuses new streams, lets the open ones finish, then ends. Idempotent; resolves when it is over. */
  drain(code: ErrorCode, reason: string): Promise<void>
  /** Ends now: every stream is reset. Idempotent. */
  destroy(code: ErrorCode, reason: string): void
}
