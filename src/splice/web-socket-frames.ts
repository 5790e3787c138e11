/** Between which bytes of a WebSocket another frame may be put (RFC 6455 §5.2). */

/** Follows the frames of one direction, without keeping any of it. */
export class WebSocketFrames {
  /** Bytes of the header of the frame that has begun, as far as they are here. */
  readonly #header = Buffer.alloc(14)
  #headerBytes = 0
  /** Bytes of the payload that are still to come. */
  #payloadBytes = 0

  /** True when no frame has begun that is not whole. */
  get isBetween(): boolean {
    return this.#headerBytes === 0 && this.#payloadBytes === 0
  }

  add(chunk: Buffer): void {
    let at = 0
    while (at < chunk.length) {
      if (this.#payloadBytes > 0) {
        const skipped = Math.min(this.#payloadBytes, chunk.length - at)
        this.#payloadBytes -= skipped
        at += skipped
        continue
      }
      this.#header[this.#headerBytes++] = chunk[at++]!
      this.#readHeader()
    }
  }

  #readHeader(): void {
    if (this.#headerBytes < 2) return
    const second = this.#header[1]!
    const short = second & 0x7f
    const lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0
    const maskBytes = (second & 0x80) === 0 ? 0 : 4
    if (this.#headerBytes < 2 + lengthBytes + maskBytes) return
    const long = lengthBytes === 2 ? this.#header.readUInt16BE(2) : lengthBytes === 8 ? Number(this.#header.readBigUInt64BE(2)) : short
    this.#payloadBytes = long
    this.#headerBytes = 0
  }
}

/** The longest reason in bytes: a control frame has 125, two of which are the status. */
const MAX_REASON = 123

/** The last frame of a server (RFC 6455 §5.5.1). @param reason  in ASCII */
export function closeFrame(status: number, reason: string): Buffer {
  const text = Buffer.from(reason.slice(0, MAX_REASON), 'latin1')
  return Buffer.concat([Buffer.from([0x88, text.length + 2, status >> 8, status & 0xff]), text])
}
