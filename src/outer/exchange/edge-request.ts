import type { Duplex } from 'node:stream'
import type { RawRequest } from '../../http/admission.ts'
import type { Peer } from '../../http/client.ts'
import type { Fields } from '../../http/fields.ts'
import type { WritableHead } from '../../http/response-fields.ts'

/** Events of a call about its client. After `onClosed` nothing more comes. */
export interface ClientEvents {
  onUpload(chunk: Buffer): void
  /** The request body is complete; the call knows its trailers. */
  onUploadEnd(): void
  /** `write` may go on after it returned false. */
  onDrain(): void
  /** The answer has left, or the client has. */
  onClosed(): void
  /** One of the above threw, or what the call does in between: a fault of ours, which ends this request and nothing else. */
  onFault(thrown: unknown): void
}

/** The client's side of a connection that has left HTTP. */
export interface SwitchedClient {
  /** Paused, or not read yet. */
  readonly socket: Duplex
  /** Bytes that the client sent behind its request; they come before what the socket has. */
  readonly head: Buffer
  /** Ends it so that the client sees an abnormal end; absent where `endAbruptly` does. */
  readonly cut?: () => void
}

/**
 * One request of a client and the way to answer it, whatever version of HTTP it came in: what an exchange needs of `node:http` and
 * `node:http2`, and no more. One answer: `writeHead`, `write` …, `end`; or `cut` instead of what is left.
 */
export interface EdgeRequest {
  readonly peer: Peer
  readonly request: RawRequest
  /** Set by the exchange before anything else. */
  events: ClientEvents | undefined

  // --- request
  /** True when all of the request has come. */
  readonly isReceived: boolean
  /** Of a complete request, names and values in turn. */
  readonly trailers: readonly string[]
  /** Begins to deliver the body; nothing is read from the client before. */
  startUpload(): void
  pauseUpload(): void
  resumeUpload(): void
  /** Throws away what is still to come of the body. */
  discardUpload(): void

  // --- answer
  /** True once a final head was written. */
  readonly hasHead: boolean
  /** Status that was written, 0 before. */
  readonly status: number
  /** True when the answer was handed to the operating system whole. */
  readonly isFinished: boolean
  /** True when the client can no longer be reached. */
  readonly isGone: boolean
  /** True after `write` returned false, until `onDrain`. */
  readonly needsDrain: boolean
  /** 100 (Continue). */
  writeContinue(): void
  /** An interim head other than 100, checked by `interimFields`. */
  writeInterim(status: number, reason: string, fields: Fields): void
  /**
   * Leaves HTTP for the protocol `upgrade`, with 101 or what stands for it: the answer is complete, and `events` hear nothing more. The
   * head is checked already. Only for a request with `upgrades`.
   */
  switchProtocols?(upgrade: string, head: Pick<WritableHead, 'reason' | 'fields'>): SwitchedClient
  /** @throws when a field or the reason has characters that cannot be sent; nothing was written */
  writeHead(head: Pick<WritableHead, 'status' | 'reason' | 'fields'>): void
  /** True while what was written of the body waits for `flush`, as the head does; absent: it never does. */
  readonly isWaiting?: boolean
  /** Sends a head that waits for its body. */
  flush(): void
  /** False asks to pause until `onDrain`. */
  write(chunk: Buffer): boolean
  /** Trailers follow the body. @throws as `writeHead` */
  setTrailers(fields: Fields): void
  /** Ends the answer, with `body` as all or the rest of it. */
  end(body?: string | Buffer): void
  /** The connection takes no further request: HTTP/1 closes it after this answer. */
  closeAfterwards(): void
  /**
   * The only honest end once the head is out: what came so far is delivered, and the client sees that something is missing.
   * @param isDelimitedByClose  nothing but the end of the connection tells where the body ends
   */
  cut(isDelimitedByClose: boolean): void
}
