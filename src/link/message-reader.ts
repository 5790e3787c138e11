import type { Socket } from 'node:net'
import { HEAD_ROOM_BYTES, MAX_MESSAGE_BYTES } from '../mux/link.ts'
import { guarded } from '../net/guard.ts'
import { readInto } from '../net/read-into.ts'

/** The parts of the receiver of `ws` that are used. Private there; a test holds that they exist. */
export interface ReceiverLike {
  readonly _isServer: boolean
  /** 0 between two frames. */
  readonly _state: number
  readonly _bufferedBytes: number
  /** The opcode of a message that comes in fragments; 0 when there is none. */
  readonly _fragmented: number
  readonly _errored: boolean
  write(bytes: Buffer): boolean
  listeners(event: 'message'): unknown[]
  removeAllListeners(event: 'message'): unknown
  on(event: 'message', listener: (data: unknown, isBinary: boolean) => void): unknown
}

/** The parts of a websocket that are used. */
export interface ReadWebSocket {
  readonly _receiver: ReceiverLike
  readonly _socket: unknown
}

/** The first byte of a frame that is a whole binary message. */
export const BINARY_MESSAGE = 0x82
const FINAL = 0x80
const OPCODE = 0x0f
const CONTINUATION = 0
const CLOSE = 8
const FIRST_CONTROL = 8
/** The bit of the second byte for a mask. */
export const MASKED = 0x80
/** Bytes of a mask, behind the length. */
export const MASK_BYTES = 4
/** Memory of a message is taken at once up to this size: whoever only says that a longer one comes gets no more. */
const FIRST_BYTES = 262_144

/** The bytes of the head of a frame, from its second byte. */
const headBytesOf = (second: number): number => {
  const length = second & 0x7f
  return 2 + (length < 126 ? 0 : length === 126 ? 2 : 8) + (second & MASKED ? MASK_BYTES : 0)
}

/**
 * Reads the messages of a link in place of the receiver of `ws`, which joins them from reads of 64 KiB that were allocated for each, stops its
 * socket behind every one of them, and hands them on through engine.io and socket.io. Whatever is no whole binary message (texts, pings, the
 * end, fragments, what may not be) goes to that receiver byte for byte, which answers or refuses it as before. Binary messages that it has put
 * together from fragments, as a proxy on the way may make them, come from it at once: through socket.io they would come behind those after them.
 */
export class MessageReader {
  readonly #receive: (bytes: Buffer) => boolean
  /** Of the frame at hand. */
  readonly #head = Buffer.allocUnsafeSlow(HEAD_ROOM_BYTES)
  #headBytes = 0
  #mask: Buffer | undefined
  #message: Buffer | undefined
  #messageBytes = 0
  #filledBytes = 0
  /** Bytes of a frame that are for the receiver. */
  #foreignBytes = 0
  #isFragmented = false
  /** The frame for the receiver is the last one. */
  #isLast = false
  #isClosing = false

  private constructor(
    private readonly receiver: ReceiverLike,
    private readonly onMessage: (message: Buffer) => void,
  ) {
    this.#receive = receiver.write.bind(receiver)
  }

  /**
   * Takes over from `websocket`, whose messages come by `onMessage` from then on.
   * @param memory  which plain sockets read into; many may share it
   * @returns false when it is in the middle of a frame, or this `ws` is another one: everything goes on as it was
   */
  static takeOver({ _receiver: receiver, _socket: socket }: ReadWebSocket, memory: Buffer, onMessage: (message: Buffer) => void): boolean {
    if (receiver._state !== 0 || receiver._bufferedBytes !== 0 || receiver._fragmented !== 0 || receiver._errored) return false
    const reader = new MessageReader(receiver, onMessage)
    const others = receiver.listeners('message') as ((data: unknown, isBinary: boolean) => void)[]
    receiver.removeAllListeners('message')
    const handOn = (data: unknown, isBinary: boolean): void => {
      if (isBinary && Buffer.isBuffer(data)) onMessage(data)
      else for (const other of others) other.call(receiver, data, isBinary)
    }
    receiver.on(
      'message',
      guarded(() => void (socket as Socket).destroy(), handOn),
    )
    receiver.write = bytes => {
      reader.#push(bytes, false)
      return true
    }
    readInto(socket as Socket, memory, bytes => {
      if (reader.#isOver) return false
      reader.#push(bytes, true)
      return true
    })
    return true
  }

  get #isOver(): boolean {
    return this.#isClosing || this.receiver._errored
  }

