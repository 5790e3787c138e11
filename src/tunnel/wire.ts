/*
 * The wire of a tunnel: a WebSocket (RFC 6455) that carries the bytes of one TCP connection, as sokken speaks it.
 *
 *   GET /tunnel/<host:port>     Sec-WebSocket-Protocol: sokken, sokken.half-close
 *   binary message              bytes, at most 32 KiB; where messages begin and end means nothing
 *   close 1000, 1001            the end of the bytes, in both directions
 *   close with another code     broken off; the code and the reason say why
 *
 * sokken itself has no half-close: the end of one direction ends the other. Two ends that both know the subprotocol `sokken.half-close`
 * end one direction by the text message `fin`. A server that does not know it picks `sokken` from the same offer.
 */
import { GatewayError } from '../errors.ts'

/** The subprotocol that sokken offers and selects. */
export const SUBPROTOCOL = 'sokken'
/** Like `sokken`, and each direction ends on its own. */
export const HALF_CLOSE_SUBPROTOCOL = 'sokken.half-close'
/** The text message that ends a direction. */
export const FIN = 'fin'
/** Largest message, bytes after decompression. */
export const MAX_MESSAGE_BYTES = 32_768
/** Path of tunnels, followed by HOST:PORT. */
export const TUNNEL_PATH = '/tunnel/'
/** Time for the peer to answer a close frame, milliseconds. */
export const CLOSE_TIMEOUT_MS = 5_000

/** RFC 6455 §7.4.1 and the registry of IANA. */
export const CloseCode = {
  NORMAL: 1000,
  GOING_AWAY: 1001,
  PROTOCOL: 1002,
  UNSUPPORTED: 1003,
  /** There was none in the close frame; never sent. */
  NONE: 1005,
  /** There was no close frame; never sent. */
  ABNORMAL: 1006,
  INVALID_PAYLOAD: 1007,
  POLICY: 1008,
  TOO_BIG: 1009,
  INTERNAL: 1011,
  RESTART: 1012,
  BAD_GATEWAY: 1014,
} as const

/** RFC 6455 §5.2. */
export const Opcode = { CONTINUATION: 0, TEXT: 1, BINARY: 2, CLOSE: 8, PING: 9, PONG: 10 } as const

/** A tunnel was broken off: `closeCode` and `reason` as in the close frame that was sent or received, 1006 where there was none. */
export class TunnelClosed extends GatewayError {
  constructor(
    readonly closeCode: number,
    readonly reason: string,
    options?: { readonly cause?: unknown },
  ) {
    super('TUNNEL_CLOSED', `the tunnel was closed with ${closeCode}${reason === '' ? '' : `: ${reason}`}`, options)
  }
}

const FIN_BIT = 0x80
const MASK_BIT = 0x80
const RSV1_BIT = 0x40
const LENGTH_16 = 126
const LENGTH_64 = 127

/** Options for writing a frame. */
export interface FrameOptions {
  /** Masking key of 4 bytes: clients mask (RFC 6455 §5.3). */
  readonly mask?: Uint8Array | undefined
  /** The payload is compressed (RFC 7692 §6). */
  readonly compressed?: boolean
}

/** Header of a frame that is a whole message, for a payload of `length` bytes. */
export function encodeHeader(opcode: number, length: number, { mask, compressed = false }: FrameOptions = {}): Buffer {
  const extended = length < LENGTH_16 ? 0 : length < 65_536 ? 2 : 8
  const header = Buffer.allocUnsafe(2 + extended + (mask === undefined ? 0 : 4))
  header[0] = FIN_BIT | (compressed ? RSV1_BIT : 0) | opcode
  header[1] = (mask === undefined ? 0 : MASK_BIT) | (extended === 0 ? length : extended === 2 ? LENGTH_16 : LENGTH_64)
  if (extended === 2) header.writeUInt16BE(length, 2)
  if (extended === 8) header.writeBigUInt64BE(BigInt(length), 2)
  if (mask !== undefined) header.set(mask, 2 + extended)
  return header
}

/** Shorter ones are masked byte by byte. */
const MIN_WORDS_BYTES = 64

/** Masks or unmasks `bytes` in place, the first of them being byte `offset` of the payload. Four bytes at a time where there are many. */
export function applyMask(bytes: Uint8Array, mask: Uint8Array, offset = 0): void {
  const { length } = bytes
  let i = 0
  if (length >= MIN_WORDS_BYTES) {
    for (; ((bytes.byteOffset + i) & 3) !== 0; i++) bytes[i]! ^= mask[(offset + i) & 3]!
    // The word in the byte order of this machine, whichever that is.
    const rotated = Uint8Array.from([0, 1, 2, 3], at => mask[(offset + i + at) & 3]!)
    const word = new Uint32Array(rotated.buffer)[0]!
    const words = new Uint32Array(bytes.buffer, bytes.byteOffset + i, (length - i) >> 2)
    for (let at = 0; at < words.length; at++) words[at]! ^= word
    i += words.length * 4
  }
  for (; i < length; i++) bytes[i]! ^= mask[(offset + i) & 3]!
}

/** Payload of a close frame; the reason is cut to what a control frame holds. */
export function encodeClose(code: number, reason: string): Buffer {
  if (code === CloseCode.NONE) return Buffer.alloc(0)
  let text = Buffer.from(reason)
  // At the border of a character: half of one is no UTF-8, and the peer would have to fail the connection (RFC 6455 §8.1).
  if (text.length > 123)
    text = Buffer.from(
      text
        .subarray(0, 123)
        .toString('utf8')
        .replace(/\ufffd{1,3}$/, ''),
    )
  const payload = Buffer.allocUnsafe(2 + text.length)
  payload.writeUInt16BE(code, 0)
  text.copy(payload, 2)
  return payload
}

/** May this code stand in a close frame (RFC 6455 §7.4)? */
export const isCloseCode = (code: number): boolean =>
  (code >= 1000 && code <= 1014 && code !== 1004 && code !== CloseCode.NONE && code !== CloseCode.ABNORMAL) ||
  (code >= 3000 && code <= 4999)
