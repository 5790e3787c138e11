import { constants, type ServerHttp2Stream } from 'node:http2'
import type { RawRequest } from '../../http/admission.ts'
import type { Peer } from '../../http/client.ts'
import type { Fields } from '../../http/fields.ts'
import { addHttp2Fields, http2Headers, withoutPseudoFields, type Http2Headers } from '../../http2/http2-fields.ts'
import type { WritableHead } from '../../http/response-fields.ts'
import type { EdgeRequest, ClientEvents } from '../exchange/edge-request.ts'
import { leave, type DeadlineQueue, type QueueNode, type Expiring } from '../../net/deadline-queue.ts'
import { attempt, guarded, type Fail } from '../../net/guard.ts'
import { withHsts } from '../../http/hsts.ts'

const { NGHTTP2_NO_ERROR } = constants
/** After a cut, what is on its way to the client may take this long, milliseconds. */
const LINGER_MS = 1_000
const NOTHING = Buffer.alloc(0)
/** RFC 9110 §15.3.5, §15.3.6, §15.4.5 */
const BODYLESS: ReadonlySet<number> = new Set([204, 205, 304])

/** The part of its connection that a call uses. */
export interface Http2CallContext {
  readonly peer: Peer
  /** The time for which the end of an answer may wait for the client; undefined: for ever. */
  readonly stall: DeadlineQueue | undefined
  /** Bytes move: whoever does that may also send frames that cost something. */
  readonly moved: () => void
  /** Bytes of an upload came and are taken. */
  readonly uploaded: (bytes: number) => void
  /** Bytes came that are part of a message, taken or not. */
  readonly carried: (bytes: number) => void
}

/** A request of HTTP/2 (RFC 9113), over the core API of node:http2. */
export class Http2EdgeRequest implements EdgeRequest, Expiring {
  events: ClientEvents | undefined
  deadlineMs = 0
  earlier: QueueNode | undefined
  later: QueueNode | undefined
  trailers: readonly string[] = []
  isReceived: boolean
  status = 0
  /** A head that waits for its body, so that it can say whether there is one. */
  #head: Http2Headers | undefined
  #answerTrailers: Http2Headers | undefined
  #hasTrailers = false
  #hasSentTrailers = false
  #hasEnded = false
  #awaitsDrain = false
  #discards = false
  #isCut = false
  #leftBytes = 0
  #isOver = false

  constructor(
    private readonly context: Http2CallContext,
    readonly stream: ServerHttp2Stream,
    readonly request: RawRequest,
    /** END_STREAM came with the head: the client sends no more. */
    readonly endsWithHead = request.endsWithHead === true,
    /** Trailers that have come already: whether anybody reads the body or not, Node tells of them once. */
    trailers: readonly string[] = [],
  ) {
    this.isReceived = request.endsWithHead === true
    this.trailers = withoutPseudoFields(trailers)
    if (!endsWithHead)
      stream.on(
        'trailers',
        guarded(this.#fail, (_headers: unknown, _flags: number, raw: string[]) => {
          for (const text of raw) context.carried(text.length)
          this.trailers = withoutPseudoFields(raw)
        }),
      )
    // The client has reset the stream, or is lost. At once, before a half that is only cut off is taken for one that has ended.
    stream.on(
      'aborted',
      guarded(this.#fail, () => void stream.destroy()),
    )
    stream.on('close', this.#closed)
  }

  /** Handles what one of the events below throws. */
  readonly #fail: Fail = thrown => {
    const { events, stream } = this
    const give = (second: unknown): never => {
      stream.destroy()
      throw second
    }
    if (events === undefined) give(thrown)
    else attempt(give, () => events.onFault(thrown))
  }

