import { ERRORS, GatewayError, messageOf, type ErrorCode } from '../errors.ts'
import { encodeCredit, encodeReset } from '../wire/control.ts'
import { Flag, FrameType, MAX_PAYLOAD_BYTES, type BatchWriter } from '../wire/frame.ts'
import { ByteQueue, ownBytes, type PieceMemory } from './byte-queue.ts'
import { assertFits } from './limits.ts'
import { creditToRead, creditToReadOn, type LimitedStream, type ReadLimit } from './read-limit.ts'
import { ReceiveWindow, type WindowContext } from './receive-window.ts'
import { step, StreamState, type Direction, type StreamStateValue } from './stream-state.ts'

/**
 * Events for the user of a stream. After `onReset`, and after both halves have ended, nothing more comes. A handler that throws has its
 * stream reset, with the code of a GatewayError or else INTERNAL, and is told so by `onReset`; the session goes on.
 */
export interface StreamHandler {
  /** A RESPONSE frame; `info` marks an interim one. */
  onHead(payload: Buffer, info: boolean): void
  /** Bytes of the peer, a view into a larger message. Call `stream.consumed` once they are no longer held. */
  onData(chunk: Buffer): void
  onTrailers(payload: Buffer): void
  /** The peer's half has ended, cleanly. */
  onEnd(): void
  /** The stream was aborted: by the peer, by the loss of the session, or because this handler threw. */
  onReset(code: ErrorCode, reason: string): void
  /** `write` may go on after it returned false. */
  onWritable(): void
  /** The peer has taken bytes: a sign of life while a long upload waits for its answer. */
  onCredit?(): void
}

/** The part of a session that a stream uses. */
export interface StreamOwner extends Pick<WindowContext, 'budget' | 'clock' | 'roundTripMs'> {
  /** A frame that overtakes data. */
  sendControl(type: number, flags: number, stream: number, payload?: Uint8Array): void
  /** The stream has something that `emit` can send. */
  ready(stream: MuxStream): void
  /** Bytes queued, under way or not consumed have changed by `bytes`. */
  outstanding(bytes: number): void
  closed(stream: MuxStream): void
  readonly reads: ReadLimit
  readonly memory: PieceMemory
  /** The stream has bytes to send and no credit, or has no more of them read since those would have none. */
  stalled(): void
  /** A handler threw what is no GatewayError: a fault of ours, contained to the stream. */
  fault(thrown: unknown): void
}

/** `write` asks to pause at this many bytes in the stream's own queue. */
const HIGH_WATER_BYTES = 131_072
const LOW_WATER_BYTES = 65_536
/** A part of a turn that is added to it: a few bytes that the head of a frame has pushed out would be a message of their own. */
const REST_PART = 32

/** A handler gets this many pieces before it has let go of any; then those below this size are gathered, as each costs some hundred bytes. */
const MAX_HELD_PIECES = 64
const SMALL_PIECE_BYTES = 4_096

/** One exchange in a session: two byte streams with heads and trailers, flow-controlled, either half ends on its own. */
export class MuxStream implements LimitedStream {
  #state: StreamStateValue = StreamState.OPEN
  #credit: number
  readonly #queue: ByteQueue
  /** Bytes of DATA that were sent. */
  sentBytes = 0
  /** Bytes that have credit. */
  #sendableBytes = 0
  #unacknowledgedBytes = 0
  #unconsumedBytes = 0
  /** The number of pieces in which the bytes that the handler holds were delivered. */
  #heldPieces = 0
  /** Small pieces that came while the handler held many: they are delivered together once it has let go of some. */
  #parked: ByteQueue | undefined
  #ending = false
  #trailers: Uint8Array | undefined
  #blocked = false
  #aborted = false
  readonly #window: ReceiveWindow
  /** Beyond what is queued; more once it was asked to pause. */
  #creditToRead: number
  /** Set by the owner: whom to tell. */
  handler: StreamHandler | undefined
  /** Used by the session's scheduler alone. */
  isScheduled = false

