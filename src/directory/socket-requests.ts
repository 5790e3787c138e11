/** Requests of a socket that were recorded for its owner: what the service asks the data plane for, and what it gets. */
import type { ErrorCode } from '../errors.ts'
import type { BodyWithBytes, MessageHalf, MessageWithBytes, RecordedRequest, ReplayOutcome, WholeRequest } from '../recorded/request.ts'

/** One line of the list. */
export type SeenRequest = RecordedRequest
/** The part of a body that is kept. */
export type SeenBody = BodyWithBytes
/** Head, body and trailers of one direction. */
export type SeenHalf = MessageHalf<BodyWithBytes>
/** One message of a WebSocket, an event stream or a gRPC call. */
export type SeenMessage = MessageWithBytes
/** All that is kept of one request. */
export type SeenRequestDetail = WholeRequest
/** The outcome of a request that was sent again. */
export type SeenReplay = ReplayOutcome

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
  | {
      readonly kind: 'list'
      readonly items: readonly SeenRequest[]
      readonly next: string | null
      /** Other nodes of a cluster that do not answer, whose records are not among these; absent: none. */
      readonly missingNodes?: number
    }
  | { readonly kind: 'one'; readonly request: SeenRequestDetail }
  | { readonly kind: 'messages'; readonly items: readonly SeenMessage[]; readonly next: number | null; readonly dropped: number }
  | {
      readonly kind: 'har'
      readonly entries: readonly object[]
      readonly next: string | null
      /** As in a list. */
      readonly missingNodes?: number
    }
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
  /** So many other nodes of a cluster do not answer now, so that what comes in there is not told; 0: all do again. */
  | { readonly type: 'nodes'; readonly missing: number }
  /** The socket is gone, or nobody can follow it now. Nothing comes after this. */
  | { readonly type: 'end' }