  readonly #closed = guarded(this.#fail, () => {
    if (this.#isOver) return
    this.#isOver = true
    leave(this)
    this.events?.onClosed()
  })

  onFault(thrown: unknown): void {
    this.#fail(thrown)
  }

  /** The stream is gone, though Node has not said so. */
  abandon(): void {
    this.stream.destroy()
    this.#closed()
  }

  get peer(): Peer {
    return this.context.peer
  }

  // --- request ---

  startUpload(): void {
    const { stream } = this
    stream.on(
      'data',
      guarded(this.#fail, (chunk: Buffer) => {
        this.context.moved()
        this.context.carried(chunk.length)
        this.context.uploaded(chunk.length)
        this.events?.onUpload(chunk)
      }),
    )
    stream.on(
      'end',
      guarded(this.#fail, () => {
        if (stream.aborted) return // reset with NO_ERROR, which Node reports as an end
        this.isReceived = true
        this.events?.onUploadEnd()
      }),
    )
  }

  pauseUpload(): void {
    this.stream.pause()
  }

  resumeUpload(): void {
    this.stream.resume()
  }

  /** RFC 9113 §8.1: an answer that is complete before the request is followed by a reset without an error. */
  discardUpload(): void {
    this.#discards = true
    this.stream.removeAllListeners('data')
    this.countUpload()
    this.stream.resume()
    if (this.#hasEnded) this.#leaveUpload()
  }

  /** Counts what comes from now on and nobody else counts. Whether it is read is for others to say. */
  protected countUpload(): void {
    const { stream } = this
    stream.pause()
    stream.on(
      'data',
      guarded(this.#fail, (chunk: Buffer) => this.context.carried(chunk.length)),
    )
  }

  // --- answer ---

  get hasHead(): boolean {
    return this.status > 0
  }

  get isFinished(): boolean {
    const { stream } = this
    return this.#hasEnded && stream.rstCode === NGHTTP2_NO_ERROR && (stream.writableFinished || this.#hasLeft)
  }

  /** Node destroys a stream whose request has been read when the end of its answer leaves, before it says that it has: by then, nothing waits any more. */
  get #hasLeft(): boolean {
    const { closed, writableEnded, writableLength, aborted } = this.stream
    return closed && writableEnded && writableLength === 0 && !aborted && this.#hasTrailers === this.#hasSentTrailers
  }

  get isGone(): boolean {
    return this.stream.destroyed || this.stream.closed
  }

  /** True when it was broken off from this side. */
  get isCut(): boolean {
    return this.#isCut
  }

  get needsDrain(): boolean {
    return this.stream.writableNeedDrain
  }

  writeContinue(): void {
    this.#interim({ ':status': '100' })
  }

  writeInterim(status: number, _reason: string, fields: Fields): void {
    this.#interim(addHttp2Fields(Object.assign(http2Headers(), { ':status': String(status) }), fields))
  }

  #interim(headers: Http2Headers): void {
    if (!this.isGone && !this.stream.headersSent) this.stream.additionalHeaders(headers)
  }

  writeHead({ status, fields }: Pick<WritableHead, 'status' | 'fields'>): void {
    const headers = addHttp2Fields(http2Headers(), withHsts(this.peer, fields))
    headers[':status'] = String(status)
    this.#head = headers
    this.status = status
  }

  flush(): void {
    this.#respond(false)
  }

  write(chunk: Buffer): boolean {
    const { stream } = this
    this.#respond(false)
    this.context.moved()
    if (stream.writableEnded || this.isGone || stream.write(chunk)) return true
    if (!this.#awaitsDrain) {
      this.#awaitsDrain = true
      stream.once(
        'drain',
        guarded(this.#fail, () => {
          this.#awaitsDrain = false
          this.events?.onDrain()
        }),
      )
    }
    return false
  }

  setTrailers(fields: Fields): void {
    this.#answerTrailers = addHttp2Fields(http2Headers(), fields)
  }

  end(body?: string | Buffer): void {
    const { stream } = this
    this.#hasEnded = true
    this.#respond(body === undefined && this.#answerTrailers === undefined)
    if (!stream.writableEnded && !this.isGone) stream.end(body)
    if (this.#discards) this.#leaveUpload()
    this.#leftBytes = stream.bufferSize
    if (this.#leftBytes > 0) this.context.stall?.refresh(this)
  }

  closeAfterwards(): void {
    // One stream of many: the connection goes on, and ends by GOAWAY.
  }

  cut(): void {
    const { stream } = this
    this.#hasEnded = true
    this.#isCut = true
    // `close` would end the body first, and what is missing could not be seen (Node 20); `destroy` resets with INTERNAL_ERROR alone.
    const reset = guarded(this.#fail, () => void stream.destroy(new Error('the answer is cut')))
    this.#respond(false)
    if (stream.writableEnded || this.isGone) return reset()
    const timer = setTimeout(reset, LINGER_MS)
    timer.unref()
    stream.once('close', () => clearTimeout(timer))
    stream.write(NOTHING, reset)
  }

  /** Cuts the stream when the client takes nothing more of a complete answer. */
  onDeadline(): void {
    const left = this.stream.bufferSize
    if (left === 0 || this.isGone) return
    if (left < this.#leftBytes) {
      this.#leftBytes = left
      this.context.stall?.refresh(this)
    } else this.stream.destroy(new Error('the client does not read'))
  }

  #respond(isWhole: boolean): void {
    const head = this.#head
    const { stream } = this
    if (head === undefined || this.isGone) return
    this.#head = undefined
    const isBodyless = isWhole || this.request.method === 'HEAD' || BODYLESS.has(this.status)
    // Only a body without a length may have trailers behind it; that its end is not part of its data also lets it be cut honestly.
    this.#hasTrailers = !isBodyless && head['content-length'] === undefined
    if (this.#hasTrailers)
      stream.once(
        'wantTrailers',
        guarded(this.#fail, () => this.#sendTrailers()),
      )
    stream.respond(head, { endStream: isBodyless, waitForTrailers: this.#hasTrailers })
  }

  /** Resets the stream behind the end of the answer, once that is on its way. */
  #leaveUpload(): void {
    const { stream } = this
    const close = guarded(this.#fail, () => stream.close(NGHTTP2_NO_ERROR))
    if (this.#hasTrailers) {
      if (this.#hasSentTrailers) setImmediate(close) // they leave in the next turn
    } else if (stream.writableFinished) close()
    else stream.once('finish', close)
  }

  #sendTrailers(): void {
    const { stream } = this
    if (this.isGone) return
    stream.sendTrailers(this.#answerTrailers ?? {})
    this.#hasSentTrailers = true
    if (this.#discards) this.#leaveUpload()
  }
}
