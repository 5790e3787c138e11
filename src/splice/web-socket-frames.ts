/** Between which bytes of a WebSocket another frame may be put (RFC 6455 §5.2). */

const OPCODE_CLOSE = 8
/** The first two bytes of a header, which say how long the rest of it is. */
const FIRST_BYTES = 2
const MASK_BYTES = 4
/** Lengths of payloads that the second byte does not hold, but says in how many bytes they follow. */
const IN_TWO_BYTES = 126
const IN_EIGHT_BYTES = 127

/** Follows the frames of one direction: looks at their headers alone, and keeps nothing but its place. */
export class WebSocketFrames {
  /** Bytes of the header that have come, up to two; 0: no frame has begun. */
  #firstBytes = 0
  /** Bytes of its long length, and of its mask, that are still to come. */
  #lengthBytes = 0
  #maskBytes = 0
  /** Its length, as far as it is known. */
  #length = 0
  /** Bytes of the payload that are still to come. */
  #payloadBytes = 0
  #isClosed = false

  /** True when no frame has begun that is not whole. */
  get isBetween(): boolean {
    return this.#firstBytes === 0 && this.#payloadBytes === 0
  }

  /** True once a close frame has begun, behind which no other one may come (§5.5.1). */
  get isClosed(): boolean {
    return this.#isClosed
  }

  add(chunk: Buffer): void {
    const { length: end } = chunk
    let at = 0
    while (at < end) {
      if (this.#payloadBytes > 0) {
        const here = Math.min(this.#payloadBytes, end - at)
        this.#payloadBytes -= here
        at += here
      } else if (this.#firstBytes === 0 && chunk[at + 1]! < IN_TWO_BYTES) {
        // As most are: whole, short and without a mask.
        this.#begin(chunk[at]!)
        this.#firstBytes = 0
        this.#payloadBytes = chunk[at + 1]!
        at += FIRST_BYTES
      } else this.#readHeader(chunk[at++]!)
    }
  }

  #begin(first: number): void {
    if ((first & 0x0f) === OPCODE_CLOSE) this.#isClosed = true
    this.#firstBytes = 1
  }

  #readHeader(byte: number): void {
    if (this.#firstBytes === 0) return this.#begin(byte)
    if (this.#firstBytes === 1) {
      const short = byte & 0x7f
      this.#firstBytes = FIRST_BYTES
      this.#lengthBytes = short === IN_TWO_BYTES ? 2 : short === IN_EIGHT_BYTES ? 8 : 0
      this.#maskBytes = (byte & 0x80) === 0 ? 0 : MASK_BYTES
      this.#length = this.#lengthBytes === 0 ? short : 0
    } else if (this.#lengthBytes > 0) {
      this.#lengthBytes--
      this.#length = this.#length * 256 + byte
    } else this.#maskBytes--
    if (this.#lengthBytes + this.#maskBytes > 0) return
    this.#payloadBytes = this.#length
    this.#firstBytes = 0
  }
}

/** The longest reason in bytes: a control frame has 125, two of which are the status. */
const MAX_REASON = 123

/** The last frame of a server (RFC 6455 §5.5.1). @param reason  in ASCII */
export function closeFrame(status: number, reason: string): Buffer {
  const text = Buffer.from(reason.slice(0, MAX_REASON), 'latin1')
  return Buffer.concat([Buffer.from([0x88, text.length + 2, status >> 8, status & 0xff]), text])
}
