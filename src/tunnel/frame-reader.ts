import { inflate } from './deflate.ts'
import { applyMask, CloseCode, FIN, isCloseCode, Opcode, TunnelClosed } from './wire.ts'

/** Events from the peer, in order. */
export type TunnelEvent =
  | { readonly type: 'data'; readonly bytes: Buffer }
  | { readonly type: 'fin' }
  | { readonly type: 'ping'; readonly payload: Buffer }
  | { readonly type: 'pong' }
  /** `code` 1005: the frame had none. */
  | { readonly type: 'close'; readonly code: number; readonly reason: string }

/** The rules that a reader holds the peer to. */
export interface FrameReaderOptions {
  /** The peer is a client, and clients mask. */
  readonly masked: boolean
  /** `sokken.half-close` was agreed on: the text message `fin` is understood. */
  readonly halfClose: boolean
  /** permessage-deflate was agreed on, without context takeover. */
  readonly deflate: boolean
  readonly maxMessageBytes: number
}

/** A message that has begun; only what has to be seen as a whole is held. */
interface Message {
  readonly opcode: number
  readonly compressed: boolean
  bytes: number
  readonly held: Buffer[]
}

const MAX_CONTROL_BYTES = 125
/** Compressing makes bytes that cannot be compressed a little longer. */
const INFLATED_SLACK_BYTES = 1_024

const violation = (reason: string): TunnelClosed => new TunnelClosed(CloseCode.PROTOCOL, reason)
const NO_MASK = Buffer.alloc(4)
const utf8 = new TextDecoder('utf-8', { fatal: true })

/**
 * Bytes of a WebSocket → events, one at a time and only when asked: what the reader of the tunnel does not take stays unparsed, so that
 * memory has a bound also where little input means much output. Binary messages are handed on as they come, without waiting for their end.
 */
export class FrameReader {
  #chunks: Buffer[] = []
  #bufferedBytes = 0
  // --- the frame at hand
  #opcode: number = Opcode.CONTINUATION
  #isLast = true
  #remaining = 0
  #offset = 0
  #mask: Buffer = NO_MASK
  #hasFrame = false
  // --- the message at hand
  #message: Message | undefined

  constructor(private readonly options: FrameReaderOptions) {}

  /** Bytes that were pushed and not read yet. */
  get bufferedBytes(): number {
    return this.#bufferedBytes
  }

  /** Takes bytes of the peer; they are unmasked in place. */
  push(chunk: Buffer): void {
    if (chunk.length === 0) return
    this.#chunks.push(chunk)
    this.#bufferedBytes += chunk.length
  }

