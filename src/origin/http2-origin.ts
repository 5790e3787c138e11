import { addAbortSignal } from 'node:stream'
import { constants, type ClientHttp2Session, type ClientHttp2Stream, type OutgoingHttpHeaders } from 'node:http2'
import { GatewayError, messageOf } from '../errors.ts'
import type { RequestHead } from '../http/message.ts'
import { checkedMethod, isIdempotent } from '../http/methods.ts'
import { attempt, guarded } from '../net/guard.ts'
import { addHttp2Fields, http2Headers, withoutPseudoFields, type Http2Headers } from '../http2/http2-fields.ts'
import { SessionPool, type OriginSession, type SessionUser } from './http2-sessions.ts'
import type { Dialer } from './dial.ts'
import type { OriginCall, OriginEvents, OriginRequest } from './origin-exchange.ts'
import { originFailure } from './origin-failure.ts'
import type { OriginPolicy } from './origin-policy.ts'
import { tlsMaterialFor } from './origin-tls.ts'
import { RequestBody, type BodySink } from './request-body.ts'
import { evictIdle } from './evict-idle.ts'

/** An origin that says nothing to Expect: 100-continue gets the body after this time (RFC 9110 §10.1.1), milliseconds. */
const CONTINUE_MS = 1_000
const MAX_POOLS = 256
const { NGHTTP2_FLAG_END_STREAM, NGHTTP2_REFUSED_STREAM, NGHTTP2_HTTP_1_1_REQUIRED } = constants
/** RFC 9110 §5.6.2. */
const METHOD = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
/** The characters that :path and :authority may have: nothing that would end the value early (RFC 9113 §8.2.1, §8.3.1). */
const VISIBLE = /^[\x21-\x7e]+$/

/** Requests to origins over HTTP/2 (RFC 9113): connections are shared by origin and TLS options. */
export class Http2Origins {
  readonly #pools = new Map<string, SessionPool>()

  /** @param clock  milliseconds, rising */
  constructor(
    private readonly policy: OriginPolicy,
    private readonly clock: () => number,
    private readonly maxAgeMs: number,
    private readonly dialer?: Dialer,
  ) {}

