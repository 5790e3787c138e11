/** The head of a message, whatever version of HTTP it came in. */
import type { Fields } from './fields.ts'

/** The way in which a message body is delimited (RFC 9112 §6.3): there is none, it has a known length, or it ends with its stream. */
export type BodyKind = { readonly kind: 'none' } | { readonly kind: 'length'; readonly length: number } | { readonly kind: 'stream' }

/** The body kind without a body. */
export const NO_BODY: BodyKind = Object.freeze({ kind: 'none' })
/** The body kind of unknown length. */
export const STREAM_BODY: BodyKind = Object.freeze({ kind: 'stream' })

/** The request of the outer layer to an inner layer: one request to one origin. */
export interface RequestHead {
  /** Where to: the inner layer checks it against its own allow-list. */
  readonly protocol: 'http' | 'https'
  readonly hostname: string
  readonly port: number
  readonly method: string
  /** Path and query, as the origin gets it. */
  readonly path: string
  /** Value of the Host field for the origin. */
  readonly host: string
  readonly body: BodyKind
  /** The client waits for 100 (Continue) before it sends the body. */
  readonly expectsContinue: boolean
  /** Protocol that the client asks to switch to (RFC 9110 §7.8), empty for none. Answered with 101, the rest of the stream is its bytes. */
  readonly upgrade: string
  /** Number of the origin profile, 0 for none. */
  readonly profile: number
  /** End-to-end fields, without Host and without any field that frames a message or a connection. */
  readonly fields: Fields
  /** The last of `fields`, where the outer layer has told them before. */
  readonly list?: RepeatedList | undefined
}

/** Fields that many requests end with. */
export interface RepeatedList {
  readonly fields: Fields
  /** As HTTP/1.1 has them, each with the end of its line, once somebody has made them. */
  lines: string | undefined
}

/** Fields as the payload of a head has them, which stand at the end of many lists. */
export interface RepeatedFields {
  readonly fields: Fields
  readonly count: number
  /** One character for each byte. */
  readonly text: string
  /** The peer that was told of them last, and the number for it. */
  told?: { readonly by: object; readonly reference: string } | undefined
}

/** The answer of an origin. */
export interface ResponseHead {
  /** 100 … 199 in an interim head, 200 … 599 in the final one. */
  readonly status: number
  readonly reason: string
  readonly body: BodyKind
  /** As the origin sent them. */
  readonly fields: Fields
}
