import { codeOfReset, ERRORS, GatewayError, messageOf, type ErrorCode } from '../errors.ts'
import { decodeCredit, decodeGoAway, decodePing, decodeReset, encodeGoAway, encodeReset, type Limits } from '../wire/control.ts'
import { decodeBatch, encodeFrame, Flag, FrameType, MAX_STREAM_ID } from '../wire/frame.ts'
import { PieceMemory } from './byte-queue.ts'
import { assertFits } from './limits.ts'
import type { Link } from './link.ts'
import { LinkCounters } from './link-counters.ts'
import { Liveness, type Timing } from './liveness.ts'
import { PeerRates } from './rates.ts'
import { ReadLimit } from './read-limit.ts'
import type { GrowthBudget } from './receive-window.ts'
import { Sender } from './sender.ts'
import { MuxStream, type StreamHandler, type StreamOwner } from './stream.ts'
import { StreamTable } from './stream-table.ts'

/** Ids are not used up to the last one, so that late frames keep a meaning. */
const LAST_OPENED_ID = MAX_STREAM_ID - 65_536

/** So many streams that memory in transit is no matter of a few of them. */
const MANY_STREAMS = 32

/** Options of a session. */
export interface SessionOptions {
  /** The outer layer opens odd ids, the inner layer even ones. */
  readonly role: 'outer' | 'inner'
  /** Limits of the peer here. */
  readonly limits: Limits
  /** Our limits at the peer. */
  readonly peerLimits: Limits
  readonly budget: GrowthBudget
  /** Milliseconds, rising. */
  readonly clock: () => number
  readonly timing: Timing
  /** A stream that the peer opens: returns its handler, or throws GatewayError to refuse it. */
  readonly accept: (open: Buffer, stream: MuxStream) => StreamHandler
  /** The peer tells something about the whole session; undefined ignores it. @throws GatewayError to end the session */
  readonly onNote?: (payload: Buffer) => void
  /** The peer takes no new streams any more; those that are open go on. */
  readonly onGoAway?: (code: ErrorCode, reason: string) => void
  /** The session is over and every stream has been told; called once. */
  readonly onClose: (code: ErrorCode, reason: string) => void
  /** A handler threw: a fault of ours. */
  readonly onFault?: (thrown: unknown) => void
  /** Shared by all sessions of a process. */
  readonly counters?: LinkCounters
  /** The code of streams that are lost with the link; by default the layer at its other end. */
  readonly lost?: ErrorCode
  /** Bytes that may be in flight at first, where the way is known; the default is little, since it may be a slow one. */
  readonly firstFlightBytes?: number
  /** After this id the session drains by itself; the default leaves late frames a meaning. */
  readonly lastId?: number
}

/** Many streams over one link: receives frames for them, opens and accepts them, and ends them with the link. */
export class Session {
  readonly #streams = new StreamTable<MuxStream>()
  readonly #owner: StreamOwner
  readonly #sender: Sender
  readonly #liveness: Liveness
  readonly #rates: PeerRates
  readonly #reads = new ReadLimit()
  readonly #lastId: number
  readonly #counters: LinkCounters
  /** The other layer was lost, as this one calls it. */
  readonly #lost: ErrorCode
  #outstandingBytes = 0
  #activity = 0
  #isClosed = false
  #nextId: number
  #lastPeerId = 0
  #peerGone: { readonly code: ErrorCode; readonly reason: string } | undefined
  #draining: { resolve: () => void; promise: Promise<void> } | undefined

