/**
 * The unit on the link, byte for byte (docs/protocol.md):
 *
 *   length u24 | type u8 | flags u8 | stream u32 (top bit 0) | payload of `length` bytes
 *
 * One message of the carrier is a batch of 1 … 1,024 whole frames; nothing ever spans two messages, so a decoder keeps no state.
 */
import { GatewayError } from '../errors.ts'

/** Frame types. Never renumber. */
export const FrameType = {
  DATA: 0,
  OPEN: 1,
  RESPONSE: 2,
  TRAILERS: 3,
  RESET: 4,
  CREDIT: 5,
  PING: 6,
  PONG: 7,
  GOAWAY: 8,
  HELLO: 9,
  AUTH: 10,
  READY: 11,
  NOTE: 12,
} as const

/** Flag bits. END closes the sender's half of the stream, INFO marks an interim response, IGNORABLE a type that an older peer may skip. */
export const Flag = { END: 0x01, INFO: 0x02, IGNORABLE: 0x80 } as const

/** Bytes of a frame header. */
export const FRAME_HEADER_BYTES = 9
/** Largest payload of one frame, bytes. */
export const MAX_PAYLOAD_BYTES = 65_536
/** Most frames in one message. */
export const MAX_BATCH_FRAMES = 1_024
/** A message is sent when it has this many bytes, at the latest: a reader that stands still holds a part of one. */
export const TARGET_BATCH_BYTES = 131_072
/** Largest stream id: 2^31 − 1. */
export const MAX_STREAM_ID = 0x7fff_ffff

/** Called by a decoder for each frame; `payload` is a view into the message. */
export type FrameSink = (type: number, flags: number, stream: number, payload: Buffer) => void

const violation = (what: string): GatewayError => new GatewayError('PROTOCOL', what)

/**
 * Calls `sink` for each frame of `batch`, in order.
 * @throws GatewayError PROTOCOL for a message that is empty, cut short, or holds too many or too large frames; frames before the
 *   fault have been delivered
 */
export function decodeBatch(batch: Buffer, sink: FrameSink): void {
  const end = batch.length
  let at = 0
  let frames = 0
  if (end === 0) throw violation('an empty message')
  while (at < end) {
    if (end - at < FRAME_HEADER_BYTES) throw violation(`${end - at} bytes left over after ${frames} frames`)
    const length = (batch[at]! << 16) | (batch[at + 1]! << 8) | batch[at + 2]!
    if (length > MAX_PAYLOAD_BYTES) throw violation(`a frame of ${length} bytes`)
    const type = batch[at + 3]!
    const flags = batch[at + 4]!
    const stream = batch.readUInt32BE(at + 5)
    if (stream > MAX_STREAM_ID) throw violation('a stream id with the reserved bit set')
    at += FRAME_HEADER_BYTES
    if (end - at < length) throw violation(`a frame of ${length} bytes cut short to ${end - at}`)
    if (++frames > MAX_BATCH_FRAMES) throw violation(`more than ${MAX_BATCH_FRAMES} frames in one message`)
    sink(type, flags, stream, batch.subarray(at, at + length))
    at += length
  }
}

/** Collects frames and encodes them into one message. Reused from message to message. */
export class BatchWriter {
  #heads: number[] = [] // length, type << 8 | flags, stream, number of parts: four per frame
  #parts: Uint8Array[] = []
  #bytes = 0

  /** Bytes of the message so far. */
  get bytes(): number {
    return this.#bytes
  }

  /** Frames of the message so far. */
  get frames(): number {
    return this.#heads.length / 4
  }

  /** Adds one frame whose payload is `part`, or nothing. */
  add(type: number, flags: number, stream: number, part?: Uint8Array): void {
    const length = part === undefined ? 0 : part.length
    this.#heads.push(length, (type << 8) | flags, stream, part === undefined ? 0 : 1)
    if (part !== undefined) this.#parts.push(part)
    this.#bytes += FRAME_HEADER_BYTES + length
  }

  /** Adds one frame whose payload is the concatenation of `parts`, which have `length` bytes in all. */
  addParts(type: number, flags: number, stream: number, parts: readonly Uint8Array[], length: number): void {
    this.#heads.push(length, (type << 8) | flags, stream, parts.length)
    for (const part of parts) this.#parts.push(part)
    this.#bytes += FRAME_HEADER_BYTES + length
  }

  /** The message, in `memory` if it fits, behind `roomBytes` that are nobody's; the writer is empty afterwards. */
  take(memory?: Buffer, roomBytes = 0): Buffer {
    const end = roomBytes + this.#bytes
    const batch = (memory !== undefined && memory.length >= end ? memory : Buffer.allocUnsafe(end)).subarray(roomBytes, end)
    const heads = this.#heads
    let at = 0
    let part = 0
    for (let head = 0; head < heads.length; head += 4) {
      const length = heads[head]!
      const typeAndFlags = heads[head + 1]!
      batch[at] = length >>> 16
      batch[at + 1] = length >>> 8
      batch[at + 2] = length
      batch[at + 3] = typeAndFlags >>> 8
      batch[at + 4] = typeAndFlags
      batch.writeUInt32BE(heads[head + 2]!, at + 5)
      at += FRAME_HEADER_BYTES
      for (let left = heads[head + 3]!; left > 0; left--) {
        const bytes = this.#parts[part++]!
        batch.set(bytes, at)
        at += bytes.length
      }
    }
    this.clear()
    return batch
  }

  /** Drops what was added. */
  clear(): void {
    this.#heads = []
    this.#parts = []
    this.#bytes = 0
  }
}

/** One frame as a message of its own, for the handshake and for tests. */
export function encodeFrame(type: number, flags: number, stream: number, payload?: Uint8Array): Buffer {
  const writer = new BatchWriter()
  writer.add(type, flags, stream, payload)
  return writer.take()
}