  constructor(
    readonly id: number,
    private readonly owner: StreamOwner,
    private readonly windows: { readonly sendBytes: number; readonly receiveBytes: number },
  ) {
    this.#queue = new ByteQueue(owner.memory)
    this.#credit = windows.sendBytes
    this.#creditToRead = creditToRead(windows.sendBytes)
    this.#window = new ReceiveWindow(windows.receiveBytes, {
      budget: owner.budget,
      clock: owner.clock,
      roundTripMs: owner.roundTripMs,
      grant: bytes => owner.sendControl(FrameType.CREDIT, 0, id, encodeCredit(bytes)),
    })
  }

  /** True when nothing can be sent or received any more. */
  get isClosed(): boolean {
    return this.#state === StreamState.CLOSED
  }

  /** True while the peer may still send. */
  get isRemoteOpen(): boolean {
    return (this.#state & StreamState.REMOTE_CLOSED) === 0
  }

  /** True when `write` would be asked to pause: nothing more should be read for this stream. */
  get needsPause(): boolean {
    const roomBytes = this.#credit - this.#queue.bytes
    return roomBytes < this.#creditToRead || this.#queue.bytes >= HIGH_WATER_BYTES
  }

  /**
   * Sends a RESPONSE frame, ahead of queued data of other streams.
   * @throws GatewayError HEADERS_TOO_LARGE when `payload` does not fit into a frame; nothing was sent
   */
  sendHead(payload: Uint8Array, options: { readonly info?: boolean; readonly end?: boolean } = {}): void {
    if (this.isClosed) return
    assertFits(payload)
    const flags = (options.info === true ? Flag.INFO : 0) | (options.end === true ? Flag.END : 0)
    this.#advance(FrameType.RESPONSE, options.end === true, 'sent')
    this.owner.sendControl(FrameType.RESPONSE, flags, this.id, payload)
    this.#settle()
  }

  /** Queues bytes; false asks to pause until `onWritable`. @param isBorrowed  `chunk` changes afterwards; any other must not */
  write(chunk: Buffer, isBorrowed = false): boolean {
    if (this.#ending || (this.#state & StreamState.LOCAL_CLOSED) !== 0) return false
    if (chunk.length > 0) {
      if (isBorrowed) this.#queue.pushCopy(chunk)
      else this.#queue.push(chunk)
      this.owner.outstanding(chunk.length)
      this.#countSendable()
      if (this.#credit > 0) this.owner.ready(this)
      else if (this.#queue.bytes === chunk.length) this.owner.stalled()
    }
    if (this.needsPause) this.#creditToRead = creditToReadOn(this.windows.sendBytes)
    this.#blocked = this.needsPause || !this.owner.reads.mayRead(this)
    return !this.#blocked
  }

  /**
   * Ends this half after what is queued, with a TRAILERS frame when `trailers` is given. Idempotent.
   * @throws GatewayError HEADERS_TOO_LARGE when `trailers` do not fit into a frame; the half has not ended
   */
  end(trailers?: Uint8Array): void {
    if (this.#ending || (this.#state & StreamState.LOCAL_CLOSED) !== 0) return
    if (trailers !== undefined) assertFits(trailers)
    this.#ending = true
    this.#blocked = false
    this.#trailers = trailers
    if (this.#queue.bytes === 0 || this.#credit > 0) this.owner.ready(this)
  }

  /** Aborts both halves; queued bytes are dropped. Idempotent, and nothing is called back. */
  reset(code: ErrorCode, reason = ''): void {
    if (this.isClosed) return
    this.owner.sendControl(FrameType.RESET, 0, this.id, encodeReset(ERRORS[code].reset || ERRORS.INTERNAL.reset, reason))
    this.#close()
  }

  /** `bytes` of what `onData` delivered are no longer held. */
  consumed(bytes: number): void {
    if (bytes === 0 || this.isClosed) return
    this.#unconsumedBytes -= bytes
    this.owner.outstanding(-bytes)
    if (this.#unconsumedBytes === (this.#parked?.bytes ?? 0)) this.#heldPieces = 0
    if (this.#parked !== undefined && this.#parked.bytes > 0) {
      try {
        this.#deliverParked()
      } catch (thrown) {
        return this.#caught(thrown)
      }
    }
    // A peer that has sent its END needs no credit, and its window must not take any of the budget.
    if (this.isRemoteOpen) this.#window.consumed(bytes)
    else this.#returnWindow()
  }

  // --- for the session ---

  /** The OPEN frame carried END: that side sends nothing more. */
  openedWithEnd(direction: Direction): void {
    this.#advance(FrameType.OPEN, true, direction)
  }

  /** The peer has opened the stream: `accept` returns its handler, or throws to refuse it. */
  accept(accept: () => StreamHandler): void {
    try {
      const handler = accept()
      this.handler = handler
      if (!this.isRemoteOpen && !this.#aborted) handler.onEnd()
    } catch (thrown) {
      this.#caught(thrown)
    }
  }

  /** True when `emit` would add a frame. */
  get hasFrames(): boolean {
    if ((this.#state & StreamState.LOCAL_CLOSED) !== 0) return false
    return this.#queue.bytes > 0 ? this.#credit > 0 : this.#ending
  }

  /** True while bytes wait for credit. */
  get isStarved(): boolean {
    return this.#credit === 0 && this.#queue.bytes > 0
  }

  /** True when `copied` has something to do. */
  get isCopyAwaited(): boolean {
    return this.isStarved || this.#queue.isCopyAwaited
  }

  /** The message with what `emit` has added is made, so that memory can be written to again: what waits keeps no more of it than itself. */
  copied(): void {
    this.#queue.copied()
    if (this.isStarved) this.#queue.ownFirst()
  }

  /** Adds one DATA or TRAILERS frame to `batch`, of `quantum` payload bytes at most or a little more when nothing is left then. */
  emit(batch: BatchWriter, quantum: number): void {
    const most = Math.min(this.#queue.bytes, this.#credit, MAX_PAYLOAD_BYTES)
    const length = most > quantum + quantum / REST_PART ? quantum : most
    const isLast = this.#ending && length === this.#queue.bytes
    if (length > 0 || this.#trailers === undefined) {
      const end = isLast && this.#trailers === undefined
      this.#advance(FrameType.DATA, end, 'sent')
      batch.addParts(FrameType.DATA, end ? Flag.END : 0, this.id, this.#take(length), length)
    }
    if (isLast && this.#trailers !== undefined) {
      this.#advance(FrameType.TRAILERS, true, 'sent')
      batch.add(FrameType.TRAILERS, Flag.END, this.id, this.#trailers)
    }
    this.#settle()
    if (this.#queue.bytes < LOW_WATER_BYTES) this.#unblock()
  }

  /** A frame of the peer. @throws GatewayError PROTOCOL or FLOW_EXCEEDED */
  receive(type: number, flags: number, payload: Buffer): void {
    const end = (flags & Flag.END) !== 0 || type === FrameType.TRAILERS
    if (type === FrameType.DATA && payload.length > 0) this.#window.received(payload.length)
    this.#advance(type, end, 'received')
    try {
      this.#deliver(type, flags, payload)
      if (end) this.#deliverParked()
      if (end && !this.#aborted) this.handler?.onEnd()
    } catch (thrown) {
      this.#caught(thrown)
    }
    if (end) this.#returnWindow()
    this.#settle()
  }

  /** The peer lends `bytes` more. @throws GatewayError PROTOCOL when the window would exceed 2^31 − 1 */
  receiveCredit(bytes: number): void {
    this.#credit += bytes
    this.#countSendable()
    if (this.#credit > 0x7fff_ffff) throw new GatewayError('PROTOCOL', 'a window above 2^31 - 1')
    const acknowledged = Math.min(bytes, this.#unacknowledgedBytes)
    this.#unacknowledgedBytes -= acknowledged
    this.owner.outstanding(-acknowledged)
    try {
      this.handler?.onCredit?.()
    } catch (thrown) {
      this.#caught(thrown)
    }
    if (this.hasFrames) this.owner.ready(this)
    else this.#unblock()
  }

  /** The peer has aborted the stream, or the session is lost. */
  receiveReset(code: ErrorCode, reason: string): void {
    if (this.isClosed) return
    this.#close()
    this.#tellReset(code, reason)
  }

  /** Aborts the stream from this side and tells the handler, also when both halves have ended while it was being told so. */
  fail(code: ErrorCode, reason: string): void {
    if (this.#aborted) return
    this.reset(code, reason)
    this.#close()
    this.#tellReset(code, reason)
  }

  #caught(thrown: unknown): void {
    const isExpected = thrown instanceof GatewayError
    if (!isExpected) this.owner.fault(thrown)
    this.fail(isExpected ? thrown.code : 'INTERNAL', messageOf(thrown))
  }

  #tellReset(code: ErrorCode, reason: string): void {
    try {
      this.handler?.onReset(code, reason)
    } catch (thrown) {
      this.owner.fault(thrown)
    }
  }

  #deliver(type: number, flags: number, payload: Buffer): void {
    const handler = this.handler
    if (handler === undefined) return
    if (type === FrameType.DATA) {
      if (payload.length === 0) return
      this.#unconsumedBytes += payload.length
      this.owner.outstanding(payload.length)
      if (payload.length < SMALL_PIECE_BYTES && this.#heldPieces >= MAX_HELD_PIECES) {
        // The first piece of a queue is kept as it is, and a view would keep the whole message.
        const parked = (this.#parked ??= new ByteQueue())
        return parked.push(parked.bytes === 0 ? Buffer.from(payload) : payload)
      }
      this.#deliverParked()
      this.#heldPieces++
      if (!this.#aborted) handler.onData(ownBytes(payload))
      return
    }
    this.#deliverParked()
    if (this.#aborted) return
    if (type === FrameType.RESPONSE) handler.onHead(payload, (flags & Flag.INFO) !== 0)
    else handler.onTrailers(payload)
  }

  #deliverParked(): void {
    if (this.#parked === undefined || this.#parked.bytes === 0) return
    for (const piece of this.#parked.take(this.#parked.bytes)) {
      this.#heldPieces++
      if (this.#aborted) return
      this.handler?.onData(piece)
    }
  }

  #take(length: number): Buffer[] {
    this.#credit -= length
    this.#unacknowledgedBytes += length
    this.sentBytes += length
    const taken = this.#queue.take(length)
    this.#countSendable()
    if (this.isStarved || (this.#queue.bytes === 0 && !this.#ending && this.needsPause)) this.owner.stalled()
    return taken
  }

  #countSendable(): void {
    const bytes = Math.min(this.#queue.bytes, this.#credit)
    if (bytes !== this.#sendableBytes) this.owner.reads.changed(bytes - this.#sendableBytes)
    this.#sendableBytes = bytes
  }

  #unblock(): void {
    if (this.#blocked && !this.needsPause && this.owner.reads.admits(this)) this.goOn()
  }

  /** For the limit of the session: others have left room. */
  goOn(): void {
    if (!this.#blocked || this.needsPause) return
    this.#blocked = false
    try {
      this.handler?.onWritable()
    } catch (thrown) {
      this.#caught(thrown)
    }
  }

  #advance(type: number, end: boolean, direction: Direction): void {
    const next = step(this.#state, type, end, direction)
    if (next === undefined) throw new GatewayError('PROTOCOL', `a frame of type ${type} on a half that has ended`)
    this.#state = next
  }

  /** The peer sends nothing more, so what its window has borrowed goes back as soon as nothing is held: an answer may last for hours. */
  #returnWindow(): void {
    if (this.#unconsumedBytes === 0) this.#window.close()
  }

  /** Leaves the session once both halves have ended. */
  #settle(): void {
    if (this.isClosed) this.#release()
  }

  #close(): void {
    this.#aborted = true
    this.#blocked = false
    this.#state = StreamState.CLOSED
    this.#release()
  }

  #release(): void {
    this.owner.outstanding(-(this.#queue.bytes + this.#unacknowledgedBytes + this.#unconsumedBytes))
    this.#queue.clear()
    this.#countSendable()
    this.owner.reads.forget(this)
    this.#parked?.clear()
    this.#unacknowledgedBytes = 0
    this.#unconsumedBytes = 0
    this.#window.close()
    this.owner.closed(this)
  }
}
