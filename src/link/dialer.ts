import { messageOf } from '../errors.ts'
import { MAX_MESSAGE_BYTES, type Link } from '../mux/link.ts'
import { guarded } from '../net/guard.ts'
import { faultText } from '../tls/fault-text.ts'
import { saysNoTls } from '../tls/fault-text.ts'
import { trustRemedy } from '../tls/trust-remedy.ts'
import * as parser from './parser.ts'
import { limitPings, READ_BYTES, SocketIoLink, type WebSocketLike } from './socket-io-link.ts'
import { proxiedTransport } from './proxied-transport.ts'
import { loadClient, loadTransports, type WebSocketTransport } from './socket-io-client.ts'
import { isEncrypted, needsNoMask, unmaskedTransport } from './unmasked-transport.ts'

/** Options for reaching an outer layer. */
export interface DialOptions {
  /** ws:, wss:, http: or https:; a path is kept as the prefix of `/socket.io/`. */
  readonly url: string
  /** PEM of the only authority to trust; absent: the system's. */
  readonly ca?: string
  /** PEM of a client certificate for the TLS connection, with its key. */
  readonly certificate?: string
  readonly key?: string
  /** An HTTP proxy on the way, http: with or without a name and a password. */
  readonly proxy?: URL | undefined
  /** Time for everything from the name of the host to the connection of socket.io, milliseconds. */
  readonly connectMs?: number
}

/** Events of one attempt; exactly one of the first two is called, neither after giving up. */
export interface DialEvents {
  readonly onLink: (link: Link) => void
  readonly onFailure: (reason: string) => void
  /** The link is closed on both sides. */
  readonly onGone?: () => void
}

/** The default of `connectMs`. */
const CONNECT_MS = 10_000

/** Dials once, without any retry: when to try again is the caller's policy. The function returned gives up, or destroys the link. */
export function dial(options: DialOptions, events: DialEvents): () => void {
  const url = new URL(options.url)
  // A signal is kept as long as the link: hundreds of links need none.
  const abort = options.proxy === undefined ? undefined : new AbortController()
  const prefix = url.pathname.replace(/(?<!\/)\/+$/, '')
  const socket = loadClient().io(`${url.protocol}//${url.host}`, {
    parser,
    path: `${prefix}/socket.io/`,
    transports: [transportOf(options, url, abort?.signal)],
    forceNew: true,
    reconnection: false,
    // The types know neither: the last two reach `ws`, and the timer below covers more than that of socket.io.
    ...({ timeout: false, perMessageDeflate: false, maxPayload: MAX_MESSAGE_BYTES } as object),
    ...(options.ca === undefined ? {} : { ca: options.ca }),
    ...(options.certificate === undefined ? {} : { cert: options.certificate }),
    ...(options.certificate === undefined || options.key === undefined ? {} : { key: options.key }),
  })
  let link: SocketIoLink | undefined
  let isOver = false
  const giveUp = (): boolean => {
    const wasOver = isOver
    isOver = true
    clearTimeout(timer)
    if (link === undefined) socket.disconnect()
    else link.destroy()
    abort?.abort()
    return !wasOver
  }
  const fail = (reason: string): void => {
    if (giveUp()) events.onFailure(reason)
  }
  /** One of the events threw: this link or this attempt ends, not the process. */
  const fault = (thrown: unknown): void => {
    if (link === undefined) fail(`internal fault: ${messageOf(thrown)}`)
    else link.fail(thrown)
  }
  const { connectMs = CONNECT_MS } = options
  const timer = setTimeout(() => fail(`no answer within ${connectMs / 1000} s`), connectMs)
  const connected = (): void => {
    if (isOver) return
    isOver = true
    clearTimeout(timer)
    const { engine } = socket.io
    const websocket = (engine.transport as unknown as { ws: WebSocketLike }).ws
    ignoreEnginePings(engine as unknown as EngineClock)
    const current = new SocketIoLink({
      close: () => engine.close(),
      websocket,
      mask: (options.proxy === undefined ? needsNoMask(url) : isEncrypted(url)) ? 'zero' : 'random',
      memory: Buffer.allocUnsafeSlow(READ_BYTES),
    })
    link = current
    websocket.on(
      'close',
      guarded(fault, () => events.onGone?.()),
    )
    socket.on(
      parser.FRAMES_EVENT,
      guarded(fault, (message: unknown) => current.received(message)),
    )
    events.onLink(current)
  }
  // Once: a second CONNECT packet of the server must not make a second link.
  socket.once('connect', guarded(fault, connected))
  socket.on(
    'connect_error',
    guarded(fault, (error: Error) => fail(failureText(error, url, options.ca !== undefined))),
  )
  socket.on(
    'disconnect',
    guarded(fault, (reason: string, description?: unknown) => link?.closed(reason, description)),
  )
  // Until it is connected, socket.io says nothing of a connection that is closed without an error.
  const ended = (): void => {
    if (link === undefined) fail('the connection was closed before it was ready')
  }
  const { engine } = socket.io
  engine.on('close', guarded(fault, ended))
  const { ws: websocket } = engine.transport as unknown as { readonly ws: WebSocketLike | undefined }
  // At once: a server need not connect to ping.
  if (websocket !== undefined) limitPings(websocket, engine)
  return () => void giveUp()
}

