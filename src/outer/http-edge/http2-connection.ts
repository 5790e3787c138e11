import { constants, performServerHandshake, type IncomingHttpHeaders, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import type { Peer } from '../../http/client.ts'
import { http2Request } from '../../http2/http2-request.ts'
import type { DeadlineQueue, Expiring, QueueNode } from '../../net/deadline-queue.ts'
import { guarded } from '../../net/guard.ts'
import type { EdgeContext } from './edge-context.ts'
import { RequestRecord } from '../exchange/request-record.ts'
import { HttpExchange } from '../exchange/http-exchange.ts'
import { BarrenBytes, FRAME_COST } from './frame-budget.ts'
import type { Http2Budget } from './http2-budgets.ts'
import { Http2EdgeRequest, type Http2CallContext } from './http2-edge-request.ts'
import { HeldUploads, type Arrived } from './http2-held-uploads.ts'
import { Http2Liveness } from './http2-liveness.ts'
import { UploadWindow, type UploadBudget } from './http2-upload-window.ts'
import { Http2UpgradeCall } from './http2-upgrade.ts'

const { NGHTTP2_FLAG_END_STREAM, NGHTTP2_ENHANCE_YOUR_CALM, NGHTTP2_REFUSED_STREAM } = constants
/** For all streams of a connection together; a stream that stands still does not hold the others back. */
const CONNECTION_WINDOW_BYTES = 1_048_576
/** The client has this long to close its end when all is said. */
const LINGER_MS = 1_000

/** The part of its edge that a connection uses. */
export interface Http2ConnectionOptions {
  readonly socket: Socket
  readonly peer: Peer
  readonly settings: Parameters<typeof performServerHandshake>[1]
  readonly idleMs: number
  readonly budget: Http2Budget
  readonly uploads: UploadBudget
  /** Calls `begin` at once or in a later turn of the event loop: a hundred requests that come in one piece are not begun before all others. */
  readonly takeTurn: (begin: () => void, refuse: () => void) => void
  /** The client makes work of which nothing comes, and is left. */
  readonly onFlood: () => void
  /** A request has begun, and is over. */
  readonly onBegin: () => void
  readonly onEnd: () => void
  /** Nothing of it is left; called once. */
  readonly onClosed: (connection: Http2Connection) => void
}

/** One connection of HTTP/2: its requests, what they cost, and whether somebody is still there. */
export class Http2Connection implements Expiring {
  deadlineMs = 0
  earlier: QueueNode | undefined
  later: QueueNode | undefined
  readonly #socket: Socket
  readonly #session: ServerHttp2Session
  readonly #budget: Http2Budget
  readonly #liveness: Http2Liveness
  readonly #shared: Http2CallContext
  readonly #window: UploadWindow
  /** Those of `#waiting` that wait for room in it. */
  readonly #held: HeldUploads
  readonly #barren: BarrenBytes
  /** Requests that are open, each with the bytes of its head. */
  readonly #calls = new Map<Http2EdgeRequest, number>()
  /** Requests that have not had their turn. */
  readonly #waiting = new Set<ServerHttp2Stream>()
  /**
   * The wait for the first SETTINGS, then for the next request; undefined is for ever. Not the timeout of the session: Node (20 to 24) leaves that behind
   * when the session is destroyed, and with it all that a connection had, until it ends.
   */
  #silence: DeadlineQueue | undefined
  #isOver = false
  #wasGone = false
  #wasUsed = false
  #isRetiring = false

  constructor(
    private readonly context: EdgeContext,
    private readonly options: Http2ConnectionOptions,
  ) {
    const { socket, peer, budget, idleMs } = options
    const { log, limits, deadlines, clock } = context
    this.#socket = socket
    this.#budget = budget
    socket.allowHalfOpen = false // a client that ends its half has left
    const session = performServerHandshake(socket, options.settings)
    this.#session = session
    this.#liveness = new Http2Liveness(socket, session, clock)
    this.#shared = {
      peer,
      stall: deadlines.of(limits.writeStallMs),
      moved: () => budget.earn(FRAME_COST.piece),
      uploaded: bytes => this.#window.received(bytes),
      carried: bytes => this.#barren.carried(bytes),
    }
    this.#barren = new BarrenBytes(socket)
    this.#window = new UploadWindow(
      session,
      options.uploads,
      guarded(this.#fail, () => this.#held.release()),
    )
    this.#held = new HeldUploads({
      spareBytes: () => this.#window.borrowedBytes,
      patience: deadlines.of(limits.headerMs),
      begin: arrived => this.#takeTurn(arrived),
      refuse: arrived => this.#refuse(arrived),
      onFault: this.#fail,
    })
    session.setLocalWindowSize(CONNECTION_WINDOW_BYTES)
    session.on(
      'stream',
      guarded(this.#fail, (stream: ServerHttp2Stream, _headers: IncomingHttpHeaders, flags: number, raw: string[]) =>
        this.#arrived(stream, raw, (flags & NGHTTP2_FLAG_END_STREAM) !== 0),
      ),
    )
    session.on(
      'error',
      guarded(this.#fail, (error: Error) => {
        log.debug({ address: peer.address, reason: error.message }, 'an HTTP/2 connection failed')
        this.destroy()
      }),
    )
    session.on(
      'ping',
      guarded(this.#fail, () => {
        this.#heard()
        this.#spend(FRAME_COST.ping)
      }),
    )
    session.on(
      'remoteSettings',
      guarded(this.#fail, () => {
        this.#silence?.cancel(this)
        this.#silence = deadlines.of(idleMs)
        this.#heard()
        this.#spend(FRAME_COST.settings)
      }),
    )
    session.on(
      'goaway',
      guarded(this.#fail, () => {
        if (this.#isIdle) this.#linger()
      }),
    )
    socket.on(
      'error',
      guarded(this.#fail, () => this.destroy()),
    )
    socket.once('close', guarded(this.#fail, this.#closed))
    session.once('close', guarded(this.#fail, this.#closed))
    this.#silence = deadlines.of(limits.headerMs)
    this.#heard()
  }

  /** Requests that are open. */
  get openStreams(): number {
    return this.#calls.size
  }

  get #isIdle(): boolean {
    return this.#calls.size === 0 && this.#waiting.size === 0
  }

  onDeadline(): void {
    if (this.#isIdle) this.retire()
    else this.#heard()
  }

  onFault(thrown: unknown): void {
    this.#fail(thrown)
  }

  /** Retires it, once its first request has come if there was none yet; within the time that is left for that. */
  retireSoon(): void {
    if (this.#wasUsed) return this.retire()
    this.#isRetiring = true
    const retire = guarded(this.#fail, () => this.retire())
    setTimeout(retire, this.context.limits.lastRequestMs).unref()
  }

  /** GOAWAY; the requests that are open finish. */
  retire(): void {
    if (this.#isOver) return
    this.#session.close()
    if (this.#isIdle) this.#linger()
  }

  /** Cuts everything. Idempotent. */
  destroy(): void {
    if (!this.#session.destroyed) this.#session.destroy()
    this.#socket.destroy()
  }

  /**
   * Compares what is on the books with what Node and the network say; to be called once a second.
   * @returns what was wrong, and is freed
   */
  look(): string | undefined {
    if (this.#isOver) return undefined
    this.#countBarren()
    const isGone = this.#session.destroyed || this.#socket.destroyed
    // Between the one and the other there are a few turns.
    if (isGone && this.#wasGone) {
      this.#closed()
      return 'Node has closed it and has not said so'
    }
    this.#wasGone = isGone
    if (!isGone) this.#window.relax()
    if (isGone || (this.#calls.size === 0 && !this.#session.closed)) return undefined
    const reason = this.#liveness.look()
    if (reason !== undefined) this.destroy()
    return reason
  }

  readonly #fail = (thrown: unknown): void => {
    this.context.log.error({ err: thrown }, 'internal fault in an HTTP/2 connection')
    this.destroy()
  }

  readonly #closed = (): void => {
    if (this.#isOver) return
    this.#isOver = true
    this.#silence?.cancel(this)
    this.#countBarren()
    this.destroy()
    this.#held.close()
    for (const call of [...this.#calls.keys()]) call.abandon()
    this.#window.close()
    this.#letGo()
    this.options.onClosed(this)
  }

  #arrived(stream: ServerHttp2Stream, raw: readonly string[], endsWithHead: boolean): void {
    stream.on('error', ignore) // `close` follows, if there is a call that wants to know
    // Reset at once: there is no client left to answer.
    if (stream.destroyed || stream.closed) return this.#spend(FRAME_COST.brokenStream)
    const bytes = bytesOf(raw)
    this.#barren.carried(bytes)
    if (!this.#budget.hold(bytes)) {
      stream.close(NGHTTP2_ENHANCE_YOUR_CALM)
      return this.#spend(FRAME_COST.brokenStream)
    }
    this.#waiting.add(stream)
    this.#wasUsed = true
    const arrived: Arrived = { stream, raw, endsWithHead, bytes }
    this.#takeTurn(arrived)
    if (!this.#waiting.has(stream)) return
    // At once, not in its turn: what resets cost is counted as they come.
    stream.once(
      'close',
      guarded(this.#fail, () => this.#givenUp(arrived)),
    )
    if (endsWithHead) return
    const keep = guarded(this.#fail, (_headers: unknown, _flags: number, trailers: string[]) => this.#ended(arrived, trailers))
    stream.once('trailers', keep)
  }

  #takeTurn(arrived: Arrived): void {
    const begin = guarded(this.#fail, () => this.#begin(arrived))
    this.options.takeTurn(begin, () => this.destroy())
  }

  /** The client has sent all before the request has had its turn. */
  #ended(arrived: Arrived, trailers: readonly string[]): void {
    if (!this.#waiting.has(arrived.stream)) return
    this.#barren.carried(bytesOf(trailers))
    arrived.trailers = trailers
  }

  /** Its client has not waited for its turn. */
  #givenUp(arrived: Arrived): void {
    if (!this.#strike(arrived)) return
    const { raw, endsWithHead } = arrived
    const request = http2Request(raw, endsWithHead, this.context.limits.headerBytes)
    const record = new RequestRecord(this.context, { peer: this.options.peer, request, hasHead: false, status: 0 })
    record.error = 'CANCELLED'
    record.end({ bytesOut: 0, answeredMs: undefined, identifier: undefined, repeats: undefined })
    this.#broken()
  }

  /** Takes it off the books before it had an exchange; false: it is not there. */
  #strike({ stream, bytes }: Arrived): boolean {
    if (!this.#waiting.delete(stream)) return false
    this.#held.remove(stream)
    this.#budget.release(bytes)
    return true
  }

  /** A stream is over that came to nothing. */
  #broken(): void {
    if (this.#isOver) return
    if (this.#isIdle && this.#session.closed) this.#linger()
    this.#spend(FRAME_COST.brokenStream)
  }

  #begin(arrived: Arrived): void {
    const { stream, raw, endsWithHead, bytes, trailers } = arrived
    if (this.#isOver || stream.destroyed || stream.closed) return this.#givenUp(arrived)
    if (!this.#waiting.has(stream)) return
    if (!endsWithHead && !this.#window.begin()) return this.#held.add(arrived)
    this.#waiting.delete(stream)
    this.#held.remove(stream)
    const request = http2Request(raw, endsWithHead, this.context.limits.headerBytes)
    const call = new (request.upgrades === undefined ? Http2EdgeRequest : Http2UpgradeCall)(
      this.#shared,
      stream,
      request,
      endsWithHead,
      trailers,
    )
    this.#calls.set(call, bytes)
    this.options.onBegin()
    new HttpExchange<Http2EdgeRequest>(this.context, call, () => this.#end(call)).start()
    if (this.#isRetiring) setImmediate(guarded(this.#fail, () => this.retire()))
  }

  /** The client has not said that it knows how much it may send. It may try again. */
  #refuse(arrived: Arrived): void {
    if (!this.#strike(arrived)) return
    const { stream } = arrived
    const { address } = this.options.peer
    this.context.log.debug({ address }, 'an upload over HTTP/2 was refused: the client has not acknowledged the settings')
    this.#barren.carried(stream.readableLength)
    this.#barren.expect(this.#window.bytes)
    stream.close(NGHTTP2_REFUSED_STREAM)
    stream.destroy() // what has come of it is let go, and nothing more is taken, also while the client does not read
    this.#broken()
  }

  #end(call: Http2EdgeRequest): void {
    const bytes = this.#calls.get(call)
    if (bytes === undefined) return
    this.#calls.delete(call)
    if (!call.endsWithHead) {
      this.#window.end()
      this.#held.next()
    }
    this.#budget.release(bytes)
    if (!call.isReceived) this.#barren.expect(this.#window.bytes)
    if (call.isFinished) this.#budget.earn(FRAME_COST.wholeStream)
    else if (!call.isCut) this.#spend(FRAME_COST.brokenStream)
    this.#heard()
    if (this.#isIdle && this.#session.closed) this.#linger()
    this.options.onEnd()
  }

  /** Frames of which node:http2 says nothing are seen by what is left of all bytes when those of messages are taken away. */
  #countBarren(): void {
    let held = 0
    for (const { stream } of this.#calls.keys()) held += stream.readableLength
    for (const stream of this.#waiting) held += stream.readableLength
    const frames = this.#barren.count(held, this.#window.borrowedBytes)
    if (frames > 0) this.#spend(frames * FRAME_COST.barren)
  }

  /**
   * Node holds a session for ever whose client has not acknowledged SETTINGS, if it ended by a fault behind GOAWAY (24): by the stack of its error, which
   * is behind the socket. So nothing leads from a session that is over to its socket.
   */
  #letGo(): void {
    this.#liveness.close()
    this.#session.removeAllListeners().on('error', ignore) // may still be told, and then `close`
  }

  /** The client may be silent for as long anew. */
  #heard(): void {
    if (!this.#isOver) this.#silence?.refresh(this)
  }

  /** RFC 9113 §10.5: a client that makes work of which nothing comes is told to calm down, and left. */
  #spend(cost: number): void {
    if (this.#budget.spend(cost)) return
    this.options.onFlood()
    const session = this.#session
    if (session.destroyed) return
    const { address } = this.options.peer
    this.context.log.debug({ address }, 'an HTTP/2 connection was ended: too many frames that lead to nothing')
    session.destroy(new Error('too many frames that lead to nothing'), NGHTTP2_ENHANCE_YOUR_CALM)
  }

  #linger(): void {
    const timer = setTimeout(
      guarded(this.#fail, () => this.destroy()),
      LINGER_MS,
    )
    timer.unref()
    this.#socket.once('close', () => clearTimeout(timer))
  }
}

const ignore = (): void => undefined

function bytesOf(raw: readonly string[]): number {
  let bytes = 0
  for (const text of raw) bytes += text.length
  return bytes
}
