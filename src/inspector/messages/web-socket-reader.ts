import { constants, inflateRawSync } from 'node:zlib'
import { MessageMaker, type MessageContext } from './message-maker.ts'

/** Most of a compressed message that is decompressed, bytes; one that is larger is counted. */
const MAX_COMPRESSED = 262_144
/** The window of DEFLATE. */
const WINDOW_BYTES = 32_768
/** RFC 7692 §7.2.2. */
const TAIL = Buffer.from([0, 0, 0xff, 0xff])
const CONTROL_BYTES = 125
const NOTHING = Buffer.alloc(0)

const [TEXT, BINARY, CLOSE, PING, PONG] = [1, 2, 8, 9, 10] as const

/** A close frame. */
export interface CloseFrame {
  readonly from: 'client' | 'origin'
  /** 1005 when it has none (RFC 6455 §7.1.5). */
  readonly code: number
  readonly reason: string
}

/** The terms of one direction of a WebSocket, and the listener. */
export interface WebSocketOptions {
  readonly from: 'client' | 'origin'
  /** `permessage-deflate` was agreed on. */
  readonly isDeflated: boolean
  readonly onClose: (frame: CloseFrame) => void
  /** The bytes are no WebSocket frames: nothing more is read. */
  readonly onBroken: (why: string) => void
}

/** Reads the frames of one direction of a WebSocket (RFC 6455 §5.2) as they pass, and logs each message. */
export class WebSocketReader {
  readonly #header = Buffer.alloc(14)
  #headerBytes = 0
  #payloadBytes = 0
  /** The frame that is being read. */
  #opcode = 0
  #isFinal = false
  #isMasked = false
  readonly #mask = Buffer.alloc(4)
  #maskAt = 0
  /** The message that is being read; its frames may have control frames between them. */
  #message: MessageMaker | undefined
  #messageOpcode = 0
  #isCompressed = false
  #deflated: Buffer[] = []
  #deflatedBytes = 0
  /** The last bytes that came out, which the next message may refer to. */
  #window: Buffer = NOTHING
  #isWindowLost = false
  readonly #control = Buffer.alloc(CONTROL_BYTES)
  #controlBytes = 0
  #isOver = false

  constructor(
    private readonly context: MessageContext,
    private readonly options: WebSocketOptions,
  ) {}

  /** True between two frames. */
  get isBetween(): boolean {
    return this.#headerBytes === 0 && this.#payloadBytes === 0 && this.#message === undefined
  }

