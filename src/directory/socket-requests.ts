/** Requests of a socket that were recorded for its owner: what the service asks the data plane for, and what it gets. */
import type { ErrorCode } from '../errors.ts'

/** A field of a head, name and value as they were sent, a character for each byte. */
type NamedValue = readonly [name: string, value: string]

/** One line of the list. */
export interface SeenRequest {
  readonly id: string
  readonly kind: 'http' | 'websocket' | 'events' | 'grpc' | 'tcp'
  /** Milliseconds since 1970. */
  readonly at: number
  /** Null while it is under way. */
  readonly durationMs: number | null
  readonly isOver: boolean
  readonly scheme: string
  /** Empty for TCP. */
  readonly method: string
  readonly host: string
  /** Path and query, redacted. */
  readonly path: string
  readonly status: number | null
  readonly error: string | null
  readonly visitor: string | null
  readonly client: string | null
  /** Bytes of the bodies as they were transferred. */
  readonly requestBytes: number
  readonly responseBytes: number
  /** Media type of the answer, without parameters. */
  readonly type: string | null
  readonly messages: number
}

/** The part of a body that is kept, decoded and redacted. */
export interface SeenBody {
  /** Bytes as they were transferred. */
  readonly bytes: number
  /** There was more than is kept. */
  readonly isCut: boolean
  readonly isComplete: boolean
  readonly type: string | null
  /** Why nothing or not all is kept; null: all is. */
  readonly note: string | null
  /** Places where something was taken out. */
  readonly redactions: number
  /** Of a body in UTF-8; null: it is in `base64`, or empty. */
  readonly text: string | null
  readonly base64: string | null
}

/** Head, body and trailers of one direction. */
export interface SeenHalf {
  readonly fields: readonly NamedValue[]
  readonly trailers: readonly NamedValue[]
  readonly body: SeenBody
}

/** One message of a WebSocket, an event stream or a gRPC call. */
export interface SeenMessage {
  readonly number: number
  readonly at: number
  readonly from: 'client' | 'origin'
  readonly type: string
  readonly bytes: number
  /** Null for what is no text. */
  readonly text: string | null
}

/** All that is kept of one request. */
export interface SeenRequestDetail extends SeenRequest {
  readonly version: string
  /** The id that the visitor got. */
  readonly requestId: string | null
  /** Where the time went, milliseconds; null where that is not known. */
  readonly phases: {
    readonly edge: number | null
    readonly link: number | null
    readonly connect: number | null
    readonly firstByte: number | null
    readonly body: number | null
  }
  readonly request: SeenHalf
  readonly response: (SeenHalf & { readonly status: number; readonly reason: string }) | null
  /** The end of a WebSocket. */
  readonly close: { readonly code: number; readonly reason: string; readonly by: string; readonly explanation: string } | null
  /** The first hundred that are kept. */
  readonly messageList: readonly SeenMessage[]
  /** Fields, parameters and the like whose values were taken out. */
  readonly redacted: readonly string[]
}

/** A question about the requests of a socket; that it is the account's was asked before. */
export type RequestsQuestion = { readonly accountId: string; readonly socketId: string } & (
  | { readonly kind: 'list'; readonly filter: string; readonly before: string | undefined; readonly limit: number }
  | { readonly kind: 'one'; readonly requestId: string }
)

/** The answer to it. */
export type RequestsAnswer =
  | { readonly kind: 'list'; readonly items: readonly SeenRequest[]; readonly next: string | null }
  | { readonly kind: 'one'; readonly request: SeenRequestDetail }
  | { readonly kind: 'refused'; readonly code: ErrorCode; readonly why: string }
