import type { Socket } from 'node:net'
import { messageOf } from '../errors.ts'
import { MAX_MESSAGE_BYTES, type Link } from '../mux/link.ts'
import { guarded } from '../net/guard.ts'

/** A peer that does not end its half in this time is cut off, milliseconds. */
const CLOSE_MS = 5_000
const HEADER_BYTES = 4

/**
 * A link over a socket of its own: each message behind its length, four bytes. For links on this machine, of which there are hundreds and for which
 * nobody needs a websocket: one over socket.io holds 15 KiB more at either end.
 */
export class StreamLink implements Link {
  /** Bytes of a message that is not complete. */
  #parts: Buffer[] = []
  #partBytes = 0
  /** Bytes of the message at hand with its header, once that is known. */
  #wantedBytes = HEADER_BYTES
  #isWaiting = false
  #isClosing = false
  #isClosed = false
  #timer: NodeJS.Timeout | undefined
  #reason = 'the connection was closed'
  onMessage: (message: Buffer) => void = () => undefined
  onDrain: () => void = () => undefined
  onClose: (reason: string) => void = () => undefined

  /** One of its events threw, at whoever owns it: it ends, and the owner is told. */
  readonly fail = (thrown: unknown): void => {
    this.socket.destroy()
    this.#ended(`internal fault: ${messageOf(thrown)}`)
  }

  /** @param socket  nobody else's, with all that came before read */
  constructor(private readonly socket: Socket) {
    const failed = (error: Error): void => {
      this.#reason = `the connection failed: ${messageOf(error)}`
    }
    socket.on('error', guarded(this.fail, failed))
    socket.on(
      'data',
      guarded(this.fail, (bytes: Buffer) => this.push(bytes)),
    )
    const left = (): void => {
      if (this.#isClosing) return
      this.#end()
      this.#ended(this.#reason)
    }
    socket.on('end', guarded(this.fail, left))
    const closed = (): void => {
      clearTimeout(this.#timer)
      this.#ended(this.#isClosing ? 'closed here' : this.#reason)
    }
    socket.on('close', guarded(this.fail, closed))
  }

  get bufferedBytes(): number {
    return this.socket.writableLength
  }

  get receivedBytes(): number {
    return this.socket.bytesRead
  }

  send(message: Buffer, hasRoom = false): void {
    const { socket } = this
    if (this.#isClosed || this.#isClosing || !socket.writable) return
    if (hasRoom) {
      const { buffer, byteOffset, length } = message
      const whole = Buffer.from(buffer, byteOffset - HEADER_BYTES, HEADER_BYTES + length)
      whole.writeUInt32BE(length)
      socket.write(whole, this.#written)
    } else {
      const header = Buffer.allocUnsafe(HEADER_BYTES)
      header.writeUInt32BE(message.length)
      socket.cork()
      socket.write(header)
      socket.write(message, this.#written)
      socket.uncork()
    }
    if (socket.writableLength > 0) this.#isWaiting = true
  }

  close(): void {
    if (this.#isClosed || this.#isClosing) return
    this.#isClosing = true
    this.#end()
  }

  destroy(): void {
    this.#isClosing = true
    this.socket.destroy()
  }

  /** Takes bytes that have come, such as those that were read together with what stands before the first message. */
  push(bytes: Buffer): void {
    if (this.#partBytes === 0 && bytes.length > 0) bytes = this.#takeWhole(bytes)
    if (bytes.length === 0) return
    this.#parts.push(bytes)
    this.#partBytes += bytes.length
    // Looked at before its end, so that a length that may not be is refused at once.
    if (this.#partBytes >= HEADER_BYTES && this.#wantedBytes === HEADER_BYTES) this.#wantedBytes = this.#sizeOf(this.#joined())
    if (this.#partBytes < this.#wantedBytes || this.#isOver) return
    const all = this.#joined()
    this.#parts = []
    this.#partBytes = 0
    this.#wantedBytes = HEADER_BYTES
    this.push(all)
  }

  get #isOver(): boolean {
    return this.#isClosed || this.#isClosing
  }

  /** Hands over the messages that are whole. @returns the rest */
  #takeWhole(bytes: Buffer): Buffer {
    let at = 0
    while (bytes.length - at >= HEADER_BYTES && !this.#isOver) {
      const size = this.#sizeOf(bytes.subarray(at))
      if (size > bytes.length - at || this.#isOver) break
      this.onMessage(bytes.subarray(at + HEADER_BYTES, at + size))
      at += size
    }
    return this.#isOver ? bytes.subarray(bytes.length) : bytes.subarray(at)
  }

  /** The size of the message that begins here, with its header; one that is too long ends the link. */
  #sizeOf(bytes: Buffer): number {
    const length = bytes.readUInt32BE()
    if (length > MAX_MESSAGE_BYTES) {
      this.#reason = 'the peer sent what is no message of this link'
      this.socket.destroy()
      this.#ended(this.#reason)
    }
    return HEADER_BYTES + length
  }

  #joined(): Buffer {
    if (this.#parts.length > 1) this.#parts = [Buffer.concat(this.#parts, this.#partBytes)]
    return this.#parts[0]!
  }

  /** Each write has this callback, so that none is missing for `onDrain`. */
  readonly #written = guarded(this.fail, () => {
    if (!this.#isWaiting || this.#isClosed || this.socket.writableLength > 0) return
    this.#isWaiting = false
    this.onDrain()
  })

  #end(): void {
    this.socket.end()
    this.#timer ??= setTimeout(
      guarded(this.fail, () => void this.socket.destroy()),
      CLOSE_MS,
    ).unref()
  }

  #ended(reason: string): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#parts = []
    this.onClose(reason)
  }
}
