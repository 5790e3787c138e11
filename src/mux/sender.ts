import { BatchWriter, FrameType, MAX_BATCH_FRAMES, MAX_PAYLOAD_BYTES, TARGET_BATCH_BYTES } from '../wire/frame.ts'
import { Flight } from './flight.ts'
import { HEAD_ROOM_BYTES, type Link } from './link.ts'
import type { LinkCounters } from './link-counters.ts'
import { Pacer } from './pacer.ts'
import type { MuxStream } from './stream.ts'

/** Data of one stream before the next one has its turn, bytes. */
const QUANTUM_BYTES = 16_384
/** A stream that has sent this much, or so many flights of a slow link, is bulk and takes its turns behind those that have not. */
const BULK_BYTES = 65_536
const BULK_FLIGHTS = 4
/** On a slow link a stream that has sent less than this does not wait for a place in the flight. */
const EXPRESS_BYTES = 512
/** While both wait, bulk has its turn after so many messages without any. */
const MESSAGES_OF_FIRST = 3
/** A turn is not shorter than this, bytes, however little is left of a message. */
const MIN_SLICE_BYTES = 512
/** `emit` may add DATA and TRAILERS in one go, and a mark may follow. */
const MAX_FRAMES = MAX_BATCH_FRAMES - 2
/** Control frames that may wait: some per stream is ordinary, more is a peer that makes us answer and does not read the answers. */
const MAX_CONTROL_FRAMES = 32_768

/** Memory of one message, bytes: what a message may have before its last frame is added, and that frame. */
const MEMORY_BYTES = HEAD_ROOM_BYTES + TARGET_BATCH_BYTES + MAX_PAYLOAD_BYTES + 1_024
/** Smaller messages have memory of their own, bytes: many of them that wait in the socket must not hold one of these each. */
const MIN_MEMORY_BYTES = 49_152
/** Messages whose memory is kept. */
const MAX_FREE = 4

interface ControlFrame {
  readonly type: number
  readonly flags: number
  readonly stream: number
  readonly payload: Uint8Array | undefined
}

/** The part of a session that a sender uses. */
export interface SenderContext {
  /** Milliseconds, rising. */
  readonly clock: () => number
  /** Everything that was queued has been handed to the link. */
  readonly idle: () => void
  readonly counters: LinkCounters
  /** A message of so many bytes was made. */
  readonly sent: (bytes: number) => void
  /** Bytes that may be in flight at first; undefined: few. */
  readonly firstFlightBytes: number | undefined
  /** The peer lets more control frames pile up than any use of the protocol can explain. */
  readonly overrun: () => void
}

/**
 * The sending half of a session: what is queued in one turn of the event loop leaves as one message, as far as the pacer lets it.
 * Control frames and heads overtake data. Data goes in turns of 16 KiB: the first 64 KiB of each stream before what is bulk already,
 * which keeps a quarter of each message; so a small answer does not wait for a turn of every download.
 */
export class Sender {
  readonly #writer = new BatchWriter()
  readonly #pacer = new Pacer()
  readonly #flight: Flight
  #control: ControlFrame[] = []
  readonly #first: MuxStream[] = []
  readonly #bulk: MuxStream[] = []
  #immediate: NodeJS.Immediate | undefined
  #sentBytes = 0
  /** Streams that want to know when the message is made to which they have added something. */
  readonly #emitted: MuxStream[] = []
  /** Messages with data of beginnings since the last one with bulk. */
  #messagesOfFirst = 0
  // A fresh quarter of a megabyte for each message is what garbage is made of, so the memory of messages goes round.
  readonly #free: Buffer[] = []
  #lent: Buffer[] = []
  #isFlushing = false
  #isClosed = false

  constructor(
    private readonly link: Link,
    private readonly context: SenderContext,
  ) {
    this.#flight = new Flight(context.clock, context.firstFlightBytes)
  }

  /** True when nothing waits here. */
  get isIdle(): boolean {
    return this.#control.length === 0 && this.#first.length === 0 && this.#bulk.length === 0
  }

  /** True while frames that go ahead of all data wait: the link takes nothing at the moment. */
  get isHeldUp(): boolean {
    return this.#control.length > 0
  }

  /** Bytes that the operating system has taken since the start: stands still on a dead link. */
  get takenBytes(): number {
    return this.#sentBytes - this.link.bufferedBytes
  }

