import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http'
import { asGatewayError, ERRORS, GatewayError, messageOf, type ErrorCode } from '../errors.ts'
import { acceptsJson } from '../http/accept.ts'
import { admitRequest, isAnsweredHere, type AcceptedRequest } from '../http/admission.ts'
import type { ClientFacts, Peer } from '../http/client-facts.ts'
import { decodeFields, encodeFields, valuesOf } from '../http/fields.ts'
import { decodeResponseHead, encodeRequestHead } from '../http/head-codec.ts'
import { allowedTrailers } from '../http/hop-by-hop.ts'
import { loggedPath } from '../http/logged-path.ts'
import { requestFields, requestTrailers } from '../http/request-fields.ts'
import { interimHead, MAX_INTERIM, responseHead, type ResponseContext, type WritableHead } from '../http/response-fields.ts'
import type { MuxStream, StreamHandler } from '../mux/stream.ts'
import { admit } from '../route/admit.ts'
import { parseHost } from '../route/host.ts'
import { authorityOf, type Target } from '../route/table.ts'
import type { EdgeContext } from './edge-context.ts'
import { errorAnswer } from './error-answer.ts'
import type { Place, Waiter } from './deadlines.ts'
import { discardUpload, endLingering } from './linger.ts'
import type { InnerConnection } from './registry.ts'
import { ReplayBuffer } from './replay-buffer.ts'

/** May be sent again when nothing was answered: RFC 9110 §9.2.2. */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'QUERY', 'PROPFIND', 'REPORT', 'SEARCH'])
const MAX_ATTEMPTS = 3

/** Steps 1 to 8 and 12 of the path: one request of a client, one stream, one answer. */
export class HttpExchange implements StreamHandler, Waiter {
  readonly id: string
  deadlineMs = 0
  earlier: Place | undefined
  later: Place | undefined
  readonly #startedMs: number
  #client: ClientFacts | undefined
  #request: AcceptedRequest | undefined
  #target: Target | undefined
  #payload: Buffer | undefined
  #responseContext: ResponseContext | undefined
  #connection: InnerConnection | undefined
  #tried: InnerConnection[] | undefined
  #stream: MuxStream | undefined
  #replay: ReplayBuffer | undefined
  #error: ErrorCode | undefined
  #reason: string | undefined
  #firstByteMs: number | undefined
  #bytesIn = 0
  #bytesOut = 0
  #lengthOut: number | undefined
  #unconsumedBytes = 0
  #interimCount = 0
  #isUploading = false
  #isUploadPaused = false
  #hasHead = false
  #hasBody = false
  #hasEnded = false
  #isFlushed = false
  #awaitsDrain = false

