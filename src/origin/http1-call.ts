import { GatewayError } from '../errors.ts'
import { encodeLastChunk, encodeLines, encodeRequest } from '../http1/request-head.ts'
import { ResponseReader } from '../http1/response-reader.ts'
import type { RepeatedList, RequestHead } from '../http/message.ts'
import { checkedMethod, isIdempotent } from '../http/methods.ts'
import { attempt, guarded } from '../net/guard.ts'
import { pauseSocket, resumeSocket } from '../net/pause-socket.ts'
import type { ConnectionUser, Http1Connection } from './http1-connection.ts'
import type { Http1Pool } from './http1-pool.ts'
import type { OriginCall, OriginEvents, OriginRequest } from './origin-exchange.ts'
import { originFailure } from './origin-failure.ts'
import { RequestBody, type BodySink } from './request-body.ts'

/** An origin that says nothing to Expect: 100-continue gets the body after this time (RFC 9110 §10.1.1), milliseconds. */
const CONTINUE_MS = 1_000
const NO_BYTES = Buffer.alloc(0)
const LINE_END = '\r\n'
/** Fields that frame a message or a connection: set from the head alone, whatever the outer layer sent. */
const FRAMING = new Set([
  'host',
  'connection',
  'keep-alive',
  'transfer-encoding',
  'content-length',
  'upgrade',
  'expect',
  'proxy-connection',
])
/** Half of the fields that come are ours and begin with it, and none of these is framing: nothing else has to be looked at. */
const LETTER_X = 0x78
/** Without a body they say so (RFC 9110 §8.6), for servers that answer 411 otherwise; no other method does. */
const SAYS_EMPTY = new Set(['POST', 'PUT', 'PATCH'])

/**
 * One request over HTTP/1.1: takes a kept connection or makes one, sends, reads, and gives the connection back or ends it. When the
 * connection breaks before a byte of an answer, the origin may never have seen the request, so what may be sent twice is sent once more.
 */
export class Http1Call implements OriginCall, ConnectionUser, BodySink {
  readonly #head: string
  readonly #isChunked: boolean
  readonly #isSwitch: boolean
  #connection: Http1Connection | undefined
  #reader!: ResponseReader
  #cancelDial: (() => void) | undefined
  #continueTimer: NodeJS.Timeout | undefined
  #isOver = false
  #hasHeard = false
  #hasHead = false
  #hasSent = false
  #isPaused = false
  #mayRepeat: boolean