  /** Bytes in flight while data waits for the peer to acknowledge some of them, else 0. */
  get awaitedBytes(): number {
    const isWaiting = this.#first.length > 0 || this.#bulk.length > 0
    return isWaiting && this.#flight.roomBytes === 0 ? this.#flight.inFlightBytes : 0
  }

  /** Bytes that the peer has acknowledged since the start. */
  get deliveredBytes(): number {
    return this.#flight.deliveredBytes
  }

  /** Bytes sent and not known to be delivered. */
  get inFlightBytes(): number {
    return this.#flight.inFlightBytes
  }

  /** Bytes that may be in flight at the moment. */
  get flightLimitBytes(): number {
    return this.#flight.limitBytes
  }

  /** Queues a frame ahead of all data. */
  control(type: number, flags: number, stream: number, payload: Uint8Array | undefined): void {
    if (this.#isClosed) return
    this.#control.push({ type, flags, stream, payload })
    if (this.#control.length > MAX_CONTROL_FRAMES) this.context.overrun()
    else this.#flushSoon()
  }

  /** Gives `stream` its turn; it may have one place in the queue. */
  schedule(stream: MuxStream): void {
    if (stream.isScheduled || this.#isClosed) return
    this.#enqueue(stream)
    this.#flushSoon()
  }

  /** The link has handed everything to the operating system. */
  drained(): void {
    this.#reclaim()
    this.#pacer.drained(this.context.clock())
    this.#flush()
  }

  /** A PONG came; one that answers no mark of ours changes nothing. */
  acknowledged(payload: Buffer): void {
    if (this.#flight.acknowledge(payload)) this.#flush()
  }

  /** The liveness of the session has measured a round trip, milliseconds. */
  observe(roundTripMs: number): void {
    this.#flight.observe(roundTripMs)
  }

  /** Drops what is queued and sends `frame` as the last message. */
  sendLast(frame: Buffer): void {
    if (!this.#isClosed) this.link.send(frame)
    this.close()
  }

  /** Drops what is queued; nothing is sent any more. */
  close(): void {
    this.#isClosed = true
    if (this.#immediate !== undefined) clearImmediate(this.#immediate)
    this.#control = []
    this.#first.length = 0
    this.#bulk.length = 0
    this.#emitted.length = 0
    this.#writer.clear()
  }

  #enqueue(stream: MuxStream): void {
    stream.isScheduled = true
    const bulkBytes = Math.min(BULK_BYTES, BULK_FLIGHTS * this.#flight.limitBytes)
    const queue = stream.sentBytes >= bulkBytes ? this.#bulk : this.#first
    queue.push(stream)
  }

  #flushSoon(): void {
    if (this.#immediate === undefined && !this.#isFlushing) this.#immediate = setImmediate(this.#flush)
  }

  /** Sends what is queued as long as the socket's own queue is short; `drained` comes back here. */
  readonly #flush = (): void => {
    if (this.#immediate !== undefined) clearImmediate(this.#immediate)
    this.#immediate = undefined
    if (this.#isFlushing) return
    this.#isFlushing = true
    try {
      while (!this.isIdle) {
        const bufferedBytes = this.link.bufferedBytes
        const roomBytes = this.#pacer.highBytes - bufferedBytes
        if (roomBytes <= 0) {
          this.#pacer.blocked(this.context.clock(), bufferedBytes)
          return
        }
        const hasData = this.#first.length > 0 || this.#bulk.length > 0
        const isFull = hasData && this.#flight.roomBytes <= 0
        if (isFull) this.#markFullFlight()
        this.#fillControl(TARGET_BATCH_BYTES)
        if (hasData && this.#control.length === 0) this.#fillData(Math.min(TARGET_BATCH_BYTES, roomBytes, this.#flight.messageBytes))
        if (this.#writer.frames > 0) this.#send()
        else if (isFull) {
          this.context.counters.flightStalls++
          return // an acknowledgement comes back here
        }
      }
    } finally {
      this.#isFlushing = false
    }
    this.context.idle()
  }

  #send(): void {
    const mark = this.#flight.send(this.#writer.bytes)
    if (mark !== undefined) this.#writer.add(FrameType.PING, 0, 0, mark)
    this.#sentBytes += this.#writer.bytes
    this.context.counters.sentBytes += this.#writer.bytes
    this.context.counters.sentMessages++
    const { bytes } = this.#writer
    const memory =
      bytes < MIN_MEMORY_BYTES || bytes > MEMORY_BYTES - HEAD_ROOM_BYTES
        ? undefined
        : (this.#free.pop() ?? Buffer.allocUnsafeSlow(MEMORY_BYTES))
    this.link.send(this.#writer.take(memory, HEAD_ROOM_BYTES), true)
    if (memory !== undefined) this.#lent.push(memory)
    this.#reclaim()
    this.context.sent(bytes)
    if (this.#emitted.length === 0) return
    for (const stream of this.#emitted) stream.copied()
    this.#emitted.length = 0
  }

  /** Frees memory that can be written to again: all of it, once the operating system has taken everything. */
  #reclaim(): void {
    if (this.#lent.length === 0 || this.link.bufferedBytes > 0) return
    for (const memory of this.#lent) if (this.#free.length < MAX_FREE) this.#free.push(memory)
    this.#lent = []
  }

  #markFullFlight(): void {
    const mark = this.#flight.block()
    if (mark !== undefined) this.#writer.add(FrameType.PING, 0, 0, mark)
  }

  /** Control frames overtake data in flight limits as well: they are small, and some of them make room at the peer. */
  #fillControl(targetBytes: number): void {
    const writer = this.#writer
    const control = this.#control
    let taken = 0
    while (taken < control.length && writer.frames < MAX_FRAMES && writer.bytes < targetBytes) {
      const frame = control[taken++]!
      writer.add(frame.type, frame.flags, frame.stream, frame.payload)
    }
    if (taken < control.length) {
      control.splice(0, taken)
      return
    }
    if (taken > 0) this.#control = []
  }

  /** @param mostBytes  that the message may have */
  #fillData(mostBytes: number): void {
    const { roomBytes, expressBytes } = this.#flight
    const isShared = this.#first.length > 0 && this.#bulk.length > 0
    const isBulkDue = isShared && this.#messagesOfFirst >= MESSAGES_OF_FIRST
    // The flight is full: small answers do not wait for it, unless it is the turn of bulk.
    if (roomBytes <= 0) {
      if (expressBytes > 0 && !isBulkDue) this.#serveExpress(Math.min(mostBytes, expressBytes))
      return
    }
    const targetBytes = Math.min(mostBytes, roomBytes)
    const shareBytes = targetBytes >>> 2
    // Of messages with room for one or a few turns, as on a slow link, bulk has every fourth instead.
    const isForBulk = isBulkDue && shareBytes < QUANTUM_BYTES
    if (this.#first.length > 0 && !isForBulk) this.#serveFirst(isShared ? targetBytes - shareBytes : targetBytes)
    if (this.#bulk.length === 0) return
    const before = this.#writer.bytes
    this.#serve(this.#bulk, targetBytes)
    if (this.#writer.bytes > before) this.#messagesOfFirst = 0
  }

  #serveFirst(targetBytes: number): void {
    this.#messagesOfFirst++
    this.#serve(this.#first, targetBytes)
  }

  /** Only for what ends soon: a long transfer that took this way while it begins would leave none for the small answer that comes next. */
  #serveExpress(targetBytes: number): void {
    const small = this.#first.filter(({ sentBytes }) => sentBytes < EXPRESS_BYTES)
    if (small.length === 0) return
    const others = this.#first.filter(({ sentBytes }) => sentBytes >= EXPRESS_BYTES)
    this.#messagesOfFirst++
    this.#first.length = 0
    this.#serve(small, targetBytes)
    // What came back while it was served, and what had no turn, is behind those that have waited longer.
    this.#first.unshift(...small, ...others)
  }

  /** Lets the streams of `queue` take turns until the message has `targetBytes`. */
  #serve(queue: MuxStream[], targetBytes: number): void {
    const writer = this.#writer
    let turn = 0
    while (turn < queue.length && writer.frames < MAX_FRAMES && writer.bytes < targetBytes) {
      const stream = queue[turn++]!
      stream.isScheduled = false
      if (!stream.hasFrames) continue
      const isAlone = turn === queue.length
      const left = targetBytes - writer.bytes
      stream.emit(writer, Math.max(MIN_SLICE_BYTES, Math.min(isAlone ? MAX_PAYLOAD_BYTES : QUANTUM_BYTES, left)))
      if (stream.isCopyAwaited) this.#emitted.push(stream)
      // `emit` may have called a handler, which may have queued the stream again or ended the session.
      if (stream.hasFrames && !stream.isScheduled) this.#enqueue(stream)
    }
    queue.splice(0, turn)
  }
}
