import { request as requestHttp, type ClientRequest, type IncomingMessage, type RequestOptions } from 'node:http'
import { request as requestHttps } from 'node:https'
import { isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { GatewayError } from '../errors.ts'
import { connectThrough, placeOfProxy, proxyFor } from '../net/http-proxy.ts'
import { lookupName } from '../net/lookup-name.ts'
import { faultText } from '../tls/fault-text.ts'
import { trustRemedy } from '../tls/trust-remedy.ts'
import { AGENT } from '../version.ts'
import type { Answer } from './api-error.ts'

/** The way to an API. */
export interface TransportOptions {
  /** As `parseServerUrl` gives it. */
  readonly server: URL
  /** HTTP_PROXY, HTTPS_PROXY and NO_PROXY count. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** PEM of the authorities to trust, instead of those that Node.js knows. */
  readonly ca?: string | undefined
  /** The option that named it, for messages; default `--ca`. */
  readonly caOption?: string | undefined
  /** Until the whole answer is there; default 20 s. */
  readonly timeoutMs?: number | undefined
}

/** One call. @property path  begins with a slash */
export interface Call {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string | undefined
  readonly signal?: AbortSignal | undefined
}

const TIMEOUT_MS = 20_000
/** More than any answer of the API has. */
const MAX_ANSWER_BYTES = 8 * 1024 * 1024

/** HTTP to one API: a connection for each call, through a proxy where the environment names one. No redirect is followed. */
export class Transport {
  constructor(private readonly options: TransportOptions) {}

  /** The call as messages name it. */
  name({ method, path }: Pick<Call, 'method' | 'path'>): string {
    return `${method} ${this.#url(path).href}`
  }

  /** Sends a call and gives the whole answer. @throws GatewayError SERVICE_UNREACHABLE, and the reason of `signal` when that has ended it */
  async send(call: Call): Promise<Answer> {
    const { timeoutMs = TIMEOUT_MS } = this.options
    const late = new AbortController()
    const timer = setTimeout(() => late.abort(), timeoutMs)
    try {
      const response = await this.open(call, late.signal)
      return { status: response.statusCode ?? 0, headers: response.headers, body: await this.#read(response, call) }
    } catch (thrown) {
      if (!late.signal.aborted) throw thrown
      throw new GatewayError('SERVICE_UNREACHABLE', `${this.name(call)}: no answer within ${timeoutMs / 1000} s`, { cause: thrown })
    } finally {
      clearTimeout(timer)
    }
  }

  /** Sends a call and gives the answer as soon as its head is there. @param late  gives up, beside the signal of the call */
  open(call: Call, late: AbortSignal): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const signal = call.signal === undefined ? late : AbortSignal.any([call.signal, late])
      const fail = (cause: unknown): void => reject(this.#failure(call, cause))
      const request = this.#request(call, signal)
      request.on('error', fail)
      request.on('response', resolve)
      request.end(call.body)
    })
  }

  #url(path: string): URL {
    return new URL(`${this.options.server.href.replace(/\/$/, '')}${path}`)
  }

  #request(call: Call, signal: AbortSignal): ClientRequest {
    const { env, ca } = this.options
    const url = this.#url(call.path)
    const proxy = proxyFor(url, env)
    const headers: Record<string, string> = { Accept: 'application/json', 'User-Agent': AGENT, ...call.headers }
    if (call.body !== undefined) {
      headers['Content-Type'] ??= 'application/json'
      headers['Content-Length'] = String(Buffer.byteLength(call.body))
    }
    const options: RequestOptions = {
      method: call.method,
      headers,
      signal,
      ...(proxy === undefined && { agent: false, lookup: lookupName }),
    }
    const tls = ca === undefined ? {} : { ca }
    if (proxy === undefined) return url.protocol === 'https:' ? requestHttps(url, { ...options, ...tls }) : requestHttp(url, options)
    return requestHttp({
      ...options,
      host: url.hostname,
      path: `${url.pathname}${url.search}`,
      headers: { Host: url.host, ...headers, Connection: 'close' },
      createConnection: (_options, connected) => this.#connectThrough(proxy, url, signal, connected as Connected),
    })
  }

  #connectThrough(proxy: URL, url: URL, signal: AbortSignal, connected: Connected): undefined {
    const isTls = url.protocol === 'https:'
    const host = url.hostname.replace(/^\[|\]$/g, '')
    const { ca } = this.options
    connectThrough(
      proxy,
      `${url.hostname}:${url.port || (isTls ? 443 : 80)}`,
      (error, socket) => {
        if (socket === undefined || !isTls) return connected(error, socket)
        connected(null, connectTls({ socket, host, ...(isIP(host) === 0 && { servername: host }), ...(ca !== undefined && { ca }) }))
      },
      signal,
    )
    return undefined
  }

  async #read(response: IncomingMessage, call: Call): Promise<string> {
    const chunks: Buffer[] = []
    let bytes = 0
    try {
      for await (const chunk of response as AsyncIterable<Buffer>) {
        bytes += chunk.length
        if (bytes > MAX_ANSWER_BYTES) throw new Error(`the answer is longer than ${MAX_ANSWER_BYTES} bytes`)
        chunks.push(chunk)
      }
    } catch (cause) {
      throw this.#failure(call, cause)
    }
    return Buffer.concat(chunks).toString('utf8')
  }

  /** The fault that has ended the call: the caller, or SERVICE_UNREACHABLE with the remedy where one is known. */
  #failure(call: Call, cause: unknown): Error {
    if (call.signal?.aborted === true)
      return call.signal.reason instanceof Error ? call.signal.reason : new Error('the call was given up', { cause })
    if (cause instanceof GatewayError) return cause
    const { env, ca, caOption = '--ca' } = this.options
    const code = (cause as { code?: unknown }).code
    const proxy = proxyFor(this.#url(call.path), env)
    const remedy = trustRemedy(code, { option: caOption, isGiven: ca !== undefined }, cause) ?? remedyOf(code)
    const through = proxy === undefined ? '' : ` (through the proxy ${placeOfProxy(proxy)})`
    const said = faultText(cause) || String(code) // an AggregateError of several addresses has no message of its own
    return new GatewayError('SERVICE_UNREACHABLE', `${this.name(call)}${through}: ${said}; ${remedy}`, { cause })
  }
}

type Connected = (error: Error | null, socket?: Socket) => void

function remedyOf(code: unknown): string {
  switch (code) {
    case 'ECONNREFUSED':
      return 'nothing listens there: check the URL of the server and that it is running'
    case 'ENOTFOUND':
      return 'the name has no address: check the URL of the server'
    case 'EAI_AGAIN':
      return 'the name has no address, or no name server answers: check the URL of the server and the network'
    case 'EPROTO':
    case 'ERR_SSL_WRONG_VERSION_NUMBER':
    case 'ERR_SSL_PACKET_LENGTH_TOO_LONG':
      return 'what listens there does not speak TLS: is it http:// ?'
    case 'HPE_INVALID_CONSTANT':
      return 'what listens there does not speak HTTP; is it https:// ?'
    default:
      return 'check the URL of the server and that it is running'
  }
}
