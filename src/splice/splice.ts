import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { GatewayError, messageOf, type ErrorCode } from '../errors.ts'
import { guarded } from '../net/guard.ts'
import { pauseSocket, resumeSocket } from '../net/pause-socket.ts'
import { readInto } from '../net/read-into.ts'
import { endAbruptly } from '../net/linger.ts'
import { whenTrulyEnded } from '../net/true-end.ts'
import type { StreamHandler } from '../mux/stream.ts'

/** A peer that vanished without a word is noticed by the kernel: first probe after this silence, milliseconds. */
const KEEP_ALIVE_MS = 60_000
/** The time in which the other end may hear the last words and close by itself. */
const PARTING_MS = 5_000

/** The part of a stream that a splice uses. */
export interface SplicedStream {
  handler: StreamHandler | undefined
  /** True while the peer may still send. */
  readonly isRemoteOpen: boolean
  /** True when nothing more should be read for it. */
  readonly needsPause: boolean
  /** False asks to pause until `onWritable` of the handler. @param isBorrowed  `chunk` changes afterwards */
  write(chunk: Buffer, isBorrowed?: boolean): boolean
  end(): void
  reset(code: ErrorCode, reason: string): void
  /** So many bytes were taken: the peer may send as many more. */
  consumed(bytes: number): void
}

/** The code of its end. */
export interface SpliceEnd {
  /** Undefined when both halves ended cleanly. */
  readonly code: ErrorCode | undefined
  /** The reason, for a log; empty after a clean end. */
  readonly reason: string
  /** Bytes read from the socket. */
  readonly bytesIn: number
  /** Bytes handed to the socket. */
  readonly bytesOut: number
  /** A fault of ours, for a log; undefined after any other end. */
  readonly thrown: unknown
}

/** Somebody who looks on, and never throws. */
export interface SpliceWatch {
  /** Bytes that came from the socket. */
  read(chunk: Buffer): void
  /** Nothing more comes from it. */
  readEnd(): void
  /** Bytes that went to the socket. */
  written(chunk: Buffer): void
  writtenEnd(): void
}

/** The parts and callbacks of a splice. */
export interface SpliceOptions {
  /** Bytes of the socket that were read already; they go first. */
  readonly head?: Buffer
  /** A plain socket reads into it, one read after the other; many may share it. Default: Node.js allocates 64 KiB for each read. */
  readonly memory?: Buffer | undefined
  /** Ends the splice when nothing has moved in either direction for this long, milliseconds. Default: never. */
  readonly idleMs?: number
  /** Turns an abnormal end of the socket into an error, whose code goes to the peer. @param error  undefined when it closed without one */
  readonly failure: (error: Error | undefined) => GatewayError
  /** A RESPONSE frame of the peer; without it such a frame is a fault of the peer. */
  readonly onHead?: (payload: Buffer, info: boolean) => void
  /** Ends the socket so that its other end sees an abnormal end; the default resets TCP and destroys everything else. */
  readonly cut?: () => void
  /** The last words that the socket may hear where its peer has reset the stream; undefined: it is cut. Default: there are none. */
  readonly lastWords?: ((code: ErrorCode) => Buffer | undefined) | undefined
  /** Sees what goes to the socket, after it was handed over. */
  readonly onOut?: (chunk: Buffer) => void
  /** Looks on. */
  readonly watch?: SpliceWatch | undefined
  /** Called exactly once: after a clean end when the socket has closed, else at once. */
  readonly onEnd: (end: SpliceEnd) => void
}

/**
 * Joins a stream and a socket, byte for byte: each half ends on its own (END ↔ FIN), an abort of either is an abort of the other
 * (RESET ↔ RST), and each waits for the other (credit goes back when the socket has taken the bytes; a stream that is full pauses the
 * socket). It is the handler of the stream from `attach` on, and reads and writes the socket from its constructor on.
 *
 *     socket 'data' ─▶ stream.write      onData  ─▶ socket.write ─▶ stream.consumed
 *     socket 'end'  ─▶ stream.end        onEnd   ─▶ socket.end
 *     socket lost   ─▶ stream.reset      onReset ─▶ cut
 */
export class Splice implements StreamHandler {
  #stream: SplicedStream | undefined
  #bytesIn = 0
  #bytesOut = 0
  /** Handed to the socket and not taken by it. */
  #waitingBytes = 0
  #error: Error | undefined
  #isOver = false
  #idleTimer: NodeJS.Timeout | undefined
  #thrown: unknown