  /** Sends one request. @throws GatewayError ORIGIN_FORBIDDEN, ORIGIN_BAD_REQUEST, ORIGIN_TLS */
  request(request: OriginRequest, events: OriginEvents): OriginCall {
    return new Http2OriginCall(this.#pool(request), request, events)
  }

  /** Ends every connection. */
  close(): void {
    for (const pool of this.#pools.values()) pool.destroy()
    this.#pools.clear()
  }

  #pool({ head: { protocol, hostname, port, host }, profile }: OriginRequest): SessionPool {
    const tls = tlsMaterialFor(protocol === 'https' ? profile?.tls : undefined, host)
    const connectMs = profile?.timeouts?.connectMs
    const key = `${protocol} ${hostname} ${port} ${connectMs ?? ''} ${tls.key}`
    const known = this.#pools.get(key)
    if (known !== undefined) return known // the allow-list said yes when it was made
    this.policy.check({ hostname, port })
    evictIdle(this.#pools, MAX_POOLS)
    const pool = new SessionPool({
      ...{ protocol, hostname, port, tls, connectMs },
      lookup: this.policy.lookup(port),
      clock: this.clock,
      maxAgeMs: this.maxAgeMs,
      dialer: this.dialer,
    })
    this.#pools.set(key, pool)
    return pool
  }
}

/** One request on a stream of a shared connection. */
class Http2OriginCall implements OriginCall, SessionUser, BodySink {
  readonly #headers: OutgoingHttpHeaders
  #session: OriginSession | undefined
  #stream: ClientHttp2Stream | undefined
  #continueTimer: NodeJS.Timeout | undefined
  #trailers: string[] = []
  #error: unknown
  #hasHead = false
  /** The origin has set END_STREAM: what came, or is still to be read, is all of it. */
  #isWhole = false
  #isOver = false
  #hasSentBody = false
  #mayRepeat = true

  constructor(
    private readonly pool: SessionPool,
    private readonly request: OriginRequest,
    private readonly events: OriginEvents,
  ) {
    this.#headers = headersOf(request.head)
    this.#begin()
  }

  resume(): void {
    this.#stream?.resume()
  }

  abort(): void {
    if (this.#isOver) return
    this.#isOver = true
    clearTimeout(this.#continueTimer)
    if (this.#stream !== undefined) cancel(this.#stream)
  }

  #begin(): void {
    const session = this.pool.pick()
    session.enter()
    this.#session = session
    session.use(this)
  }

  onDialFailed(error: unknown): void {
    this.#session?.leave()
    this.#fail(failureOf(error, 0))
  }

  onOpen(client: ClientHttp2Session): void {
    const session = this.#session!
    if (this.#isOver) return session.leave()
    try {
      this.#send(session, client)
    } catch (thrown) {
      session.leave() // its head cannot be written, or the connection is going away
      this.#fail(failureOf(thrown, 0))
    }
  }

  #send(session: OriginSession, client: ClientHttp2Session): void {
    const { body } = this.request
    const stream = client.request(this.#headers, { endStream: body === null, waitForTrailers: body instanceof RequestBody })
    this.#stream = stream
    this.events.connected?.()
    this.#observeEnd(stream)
    this.#on(stream, 'headers', (_headers: unknown, _flags: number, raw: string[]) => this.#interim(raw))
    this.#on(stream, 'response', (_headers: unknown, flags: number, raw: string[]) => this.#respond(flags, raw))
    stream.on('trailers', (_headers: unknown, _flags: number, raw: string[]) => {
      this.#trailers = raw
    })
    this.#on(stream, 'data', (chunk: Buffer) => {
      session.heard()
      if (!this.#isOver && !this.events.data(chunk) && !this.#isWhole) stream.pause()
    })
    this.#on(stream, 'end', () => this.#ended())
    stream.on('error', error => {
      this.#error ??= error
    })
    this.#on(stream, 'close', () => {
      session.leave()
      if (stream === this.#stream) this.#closed()
    })
    if (body !== null) this.#startBody()
  }

  /** Listens so that a throw is the failure of this request, never of the process. */
  #on<Args extends readonly unknown[]>(stream: ClientHttp2Stream, event: string, listener: (...args: Args) => void): void {
    stream.on(event, guarded(thrown => this.#fail(thrown), listener) as unknown as (...args: unknown[]) => void)
  }

  /**
   * Node calls a stream that was cut with NO_ERROR, or by the end of its connection, ended all the same: truncated data would look complete.
   * Only the END_STREAM flag ends a body (RFC 9113 §8.1), and that is when Node pushes the end while the stream is not closed yet.
   */
  #observeEnd(stream: ClientHttp2Stream): void {
    const push = stream.push.bind(stream) as (chunk: unknown, encoding?: BufferEncoding) => boolean
    stream.push = (chunk: unknown, encoding?: BufferEncoding): boolean => {
      const isEnd = chunk === null && !stream.closed && !stream.destroyed
      const wants = push(chunk, encoding)
      if (isEnd && !this.#isWhole) {
        this.#isWhole = true
        // What is left is less than a window: taken now, it cannot be lost with the connection, which the origin may close at once.
        if (stream.isPaused()) stream.resume()
      }
      return wants
    }
  }

  // --- request ---

  #startBody(): void {
    if (this.#isOver) return
    if (!this.request.head.expectsContinue) return this.#sendBody()
    const due = guarded(
      thrown => this.#fail(thrown),
      () => this.#continue(),
    )
    this.#continueTimer = setTimeout(due, CONTINUE_MS)
  }

  #continue(): void {
    if (this.#continueTimer === undefined || this.#isOver) return
    clearTimeout(this.#continueTimer)
    this.#continueTimer = undefined
    this.events.interim(100, '', [])
    this.#sendBody()
  }

  #sendBody(): void {
    const { body } = this.request
    const stream = this.#stream!
    if (this.#hasSentBody || stream.destroyed || stream.closed) return
    if (!(body instanceof RequestBody)) {
      stream.end(body ?? undefined)
      return
    }
    this.#hasSentBody = true
    this.#on(stream, 'wantTrailers', () => stream.sendTrailers(added(http2Headers(), body.trailers ?? []))) // refused: of an outer layer that does not check them
    body.sendTo(this)
  }

  /** Of a body: all that has come. */
  write(chunks: readonly Buffer[], _bytes: number, done: () => void): void {
    const stream = this.#stream!
    const taken = guarded(
      thrown => this.#fail(thrown),
      () => {
        if (!this.#isOver) done()
      },
    )
    stream.cork()
    for (let i = 0; i < chunks.length; i++) {
      if (i < chunks.length - 1) stream.write(chunks[i]!)
      else stream.write(chunks[i]!, taken)
    }
    stream.uncork()
  }

  /** Of a body: its trailers are asked for when all of it has gone. */
  end(): void {
    this.#stream!.end()
  }

  // --- answer ---

  #interim(raw: string[]): void {
    this.#session?.heard()
    const status = statusOf(raw)
    if (this.#isOver || this.#hasHead || status === undefined) return
    if (status === 100) this.#continue()
    else this.events.interim(status, '', withoutPseudoFields(raw))
  }

  #respond(flags: number, raw: string[]): void {
    this.#session?.heard()
    if (this.#isOver) return
    const status = statusOf(raw)
    if (status === undefined || status < 200) return this.#fail(new GatewayError('ORIGIN_BAD_RESPONSE', `status ${status ?? 'missing'}`))
    clearTimeout(this.#continueTimer)
    this.#continueTimer = undefined
    this.#hasHead = true
    this.events.head(status, '', withoutPseudoFields(raw), (flags & NGHTTP2_FLAG_END_STREAM) !== 0)
  }

  #ended(): void {
    if (this.#isOver || !this.#isWhole) return
    this.#isOver = true
    clearTimeout(this.#continueTimer)
    const stream = this.#stream!
    // The rest of an upload is of no use any more (RFC 9113 §8.1).
    if (!stream.writableEnded) cancel(stream)
    this.events.end(this.#trailers)
  }

  /** The stream is gone; if its answer was not complete, that is a failure. */
  #closed(): void {
    if (this.#isOver) return
    const stream = this.#stream!
    const hasSpoken = this.#session?.hasSpoken === true
    const failure =
      hasSpoken || this.#error !== undefined ? failureOf(this.#error, stream.rstCode ?? 0) : new GatewayError('ORIGIN_CLOSED', SILENT)
    if (this.#hasHead || !this.#mayRepeat || this.#hasSentBody || !this.#wasSpared(stream)) return this.#fail(failure)
    this.#mayRepeat = false
    this.#error = undefined
    this.#isWhole = false
    clearTimeout(this.#continueTimer)
    this.#continueTimer = undefined
    try {
      this.#begin()
    } catch (thrown) {
      this.#fail(thrown)
    }
  }

  /** True when the origin cannot have acted on the request (RFC 9113 §8.7), or may be asked twice because a kept connection broke. */
  #wasSpared(stream: ClientHttp2Stream): boolean {
    if (stream.rstCode === NGHTTP2_REFUSED_STREAM || codeOf(this.#error) === 'ERR_HTTP2_GOAWAY_SESSION') return true
    const isBroken = this.#error === undefined || isReset(this.#error)
    return isBroken && this.#session!.hasServed && isIdempotent(this.request.head.method)
  }

  #fail(thrown: unknown): void {
    if (this.#isOver) return
    this.abort()
    // Nobody is left who could be told of a throw in this.
    attempt(
      () => undefined,
      () => this.events.failed(thrown),
    )
  }
}

const isReset = (thrown: unknown): boolean => {
  const code = codeOf(thrown)
  return code === 'ECONNRESET' || code === 'EPIPE' || code === 'ERR_HTTP2_SESSION_ERROR' || code === 'ERR_HTTP2_STREAM_CANCEL'
}

const codeOf = (thrown: unknown): string => {
  const code = (thrown as { code?: unknown } | null | undefined)?.code
  return typeof code === 'string' ? code : ''
}

const ABORTED = AbortSignal.abort()

/**
 * Resets a stream with CANCEL. `close` would end its body first, which then looks complete, or ends the process when the body waits for
 * its trailers (an assertion of Node 22); `destroy` does neither, and this is the way to have it reset with CANCEL.
 */
function cancel(stream: ClientHttp2Stream): void {
  if (!stream.destroyed) addAbortSignal(ABORTED, stream)
}

const SILENT = 'the origin closed the connection without a word of HTTP/2; does the origin speak it?'

/** Why there was no answer. @param rstCode  with which the stream was closed */
function failureOf(thrown: unknown, rstCode: number): GatewayError {
  // A connection that failed hands its error down as the cause.
  const cause = codeOf(thrown) === 'ERR_HTTP2_STREAM_CANCEL' ? ((thrown as Error).cause ?? thrown) : thrown
  if (cause instanceof GatewayError) return cause
  const code = codeOf(cause)
  if (rstCode === NGHTTP2_HTTP_1_1_REQUIRED) {
    return new GatewayError('ORIGIN_BAD_RESPONSE', 'the origin wants HTTP/1.1 for this; remove "http2: true" from the target', { cause })
  }
  if (code === 'ERR_HTTP2_ERROR') {
    return new GatewayError('ORIGIN_BAD_RESPONSE', `no valid HTTP/2: ${messageOf(cause)}; does the origin speak it?`, { cause })
  }
  if (code.startsWith('ERR_HTTP2_') || cause === undefined) {
    const text = cause === undefined ? `the stream was closed with code ${rstCode}` : messageOf(cause)
    return new GatewayError(MALFORMED.has(rstCode) ? 'ORIGIN_BAD_RESPONSE' : 'ORIGIN_CLOSED', text, { cause })
  }
  return originFailure(cause)
}

/** Codes with which our own side refuses what is no valid answer: PROTOCOL_ERROR, FRAME_SIZE_ERROR, ENHANCE_YOUR_CALM (a head too large). */
const MALFORMED: ReadonlySet<number> = new Set([
  constants.NGHTTP2_PROTOCOL_ERROR,
  constants.NGHTTP2_FRAME_SIZE_ERROR,
  constants.NGHTTP2_ENHANCE_YOUR_CALM,
])

/** Never forwarded: the pseudo-header fields and the head say it (RFC 9113 §8.3.1). */
const REPLACED = new Set(['host', 'content-length', 'expect'])

/** The request as node:http2 takes it; nothing of an outer layer is written unchecked. */
function headersOf(head: RequestHead): OutgoingHttpHeaders {
  if (!METHOD.test(checkedMethod(head.method))) throw new GatewayError('ORIGIN_BAD_REQUEST', `method ${JSON.stringify(head.method)}`)
  if (!VISIBLE.test(head.path) || !VISIBLE.test(head.host))
    throw new GatewayError('ORIGIN_BAD_REQUEST', 'a path or host that cannot be sent')
  const headers = http2Headers()
  headers[':method'] = head.method
  headers[':scheme'] = head.protocol
  headers[':authority'] = head.host
  headers[':path'] = head.path
  const fields: string[] = []
  for (let i = 0; i < head.fields.length; i += 2) {
    if (!REPLACED.has(head.fields[i]!.toLowerCase())) fields.push(head.fields[i]!, head.fields[i + 1]!)
  }
  added(headers, fields)
  if (head.body.kind === 'length') headers['content-length'] = String(head.body.length)
  if (head.expectsContinue) headers['expect'] = '100-continue'
  return headers
}

function added(headers: Http2Headers, fields: readonly string[]): Http2Headers {
  try {
    return addHttp2Fields(headers, fields)
  } catch (cause) {
    throw new GatewayError('ORIGIN_BAD_REQUEST', messageOf(cause), { cause })
  }
}

/** RFC 9113 §8.3.2; a number of three digits, or undefined. */
function statusOf(raw: readonly string[]): number | undefined {
  for (let i = 0; i < raw.length; i += 2) if (raw[i] === ':status') return /^[1-9]\d\d$/.test(raw[i + 1]!) ? Number(raw[i + 1]) : undefined
  return undefined
}