  push(chunk: Buffer): void {
    let at = 0
    while (at < chunk.length && !this.#isOver) {
      if (this.#payloadBytes === 0) {
        this.#header[this.#headerBytes++] = chunk[at++]!
        this.#readHeader()
        continue
      }
      const end = Math.min(chunk.length, at + this.#payloadBytes)
      this.#payloadBytes -= end - at
      this.#payload(chunk.subarray(at, end))
      at = end
      if (this.#payloadBytes === 0) this.#endFrame()
    }
  }

  /** Nothing follows: a message that has begun is logged as it is. */
  end(): void {
    if (this.#message !== undefined) this.#endMessage(true)
    this.#window = NOTHING
    this.#deflated = []
    this.#isOver = true
  }

  #readHeader(): void {
    if (this.#headerBytes < 2) return
    const [first, second] = [this.#header[0]!, this.#header[1]!]
    const short = second & 0x7f
    const lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0
    this.#isMasked = (second & 0x80) !== 0
    const size = 2 + lengthBytes + (this.#isMasked ? 4 : 0)
    if (this.#headerBytes < size) return
    this.#headerBytes = 0
    const long = lengthBytes === 2 ? this.#header.readUInt16BE(2) : lengthBytes === 8 ? Number(this.#header.readBigUInt64BE(2)) : short
    if (this.#isMasked) this.#header.copy(this.#mask, 0, size - 4, size)
    this.#maskAt = 0
    this.#payloadBytes = long
    this.#isFinal = (first & 0x80) !== 0
    this.#opcode = first & 0x0f
    this.#beginFrame((first & 0x40) !== 0)
    if (long === 0) this.#endFrame()
  }

  #beginFrame(isCompressed: boolean): void {
    const opcode = this.#opcode
    if (opcode >= CLOSE) {
      if (opcode > PONG || this.#payloadBytes > CONTROL_BYTES) return this.#break('a control frame that RFC 6455 does not know')
      this.#controlBytes = 0
      return
    }
    if (opcode === 0) {
      if (this.#message === undefined) this.#break('a continuation of nothing')
      return
    }
    if (opcode > BINARY) return this.#break(`a frame with opcode ${opcode}`)
    if (this.#message !== undefined) this.#endMessage(true)
    this.#messageOpcode = opcode
    this.#isCompressed = isCompressed && this.options.isDeflated
    this.#message = new MessageMaker(this.context, opcode === TEXT)
    this.#deflated = []
    this.#deflatedBytes = 0
  }

  #payload(bytes: Buffer): void {
    // What is not kept need not be unmasked.
    const isUnread = this.#opcode < CLOSE && !this.#isCompressed && this.#message?.body.isCut === true
    const plain = this.#isMasked && !isUnread ? this.#unmasked(bytes) : bytes
    if (this.#opcode >= CLOSE) {
      plain.copy(this.#control, this.#controlBytes)
      this.#controlBytes += plain.length
    } else if (!this.#isCompressed) this.#message?.add(plain)
    else {
      this.#deflatedBytes += plain.length
      if (this.#deflatedBytes <= MAX_COMPRESSED && !this.#isWindowLost) this.#deflated.push(Buffer.from(plain))
      else this.#deflated = []
    }
    if (plain !== bytes) plain.fill(0)
  }

  #unmasked(bytes: Buffer): Buffer {
    const plain = Buffer.allocUnsafe(bytes.length)
    let at = this.#maskAt
    for (let i = 0; i < bytes.length; i++) plain[i] = bytes[i]! ^ this.#mask[at++ & 3]!
    this.#maskAt = at & 3
    return plain
  }

  #endFrame(): void {
    if (this.#isOver) return
    if (this.#opcode >= CLOSE) this.#endControl()
    else if (this.#isFinal) this.#endMessage(false)
  }

  #endControl(): void {
    const { from } = this.options
    const bytes = this.#control.subarray(0, this.#controlBytes)
    const message = new MessageMaker(this.context, true)
    if (this.#opcode !== CLOSE) {
      message.add(bytes)
      return message.end({ from, type: this.#opcode === PING ? 'ping' : 'pong' })
    }
    const code = bytes.length >= 2 ? bytes.readUInt16BE(0) : 1005
    message.add(bytes.subarray(2))
    message.end({ from, type: 'close', code })
    this.options.onClose({ from, code, reason: message.body.bytes.toString('utf8') })
  }

  #endMessage(isUnfinished: boolean): void {
    const message = this.#message!
    this.#message = undefined
    const { from } = this.options
    const type = this.#messageOpcode === TEXT ? 'text' : 'binary'
    if (!this.#isCompressed) return message.end({ from, type, isCut: isUnfinished })
    const inflated = isUnfinished ? undefined : this.#inflated()
    if (inflated !== undefined) message.add(inflated)
    this.#deflated = []
    message.end({
      from,
      type,
      isCompressed: true,
      isCut: inflated === undefined,
      ...(inflated === undefined && { bytes: this.#deflatedBytes }),
    })
  }

  /** The message without its compression; undefined when that takes too much, or cannot be. */
  #inflated(): Buffer | undefined {
    if (this.#isWindowLost || this.#deflatedBytes > MAX_COMPRESSED) {
      this.#isWindowLost = true
      return undefined
    }
    try {
      const plain = inflateRawSync(Buffer.concat([...this.#deflated, TAIL]), {
        finishFlush: constants.Z_SYNC_FLUSH,
        maxOutputLength: this.context.limitBytes,
        ...(this.#window.length > 0 && { dictionary: this.#window }),
      })
      this.#window = Buffer.from(Buffer.concat([this.#window, plain]).subarray(-WINDOW_BYTES))
      return plain
    } catch {
      // What follows may refer to what is not known here.
      this.#isWindowLost = true
      this.#window = NOTHING
      return undefined
    }
  }

  #break(why: string): void {
    this.#isOver = true
    this.options.onBroken(why)
  }
}
