/** Requests that were recorded at sockets, as the API has them. */
import type { BodyWithBytes, MessageHalf, MessageWithBytes, RecordedRequest, ReplayOutcome, WholeRequest } from '../recorded/request.ts'

/** A request that was recorded at a socket, in a list. */
export type SeenRequest = RecordedRequest<string>

/** Head, body and trailers of one direction. */
export type SeenHalf = MessageHalf<BodyWithBytes>

/** A message of a WebSocket, an event stream or a gRPC call. */
export type SeenMessage = MessageWithBytes<string>

/** All that is kept of such a request. */
export type SeenRequestDetail = WholeRequest<string>

/** Messages from a number on. */
export interface SeenMessages {
  readonly items: readonly SeenMessage[]
  readonly next: number | null
  readonly dropped: number
}

/** A change of the list of requests. */
export type RequestsChange =
  | { readonly type: 'request'; readonly request: SeenRequest }
  | { readonly type: 'gone'; readonly ids: readonly string[] }
  /** The list has to be asked for again. */
  | { readonly type: 'reset' }
  /** So many other nodes of the gateway do not answer; 0: all do again. */
  | { readonly type: 'nodes'; readonly missing: number }

/** A page of recorded requests. */
export interface SeenRequests {
  readonly items: readonly SeenRequest[]
  readonly next: string | null
  /** Other nodes of the gateway that do not answer, whose requests are not among these; absent: none. */
  readonly missingNodes?: number
}

/** Changes to a request that is sent again. */
export interface ReplayRequest {
  readonly method?: string | undefined
  readonly path?: string | undefined
  /** Instead of the recorded ones. */
  readonly fields?: readonly (readonly [name: string, value: string])[]
  /** On top of the recorded ones; null takes one out. */
  readonly setFields?: Readonly<Record<string, string | null>>
  readonly body?: string | { readonly base64: string }
  readonly times?: number
  readonly concurrency?: number
  /** Sends `***` where something was taken out. */
  readonly allowRedacted?: boolean
}

/** The outcome of each time. */
export interface Replayed {
  readonly results: readonly ReplayOutcome[]
}

/** A HAR file. */
export interface Har {
  readonly log: { readonly version: '1.2'; readonly entries: readonly object[] }
}