  /**
   * The next event, undefined until more bytes come.
   * @throws TunnelClosed with the close code for what the peer did wrong; nothing is to be read afterwards
   */
  read(): TunnelEvent | undefined {
    for (;;) {
      if (!this.#hasFrame && !this.#readHeader()) return undefined
      if (this.#opcode >= Opcode.CLOSE) {
        if (this.#bufferedBytes < this.#remaining) return undefined
        return this.#control(this.#take(this.#remaining))
      }
      const event = this.#readPayload()
      if (event !== undefined) return event
      if (this.#hasFrame) return undefined
    }
  }

  #readHeader(): boolean {
    if (this.#bufferedBytes < 2) return false
    const [first, second] = [this.#peek(2)[0]!, this.#peek(2)[1]!]
    const short = second & 0x7f
    const extended = short === 126 ? 2 : short === 127 ? 8 : 0
    const isMasked = (second & 0x80) !== 0
    const size = 2 + extended + (isMasked ? 4 : 0)
    this.#checkHeader(first, second)
    if (this.#bufferedBytes < size) return false
    const header = this.#take(size)
    const length = extended === 0 ? short : extended === 2 ? header.readUInt16BE(2) : Number(header.readBigUInt64BE(2))
    this.#opcode = first & 0x0f
    this.#isLast = (first & 0x80) !== 0
    this.#mask = isMasked ? Buffer.from(header.subarray(size - 4)) : NO_MASK
    this.#remaining = length
    this.#offset = 0
    this.#hasFrame = true
    if (this.#opcode < Opcode.CLOSE) this.#beginData((first & 0x40) !== 0, length)
    return true
  }

  /** RFC 6455 §5.2, §5.4 and §5.5. */
  #checkHeader(first: number, second: number): void {
    const opcode = first & 0x0f
    const isControl = opcode >= Opcode.CLOSE
    if ((first & 0x30) !== 0) throw violation('a reserved bit is set')
    if ((opcode > Opcode.BINARY && opcode < Opcode.CLOSE) || opcode > Opcode.PONG) throw violation(`unknown opcode ${opcode}`)
    if ((first & 0x40) !== 0 && (!this.options.deflate || isControl || opcode === Opcode.CONTINUATION)) throw violation('RSV1 is set')
    if (((second & 0x80) !== 0) !== this.options.masked)
      throw violation(this.options.masked ? 'a frame is not masked' : 'a frame is masked')
    if (isControl && ((first & 0x80) === 0 || (second & 0x7f) > MAX_CONTROL_BYTES))
      throw violation('a control frame is too long or fragmented')
    if (isControl) return
    if (opcode === Opcode.CONTINUATION && this.#message === undefined) throw violation('a continuation of nothing')
    if (opcode !== Opcode.CONTINUATION && this.#message !== undefined) throw violation('a message within a message')
  }

  #beginData(compressed: boolean, length: number): void {
    this.#message ??= { opcode: this.#opcode, compressed, bytes: 0, held: [] }
    const message = this.#message
    if (message.opcode === Opcode.TEXT && !this.options.halfClose) throw textRefused()
    message.bytes += length
    const { maxMessageBytes } = this.options
    if (message.opcode === Opcode.TEXT && message.bytes > MAX_CONTROL_BYTES) throw textRefused()
    if (message.bytes > maxMessageBytes + (message.compressed ? INFLATED_SLACK_BYTES : 0)) throw tooBig(maxMessageBytes)
  }

  #readPayload(): TunnelEvent | undefined {
    const message = this.#message!
    const isHeld = message.compressed || message.opcode === Opcode.TEXT
    while (this.#remaining > 0) {
      const chunk = this.#takeSome(this.#remaining)
      if (chunk === undefined) return undefined
      if (this.options.masked) applyMask(chunk, this.#mask, this.#offset)
      this.#offset += chunk.length
      this.#remaining -= chunk.length
      if (isHeld)
        message.held.push(Buffer.from(chunk)) // a copy: views of many small fragments would hold all they came in
      else {
        if (this.#remaining === 0) this.#endFrame()
        return { type: 'data', bytes: chunk }
      }
    }
    this.#endFrame()
    return this.#message === undefined && isHeld ? this.#whole(message) : undefined
  }

  #endFrame(): void {
    this.#hasFrame = false
    if (this.#isLast) this.#message = undefined
  }

  #whole({ opcode, compressed, held }: Message): TunnelEvent | undefined {
    const { maxMessageBytes } = this.options
    const raw = held.length === 1 ? held[0]! : Buffer.concat(held)
    const bytes = compressed ? inflate(raw, maxMessageBytes) : raw
    if (bytes === 'too big') throw tooBig(maxMessageBytes)
    if (bytes === 'invalid') throw new TunnelClosed(CloseCode.INVALID_PAYLOAD, 'a message cannot be decompressed')
    if (opcode === Opcode.BINARY) return bytes.length === 0 ? undefined : { type: 'data', bytes }
    if (bytes.toString('latin1') !== FIN) throw textRefused()
    return { type: 'fin' }
  }

  #control(payload: Buffer): TunnelEvent {
    this.#hasFrame = false
    if (this.options.masked) applyMask(payload, this.#mask)
    if (this.#opcode === Opcode.PING) return { type: 'ping', payload: Buffer.from(payload) }
    if (this.#opcode === Opcode.PONG) return { type: 'pong' }
    if (payload.length === 0) return { type: 'close', code: CloseCode.NONE, reason: '' }
    const code = payload.length === 1 ? 0 : payload.readUInt16BE(0)
    if (!isCloseCode(code)) throw violation('an invalid close code')
    try {
      return { type: 'close', code, reason: utf8.decode(payload.subarray(2)) }
    } catch {
      throw new TunnelClosed(CloseCode.INVALID_PAYLOAD, 'the reason of a close is no UTF-8')
    }
  }

  /** `count` bytes without taking them; they are there. */
  #peek(count: number): Buffer {
    while (this.#chunks[0]!.length < count) {
      const [a, b] = this.#chunks.splice(0, 2)
      this.#chunks.unshift(Buffer.concat([a!, b!]))
    }
    return this.#chunks[0]!.subarray(0, count)
  }

  #take(count: number): Buffer {
    if (count === 0) return Buffer.alloc(0)
    const bytes = this.#peek(count)
    this.#drop(count)
    return bytes
  }

  /** At most `count` bytes of the first chunk, undefined when there is none. */
  #takeSome(count: number): Buffer | undefined {
    const bytes = this.#chunks[0]?.subarray(0, count)
    if (bytes !== undefined) this.#drop(bytes.length)
    return bytes
  }

  #drop(count: number): void {
    const [first] = this.#chunks
    this.#bufferedBytes -= count
    if (first!.length === count) this.#chunks.shift()
    else this.#chunks[0] = first!.subarray(count)
  }
}

// Both texts are those of the real program, which people search for.
const textRefused = (): TunnelClosed =>
  new TunnelClosed(CloseCode.UNSUPPORTED, 'unexpected frame type read (expected MessageBinary): MessageText')
const tooBig = (maxMessageBytes: number): TunnelClosed =>
  new TunnelClosed(CloseCode.TOO_BIG, `read limited at ${maxMessageBytes + 1} bytes`)
