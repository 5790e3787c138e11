import type { Duplex } from 'node:stream'
import { ERRORS, GatewayError, messageOf, type ErrorCode } from '../errors.ts'
import { decodeFields, encodeFields } from '../payload/byte-codec.ts'
import { encodeResponseHead } from '../payload/head-codec.ts'
import type { Fields } from '../http/fields.ts'
import { NO_BODY, STREAM_BODY, type BodyKind, type RequestHead } from '../http/message.ts'
import { allowedTrailers } from '../http/hop-by-hop.ts'
import { loggedPath } from '../http/logged-path.ts'
import type { OriginProfile } from '../payload/origin-profile.ts'
import { MAX_INTERIM } from '../http/response-fields.ts'
import type { MuxStream, StreamHandler } from '../mux/stream.ts'
import { splice } from '../splice/splice.ts'
import { watchSocket, type ExchangeTap, type Taps } from '../tap/tap.ts'
import type { RequestSpan, Tracing } from '../telemetry/tracing.ts'
import { originFailure } from './origin-failure.ts'
import { requestStart } from '../tap/origin-way.ts'
import { OriginTiming } from './origin-timing.ts'
import { RequestBody } from './request-body.ts'

/** A list of raw fields of the origin, names and values in turn; a character is a byte. */
export type RawFields = Fields

/** A request that a driver is to send. */
export interface OriginRequest {
  readonly head: RequestHead
  /** The way to reach the origin; undefined: as usual. */
  readonly profile: OriginProfile | undefined
  readonly body: RequestBody | Buffer | null
  /** On a connection of its own, which ends with it. */
  readonly isAlone?: boolean
}

/** Events of a driver, in this order; `failed` may come at any time and is the last. */
export interface OriginEvents {
  /** A connection is there, a new one or one that was kept. */
  connected?(): void
  /** 1xx except 101. */
  interim(status: number, reason: string, fields: RawFields): void
  /** @param isWhole  the origin has said that nothing follows: no body, no trailers */
  head(status: number, reason: string, fields: RawFields, isWhole?: boolean): void
  /** 101 to a request with `upgrade`: HTTP is over and the socket is all there is. @param rest  what came of it already */
  switched(reason: string, fields: RawFields, socket: Duplex, rest: Buffer): void
  /** False asks the driver to pause until `resume`. @param isBorrowed  `chunk` changes afterwards */
  data(chunk: Buffer, isBorrowed?: boolean): boolean
  end(trailers: RawFields): void
  failed(thrown: unknown): void
}

/** A request under way. */
export interface OriginCall {
  resume(): void
  /** Gives up; nothing is reported any more. Idempotent. */
  abort(): void
}

/** The ways to make a request. */
export interface OriginDrivers {
  /** HTTP/1.1; repeats by itself what may be repeated when a kept connection broke. @throws GatewayError ORIGIN_FORBIDDEN, ORIGIN_BAD_REQUEST, ORIGIN_TLS */
  http1(request: OriginRequest, events: OriginEvents): OriginCall
  /** A stream of a shared HTTP/2 connection, for all requests of targets that say so; repeats by itself what may be repeated. */
  http2(request: OriginRequest, events: OriginEvents): OriginCall
}

/** The part of the inner layer that an exchange uses. */
export interface OriginContext {
  readonly drivers: OriginDrivers
  /** The request has failed, here or by the word of the outer layer. */
  readonly onFailure: (head: RequestHead, code: ErrorCode, reason: string) => void
  /** Plain connections that have switched protocols read into it; undefined: each read has memory of its own. */
  readonly memory?: Buffer | undefined
  /** Undefined: nobody traces. */
  readonly tracing?: Tracing | undefined
  /** Undefined: nobody looks at exchanges. */
  readonly taps?: Taps | undefined
  /** Milliseconds, rising. */
  readonly clock: () => number
}

/** These authenticate the connection, not the request (RFC 4559 §6): in a pool, the next client would be taken for this one. */
const BINDS_CONNECTION = /^\s*(?:ntlm|negotiate)\b/i
/** Bodies that cannot be there, whatever the origin says: RFC 9112 §6.3. */
const isBodyless = (method: string, status: number): boolean => method === 'HEAD' || status === 204 || status === 304

/** Steps 9 to 12 of the path: joins one stream to one request at its origin. */
export class OriginExchange implements StreamHandler, OriginEvents {
  readonly #head: RequestHead
  readonly #profile: OriginProfile | undefined
  readonly #body: RequestBody | undefined
  #call: OriginCall | undefined
  #interimCount = 0
  #bytesIn = 0
  #hasEnded = false
  #isOver = false
  #timing: OriginTiming | undefined
  #span: RequestSpan | undefined
  readonly #tap: ExchangeTap | undefined
  #status = 0

