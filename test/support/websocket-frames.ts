/** WebSocket on the wire (RFC 6455), as plain as it can be written: what the gateway must not know is what tests have to. */
import { createHash } from 'node:crypto'

/** RFC 6455 §4.2.2. */
export const acceptKey = (key: string): string => createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')

export const Opcode = { CONTINUATION: 0, TEXT: 1, BINARY: 2, CLOSE: 8, PING: 9, PONG: 10 } as const

export interface FrameOptions {
  /** Default true. */
  readonly fin?: boolean
  /** Frames of clients are masked; default [1, 2, 3, 4], undefined for none. */
  readonly mask?: readonly number[] | undefined
  /** The three reserved bits, as a number 0 … 7. Default 0. */
  readonly reserved?: number
}

/** One frame in bytes. */
export const frame = (opcode: number, payload: string | Buffer = '', options: FrameOptions = {}): Buffer => {
  const { fin = true, reserved = 0 } = options
  const mask = 'mask' in options ? options.mask : [1, 2, 3, 4]
  const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload
  const first = (fin ? 0x80 : 0) | (reserved << 4) | opcode
  const bit = mask === undefined ? 0 : 0x80
  let header: Buffer
  if (bytes.length < 126) header = Buffer.from([first, bit | bytes.length])
  else if (bytes.length < 65_536) {
    header = Buffer.from([first, bit | 126, 0, 0])
    header.writeUInt16BE(bytes.length, 2)
  } else {
    header = Buffer.from([first, bit | 127, 0, 0, 0, 0, 0, 0, 0, 0])
    header.writeBigUInt64BE(BigInt(bytes.length), 2)
  }
  if (mask === undefined) return Buffer.concat([header, bytes])
  return Buffer.concat([header, Buffer.from(mask), Buffer.from(bytes.map((byte, i) => byte ^ mask[i % 4]!))])
}

/** Payload of a CLOSE frame. */
export const closePayload = (code: number, reason = ''): Buffer => {
  const payload = Buffer.alloc(2 + Buffer.byteLength(reason))
  payload.writeUInt16BE(code)
  payload.write(reason, 2)
  return payload
}