  /** @param isBorrowed  `bytes` change after the call */
  #push(bytes: Buffer, isBorrowed: boolean): void {
    let at = 0
    while (at < bytes.length && !this.#isOver) {
      if (this.#foreignBytes > 0) {
        const part = bytes.subarray(at, at + this.#foreignBytes)
        this.#foreignBytes -= part.length
        at += part.length
        this.#receive(isBorrowed ? Buffer.from(part) : part)
        this.#isClosing = this.#isLast && this.#foreignBytes === 0
      } else if (this.#message !== undefined) at += this.#fill(this.#message, bytes, at)
      else at = this.#readHead(bytes, at, isBorrowed)
    }
  }

  /** @returns the place in `bytes` behind what was read */
  #readHead(bytes: Buffer, at: number, isBorrowed: boolean): number {
    const head = this.#head
    while (this.#headBytes < 2 || this.#headBytes < headBytesOf(head[1]!)) {
      if (at === bytes.length) return at
      head[this.#headBytes++] = bytes[at++]!
    }
    const length = this.#lengthOf(head)
    const isMasked = (head[1]! & MASKED) !== 0
    const isOurs = head[0] === BINARY_MESSAGE && isMasked === this.receiver._isServer && !this.#isFragmented && length <= MAX_MESSAGE_BYTES
    if (!isOurs) {
      this.#passHead(length)
      return at
    }
    this.#mask = isMasked ? this.#maskOf(head) : undefined
    this.#headBytes = 0
    if (!isBorrowed && this.#mask === undefined && bytes.length - at >= length) {
      this.#deliver(bytes.subarray(at, at + length))
      return at + length
    }
    this.#messageBytes = length
    this.#filledBytes = 0
    this.#message = length < Buffer.poolSize >>> 1 ? Buffer.allocUnsafe(length) : Buffer.allocUnsafeSlow(Math.min(length, FIRST_BYTES))
    if (length === 0) this.#fill(this.#message, bytes, at)
    return at
  }

  #lengthOf(head: Buffer): number {
    const length = head[1]! & 0x7f
    if (length < 126) return length
    return length === 126 ? head.readUInt16BE(2) : head.readUInt32BE(2) * 2 ** 32 + head.readUInt32BE(6)
  }

  /** A zero mask changes nothing. */
  #maskOf(head: Buffer): Buffer | undefined {
    const mask = head.subarray(this.#headBytes - MASK_BYTES, this.#headBytes)
    return mask.readUInt32BE() === 0 ? undefined : Buffer.from(mask)
  }

  #passHead(length: number): void {
    const first = this.#head[0]!
    const opcode = first & OPCODE
    const isFinal = (first & FINAL) !== 0
    if (opcode < FIRST_CONTROL && (!isFinal || opcode === CONTINUATION)) this.#isFragmented = !isFinal
    this.#foreignBytes = length
    const head = Buffer.from(this.#head.subarray(0, this.#headBytes))
    this.#headBytes = 0
    this.#receive(head)
    this.#isLast = opcode === CLOSE
    this.#isClosing = this.#isLast && length === 0
  }

  /** @returns the number of bytes taken */
  #fill(message: Buffer, bytes: Buffer, at: number): number {
    const taken = Math.min(this.#messageBytes - this.#filledBytes, bytes.length - at)
    if (this.#filledBytes + taken > message.length) {
      const larger = Buffer.allocUnsafeSlow(Math.min(this.#messageBytes, Math.max(message.length * 2, this.#filledBytes + taken)))
      message.copy(larger, 0, 0, this.#filledBytes)
      this.#message = message = larger
    }
    bytes.copy(message, this.#filledBytes, at, at + taken)
    this.#filledBytes += taken
    if (this.#filledBytes === this.#messageBytes) {
      this.#message = undefined
      this.#deliver(message)
    }
    return taken
  }

  #deliver(message: Buffer): void {
    if (this.#mask !== undefined) unmask(message, this.#mask)
    this.onMessage(message)
  }
}

/** Four bytes at a time; memory of a message of its own begins where a word does. */
function unmask(message: Buffer, mask: Buffer): void {
  const words = new Uint32Array(message.buffer, message.byteOffset, message.length >>> 2)
  const word = new Uint32Array(new Uint8Array(mask).buffer)[0]!
  for (let i = 0; i < words.length; i++) words[i]! ^= word
  for (let i = words.length * 4; i < message.length; i++) message[i]! ^= mask[i & 3]!
}