/** The part of engine.io's client that ends a connection on which no ping of its own came in time. Private there; a test holds that it exists. */
export interface EngineClock {
  _pingTimeoutTimer: NodeJS.Timeout
  _hasPingExpired: () => boolean
  _resetPingTimeout: () => void
}

/**
 * Takes from engine.io what it ends connections by: it compares the wall clock each time something is emitted, so that a clock set
 * forward by two minutes would end a living link, and a slow link delays its pings behind data. The mux has a liveness of its own, by
 * a clock that only rises.
 */
export function ignoreEnginePings(engine: EngineClock): void {
  clearTimeout(engine._pingTimeoutTimer)
  engine._hasPingExpired = () => false
  engine._resetPingTimeout = () => undefined
}

function transportOf({ proxy, ca, certificate, key }: DialOptions, url: URL, signal: AbortSignal | undefined): WebSocketTransport {
  if (proxy !== undefined && signal !== undefined) return proxiedTransport({ proxy, url, ca, certificate, key, signal })
  return needsNoMask(url) ? unmaskedTransport() : loadTransports().NodeWebSocket
}

/**
 * Returns a question about the port: a server that answers the websocket handshake like a web page is probably not the outer layer, or not
 * the right port of it.
 */
function questionOf(status: string, isEncrypted: boolean): string {
  const question = 'is this the socket port (3001 by default) of the outer layer, not the port for clients?'
  if (status === '403' && isEncrypted) return 'the outer layer asks for a client certificate of its authorities (--inner-layer-certificate)'
  if (status !== '400') return question
  const certificate = isEncrypted ? ' Or does the proxy ask for a client certificate (--inner-layer-certificate)?' : ''
  return `${question}${certificate} An outer layer that stops, or was tried too often, says 400, too`
}

/** Returns what to look at when nobody was met at the host and port, be it of the outer layer or of the proxy on the way. */
function placeRemedy(text: string): string | undefined {
  const isProxy = text.startsWith('the proxy ')
  if (text.includes('ECONNREFUSED'))
    return isProxy
      ? 'nothing listens there: is the proxy right (--proxy, HTTPS_PROXY, HTTP_PROXY)?'
      : 'nothing listens there: is the outer layer running, and is this its socket port (3001 by default)?'
  if (text.includes('ENOTFOUND'))
    return isProxy
      ? 'there is no such name: is the proxy right (--proxy, HTTPS_PROXY, HTTP_PROXY)?'
      : 'there is no such name: is the URL of --outer-layer right?'
  return undefined
}

/** engine.io wraps the cause of a failed handshake in two layers of "websocket error". */
function failureText(error: Error & { description?: unknown }, { protocol, pathname }: URL, hasCa: boolean): string {
  const text = causeText(error)
  // `ws` gives this one no code.
  const [, status] = /^Unexpected server response: (\d+)$/.exec(text) ?? []
  const isEncrypted = protocol === 'wss:' || protocol === 'https:'
  const remedy = trustRemedy(
    codeOf(error),
    { option: '--outer-layer-ca', isGiven: hasCa },
    (error.description as { readonly error?: unknown } | undefined)?.error,
  )
  if (remedy !== undefined) return `${text}; ${remedy}`
  if (status === '404' && pathname !== '/')
    return `${text}; an outer layer itself knows no path ${pathname}: leave it out of --outer-layer, unless a proxy in front takes it off`
  if (status !== undefined) return `${text}; ${questionOf(status, isEncrypted)}`
  const place = placeRemedy(text)
  if (place !== undefined) return `${text}; ${place}`
  // A port with TLS hangs up on what is none; one without it hangs up, or answers what is no TLS.
  if (isEncrypted)
    return saysNoTls(text)
      ? 'what answers at this port speaks no TLS; if it is the outer layer itself, write ws:// instead of wss://'
      : text
  return text.endsWith('socket hang up') ? `${text}; if this port speaks TLS, write wss:// instead of ws://` : text
}

const codeOf = ({ description }: { readonly description?: unknown }): unknown =>
  (description as { readonly error?: { readonly code?: unknown } } | undefined)?.error?.code

function causeText(error: Error & { description?: unknown }): string {
  const description = error.description as { error?: unknown; message?: unknown } | undefined
  const inner = description?.error ?? description?.message
  if (inner instanceof AggregateError && inner.errors.length > 0) return messageOf(inner.errors[0])
  return faultText(inner ?? error)
}