  constructor(
    private readonly socket: Duplex,
    private readonly options: SpliceOptions,
  ) {
    socket.allowHalfOpen = true
    if (socket instanceof Socket) socket.setNoDelay(true).setKeepAlive(true, KEEP_ALIVE_MS).setTimeout(0)
    socket.on('error', (error: Error) => {
      this.#error ??= error
    })
    socket.on(
      'close',
      guarded(this.#fail, () => this.#closed()),
    )
    socket.on(
      'drain',
      guarded(this.#fail, () => this.#drained()),
    )
    socket.pause()
  }

  /** Bytes read from the socket so far. */
  get bytesIn(): number {
    return this.#bytesIn
  }

  /** Bytes handed to the socket so far. */
  get bytesOut(): number {
    return this.#bytesOut
  }

  /** True after `onEnd` of the options was called. */
  get isOver(): boolean {
    return this.#isOver
  }

  /** Begins. The stream is a parameter of its own because a stream is opened with its handler; the socket may still be connecting. */
  attach(stream: SplicedStream): void {
    this.#stream = stream
    stream.handler = this
    // Before anything began: the stream refused, or the socket closed.
    if (this.#isOver) return stream.reset('CANCELLED', 'over before it began')
    if (this.socket.destroyed) return this.#closed()
    const { head, idleMs = 0 } = this.options
    const idle = (): void => this.abort('IDLE_TIMEOUT', `nothing for ${idleMs} ms`)
    if (idleMs > 0) this.#idleTimer = setTimeout(guarded(this.#fail, idle), idleMs).unref()
    if (head !== undefined && head.length > 0) this.#read(head)
    this.socket.on(
      'data',
      guarded(this.#fail, (chunk: Buffer) => this.#read(chunk)),
    )
    this.#readIntoMemory()
    this.socket.on(
      'end',
      guarded(this.#fail, () => whenTrulyEnded(this.socket, this.#fail, this.#readEnd)),
    )
    if (!stream.isRemoteOpen) this.socket.end() // its END came before anybody could be told
    if (this.socket.readableEnded) stream.end()
    else if (!stream.needsPause) this.socket.resume()
  }

  /** Ends both sides now, each seeing an abnormal end. Idempotent. */
  abort(code: ErrorCode, reason: string): void {
    if (this.#isOver) return
    this.#stream?.reset(code, reason)
    this.#cut()
    this.#finish(code, reason)
  }

  /**
   * Ends the stream as `abort` does, and the socket with some last words, which its other end has a moment to hear. Idempotent.
   * @param last  such as a frame that says why; may be empty
   */
  part(code: ErrorCode, reason: string, last: Buffer): void {
    if (this.#isOver) return
    this.#stream?.reset(code, reason)
    this.#say(last)
    this.#finish(code, reason)
  }

  /** One of the events threw: both sides end. */
  readonly #fail = (thrown: unknown): void => {
    this.#thrown = thrown
    this.abort('INTERNAL', messageOf(thrown))
  }

  // --- from the link ---

  onHead(payload: Buffer, info: boolean): void {
    const { onHead } = this.options
    if (onHead === undefined) throw new GatewayError('PROTOCOL', 'a RESPONSE frame in the middle of a connection')
    onHead(payload, info)
  }

  onData(chunk: Buffer): void {
    this.#bytesOut += chunk.length
    this.#idleTimer?.refresh()
    const { socket } = this
    // What has to wait must not hold the whole message, with the bytes of other streams, that it came in.
    const isSmallPart = socket.writableLength > 0 && chunk.length * 2 < chunk.buffer.byteLength
    if (socket.write(isSmallPart ? Buffer.from(chunk) : chunk)) this.#stream?.consumed(chunk.length)
    else this.#waitingBytes += chunk.length
    this.options.onOut?.(chunk)
    this.options.watch?.written(chunk)
  }

  onTrailers(): void {
    throw new GatewayError('PROTOCOL', 'trailers in the middle of a connection')
  }

  onEnd(): void {
    this.#idleTimer?.refresh()
    this.options.watch?.writtenEnd()
    this.socket.end()
  }

  onReset(code: ErrorCode, reason: string): void {
    if (this.#isOver) return
    const last = this.options.lastWords?.(code)
    if (last === undefined) this.#cut()
    else this.#say(last)
    this.#finish(code, reason)
  }

  onWritable(): void {
    resumeSocket(this.socket)
  }

  onCredit(): void {
    this.#idleTimer?.refresh()
  }

  // --- from the socket ---

  #readIntoMemory(): void {
    const { memory, watch } = this.options
    // Whoever looks on may keep what they saw.
    if (memory === undefined || watch !== undefined || !(this.socket instanceof Socket)) return
    const read = guarded(this.#fail, (bytes: Buffer) => this.#read(bytes, true))
    readInto(this.socket, memory, bytes => {
      if (this.#isOver) return false
      read(bytes)
      return true
    })
  }

  #read(chunk: Buffer, isBorrowed = false): void {
    this.#bytesIn += chunk.length
    this.#idleTimer?.refresh()
    this.options.watch?.read(chunk)
    if (this.#stream?.write(chunk, isBorrowed) === false) pauseSocket(this.socket)
  }

  readonly #readEnd = (): void => {
    if (this.#isOver) return
    this.options.watch?.readEnd()
    this.#stream?.end()
  }

  #drained(): void {
    this.#idleTimer?.refresh()
    const taken = this.#waitingBytes
    this.#waitingBytes = 0
    this.#stream?.consumed(taken)
  }

  #closed(): void {
    if (this.#isOver || this.#stream === undefined) return
    // What the peer has not taken yet stays in the stream, which ends on its own.
    if (this.#error === undefined && this.socket.readableEnded && this.socket.writableFinished) return this.#finish(undefined, '')
    const { code, message } = this.options.failure(this.#error)
    this.#stream.reset(code, message)
    this.#finish(code, message)
  }

  #cut(): void {
    if (this.options.cut === undefined) endAbruptly(this.socket)
    else this.options.cut()
  }

  /** Ends the socket behind some last words, and throws away what still comes of it. */
  #say(last: Buffer): void {
    const { socket } = this
    socket.removeAllListeners('data')
    resumeSocket(socket)
    if (last.length > 0) socket.write(last)
    socket.end()
    const leave = guarded(this.#fail, () => void socket.destroy())
    const late = setTimeout(leave, PARTING_MS).unref()
    socket.once(
      'close',
      guarded(this.#fail, () => clearTimeout(late)),
    )
  }

  #finish(code: ErrorCode | undefined, reason: string): void {
    this.#isOver = true
    clearTimeout(this.#idleTimer)
    this.options.onEnd({ code, reason, bytesIn: this.#bytesIn, bytesOut: this.#bytesOut, thrown: this.#thrown })
  }
}

/** Joins `stream` and `socket` from now on. */
export function splice(stream: SplicedStream, socket: Duplex, options: SpliceOptions): Splice {
  const joined = new Splice(socket, options)
  joined.attach(stream)
  return joined
}
