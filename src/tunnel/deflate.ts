/** permessage-deflate (RFC 7692) without context takeover in either direction: every message stands for itself. */
import { constants, deflateRawSync, inflateRawSync } from 'node:zlib'

/** RFC 7692 §7.2.1: every message ends with it, so it is not sent. */
const TAIL = Buffer.from([0x00, 0x00, 0xff, 0xff])

/** Shorter messages are not worth it, bytes. */
export const MIN_DEFLATED_BYTES = 512

/** Messages that go uncompressed after one on which compression was wasted, and the most of them. */
const FIRST_PAUSE = 16
const LAST_PAUSE = 1_024

/**
 * The bytes of a compressed message.
 * @param maxBytes  more bytes than this are never made
 */
export function inflate(payload: Buffer, maxBytes: number): Buffer | 'too big' | 'invalid' {
  try {
    const bytes = inflateRawSync(Buffer.concat([payload, TAIL]), {
      finishFlush: constants.Z_SYNC_FLUSH,
      maxOutputLength: maxBytes + 1,
      chunkSize: maxBytes + 1,
    })
    return bytes.length > maxBytes ? 'too big' : bytes
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE' ? 'too big' : 'invalid'
  }
}

/** Compresses messages where that saves something: what is encrypted or compressed already is left alone after one look. */
export class Deflater {
  #pause = 0
  #nextPause = FIRST_PAUSE

  /** The compressed payload, undefined where the message better goes as it is. */
  deflate(bytes: Uint8Array): Buffer | undefined {
    if (bytes.length < MIN_DEFLATED_BYTES) return undefined
    if (this.#pause > 0) {
      this.#pause--
      return undefined
    }
    const payload = deflateRawSync(bytes, { level: constants.Z_BEST_SPEED, finishFlush: constants.Z_SYNC_FLUSH })
    if (payload.length > bytes.length * 0.9) {
      this.#pause = this.#nextPause
      this.#nextPause = Math.min(LAST_PAUSE, this.#nextPause * 2)
      return undefined
    }
    this.#nextPause = FIRST_PAUSE
    return payload.subarray(0, payload.length - TAIL.length)
  }
}