  constructor(
    private readonly link: Link,
    private readonly options: SessionOptions,
  ) {
    const { clock, budget, role, lastId = LAST_OPENED_ID } = options
    this.#nextId = role === 'outer' ? 1 : 2
    this.#lost = options.lost ?? (role === 'outer' ? 'INNER_LAYER_LOST' : 'OUTER_LAYER_LOST')
    this.#lastId = lastId
    this.#rates = new PeerRates(clock)
    const counters = options.counters ?? new LinkCounters()
    this.#counters = counters
    const sender = new Sender(link, {
      clock,
      counters,
      firstFlightBytes: options.firstFlightBytes,
      idle: () => this.#leaveIfDone(),
      sent: bytes => this.#moved(bytes),
      overrun: () => this.destroy('CALM', 'the peer does not read what it makes this side answer'),
    })
    this.#sender = sender
    const liveness = new Liveness(options.timing, {
      clock,
      ping: payload => sender.control(FrameType.PING, 0, 0, payload),
      receivedBytes: () => link.receivedBytes,
      bufferedBytes: () => link.bufferedBytes,
      takenBytes: () => sender.takenBytes,
      awaitedBytes: () => sender.awaitedBytes,
      deliveredBytes: () => sender.deliveredBytes,
      activity: () => this.#activity,
      dead: reason => this.destroy('LINK_DEAD', reason),
    })
    this.#liveness = liveness
    this.#owner = {
      budget,
      clock,
      reads: this.#reads,
      memory: new PieceMemory(),
      roundTripMs: () => liveness.roundTripMs,
      sendControl: (type, flags, stream, payload) => sender.control(type, flags, stream, payload),
      ready: stream => sender.schedule(stream),
      outstanding: bytes => {
        this.#outstandingBytes += bytes
      },
      closed: stream => this.#forget(stream),
      stalled: () => {
        counters.creditStalls++
      },
      fault: thrown => options.onFault?.(thrown),
    }
    link.onMessage = message => this.#receive(message)
    link.onDrain = () => sender.drained()
    link.onClose = reason => {
      const { code, reason: said } = this.#peerGone ?? { code: this.#lost, reason }
      this.#close(code, said)
    }
    liveness.start()
  }

  /** Streams that are open. */
  get streamCount(): number {
    return this.#streams.size
  }

  /** Bytes of all streams that are queued, under way to the peer, or received and not consumed. */
  get outstandingBytes(): number {
    return this.#outstandingBytes
  }

  /** Smoothed round trip of the link, milliseconds. */
  get roundTripMs(): number {
    return this.#liveness.roundTripMs
  }

  /** Bytes sent and not known to be delivered. */
  get inFlightBytes(): number {
    return this.#sender.inFlightBytes
  }

  /** Bytes that may be in flight at the moment. */
  get flightLimitBytes(): number {
    return this.#sender.flightLimitBytes
  }

  /** True while frames that go ahead of all data wait: the link takes nothing at the moment. */
  get isHeldUp(): boolean {
    return this.#sender.isHeldUp
  }

  /** True while `open` can succeed. */
  get isOpen(): boolean {
    return !this.#isClosed && this.#peerGone === undefined && this.#draining === undefined
  }

  /** True while one more stream fits under the peer's limit. */
  get hasRoom(): boolean {
    return this.#streams.size < this.options.peerLimits.streams
  }

  /**
   * Opens a stream at once, without a round trip.
   * @param payload  what the peer's `accept` gets
   * @throws GatewayError REFUSED_STREAM when the session is closing or the peer's limit is reached
   * @throws GatewayError HEADERS_TOO_LARGE when `payload` does not fit into a frame
   */
  open(payload: Uint8Array, handler: StreamHandler, options: { readonly end?: boolean } = {}): MuxStream {
    if (!this.isOpen) throw new GatewayError('REFUSED_STREAM', 'the session is closing')
    if (!this.hasRoom) throw new GatewayError('REFUSED_STREAM', `${this.#streams.size} streams are open, the limit of the inner layer`)
    assertFits(payload)
    const stream = this.#createStream(this.#nextId)
    this.#nextId += 2
    stream.handler = handler
    this.#sender.control(FrameType.OPEN, options.end === true ? Flag.END : 0, stream.id, payload)
    if (options.end === true) stream.openedWithEnd('sent')
    if (this.#nextId > this.#lastId) void this.drain('GOING_AWAY', 'the stream ids are used up')
    return stream
  }

  /** Tells the peer something about the whole session, ahead of whatever is opened later; at most 64 KiB. */
  note(payload: Uint8Array): void {
    assertFits(payload)
    this.#sender.control(FrameType.NOTE, 0, 0, payload)
  }

  /** Refuses new streams, lets the open ones finish, then closes the link. Idempotent; resolves when the session is over. */
  drain(code: ErrorCode = 'GOING_AWAY', reason = ''): Promise<void> {
    if (this.#draining === undefined) {
      let resolve = (): void => undefined
      const promise = new Promise<void>(done => {
        resolve = done
      })
      this.#draining = { resolve, promise }
      if (this.#isClosed) resolve()
      else this.#sender.control(FrameType.GOAWAY, 0, 0, encodeGoAway(this.#lastPeerId, ERRORS[code].reset, reason))
    }
    return this.#draining.promise
  }

  /** Ends the session now: tells the peer why if the link still takes it, resets every stream. Idempotent. */
  destroy(code: ErrorCode, reason: string): void {
    if (this.#isClosed) return
    if (ERRORS[code].reset > 0) {
      this.#sender.sendLast(encodeFrame(FrameType.GOAWAY, 0, 0, encodeGoAway(this.#lastPeerId, ERRORS[code].reset, reason)))
    }
    // A stream that was open may have been executed: never "always" may be repeated.
    const { status, retry } = ERRORS[code]
    this.#close(code, reason, status === 0 || retry === 'always' ? this.#lost : code)
    if (code === 'LINK_DEAD') this.link.destroy()
    else this.link.close()
  }

  #moved(bytes: number): void {
    this.#counters.onMoved(bytes, this.#streams.size >= MANY_STREAMS)
  }

  // --- receiving ---

  #receive(message: Buffer): void {
    if (this.#isClosed) return
    this.#liveness.received()
    this.#counters.receivedMessages++
    this.#counters.receivedBytes += message.length
    this.#moved(message.length)
    try {
      decodeBatch(message, this.#onFrame)
    } catch (thrown) {
      if (!(thrown instanceof GatewayError)) this.options.onFault?.(thrown)
      this.destroy(thrown instanceof GatewayError ? thrown.code : 'INTERNAL', messageOf(thrown))
    }
  }

  readonly #onFrame = (type: number, flags: number, id: number, payload: Buffer): void => {
    if (this.#isClosed) return
    switch (type) {
      case FrameType.DATA:
        if (payload.length === 0 && (flags & Flag.END) === 0) this.#rates.count('empties')
        this.#receiveOnStream(type, flags, id, payload)
        break
      case FrameType.RESPONSE:
      case FrameType.TRAILERS:
        this.#receiveOnStream(type, flags, id, payload)
        break
      case FrameType.OPEN:
        this.#receiveOpen(flags, id, payload)
        break
      case FrameType.RESET: {
        this.#rates.count('resets')
        const { code, reason } = decodeReset(payload)
        this.#streamOf(id)?.receiveReset(codeOfReset(code), reason)
        break
      }
      case FrameType.CREDIT: {
        this.#activity++
        const bytes = decodeCredit(payload)
        this.#streamOf(id)?.receiveCredit(bytes)
        break
      }
      case FrameType.PING:
        assertSession(id)
        this.#rates.count('pings')
        // A copy: the answer may wait, and a view would keep the whole message.
        this.#sender.control(FrameType.PONG, 0, 0, Buffer.from(decodePing(payload)))
        break
      case FrameType.PONG:
        assertSession(id)
        this.#receivePong(decodePing(payload))
        break
      case FrameType.GOAWAY:
        assertSession(id)
        this.#receiveGoAway(payload)
        break
      case FrameType.NOTE:
        assertSession(id)
        this.#rates.count('notes')
        this.options.onNote?.(payload)
        break
      default:
        if ((flags & Flag.IGNORABLE) === 0) throw new GatewayError('PROTOCOL', `a frame of unknown type ${type}`)
    }
  }

  #receivePong(payload: Buffer): void {
    const roundTripMs = this.#liveness.pong(payload)
    if (roundTripMs === undefined) this.#sender.acknowledged(payload)
    else this.#sender.observe(roundTripMs)
  }

  #receiveOnStream(type: number, flags: number, id: number, payload: Buffer): void {
    this.#activity++
    const stream = this.#streamOf(id)
    if (stream === undefined) return
    try {
      stream.receive(type, flags, payload)
    } catch (thrown) {
      if (!(thrown instanceof GatewayError) || thrown.code !== 'FLOW_EXCEEDED') throw thrown
      this.#rates.count('overruns')
      stream.fail('FLOW_EXCEEDED', thrown.message)
    }
  }

  /** The stream of `id`; undefined for one that is closed already, whose late frames mean nothing any more. */
  #streamOf(id: number): MuxStream | undefined {
    const stream = this.#streams.get(id)
    if (stream !== undefined) return stream
    const wasOpened = id > 0 && (this.#isOurs(id) ? id < this.#nextId : id <= this.#lastPeerId)
    if (!wasOpened) throw new GatewayError('PROTOCOL', `a frame for stream ${id}, which was never opened`)
    return undefined
  }

  #receiveOpen(flags: number, id: number, payload: Buffer): void {
    if (id === 0 || this.#isOurs(id) || id <= this.#lastPeerId) throw new GatewayError('PROTOCOL', `OPEN with the id ${id}`)
    this.#rates.count('opens')
    this.#lastPeerId = id
    // The peer cannot know yet; many may be under way.
    if (this.#draining !== undefined) return this.#refuse(id, 'the session is closing')
    if (this.#streams.size >= this.options.limits.streams) {
      this.#rates.count('refusals')
      return this.#refuse(id, `${this.#streams.size} streams are open`)
    }
    const stream = this.#createStream(id)
    if ((flags & Flag.END) !== 0) stream.openedWithEnd('received')
    stream.accept(() => this.options.accept(payload, stream))
  }

  #refuse(id: number, reason: string): void {
    this.#sender.control(FrameType.RESET, 0, id, encodeReset(ERRORS.REFUSED_STREAM.reset, reason))
  }

  #receiveGoAway(payload: Buffer): void {
    const { lastStream, code: number, reason } = decodeGoAway(payload)
    const code = codeOfReset(number)
    const isFirst = this.#peerGone === undefined
    this.#peerGone = { code, reason }
    // Nothing was opened since the first one, so a second one can only give another reason.
    if (!isFirst) return
    for (const stream of this.#streams.all()) {
      if (this.#isOurs(stream.id) && stream.id > lastStream) stream.receiveReset('REFUSED_STREAM', reason)
    }
    this.options.onGoAway?.(code, reason)
    this.#leaveIfDone()
  }

  // --- opening and ending ---

  #createStream(id: number): MuxStream {
    const stream = new MuxStream(id, this.#owner, {
      sendBytes: this.options.peerLimits.windowBytes,
      receiveBytes: this.options.limits.windowBytes,
    })
    this.#streams.add(stream)
    this.#counters.streams++
    return stream
  }

  #forget(stream: MuxStream): void {
    if (this.#streams.delete(stream) && this.#streams.size === 0) this.#leaveIfDone()
  }

  #isOurs(id: number): boolean {
    return (id & 1) === (this.#nextId & 1)
  }

  #leaveIfDone(): void {
    const isLeaving = this.#draining !== undefined || this.#peerGone !== undefined
    if (!isLeaving || this.#isClosed || this.#streams.size > 0 || !this.#sender.isIdle) return
    const { code, reason } = this.#peerGone ?? { code: 'GOING_AWAY', reason: 'drained' }
    this.#close(code, reason)
    this.link.close()
  }

  #close(code: ErrorCode, reason: string, streamCode = this.#lost): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#liveness.stop()
    this.#sender.close()
    for (const stream of this.#streams.all()) stream.receiveReset(streamCode, reason)
    this.#reads.close()
    this.#draining?.resolve()
    this.options.onClose(code, reason)
  }
}

function assertSession(id: number): void {
  if (id !== 0) throw new GatewayError('PROTOCOL', `a frame about the session that names stream ${id}`)
}
