/** The place where somebody may look at exchanges: each layer tells what passes, and nobody who listens can change or delay it. */
import type { ErrorCode } from '../errors.ts'
import type { Fields } from '../http/fields.ts'

/** An exchange as it begins. */
export interface TapStart {
  readonly kind: 'http' | 'tcp'
  readonly scheme: 'http' | 'https' | 'tcp' | 'tls'
  /** Host and port as the client or the origin gets them. */
  readonly authority: string
  /** Empty for TCP. */
  readonly method: string
  /** Path and query; empty for TCP. */
  readonly path: string
  /** Version of HTTP, such as `1.1`; empty for TCP. */
  readonly version: string
  readonly fields: Fields
  /** Milliseconds, rising; undefined: now. */
  readonly startedMs?: number | undefined
  /** Id of the request in the log of this layer. */
  readonly requestId?: string | undefined
  /** Address of the client. */
  readonly client?: string | undefined
  readonly target?: string | undefined
  /** The exchange that this one repeats. */
  readonly replayOf?: string | undefined
  /** It was not seen here: a file told of it. */
  readonly isImported?: boolean | undefined
  /** The socket of the service that it came to; undefined: it is the operator's. */
  readonly owner?: { readonly socketId: string; readonly accountId: string } | undefined
  /** The way to send the same again, for the layer that has opened the tap; it has no bytes and no fields of the request. */
  readonly way?: unknown
}

/** The end of an exchange. */
export interface TapEnd {
  /** Undefined after a clean end. */
  readonly error?: ErrorCode | undefined
  readonly reason?: string | undefined
  /** The inner layer that had it. */
  readonly innerLayer?: string | undefined
  readonly visitor?: string | undefined
}

/** Points in the life of an exchange: a stream to an inner layer was opened, a connection to the origin is there. */
export type TapMark = 'dispatched' | 'connected'

/**
 * One exchange that is looked at. Whatever is handed over belongs to the caller and is not kept; no method throws, waits, or says anything
 * back. After `end` nothing more is heard.
 */
export interface ExchangeTap {
  /** The id of what is recorded. */
  readonly id: string
  mark(point: TapMark): void
  /** Time that a connection to the origin took, as the inner layer says, milliseconds. */
  connect(ms: number): void
  /** Time of the way between the layers, there and back, milliseconds. */
  link(roundTripMs: number): void
  /** Bytes towards the origin: of the body, or after a switch of protocols of the connection. */
  sent(chunk: Buffer): void
  sentEnd(trailers: Fields): void
  interim(status: number, reason: string, fields: Fields): void
  head(status: number, reason: string, fields: Fields): void
  /** 101, or what stands for it: from here on bytes are bytes. */
  switched(protocol: string, reason: string, fields: Fields): void
  /** Bytes towards the client. */
  received(chunk: Buffer): void
  receivedEnd(trailers: Fields): void
  end(end: TapEnd): void
}

/** The one who looks. */
export interface Taps {
  /** Undefined: not at this one. */
  open(start: TapStart): ExchangeTap | undefined
}

/** The listener of a splice. */
interface Watch {
  read(chunk: Buffer): void
  readEnd(): void
  written(chunk: Buffer): void
  writtenEnd(): void
}

/** Shows a tap the bytes of a connection. @param socket  the side that the socket leads to */
export function watchSocket(tap: ExchangeTap, socket: 'client' | 'origin'): Watch {
  const [read, readEnd, written, writtenEnd] =
    socket === 'client'
      ? (['sent', 'sentEnd', 'received', 'receivedEnd'] as const)
      : (['received', 'receivedEnd', 'sent', 'sentEnd'] as const)
  return {
    read: chunk => tap[read](chunk),
    readEnd: () => tap[readEnd]([]),
    written: chunk => tap[written](chunk),
    writtenEnd: () => tap[writtenEnd]([]),
  }
}
