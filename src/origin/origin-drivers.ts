import { request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { Duplex } from 'node:stream'
import { buildConnector, Pool, type Dispatcher } from 'undici'
import { GatewayError } from '../errors.ts'
import type { RequestHead } from '../http/message.ts'
import { pauseMessage } from '../net/pause-message.ts'
import type { OriginPolicy } from './origin-policy.ts'
import { isUnaskedContinue, ORIGIN_RESET } from './origin-failure.ts'
import { Http2Origins } from './http2-origin.ts'
import type { OriginCall, OriginDrivers, OriginEvents, OriginRequest } from './origin-exchange.ts'
import { serverNameOf, tlsMaterial } from './origin-tls.ts'
import { RequestBody } from './request-body.ts'

const CONNECT_MS = 10_000
/** An origin that says nothing to Expect: 100-continue gets the body after this time (RFC 9110 §10.1.1), milliseconds. */
const CONTINUE_MS = 1_000
/** Bytes of an answer that are read ahead of the link, per connection; undici would take 64 KiB, which a thousand stalled readers multiply. */
const READ_AHEAD_BYTES = 16_384
const MAX_HEAD_BYTES = 65_536
const MAX_POOLS = 256
const NOTHING = Object.freeze({})
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
/** The empty one would become GET. */
const REFUSED_METHODS = new Set(['CONNECT', 'TRACE', ''])

/** Requests to origins that the allow-list permits, judged by name before the dial and by address when the name is resolved. */
export class Origins implements OriginDrivers {
  readonly #pools = new Map<string, Pool>()
  /** Of origins that say 100 (Continue) unasked, which undici takes for a broken response. */
  readonly #unusable = new WeakSet<Pool>()
  readonly #http2: Http2Origins

  /** @param clock  milliseconds, rising */
  constructor(
    private readonly policy: OriginPolicy,
    clock: () => number,
  ) {
    this.#http2 = new Http2Origins(policy, clock)
  }

  pooled(request: OriginRequest, events: OriginEvents): OriginCall {
    const { head, body } = request
    const pool = this.#pool(request)
    if (this.#unusable.has(pool)) return this.fresh(request, events)
    const call = new PooledCall(events, pool, this.#unusable)
    pool.dispatch(
      {
        path: head.path,
        method: head.method,
        headers: fieldsFor(head, 'host'),
        body,
        headersTimeout: 0,
        bodyTimeout: 0,
        // undici would take the Host field for it, and connect anew whenever that changes; `honestConnector` has the name itself.
        ...(head.protocol === 'https' ? { servername: head.hostname } : NOTHING),
      },
      call,
    )
    return call
  }

  fresh({ head, profile, body }: OriginRequest, events: OriginEvents): OriginCall {
    this.policy.check(head)
    const isTls = head.protocol === 'https'
    const request = (isTls ? httpsRequest : httpRequest)({
      agent: false,
      host: head.hostname,
      port: head.port,
      method: head.method,
      path: head.path,
      headers: freshFields(head),
      maxHeaderSize: MAX_HEAD_BYTES,
      lookup: this.policy.lookup(head.port),
      ...(isTls ? { ...serverNameOf(head.hostname), ...tlsMaterial(profile?.tls).options } : {}),
    })
    request.maxHeadersCount = 0
    return new FreshCall(request, { head, profile, body }, events)
  }

  http2(request: OriginRequest, events: OriginEvents): OriginCall {
    return this.#http2.request(request, events)
  }

  /** Ends every connection. */
  async close(): Promise<void> {
    this.#http2.close()
    const pools = [...this.#pools.values()]
    this.#pools.clear()
    await Promise.all(pools.map(pool => pool.destroy()))
  }

  #pool({ head, profile }: OriginRequest): Pool {
    const url = `${head.protocol}://${head.hostname.includes(':') ? `[${head.hostname}]` : head.hostname}:${head.port}`
    const tls = tlsMaterial(head.protocol === 'https' ? profile?.tls : undefined)
    const connectMs = profile?.timeouts?.connectMs ?? CONNECT_MS
    const key = connectMs === CONNECT_MS ? url + tls.key : `${url}${tls.key} ${connectMs}`
    const known = this.#pools.get(key)
    if (known !== undefined) return known // the allow-list said yes when it was made
    this.policy.check(head)
    this.#evict()
    const pool = new Pool(url, {
      pipelining: 1,
      headersTimeout: 0,
      bodyTimeout: 0,
      maxHeaderSize: MAX_HEAD_BYTES,
      connect: honestConnector({
        timeout: connectMs,
        ...{ highWaterMark: READ_AHEAD_BYTES },
        lookup: this.policy.lookup(head.port),
        ...serverNameOf(head.hostname),
        ...tls.options,
      }),
    })
    this.#pools.set(key, pool)
    return pool
  }

  #evict(): void {
    if (this.#pools.size < MAX_POOLS) return
    for (const [key, pool] of this.#pools) {
      if (pool.stats.running > 0 || pool.stats.pending > 0) continue
      this.#pools.delete(key)
      void pool.destroy()
      return
    }
  }
}

/** The fields for the origin; also where a method that opens a tunnel or echoes the request is refused, whatever the outer layer says. */
function fieldsFor(head: RequestHead, hostName: string): string[] {
  if (REFUSED_METHODS.has(head.method)) throw new GatewayError('ORIGIN_BAD_REQUEST', `method ${head.method}`)
  const fields = [hostName, head.host]
  for (let i = 0; i < head.fields.length; i += 2) {
    const name = head.fields[i]!
    if (name.length < 4 || name.length > 17 || !FRAMING.has(name.toLowerCase())) fields.push(name, head.fields[i + 1]!)
  }
  if (head.body.kind === 'length') fields.push('Content-Length', String(head.body.length))
  return fields
}

/** node:http frames nothing on its own when it is given a list: a body never leaves unframed, whatever the method. */
function freshFields(head: RequestHead): string[] {
  const fields = fieldsFor(head, 'Host')
  if (head.body.kind === 'stream') fields.push('Transfer-Encoding', 'chunked')
  if (head.expectsContinue) fields.push('Expect', '100-continue')
  if (head.upgrade !== '') fields.push('Connection', 'Upgrade', 'Upgrade', head.upgrade)
  else fields.push('Connection', fields.includes('TE') ? 'close, TE' : 'close')
  return fields
}

/**
 * undici takes ECONNRESET behind a body that ends with its connection for the end of that body, and truncated data would look complete
 * (RFC 9112 §8). Under another name it is the failure that it is.
 */
function honestConnector(options: buildConnector.BuildOptions & { readonly servername?: string | undefined }): buildConnector.connector {
  const connect = buildConnector(options)
  const servername = options.servername ?? '' // none: the address is what the certificate has to name
  return (target, callback) =>
    connect({ ...target, servername }, (...result) => {
      result[1]?.on('error', (error: NodeJS.ErrnoException) => {
        if (error.code === 'ECONNRESET') error.code = ORIGIN_RESET
      })
      callback(...result)
    })
}

/** undici's controller with the lists that its types leave out. */
type RawController = Dispatcher.DispatchController & { readonly rawHeaders?: Buffer[]; readonly rawTrailers?: Buffer[] }

/** One request through undici's dispatcher: raw fields in order, interim responses and trailers delivered, back-pressure by pause. */
class PooledCall implements Dispatcher.DispatchHandler, OriginCall {
  #controller: RawController | undefined
  #isAborted = false

  constructor(
    private readonly events: OriginEvents,
    private readonly pool: Pool,
    private readonly unusable: WeakSet<Pool>,
  ) {}

  resume(): void {
    this.#controller?.resume()
  }

  abort(): void {
    if (this.#isAborted) return
    this.#isAborted = true
    this.#controller?.abort(new Error('aborted'))
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller as RawController
    this.events.connected?.()
    if (this.#isAborted) controller.abort(new Error('aborted'))
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, _headers: unknown, reason?: string): void {
    const fields = this.#controller?.rawHeaders ?? []
    const phrase = bytesOf(reason ?? '')
    if (status < 200) this.events.interim(status, phrase, fields)
    else this.events.head(status, phrase, fields)
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.events.data(chunk)) controller.pause()
  }

  onResponseEnd(): void {
    this.events.end(this.#controller?.rawTrailers ?? [])
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (isUnaskedContinue(error)) this.unusable.add(this.pool)
    if (!this.#isAborted) this.events.failed(error)
  }
}

/** undici reads the reason phrase as UTF-8; on the wire and on the link a character is a byte. */
const bytesOf = (reason: string): string => (/^[\x20-\x7e]*$/.test(reason) ? reason : Buffer.from(reason).toString('latin1'))

/** One request through node:http, on a connection of its own. */
class FreshCall implements OriginCall {
  #response: IncomingMessage | undefined
  #isAborted = false
  #continueTimer: NodeJS.Timeout | undefined
  readonly #isSwitch: boolean
  readonly #connectTimer: NodeJS.Timeout | undefined

  constructor(
    private readonly request: ClientRequest,
    { head, profile, body }: OriginRequest,
    private readonly events: OriginEvents,
  ) {
    this.#isSwitch = head.upgrade !== ''
    const connectMs = profile?.timeouts?.connectMs ?? CONNECT_MS
    const giveUp = (): void => this.#failed(new GatewayError('ORIGIN_CONNECT_TIMEOUT', `no connection within ${connectMs / 1000} s`))
    this.#connectTimer = connectMs === 0 ? undefined : setTimeout(giveUp, connectMs)
    // A connection that no handshake follows is none.
    const connected = head.protocol === 'https' ? 'secureConnect' : 'connect'
    request.on('socket', socket => socket.once(connected, () => this.#connected()))
    request.on('error', error => this.#failed(error))
    request.on('continue', () => this.#continue())
    request.on('information', info => {
      if (info.statusCode !== 100) events.interim(info.statusCode, info.statusMessage, info.rawHeaders)
    })
    request.on('upgrade', (response, socket, rest) => this.#switch(response, socket, rest))
    request.on('response', response => this.#respond(response))
    request.flushHeaders()
    if (head.expectsContinue) this.#continueTimer = setTimeout(() => this.#continue(), CONTINUE_MS)
    this.#send(body)
  }

  #connected(): void {
    clearTimeout(this.#connectTimer)
    this.events.connected?.()
  }

  resume(): void {
    this.#response?.resume()
  }

  abort(): void {
    if (this.#isAborted) return
    this.#isAborted = true
    clearTimeout(this.#connectTimer)
    clearTimeout(this.#continueTimer)
    this.request.destroy()
  }

  #continue(): void {
    if (this.#continueTimer === undefined || this.#isAborted) return
    clearTimeout(this.#continueTimer)
    this.#continueTimer = undefined
    this.events.interim(100, 'Continue', [])
  }

  #send(body: RequestBody | Buffer | null): void {
    const { request } = this
    if (!(body instanceof RequestBody)) {
      request.end(body ?? undefined)
      return
    }
    body.on('data', (chunk: Buffer) => {
      if (!request.write(chunk)) body.pause()
    })
    request.on('drain', () => body.resume())
    body.on('end', () => {
      try {
        if (body.trailers !== undefined) request.addTrailers(pairs(body.trailers))
        request.end()
      } catch (thrown) {
        this.#failed(thrown) // trailers that cannot be written, of an outer layer that does not check them
      }
    })
    body.on('error', () => request.destroy())
  }

  #switch(response: IncomingMessage, socket: Duplex, rest: Buffer): void {
    clearTimeout(this.#connectTimer)
    if (this.#isSwitch && !this.#isAborted) return this.events.switched(response.statusMessage ?? '', response.rawHeaders, socket, rest)
    socket.destroy()
    this.#failed(new GatewayError('ORIGIN_BAD_RESPONSE', 'a switch of protocols that nobody asked for'))
  }

  #respond(response: IncomingMessage): void {
    clearTimeout(this.#connectTimer)
    clearTimeout(this.#continueTimer)
    this.#continueTimer = undefined
    this.#response = response
    const { events } = this
    response.on('error', error => this.#failed(error))
    events.head(response.statusCode ?? 0, response.statusMessage ?? '', response.rawHeaders)
    response.on('data', (chunk: Buffer) => {
      if (!events.data(chunk)) pauseMessage(response)
    })
    response.on('end', () => {
      if (!this.#isAborted) events.end(response.rawTrailers)
    })
  }

  #failed(thrown: unknown): void {
    if (this.#isAborted) return
    this.abort()
    this.events.failed(thrown)
  }
}

function pairs(fields: readonly string[]): [string, string][] {
  const all: [string, string][] = []
  for (let i = 0; i < fields.length; i += 2) all.push([fields[i]!, fields[i + 1]!])
  return all
}
