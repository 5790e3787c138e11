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
  /** The request that this one repeats. */
  readonly replayOf: string | null
}

/** The part of a body that is kept, decoded and redacted. */
export interface SeenBody {
  /** Bytes as they were transferred. */
  readonly bytes: number
  /** Bytes that are kept, decoded and redacted. */
  readonly heldBytes: number
  /** There was more than is kept. */
  readonly isCut: boolean
  readonly isComplete: boolean
  readonly type: string | null
  /** The content coding that was undone. */
  readonly coding: string | null
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
  readonly type: 'text' | 'binary' | 'ping' | 'pong' | 'close' | 'event' | 'grpc'
  readonly bytes: number
  readonly isCut: boolean
  /** True when it came compressed. */
  readonly isCompressed: boolean
  /** Null for what is no text. */
  readonly text: string | null
  /** The part that is kept of a message that is no text. */
  readonly base64: string | null
  /** Of a close frame. */
  readonly code: number | null
  /** Of an event: its name and id. */
  readonly event: string | null
  readonly eventId: string | null
}

/** An interim answer. */
export interface SeenInterim {
  readonly status: number
  readonly reason: string
  readonly fields: readonly NamedValue[]
  /** Milliseconds since the begin. */
  readonly afterMs: number
}

/** The end of a WebSocket. */
export interface SeenClose {
  readonly code: number
  readonly reason: string
  readonly by: 'client' | 'origin' | 'gateway' | 'unknown'
  readonly isClean: boolean
  readonly explanation: string
}

/** All that is kept of one request. */
export interface SeenRequestDetail extends SeenRequest {
  readonly url: string
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
  readonly interim: readonly SeenInterim[]
  readonly response: (SeenHalf & { readonly status: number; readonly reason: string }) | null
  readonly close: SeenClose | null
  /** The first hundred that are kept. */
  readonly messageList: readonly SeenMessage[]
  /** Messages that are not kept any more. */
  readonly messagesDropped: number
  /** It can be sent again. */
  readonly canReplay: boolean
  /** Fields, parameters and the like whose values were taken out. */
  readonly redacted: readonly string[]
}

/** The outcome of a request that was sent again. */
export interface SeenReplay {
  /** The record of it; null: there is none. */
  readonly id: string | null
  readonly status: number | null
  readonly durationMs: number
  readonly error: string | null
}

/** Whose requests, and of which socket; that it is the account's was asked before. */
interface OfSocket {
  readonly accountId: string
  readonly socketId: string
}

/** A question about the requests of a socket. */
export type RequestsQuestion = OfSocket &
  (
    | { readonly kind: 'list'; readonly filter: string; readonly before: string | undefined; readonly limit: number }
    | { readonly kind: 'one'; readonly requestId: string }
    | { readonly kind: 'messages'; readonly requestId: string; readonly from: number; readonly limit: number }
    /** Entries of a HAR file. */
    | { readonly kind: 'har'; readonly filter: string; readonly ids: readonly string[] | undefined; readonly before: string | undefined }
    /** Sends it again. @param edits  as docs/inspector.md has them @param address  the owner's, who is the client of it */
    | { readonly kind: 'replay'; readonly requestId: string; readonly edits: unknown; readonly address: string }
  )

/** The answer to it. */
export type RequestsAnswer =
  | { readonly kind: 'list'; readonly items: readonly SeenRequest[]; readonly next: string | null }
  | { readonly kind: 'one'; readonly request: SeenRequestDetail }
  | { readonly kind: 'messages'; readonly items: readonly SeenMessage[]; readonly next: number | null; readonly dropped: number }
  | { readonly kind: 'har'; readonly entries: readonly object[]; readonly next: string | null }
  | { readonly kind: 'replayed'; readonly results: readonly SeenReplay[] }
  | { readonly kind: 'refused'; readonly code: ErrorCode; readonly why: string }

/** A wish to be told what comes to a socket. */
export interface RequestsFollowing extends OfSocket {
  readonly filter: string
}

/** A change of the list, for whoever follows it. */
export type RequestsChange =
  /** New, or changed: replaces what has the same id. */
  | { readonly type: 'request'; readonly request: SeenRequest }
  /** Not kept any more. */
  | { readonly type: 'gone'; readonly ids: readonly string[] }
  /** There was too much, or nothing is kept any more: the list has to be asked for again. */
  | { readonly type: 'reset' }
  /** The socket is gone, or nobody can follow it now. Nothing comes after this. */
  | { readonly type: 'end' }