  /** @throws GatewayError ORIGIN_BAD_REQUEST */
  constructor(
    private readonly pool: Http1Pool,
    private readonly request: OriginRequest,
    private readonly events: OriginEvents,
  ) {
    const { head } = request
    this.#isSwitch = head.upgrade !== ''
    this.#isChunked = head.body.kind === 'stream'
    this.#mayRepeat = isIdempotent(head.method)
    this.#head = encodeRequest({
      method: checkedMethod(head.method),
      path: head.path,
      fields: fieldsFor(request),
      lines: head.list && linesOf(head.list),
    })
  }

  /** Begins; nothing is reported before it returns. */
  start(): void {
    const kept = this.#needsFresh ? undefined : this.pool.take()
    if (kept === undefined) return this.#dial()
    const { body } = this.request
    if (this.#mayRepeat && body instanceof RequestBody) body.keep()
    this.#begin(kept)
  }

  resume(): void {
    if (!this.#isPaused || this.#isOver) return
    this.#isPaused = false
    if (this.#connection !== undefined) resumeSocket(this.#connection.socket)
  }

  abort(): void {
    if (this.#isOver) return
    this.#leave()
    this.#connection?.destroy()
  }

  // --- connection ---

  /** A request that could not be sent again, and that has time for a dial, does not run the risk of a kept connection. */
  get #needsFresh(): boolean {
    const { head, body, isAlone } = this.request
    return isAlone === true || this.#isSwitch || head.expectsContinue || (body instanceof RequestBody && !body.hasBegun)
  }

  #dial(): void {
    this.#cancelDial = this.pool.dial(
      this.#isSwitch,
      connection => {
        this.#cancelDial = undefined
        this.#begin(connection)
      },
      thrown => this.#fail(thrown),
    )
  }

  #begin(connection: Http1Connection): void {
    const { head } = this.request
    this.#connection = connection
    this.#hasSent = false
    const silenceRemedy = head.protocol === 'http' ? '; if it speaks TLS, give its target "protocol: https"' : ''
    this.#reader = new ResponseReader({ isHead: head.method === 'HEAD', isUpgrade: this.#isSwitch, silenceRemedy })
    connection.use(this)
    this.events.connected?.()
    if (this.#isOver) return connection.destroy()
    this.#send()
  }

  #send(): void {
    const { head, body } = this.request
    const { socket } = this.#connection!
    if (body === null) {
      socket.write(this.#head, 'latin1')
      this.#hasSent = true
      return
    }
    if (head.expectsContinue) {
      socket.write(this.#head, 'latin1')
      this.#continueTimer = setTimeout(this.#onContinueTimer, CONTINUE_MS)
      return
    }
    socket.cork()
    socket.write(this.#head, 'latin1')
    this.#sendBody()
    socket.uncork()
  }

  #sendBody(): void {
    const { body } = this.request
    if (body instanceof RequestBody) return body.sendTo(this)
    const whole = body ?? NO_BYTES
    if (whole.length > 0) this.write([whole], whole.length, () => undefined)
    this.end([])
  }

  /** Of a body: all that has come. */
  write(chunks: readonly Buffer[], bytes: number, done: () => void): void {
    if (this.#isOver) return
    const { socket } = this.#connection!
    const taken = guarded(
      thrown => this.#fail(thrown),
      () => {
        if (!this.#isOver && this.#connection?.socket === socket) done()
      },
    )
    socket.cork()
    if (this.#isChunked) socket.write(bytes.toString(16) + LINE_END, 'latin1')
    for (let i = 0; i < chunks.length; i++) {
      if (i === chunks.length - 1 && !this.#isChunked) socket.write(chunks[i]!, taken)
      else socket.write(chunks[i]!)
    }
    if (this.#isChunked) socket.write(LINE_END, 'latin1', taken)
    socket.uncork()
  }

  /** Of a body: nothing follows. */
  end(trailers: readonly string[]): void {
    if (this.#isOver) return
    if (this.#isChunked) this.#connection!.socket.write(encodeLastChunk(trailers), 'latin1')
    this.#hasSent = true
  }

  readonly #onContinueTimer = guarded(
    thrown => this.#fail(thrown),
    () => this.#continue(),
  )

  #continue(): void {
    if (this.#continueTimer === undefined || this.#isOver) return
    this.#stopWaiting()
    this.events.interim(100, 'Continue', [])
    if (!this.#isOver) this.#sendBody()
  }

  #stopWaiting(): void {
    clearTimeout(this.#continueTimer)
    this.#continueTimer = undefined
  }

  // --- from the connection ---

  onBytes(bytes: Buffer, isBorrowed: boolean): void {
    this.#hasHeard = true
    this.#reader.push(bytes)
    this.#deliver(isBorrowed)
  }

  onEnd(): void {
    this.#reader.finish()
    this.#deliver()
  }

  onClose(error: Error | undefined): void {
    this.#fail(error ?? new GatewayError('ORIGIN_CLOSED', 'the origin closed the connection'))
  }

  onFault(thrown: unknown): void {
    this.#fail(thrown)
  }

  /** Delivers what the last piece brought: only now, when all of the piece was found to be right. */
  #deliver(isBorrowed = false): void {
    const reader = this.#reader
    for (const { status, reason, fields } of reader.interims) {
      // A 100 that nobody waits for says nothing (RFC 9110 §15.2).
      if (status === 100) this.#continue()
      else this.events.interim(status, reason, fields)
      if (this.#isOver) return
    }
    const { head } = reader
    if (head === undefined) return
    if (head.status === 101) return this.#switch()
    if (!this.#hasHead) {
      this.#hasHead = true
      this.#stopWaiting()
      this.events.head(head.status, head.reason, head.fields)
    }
    let mayGoOn = true
    for (const chunk of reader.chunks) {
      if (this.#isOver) return
      mayGoOn = this.events.data(chunk, isBorrowed) && mayGoOn
    }
    if (this.#isOver) return
    reader.chunks.length = 0 // whoever waits for a slow reader must not hold what is sent
    if (reader.isDone) return this.#complete()
    if (mayGoOn || this.#isPaused) return
    this.#isPaused = true
    pauseSocket(this.#connection!.socket)
  }

  #complete(): void {
    const { head, rest, trailers } = this.#reader
    const connection = this.#connection!
    this.#leave()
    // Whoever answers before it has read all may read the rest as the next request, or never.
    const isClean = this.#hasSent && rest === undefined && connection.socket.writableLength === 0
    if (rest !== undefined) this.pool.unasked(rest)
    if (isClean && head!.keepsAlive && this.request.isAlone !== true) this.pool.release(connection, head!.keepAliveSeconds)
    else connection.destroy()
    this.events.end(trailers)
  }

  #switch(): void {
    const { head, rest } = this.#reader
    this.#leave()
    this.events.switched(head!.reason, head!.fields, this.#connection!.detach(), rest ?? NO_BYTES)
  }

  #leave(): void {
    this.#isOver = true
    this.#stopWaiting()
    this.#cancelDial?.()
    this.#cancelDial = undefined
  }

  #fail(thrown: unknown): void {
    if (this.#isOver) return
    const connection = this.#connection
    // A kept connection may have been closed before it saw the request, and an origin that restarts closes new ones as well.
    const isUnheard = connection !== undefined && !this.#hasHeard && originFailure(thrown).code === 'ORIGIN_CLOSED'
    connection?.destroy()
    this.#connection = undefined
    const { body } = this.request
    if (isUnheard && this.#mayRepeat && (!(body instanceof RequestBody) || body.rewind())) {
      this.#mayRepeat = false
      this.#stopWaiting()
      return this.#dial()
    }
    this.#leave()
    // Nobody is left who could be told of a throw in this.
    attempt(
      () => undefined,
      () => this.events.failed(thrown),
    )
  }
}

/** Framing is ours alone: no body is no body, a length is a length, and what has none goes out in chunks. Those of a list have their lines already. */
function fieldsFor({ head, isAlone }: OriginRequest): string[] {
  const fields = ['Host', head.host]
  const end = head.fields.length - (head.list?.fields.length ?? 0)
  let hasTe = false
  for (let i = 0; i < end; i += 2) {
    const name = head.fields[i]!
    if (name.length === 2) hasTe ||= name.toLowerCase() === 'te'
    else if ((name.charCodeAt(0) | 0x20) !== LETTER_X && name.length >= 4 && name.length <= 17 && FRAMING.has(name.toLowerCase())) continue
    fields.push(name, head.fields[i + 1]!)
  }
  addFraming(head, fields)
  if (head.expectsContinue) fields.push('Expect', '100-continue')
  if (head.upgrade !== '') fields.push('Connection', 'Upgrade', 'Upgrade', head.upgrade)
  else {
    const persistence = isAlone === true ? 'close' : 'keep-alive'
    fields.push('Connection', hasTe ? `${persistence}, TE` : persistence) // RFC 9110 §10.1.4
  }
  return fields
}

/** From bytes: a text that is put together is made flat in each head anew. @throws GatewayError ORIGIN_BAD_REQUEST */
const linesOf = (list: RepeatedList): string => (list.lines ??= Buffer.from(encodeLines(list.fields), 'latin1').toString('latin1'))

function addFraming({ body, method }: RequestHead, fields: string[]): void {
  if (body.kind === 'length') fields.push('Content-Length', String(body.length))
  else if (body.kind === 'stream') fields.push('Transfer-Encoding', 'chunked')
  else if (SAYS_EMPTY.has(method)) fields.push('Content-Length', '0')
}
