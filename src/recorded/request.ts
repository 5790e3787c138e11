/**
 * A request that was recorded, as the inspector shows it to operators, the service to the owner of a socket, and both to programs: what is the same
 * for all of them. Times are milliseconds since 1970 within the gateway, and texts of ISO 8601 in the API of the service.
 */

/** The protocol that an exchange turned out to speak. */
export type ExchangeKind = 'http' | 'websocket' | 'events' | 'grpc' | 'tcp'

/** A field of a head, name and value as they were sent, a character for each byte. */
export type NamedValue = readonly [name: string, value: string]

/** Where the time went, milliseconds; null where this layer cannot know. */
export interface Phases {
  /** From the head of the request to the stream that carries it. */
  readonly edge: number | null
  /** The way between the layers, there and back. */
  readonly link: number | null
  /** Until a connection to the origin was there. */
  readonly connect: number | null
  /** From there, or else from the stream, to the head of the answer. */
  readonly firstByte: number | null
  /** From the head of the answer to its end. */
  readonly body: number | null
}

/** One line of the list. */
export interface RecordedRequest<Time = number> {
  readonly id: string
  readonly kind: ExchangeKind
  readonly at: Time
  /** Null while it is under way. */
  readonly durationMs: number | null
  readonly isOver: boolean
  readonly scheme: string
  /** Empty for TCP. */
  readonly method: string
  readonly host: string
  /** Path and query, redacted. */
  readonly path: string
  /** Null before there is one. */
  readonly status: number | null
  readonly error: string | null
  readonly visitor: string | null
  readonly client: string | null
  /** Bytes of the bodies as they were transferred. */
  readonly requestBytes: number
  readonly responseBytes: number
  /** Media type of the answer, without parameters. */
  readonly type: string | null
  /** Messages that were counted. */
  readonly messages: number
  /** The request that this one repeats. */
  readonly replayOf: string | null
}

/** The part of a body that is kept. */
export interface BodyInfo {
  /** Bytes as they were transferred. */
  readonly bytes: number
  /** Bytes that are kept, decoded and redacted. */
  readonly heldBytes: number
  /** True when there was more than is kept. */
  readonly isCut: boolean
  /** True when all of it came. */
  readonly isComplete: boolean
  /** Full media type, null for none. */
  readonly type: string | null
  /** The content coding that was undone, null for none. */
  readonly coding: string | null
  /** Why nothing or not all is kept, in words; null: all is. */
  readonly note: string | null
  /** Places where something was taken out. */
  readonly redactions: number
}

/** A body with the part of it that is kept, decoded and redacted. */
export interface BodyWithBytes extends BodyInfo {
  /** Of a body in UTF-8; null: it is in `base64`, or empty. */
  readonly text: string | null
  readonly base64: string | null
}

/** Head, body and trailers of one direction. */
export interface MessageHalf<Body = BodyInfo> {
  readonly fields: readonly NamedValue[]
  readonly trailers: readonly NamedValue[]
  readonly body: Body
}

/** An interim answer. */
export interface InterimAnswer {
  readonly status: number
  readonly reason: string
  readonly fields: readonly NamedValue[]
  /** Milliseconds since the begin. */
  readonly afterMs: number
}

/** The end of a WebSocket. */
export interface CloseInfo {
  /** The status that one side gave; 1005 for a close frame without one, 1006 when there was no close frame at all. */
  readonly code: number
  readonly reason: string
  /** The side that closed first, or that was lost. */
  readonly by: 'client' | 'origin' | 'gateway' | 'unknown'
  readonly isClean: boolean
  /** The failure, in a sentence. */
  readonly explanation: string
}

/** The facts of one request beside its line. */
export interface RecordedParts<Body = BodyInfo> {
  readonly url: string
  readonly version: string
  /** The id in the log, which the visitor got. */
  readonly requestId: string | null
  readonly phases: Phases
  readonly request: MessageHalf<Body>
  readonly interim: readonly InterimAnswer[]
  readonly response: (MessageHalf<Body> & { readonly status: number; readonly reason: string }) | null
  readonly close: CloseInfo | null
  /** Messages that are not kept any more. */
  readonly messagesDropped: number
  /** Fields, parameters and the like whose values were taken out, such as `request field authorization`. */
  readonly redacted: readonly string[]
  /** True when it can be sent again from here. */
  readonly canReplay: boolean
}

/** One message of a WebSocket, an event stream or a gRPC call. */
export interface RecordedMessage<Time = number> {
  /** From 0, over all of the exchange. */
  readonly number: number
  readonly at: Time
  readonly from: 'client' | 'origin'
  readonly type: 'text' | 'binary' | 'ping' | 'pong' | 'close' | 'event' | 'grpc'
  /** Bytes of the message, after decompression. */
  readonly bytes: number
  readonly isCut: boolean
  /** True when it came compressed. */
  readonly isCompressed: boolean
  /** Text as far as it is kept, null for bytes. */
  readonly text: string | null
  /** Of a close frame. */
  readonly code: number | null
  /** Of an event: its name and id. */
  readonly event: string | null
  readonly eventId: string | null
}

/** A message with the part that is kept of one that is no text. */
export interface MessageWithBytes<Time = number> extends RecordedMessage<Time> {
  readonly base64: string | null
}

/** All that the owner of a socket sees of one request. */
export interface WholeRequest<Time = number> extends RecordedRequest<Time>, RecordedParts<BodyWithBytes> {
  /** The first hundred that are kept. */
  readonly messageList: readonly MessageWithBytes<Time>[]
}

/** The outcome of a request that was sent again. */
export interface ReplayOutcome {
  /** The record of it; null: there is none. */
  readonly id: string | null
  readonly status: number | null
  readonly durationMs: number
  readonly error: string | null
}
