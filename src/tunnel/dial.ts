import { randomBytes } from 'node:crypto'
import { request as httpRequest, type ClientRequest, type IncomingMessage, type RequestOptions } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { isIP, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import { GatewayError } from '../errors.ts'
import { guarded } from '../net/guard.ts'
import { addressOfProxy, connectThrough, proxyFields } from '../net/http-proxy.ts'
import { lookupName } from '../net/lookup-name.ts'
import { faultText } from '../tls/fault-text.ts'
import { trustRemedy } from '../tls/trust-remedy.ts'
import { acceptValue } from './accept.ts'
import { WebSocketStream } from './web-socket-stream.ts'
import { HALF_CLOSE_SUBPROTOCOL, SUBPROTOCOL } from './wire.ts'

/** Options for dialling a tunnel. */
export interface DialOptions {
  /** From the first packet to the 101, milliseconds. */
  readonly timeoutMs: number
  readonly agent: string
  /** Value of Authorization. Taken along when a redirect stays on the same host, and nowhere else. */
  readonly authorization?: string | undefined
  /** For the host of the URL where that asks for a certificate, in PEM; never for one to which it redirects. */
  readonly client?: { readonly cert: string; readonly key: string } | undefined
  /** The only authorities to trust, in PEM. */
  readonly ca?: string | undefined
  /** The option that gives `ca`, for messages. */
  readonly caOption?: string
  /** Offers permessage-deflate. */
  readonly deflate?: boolean
  readonly pingMs?: number
  /** Proxy on the way to an http(s) URL. */
  readonly proxyFor?: (url: URL) => URL | undefined
  /** Gives up. */
  readonly signal?: AbortSignal
}

/** Somebody answered, and said no. */
export class TunnelRefused extends GatewayError {
  /**
   * @param loginUrl  where a program begins a login of its user (RFC 8628); undefined: nobody can log in there
   */
  constructor(
    readonly status: number,
    message: string,
    readonly loginUrl?: string,
  ) {
    super('TUNNEL_REFUSED', message)
  }
}

const MAX_REDIRECTS = 10
const MAX_BODY_BYTES = 2_048
const DEFLATE = 'permessage-deflate; client_no_context_takeover; server_no_context_takeover'

interface HandshakeAnswer {
  readonly response: IncomingMessage
  /** After a 101. */
  readonly opened: { readonly socket: Duplex; readonly head: Buffer } | undefined
  readonly body: string
}

/** `ws` and `wss` as the schemes that node:http knows. */
export function httpUrlOf(url: URL): URL {
  const http = new URL(url)
  http.protocol = url.protocol === 'wss:' || url.protocol === 'https:' ? 'https:' : 'http:'
  http.hash = ''
  return http
}

/**
 * Opens a tunnel: one WebSocket to `url` (ws, wss, http or https), which names the target behind `/tunnel/`.
 * @throws TunnelRefused when the answer is not 101, GatewayError TUNNEL_UNREACHABLE when there is none or it is no WebSocket's
 */
export async function dialTunnel(url: URL, options: DialOptions): Promise<WebSocketStream> {
  const key = randomBytes(16).toString('base64')
  const fields: Record<string, string> = {
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': key,
    'Sec-WebSocket-Protocol': `${SUBPROTOCOL}, ${HALF_CLOSE_SUBPROTOCOL}`,
    ...(options.deflate === true && { 'Sec-WebSocket-Extensions': DEFLATE }),
  }
  const { response, opened, body } = await askTunnel(url, fields, options)
  if (opened === undefined) throw refusalOf(url, response, body)
  const agreed = judge(response, key, options.deflate === true)
  if (typeof agreed === 'string') {
    opened.socket.destroy()
    throw new GatewayError('TUNNEL_UNREACHABLE', `${url.host} answered with a WebSocket handshake that is not valid: ${agreed}`)
  }
  const { pingMs } = options
  return new WebSocketStream(opened.socket, opened.head, { role: 'client', ...agreed, ...(pingMs === undefined ? {} : { pingMs }) })
}

/**
 * Asks for a tunnel with any fields and follows redirects.
 * @throws GatewayError TUNNEL_UNREACHABLE when nobody answers in time
 */
export async function askTunnel(url: URL, fields: Readonly<Record<string, string>>, options: DialOptions): Promise<HandshakeAnswer> {
  const { timeoutMs, signal: outer } = options
  // Not AbortSignal.timeout and AbortSignal.any, whose timers and listeners outlive what they were made for.
  const controller = new AbortController()
  const { signal } = controller
  let isLate = false
  const abort = (): void => controller.abort()
  const timer = setTimeout(() => {
    isLate = true
    abort()
  }, timeoutMs)
  if (outer?.aborted === true) abort()
  outer?.addEventListener('abort', abort)
  let current = httpUrlOf(url)
  try {
    for (let hops = 0; ; hops++) {
      const isSameHost = current.host === httpUrlOf(url).host
      const own = isSameHost ? options : { ...options, client: undefined }
      const answer = await ask(current, { ...fields, ...authorizationOf(url, isSameHost, options.authorization) }, own, signal)
      const { statusCode = 0, headers } = answer.response
      const isRedirect = [301, 302, 303, 307, 308].includes(statusCode) && headers.location !== undefined
      if (!isRedirect) return answer
      if (hops === MAX_REDIRECTS) throw new Error(`more than ${MAX_REDIRECTS} redirects`)
      const next = new URL(headers.location!, current)
      if (next.protocol !== 'https:' && (next.protocol !== 'http:' || current.protocol === 'https:'))
        throw new Error(`redirected to ${next.protocol}//${next.host}, which is less than what was asked for`)
      current = next
    }
  } catch (cause) {
    if (cause instanceof GatewayError) throw cause
    const why = isLate ? `no answer within ${timeoutMs} ms` : faultText(cause)
    throw new GatewayError('TUNNEL_UNREACHABLE', `cannot reach ${url.host}: ${why}${adviceOf(cause, options)}`, { cause })
  } finally {
    clearTimeout(timer)
    outer?.removeEventListener('abort', abort)
  }
}

/** The remedy for a certificate that is not trusted, where there is one. */
function adviceOf(cause: unknown, { ca, caOption }: DialOptions): string {
  if (caOption === undefined) return ''
  const remedy = trustRemedy((cause as { readonly code?: unknown } | null)?.code, { option: caOption, isGiven: ca !== undefined }, cause)
  return remedy === undefined ? '' : `; ${remedy}`
}

/** The option, else what stands in front of the host: that is how the real sokken can carry a password. */
function authorizationOf(url: URL, isSameHost: boolean, authorization: string | undefined): Record<string, string> {
  if (!isSameHost) return {}
  if (authorization !== undefined) return { Authorization: authorization }
  if (url.username === '') return {}
  const pair = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`
  return { Authorization: `Basic ${Buffer.from(pair).toString('base64')}` }
}

function ask(url: URL, fields: Record<string, string>, options: DialOptions, signal: AbortSignal): Promise<HandshakeAnswer> {
  return new Promise((resolve, reject) => {
    const request = begin(url, { Host: url.host, 'User-Agent': options.agent, ...fields }, options, signal, reject)
    // What node:http reports twice, or after the answer, has been dealt with.
    const upgraded = (response: IncomingMessage, socket: Duplex, head: Buffer): void => {
      if (response.statusCode === 101) resolve({ response, opened: { socket, head }, body: '' })
      else reject(new Error(`status ${response.statusCode ?? 0} with an upgrade`))
    }
    const answered = (response: IncomingMessage): void => {
      let body = ''
      const done = guarded(reject, () => {
        resolve({ response, opened: undefined, body })
        request.destroy()
      })
      const read = (text: string): void => {
        body += text
        if (body.length >= MAX_BODY_BYTES) done()
      }
      response.setEncoding('utf8').on('data', guarded(reject, read))
      response.on('end', done).on('error', done)
    }
    request.on('error', error => reject(error))
    request.on('upgrade', guarded(reject, upgraded))
    request.on('response', guarded(reject, answered))
    request.end()
  })
}

/** The request, directly or through a proxy: in absolute form for http, inside of CONNECT for https (RFC 9112 §3.2.2, §3.2.3). */
function begin(
  url: URL,
  headers: Record<string, string>,
  { ca, client, proxyFor }: DialOptions,
  signal: AbortSignal,
  fail: (error: Error) => void,
): ClientRequest {
  const proxy = proxyFor?.(url)
  const isTls = url.protocol === 'https:'
  const path = url.pathname + url.search
  const common: RequestOptions = { method: 'GET', headers, signal, setHost: false }
  const place = { host: hostOf(url), port: url.port || (isTls ? 443 : 80) }
  const tls = { ...(ca === undefined ? {} : { ca }), ...client, ALPNProtocols: ['http/1.1'] }
  // An agent of its own: connections of tunnels are never shared.
  const alone = { ...common, agent: false as const, lookup: lookupName }
  if (proxy === undefined) return isTls ? httpsRequest({ ...alone, ...tls, ...place, path }) : httpRequest({ ...alone, ...place, path })
  if (!isTls) {
    const plain = new URL(url)
    plain.username = plain.password = ''
    return httpRequest({ ...alone, ...addressOfProxy(proxy), path: plain.href, headers: { ...headers, ...proxyFields(proxy) } })
  }
  return httpsRequest({
    ...common, // without an agent, which would not look at createConnection
    ...place,
    path,
    createConnection: (_, connected) => {
      const done = (error: Error | null, socket?: Socket): void => {
        if (socket !== undefined)
          return connected?.(
            null,
            connectTls({ socket, host: hostOf(url), ...(isIP(hostOf(url)) === 0 && { servername: hostOf(url) }), ...tls }),
          )
        if (connected === undefined) fail(error!)
        else connected(error, undefined as never)
      }
      connectThrough(proxy, `${url.hostname}:${place.port}`, done, signal)
      return undefined
    },
  })
}

/** IPv6 without brackets. */
const hostOf = (url: URL): string => url.hostname.replace(/^\[|\]$/g, '')

/** RFC 6455 §4.1, the list at its end. @returns what was agreed on, or why the answer is not valid */
function judge(response: IncomingMessage, key: string, deflateOffered: boolean): { halfClose: boolean; deflate: boolean } | string {
  const { headers } = response
  if (headers.upgrade?.toLowerCase() !== 'websocket') return 'the Upgrade field is not websocket'
  if (headers['sec-websocket-accept'] !== acceptValue(key)) return 'Sec-WebSocket-Accept does not match'
  // sokken takes an answer without a subprotocol as well.
  const subprotocol = headers['sec-websocket-protocol'] ?? SUBPROTOCOL
  if (subprotocol !== SUBPROTOCOL && subprotocol !== HALF_CLOSE_SUBPROTOCOL)
    return `the subprotocol ${JSON.stringify(subprotocol)} was not asked for`
  const extensions = headers['sec-websocket-extensions'] ?? ''
  const isDeflate = /^permessage-deflate(?:\s*;\s*(?:client|server)_no_context_takeover)*$/.test(extensions)
  if (extensions !== '' && !(deflateOffered && isDeflate && extensions.includes('server_no_context_takeover')))
    return `the extension ${JSON.stringify(extensions)} was not asked for`
  return { halfClose: subprotocol === HALF_CLOSE_SUBPROTOCOL, deflate: extensions !== '' }
}

/** An answer that is no tunnel, as an error: our own answers explain themselves in their third line, others in their first. */
export function refusalOf(url: URL, response: IncomingMessage, body: string): TunnelRefused {
  const lines = body.split('\n').filter(line => line.trim() !== '')
  const isOurs = lines.length > 2 && /^\d{3} /.test(lines[0]!)
  const said = ((isOurs ? lines[1] : lines[0]) ?? '').slice(0, 200).replace(/[^\x20-\x7e]/g, '?')
  const status = `${url.host} answered ${response.statusCode ?? 0} ${response.statusMessage ?? ''}`.trimEnd()
  const [, loginUrl] = /SG-Login device="([^"]{1,500})"/.exec(response.headers['www-authenticate'] ?? '') ?? []
  return new TunnelRefused(response.statusCode ?? 0, said === '' ? status : `${status}: ${said}`, loginUrl)
}
