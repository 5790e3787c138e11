/** Requests that were recorded at sockets, as the API has them. */

/** A request that was recorded at a socket, in a list. */
export interface SeenRequest {
  readonly id: string
  readonly kind: 'http' | 'websocket' | 'events' | 'grpc' | 'tcp'
  readonly at: string
  /** Null while it is under way. */
  readonly durationMs: number | null
  readonly isOver: boolean
  readonly scheme: string
  readonly method: string
  readonly host: string
  readonly path: string
  readonly status: number | null
  readonly error: string | null
  readonly visitor: string | null
  readonly client: string | null
  readonly requestBytes: number
  readonly responseBytes: number
  readonly type: string | null
  readonly messages: number
  readonly replayOf: string | null
}

/** Head, body and trailers of one direction. */
export interface SeenHalf {
  readonly fields: readonly (readonly [name: string, value: string])[]
  readonly trailers: readonly (readonly [name: string, value: string])[]
  readonly body: {
    readonly bytes: number
    readonly heldBytes: number
    readonly isCut: boolean
    readonly isComplete: boolean
    readonly type: string | null
    readonly coding: string | null
    readonly note: string | null
    readonly redactions: number
    readonly text: string | null
    readonly base64: string | null
  }
}

/** A message of a WebSocket, an event stream or a gRPC call. */
export interface SeenMessage {
  readonly number: number
  readonly at: string
  readonly from: 'client' | 'origin'
  readonly type: 'text' | 'binary' | 'ping' | 'pong' | 'close' | 'event' | 'grpc'
  readonly bytes: number
  readonly isCut: boolean
  readonly isCompressed: boolean
  readonly text: string | null
  readonly base64: string | null
  readonly code: number | null
  readonly event: string | null
  readonly eventId: string | null
}

/** Messages from a number on. */
export interface SeenMessages {
  readonly items: readonly SeenMessage[]
  readonly next: number | null
  readonly dropped: number
}

/** All that is kept of such a request. */
export interface SeenRequestDetail extends SeenRequest {
  readonly url: string
  readonly version: string
  readonly requestId: string | null
  readonly phases: Readonly<Record<'edge' | 'link' | 'connect' | 'firstByte' | 'body', number | null>>
  readonly request: SeenHalf
  readonly interim: readonly {
    readonly status: number
    readonly reason: string
    readonly fields: SeenHalf['fields']
    readonly afterMs: number
  }[]
  readonly response: (SeenHalf & { readonly status: number; readonly reason: string }) | null
  readonly close: {
    readonly code: number
    readonly reason: string
    readonly by: 'client' | 'origin' | 'gateway' | 'unknown'
    readonly isClean: boolean
    readonly explanation: string
  } | null
  /** The first hundred. */
  readonly messageList: readonly SeenMessage[]
  readonly messagesDropped: number
  readonly redacted: readonly string[]
  readonly canReplay: boolean
}

/** A change of the list of requests. */
export type RequestsChange =
  | { readonly type: 'request'; readonly request: SeenRequest }
  | { readonly type: 'gone'; readonly ids: readonly string[] }
  /** The list has to be asked for again. */
  | { readonly type: 'reset' }

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
  readonly results: readonly {
    readonly id: string | null
    readonly status: number | null
    readonly durationMs: number
    readonly error: string | null
  }[]
}

/** A HAR file. */
export interface Har {
  readonly log: { readonly version: '1.2'; readonly entries: readonly object[] }
}