  constructor(
    private readonly edge: EdgeContext,
    private readonly peer: Peer,
    private readonly req: IncomingMessage,
    private readonly res: ServerResponse,
  ) {
    this.id = edge.nextId()
    this.#startedMs = edge.clock()
    res.on('close', () => this.#closed())
  }

  /** Admits the request and opens its stream, or answers why not. */
  start(): void {
    try {
      this.#admit()
      if (this.#payload !== undefined) this.#dispatch()
    } catch (thrown) {
      this.refuse(thrown)
    }
  }

  /** True when the whole request has come. */
  get isReceived(): boolean {
    return this.req.complete
  }

  /** Answers with an error of ours, or cuts when the head of the answer has gone out already. */
  refuse(thrown: unknown): void {
    const error = asGatewayError(thrown)
    if (error.code === 'INTERNAL') this.edge.log.error({ err: thrown, requestId: this.id }, 'internal fault while handling a request')
    this.#fail(error.code, error.message)
  }

  // --- request ---

  #admit(): void {
    const { req, edge } = this
    const request = admitRequest({ method: req.method ?? '', target: req.url ?? '', httpVersion: req.httpVersion, fields: req.rawHeaders })
    this.#request = request
    const client = edge.clientOf(this.peer, request)
    this.#client = client
    const table = edge.table()
    const target = request.host === '' ? table.match('') : table.match(parseHost(request.host).host)
    if (target === undefined)
      throw new GatewayError(
        'UNKNOWN_HOST',
        request.host === '' ? 'no target for a request without a host' : `no target for host ${request.host}, which the Host header names`,
      )
    this.#target = target
    if (isAnsweredHere(request)) return this.#answerOptions()
    const { path, query } = admit(target, request.method, request.target)
    const { protocol, hostname, port } = target
    this.#payload = encodeRequestHead({
      protocol,
      hostname,
      port,
      method: request.method,
      path: path + query,
      host: authorityOf(target),
      body: request.body,
      expectsContinue: request.expectsContinue,
      fields: requestFields(request, { client, isTrustedPeer: this.peer.isTrusted, pseudonym: edge.pseudonym }),
    })
    this.#responseContext = {
      method: request.method,
      canChunk: !request.isHttp10,
      removeCsps: edge.removeCsps,
      names: { private: target, public: { scheme: client.scheme, host: client.host } },
    }
  }

  #dispatch(): void {
    const picked = this.edge.registry.pick(this.#target!.identifiers, this.#tried)
    if (picked === 'none') throw new GatewayError(this.#error ?? 'NO_INNER_LAYER', `no inner layer is connected for ${this.#target!.name}`)
    if (picked === 'full') throw new GatewayError('OVERLOADED', 'every inner layer has as many streams as it takes')
    this.#connection = picked
    const { body, expectsContinue } = this.#request!
    const hasUpload = body.kind === 'stream' || (body.kind === 'length' && body.length > 0)
    this.#stream = picked.session.open(this.#payload!, this, { end: !hasUpload })
    this.edge.deadlines.refresh(this)
    if (!hasUpload) return
    if (this.#replay === undefined) {
      this.#replay = new ReplayBuffer()
      if (!expectsContinue) this.#startUpload()
      return
    }
    for (const chunk of this.#replay.chunks) this.#stream.write(chunk)
    if (this.#replay.hasEnded) this.#endUpload()
    else if (this.#isUploading && !this.#stream.needsPause) this.#resumeUpload()
  }

  #startUpload(): void {
    const { req } = this
    if (this.#isUploading) return
    this.#isUploading = true
    req.on('data', (chunk: Buffer) => this.#upload(chunk))
    req.on('end', () => {
      if (this.#replay !== undefined) this.#replay.hasEnded = true
      this.#isUploading = false
      this.#endUpload()
    })
  }

  #upload(chunk: Buffer): void {
    this.#bytesIn += chunk.length
    if (this.#hasEnded || this.#stream === undefined) return
    this.#replay?.add(chunk)
    if (!this.#hasHead) this.edge.deadlines.refresh(this)
    if (!this.#stream.write(chunk)) {
      this.#isUploadPaused = true
      this.req.pause()
    }
  }

  #endUpload(): void {
    const trailers = requestTrailers(this.req.rawTrailers)
    this.#stream?.end(trailers.length === 0 ? undefined : encodeFields(trailers))
  }

  #resumeUpload(): void {
    if (!this.#isUploadPaused) return
    this.#isUploadPaused = false
    this.req.resume()
  }

  onWritable(): void {
    this.#resumeUpload()
  }

  onCredit(): void {
    if (!this.#hasHead) this.edge.deadlines.refresh(this)
  }

  // --- response ---

  onHead(payload: Buffer, info: boolean): void {
    if (this.#hasHead) throw new GatewayError('ORIGIN_BAD_RESPONSE', 'a second head')
    const head = decodeResponseHead(payload)
    if (info) return this.#interim(head)
    const writable = responseHead(head, this.#responseContext!)
    const { expectsContinue, isHttp10 } = this.#request!
    const isCutShort = this.#isUploading || (expectsContinue && !this.req.complete)
    // node:http writes `Connection: close` from this, and the edge takes no further request from the connection.
    if (isCutShort || this.edge.isDraining() || (isHttp10 && !writable.hasLength)) this.res.shouldKeepAlive = false
    this.#writeHead(writable)
    this.#hasHead = true
    this.#replay = undefined
    this.edge.deadlines.cancel(this)
    this.#firstByteMs = this.edge.clock() - this.#startedMs
    this.#lengthOut = writable.length
    this.#hasBody = writable.hasBody
    // A head without data behind it, as of an event stream, leaves at once; one with data leaves together with it.
    queueMicrotask(() => this.#flushHead())
  }

  #writeHead({ status, reason, fields }: WritableHead): void {
    try {
      this.res.writeHead(status, reason, fields)
    } catch (cause) {
      throw new GatewayError('ORIGIN_BAD_RESPONSE', messageOf(cause), { cause })
    }
  }

  #interim(head: ReturnType<typeof decodeResponseHead>): void {
    if (++this.#interimCount > MAX_INTERIM) throw new GatewayError('ORIGIN_BAD_RESPONSE', `more than ${MAX_INTERIM} interim responses`)
    this.edge.deadlines.refresh(this)
    const { expectsContinue, isHttp10 } = this.#request!
    if (head.status === 100) {
      if (!expectsContinue || this.#isUploading) return
      this.res.writeContinue()
      this.#startUpload()
    } else if (!isHttp10) this.res.socket?.write(interimHead(head, this.#responseContext!), 'latin1')
  }

  #flushHead(): void {
    if (this.#isFlushed || this.res.destroyed) return
    this.#isFlushed = true
    this.res.flushHeaders()
  }

  onData(chunk: Buffer): void {
    if (!this.#hasHead) throw new GatewayError('ORIGIN_BAD_RESPONSE', 'a body before its head')
    this.#isFlushed = true
    this.#bytesOut += chunk.length
    if (!this.#hasBody) return this.#stream?.consumed(chunk.length)
    if (this.#lengthOut !== undefined && this.#bytesOut > this.#lengthOut) {
      throw new GatewayError('ORIGIN_BAD_RESPONSE', 'more bytes than Content-Length says')
    }
    // A slow reader must not hold a whole batch of other streams' bytes for the sake of its own few.
    const own = this.res.writableNeedDrain && chunk.length * 2 < chunk.buffer.byteLength ? Buffer.from(chunk) : chunk
    if (this.res.write(own)) this.#stream?.consumed(chunk.length)
    else this.#waitForDrain(chunk.length)
  }

  #waitForDrain(bytes: number): void {
    this.#unconsumedBytes += bytes
    if (this.#awaitsDrain) return
    this.#awaitsDrain = true
    this.res.once('drain', () => {
      this.#awaitsDrain = false
      const taken = this.#unconsumedBytes
      this.#unconsumedBytes = 0
      this.#stream?.consumed(taken)
    })
  }

  onTrailers(payload: Buffer): void {
    if (!this.#hasBody || this.#lengthOut !== undefined || this.#request!.isHttp10) return
    const trailers = allowedTrailers(decodeFields(payload))
    const pairs: [string, string][] = []
    for (let i = 0; i < trailers.length; i += 2) pairs.push([trailers[i]!, trailers[i + 1]!])
    try {
      this.res.addTrailers(pairs)
    } catch (cause) {
      throw new GatewayError('ORIGIN_BAD_RESPONSE', messageOf(cause), { cause })
    }
  }

  onEnd(): void {
    if (!this.#hasHead) return this.#fail('ORIGIN_BAD_RESPONSE', 'an end without a head')
    if (this.#lengthOut !== undefined && this.#bytesOut < this.#lengthOut)
      return this.#fail('ORIGIN_CLOSED', 'fewer bytes than Content-Length says')
    this.#isFlushed = true
    this.#hasEnded = true
    if (this.#isUploading) discardUpload(this.req)
    this.res.end()
  }

  // --- failure ---

  onReset(received: ErrorCode, reason: string): void {
    const code = isAnswer(received) ? received : 'PROTOCOL'
    this.#stream = undefined
    if (this.#hasEnded) return
    if (!this.#mayRepeat(code)) return this.#fail(code, reason)
    this.#tried = [...(this.#tried ?? []), this.#connection!]
    this.#error = code
    this.edge.log.debug(
      { requestId: this.id, code, reason, identifier: this.#connection!.identifier },
      'moving a request to another inner layer',
    )
    try {
      this.#dispatch()
      this.#error = undefined
    } catch (thrown) {
      this.refuse(thrown)
    }
  }

  #mayRepeat(code: ErrorCode): boolean {
    if (this.#hasHead || this.res.destroyed || (this.#tried?.length ?? 0) + 1 >= MAX_ATTEMPTS) return false
    if (this.#replay?.isIncomplete === true) return false
    const { retry } = ERRORS[code]
    return retry === 'always' || (retry === 'idempotent' && IDEMPOTENT.has(this.#request!.method))
  }

  onDeadline(): void {
    if (this.#hasHead) return
    // Bytes that the origin has not taken make it the silent one; otherwise it is the client that stalls its upload.
    const code = this.#isUploading && !this.#isUploadPaused ? 'REQUEST_TIMEOUT' : 'ORIGIN_TIMEOUT'
    this.#fail(code, 'no sign of life within --timeout')
  }

  #fail(code: ErrorCode, reason: string): void {
    if (this.#hasEnded || this.res.destroyed) return
    this.#error = code
    this.#reason = reason
    this.#stream?.reset(ERRORS[code].reset > 0 ? code : 'CANCELLED', reason)
    this.#stream = undefined
    this.#hasEnded = true
    this.edge.deadlines.cancel(this)
    if (this.res.headersSent) return this.#cut()
    this.#answer(code)
  }

  /**
   * The only honest end once the head is out: what came so far is delivered, and a client that counts bytes, or waits for the last chunk,
   * sees the cut. One that reads up to the end of the connection sees a reset.
   */
  #cut(): void {
    const { socket } = this.res
    if (socket === null) return
    const isDelimitedByClose = this.#lengthOut === undefined && this.#request?.isHttp10 === true
    if (isDelimitedByClose) socket.resetAndDestroy()
    else endLingering(socket)
  }

  #answer(code: ErrorCode): void {
    const { req, res } = this
    const { status, fields, body } = errorAnswer(code, this.id, acceptsJson(valuesOf(req.rawHeaders, 'accept')[0]))
    const hasUpload = this.#request === undefined || this.#request.body.kind !== 'none'
    const closes = ERRORS[code].status === 400 || (hasUpload && !req.complete)
    if (closes || this.edge.isDraining()) res.shouldKeepAlive = false
    if (closes) discardUpload(req)
    this.#firstByteMs = this.edge.clock() - this.#startedMs
    this.#isFlushed = true
    // With its reason: one that node:http has refused before, the origin's, would be refused again.
    res.writeHead(status, STATUS_CODES[status], fields)
    if (req.method !== 'HEAD') this.#bytesOut = body.length
    res.end(body)
  }

  /** RFC 9110 §9.3.7: `OPTIONS *` asks about the gateway itself, and Max-Forwards 0 ends here. */
  #answerOptions(): void {
    this.#isFlushed = true
    this.#hasEnded = true
    this.res.writeHead(204, ['Allow', 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS'])
    this.res.end()
  }

  /** The response has left, or the client has: the end of everything. */
  #closed(): void {
    this.edge.deadlines.cancel(this)
    const isComplete = this.res.writableFinished
    if (!isComplete && this.#error === undefined) this.#error = 'CANCELLED'
    this.#hasEnded = true
    this.#stream?.reset('CANCELLED', 'the client is done')
    this.#stream = undefined
    this.#log()
    this.edge.onExchangeEnd(this.res)
  }

  #log(): void {
    const { req, res } = this
    this.edge.access({
      requestId: this.id,
      client: this.#client?.address ?? this.peer.address,
      host: this.#request?.host ?? req.headers.host ?? '',
      method: req.method ?? '',
      path: loggedPath(req.url ?? ''),
      status: res.headersSent ? res.statusCode : ERRORS[this.#error ?? 'CANCELLED'].status,
      bytesIn: this.#bytesIn,
      bytesOut: this.#bytesOut,
      durationMs: this.edge.clock() - this.#startedMs,
      firstByteMs: this.#firstByteMs,
      identifier: this.#connection?.identifier,
      error: this.#error,
      reason: this.#reason,
    })
  }
}

/** An inner layer may be broken or taken: what it sends need not be a code that a client can be told. */
const isAnswer = (code: ErrorCode): boolean => ERRORS[code].status > 0 && code !== 'CANCELLED'