  constructor(
    private readonly stream: MuxStream,
    { head, profile }: Pick<OriginRequest, 'head' | 'profile'>,
    private readonly context: OriginContext,
  ) {
    this.#head = context.tracing === undefined ? head : this.#trace(head, context.tracing)
    this.#profile = profile
    if (profile?.timing === true) this.#timing = new OriginTiming(context.clock)
    this.#body = head.body.kind === 'none' ? undefined : new RequestBody(stream)
    if (context.taps !== undefined) this.#tap = context.taps.open(requestStart(this.#head, profile))
  }

  /** Sends the request; a body that came in the same message as its head goes out in one piece. */
  start(): void {
    if (this.#body === undefined || this.#head.expectsContinue || this.#profile?.http2 === true) this.#dispatch()
    else queueMicrotask(() => this.#dispatch())
  }

  // --- from the link ---

  onHead(): void {
    throw new GatewayError('PROTOCOL', 'a RESPONSE frame from the outer layer')
  }

  onData(chunk: Buffer): void {
    // After the answer nobody reads the rest of an upload. Without credit the outer layer stops sending and ends the stream.
    if (this.#hasEnded || this.#isOver) return
    if (this.#body === undefined) throw new GatewayError('PROTOCOL', 'DATA for a request without a body')
    const { body } = this.#head
    this.#bytesIn += chunk.length
    // No driver counts, and what is beyond the length would be another request to the origin.
    if (body.kind === 'length' && this.#bytesIn > body.length) throw new GatewayError('BODY_MISMATCH', 'more bytes than the head says')
    this.#tap?.sent(chunk)
    this.#body.receive(chunk)
  }

  onTrailers(payload: Buffer): void {
    if (this.#body !== undefined) this.#body.trailers = allowedTrailers(decodeFields(payload))
  }

  onEnd(): void {
    const { body } = this.#head
    if (body.kind === 'length' && this.#bytesIn < body.length && !this.#hasEnded) {
      throw new GatewayError('BODY_MISMATCH', 'fewer bytes than the head says')
    }
    this.#tap?.sentEnd(this.#body?.trailers ?? [])
    this.#body?.finish()
  }

  onWritable(): void {
    this.#call?.resume()
  }

  onReset(code: ErrorCode, reason: string): void {
    this.context.onFailure(this.#head, code, reason)
    this.#endSpan(code)
    this.#tap?.end({ error: code, reason })
    this.#giveUp()
  }

  // --- from the origin ---

  connected(): void {
    this.#timing?.connected()
    this.#tap?.mark('connected')
  }

  interim(status: number, reason: string, fields: RawFields): void {
    if (this.#isOver) return
    if (++this.#interimCount > MAX_INTERIM)
      return this.#fail(new GatewayError('ORIGIN_BAD_RESPONSE', `more than ${MAX_INTERIM} interim responses`))
    this.#tap?.interim(status, reason, fields)
    this.#guard(() => this.stream.sendHead(encodeResponseHead({ status, reason, body: NO_BODY, fields }), { info: true }))
  }

  head(status: number, reason: string, origins: RawFields, isWhole = false): void {
    if (this.#isOver) return
    this.#status = status
    this.#tap?.head(status, reason, origins)
    this.#guard(() => {
      const fields = this.#timing?.addTo(origins) ?? origins
      const announced = bodyOf(fields)
      const body = isWhole && announced.kind === 'stream' ? NO_BODY : announced
      const end = isWhole || isBodyless(this.#head.method, status) || (body.kind === 'length' && body.length === 0)
      this.stream.sendHead(encodeResponseHead({ status, reason, body, fields }), { end })
      this.#hasEnded = end
      if (end) this.#whole([])
    })
  }

  switched(reason: string, fields: RawFields, socket: Duplex, rest: Buffer): void {
    this.#call = undefined
    if (this.#isOver) return void socket.destroy()
    this.#guard(() => this.stream.sendHead(encodeResponseHead({ status: 101, reason, body: NO_BODY, fields })))
    if (this.#isOver) return void socket.destroy() // no frame is large enough for the head
    this.#isOver = true
    this.#status = 101
    try {
      this.#endSpan()
      const tap = this.#tap
      tap?.switched(this.#head.upgrade, reason, fields)
      splice(this.stream, socket, {
        head: rest,
        memory: this.context.memory,
        ...(tap !== undefined && { watch: watchSocket(tap, 'origin') }),
        failure: error => originFailure(error ?? new GatewayError('ORIGIN_CLOSED', 'the origin closed without an end')),
        onEnd: ({ code, reason: why }) => {
          tap?.end({ error: code, reason: why })
          if (code !== undefined) this.context.onFailure(this.#head, code, why)
        },
      })
    } catch (thrown) {
      socket.destroy()
      this.#tap?.end({ error: 'INTERNAL' })
      this.stream.reset('INTERNAL', messageOf(thrown))
    }
  }

  data(chunk: Buffer, isBorrowed = false): boolean {
    if (this.#isOver || this.#hasEnded) return true
    let mayGoOn = true
    this.#tap?.received(chunk)
    this.#guard(() => {
      mayGoOn = this.stream.write(chunk, isBorrowed)
    })
    return mayGoOn
  }

  end(trailers: RawFields): void {
    if (this.#isOver || this.#hasEnded) return
    this.#hasEnded = true
    this.#guard(() => {
      this.#whole(trailers)
      this.stream.end(trailers.length === 0 ? undefined : encodeFields(trailers))
    })
  }

  failed(thrown: unknown): void {
    if (!this.#isOver && !this.#hasEnded) this.#fail(originFailure(thrown))
  }

  // --- both ---

  #dispatch(): void {
    if (this.#isOver) return
    this.#guard(() => {
      this.#call = this.#ask()
    })
    if (this.#isOver) this.#call?.abort()
  }

  #ask(): OriginCall {
    const { drivers } = this.context
    const [head, profile] = [this.#head, this.#profile]
    // A switch of protocols is a matter of HTTP/1.1: RFC 9113 §8.6. HTTP/2 has trailers for every body, so none is sent as a whole.
    if (profile?.http2 === true && head.upgrade === '') return drivers.http2({ head, profile, body: this.#body ?? null }, this)
    const whole = head.expectsContinue ? undefined : this.#body?.takeWhole()
    return drivers.http1({ head, profile, body: whole ?? this.#body ?? null, isAlone: bindsConnection(head.fields) }, this)
  }

  /** Runs everything that an origin causes: a throw is the failure of this exchange, never of the process. */
  #guard(action: () => void): void {
    try {
      action()
    } catch (thrown) {
      // A head of the origin that does not fit into a frame is the origin's fault, not the client's.
      const failure = originFailure(thrown)
      this.#fail(failure.code === 'HEADERS_TOO_LARGE' ? new GatewayError('ORIGIN_BAD_RESPONSE', failure.message) : failure)
    }
  }

  #fail(failure: GatewayError): void {
    if (this.#isOver) return
    const code: ErrorCode = ERRORS[failure.code].reset > 0 ? failure.code : 'INTERNAL'
    try {
      this.#giveUp()
      this.context.onFailure(this.#head, code, failure.message)
      this.#endSpan(code)
      this.#tap?.end({ error: code, reason: failure.message })
    } catch {
      // A log or a trace that fails must not keep the stream open.
    }
    this.stream.reset(code, failure.message)
  }

  /** The head with this span as the parent of what the origin does. */
  #trace(head: RequestHead, tracing: Tracing): RequestHead {
    const { method, fields, hostname, port, path } = head
    const attributes = { 'server.address': hostname, 'server.port': port, 'url.path': loggedPath(path) }
    this.#span = tracing.start({ method, fields, attributes })
    // What is injected stands behind the list, whose lines no longer are the last.
    return { ...head, fields: this.#span.inject(fields), list: undefined }
  }

  #endSpan(error?: ErrorCode): void {
    this.#span?.end({ status: this.#status, error })
    this.#span = undefined
  }

  /** The answer has come whole. */
  #whole(trailers: RawFields): void {
    this.#endSpan()
    this.#tap?.receivedEnd(trailers)
    this.#tap?.end({})
  }

  #giveUp(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#call?.abort()
    this.#body?.destroy()
  }
}

function bindsConnection(fields: readonly string[]): boolean {
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i]!.length === 13 && fields[i]!.toLowerCase() === 'authorization' && BINDS_CONNECTION.test(fields[i + 1]!)) return true
  }
  return false
}

/** Returns how the origin delimits its body; the parser has refused contradictions already. */
function bodyOf(fields: RawFields): BodyKind {
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!
    if (name.length !== 14 || name.toLowerCase() !== 'content-length') continue
    const length = Number(fields[i + 1]!)
    if (!Number.isSafeInteger(length) || length < 0) throw new GatewayError('ORIGIN_BAD_RESPONSE', 'an invalid Content-Length')
    return { kind: 'length', length }
  }
  return STREAM_BODY
}
