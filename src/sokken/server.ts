import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { GatewayError, messageOf } from '../errors.ts'
import { attempt, guarded, type Fail } from '../net/guard.ts'
import { parseAuthorization, type TokenList } from '../identity/token.ts'
import { acceptHandshake, checkHandshake, readOffer } from '../tunnel/accept.ts'
import { formatHostPort, type HostPort } from '../address/host-port.ts'
import type { ConnectionCount } from '../tunnel/connection-count.ts'
import { join } from '../tunnel/join.ts'
import { listenOn } from '../tunnel/tunnel-listener.ts'
import type { WebSocketStream } from '../tunnel/web-socket-stream.ts'
import { CloseCode, HALF_CLOSE_SUBPROTOCOL, SUBPROTOCOL, TUNNEL_PATH, TunnelClosed } from '../tunnel/wire.ts'
import { answerText, healthText } from '../tunnel/health-page.ts'
import { goDuration, type SokkenFields, type SokkenLog } from './log.ts'
import { cleanPath, pathOf } from './path.ts'
import type { TargetList } from './target-list.ts'

/** Options of a server. */
export interface SokkenServerOptions {
  readonly api: HostPort
  readonly targets: TargetList
  readonly count: ConnectionCount
  /** Speaks TLS: certificate chain and key, in PEM. */
  readonly tls?: { readonly certificate: string; readonly key: string } | undefined
  /** Without it everybody may come, as with the real program. */
  readonly tokens?: TokenList | undefined
  readonly compression: boolean
  readonly dialTimeoutMs: number
  /** Milliseconds, rising. */
  readonly clock: () => number
}

/** For the whole of a request until it is answered or upgraded, milliseconds. */
const READ_TIMEOUT_MS = 5_000
const LINGER_MS = 1_000

/** The server end: takes WebSockets, opens the TCP connections that they ask for. */
export class SokkenServer {
  readonly #server: Server
  readonly #tunnels = new Set<WebSocketStream>()

  constructor(
    private readonly options: SokkenServerOptions,
    private readonly log: SokkenLog,
  ) {
    const timeouts = {
      headersTimeout: READ_TIMEOUT_MS,
      requestTimeout: READ_TIMEOUT_MS,
      connectionsCheckingInterval: 1_000,
      keepAlive: true,
    }
    const { tls } = options
    this.#server =
      tls === undefined
        ? createServer(timeouts)
        : createTlsServer({ ...timeouts, cert: tls.certificate, key: tls.key, minVersion: 'TLSv1.2', ALPNProtocols: ['http/1.1'] })
    this.#server.keepAliveTimeout = READ_TIMEOUT_MS
    this.#server.on('request', (request, response) => attempt(this.#failOf(request.socket), () => this.#answer(request, response)))
    this.#server.on('upgrade', (request, socket, head) => attempt(this.#failOf(socket), () => this.#upgrade(request, socket, head)))
    this.#server.on('connect', (_request, socket) => socket.destroy())
    // Slow heads and what is no HTTP: closed without a reply.
    this.#server.on('clientError', (_error, socket) => socket.destroy())
  }

  /** A fault of ours ends the connection that it happened on. */
  #failOf(socket: Duplex): Fail {
    return thrown => {
      this.log.error('internal fault', { error: messageOf(thrown) })
      socket.destroy()
    }
  }

  /** Opens the port. @throws GatewayError LISTEN_FAILED */
  start(): Promise<HostPort> {
    return listenOn(this.#server, this.options.api)
  }

  /** Takes no new connections. */
  stop(): void {
    this.#server.close()
    this.#server.closeIdleConnections()
  }

  /** Cuts every connection. Idempotent. */
  destroy(reason: string): void {
    this.stop()
    for (const tunnel of this.#tunnels) tunnel.abort(CloseCode.RESTART, reason)
    this.#server.closeAllConnections()
  }

  // --- pages

  #answer(request: IncomingMessage, response: ServerResponse): void {
    request.resume()
    const path = pathOf(request.url ?? '')
    const clean = path === undefined ? undefined : cleanPath(path)
    if (path === undefined || clean === undefined) return answerText(response, 400, '400 Bad Request\n')
    if (clean !== path) {
      const query = /\?.*/s.exec(request.url ?? '')?.[0] ?? ''
      const location = encodeURI(clean) + query
      return answerText(response, 301, 'Moved Permanently\n', ['Location', location])
    }
    if (path === '/health') return answerText(response, 200, healthText(this.options.count))
    if (!path.startsWith(TUNNEL_PATH)) return answerText(response, 404, '404 page not found\n')
    this.#refuse(request, response, path)
  }

  /** A request for a tunnel that cannot be opened; the order of the checks is that of sokken. */
  #refuse(request: IncomingMessage, response: ServerResponse, path: string): void {
    if (this.options.count.active >= this.options.count.max) return this.#reject(request, response, path)
    const violation = checkHandshake(request) ?? { status: 426, text: 'WebSocket protocol violation', fields: [] }
    this.log.error('websocket.Accept error', { ...this.#fields(request, path), error: violation.text })
    // Its Connection field is about the upgrade, and node:http would take that for a wish to go on.
    response.on(
      'finish',
      guarded(this.#failOf(request.socket), () => endLingering(request.socket)),
    )
    answerText(response, violation.status, `${violation.text}\nwebsocket error\n`, violation.fields)
  }

  #reject(request: IncomingMessage, response: ServerResponse, path: string): void {
    this.log.error(`rejecting client since we have ${this.options.count.active} connections`, this.#fields(request, path))
    answerText(response, 429, 'too many proxied connections\n')
  }

  // --- tunnels

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => undefined)
    const path = pathOf(request.url ?? '')
    const { count, tokens, compression } = this.options
    const answer = (respond: (response: ServerResponse) => void): void => {
      const response = new ServerResponse(request)
      response.shouldKeepAlive = false
      response.assignSocket(socket as unknown as Socket)
      response.on(
        'finish',
        guarded(this.#failOf(socket), () => endLingering(socket)),
      )
      respond(response)
    }
    if (path === undefined || cleanPath(path) !== path || !path.startsWith(TUNNEL_PATH)) return answer(res => this.#answer(request, res))
    const violation = checkHandshake(request)
    if (count.active >= count.max || violation !== undefined) return answer(res => this.#refuse(request, res, path))
    if (tokens !== undefined && !isAuthorized(request, tokens)) {
      this.log.warn('credentials refused', this.#fields(request, path))
      return answer(res => answerText(res, 401, 'token missing or not accepted\n', ['WWW-Authenticate', 'Bearer realm="sokken"']))
    }
    const offer = readOffer(request)
    if ('status' in offer) {
      this.log.error('websocket.Accept error', { ...this.#fields(request, path), error: offer.text })
      return answer(res => answerText(res, offer.status, `${offer.text}\nwebsocket error\n`))
    }
    count.take()
    const deflate = offer.deflate && compression
    const tunnel = acceptHandshake(request, socket, head, { subprotocol: offer.subprotocol, deflate })
    this.#tunnels.add(tunnel)
    tunnel.on('error', () => undefined)
    void this.#serve(request, tunnel, path, offer.subprotocol)
      .catch((error: unknown) => this.log.error('tunnel failed', { ...this.#fields(request, path), error: messageOf(error) }))
      .then(() => tunnel.gone)
      .then(() => {
        this.#tunnels.delete(tunnel)
        count.release()
      })
  }

  async #serve(request: IncomingMessage, tunnel: WebSocketStream, path: string, subprotocol: string | undefined): Promise<void> {
    const { targets, clock } = this.options
    const asked = path.slice(TUNNEL_PATH.length)
    const known = this.#fields(request, path) // the address is gone when the connection is
    const fields = (): SokkenFields => ({ ...known, 'active-connections': this.options.count.active })
    // SOKKEN is agreed on in the handshake and refused here: the real server compares exactly.
    if (subprotocol !== SUBPROTOCOL && subprotocol !== HALF_CLOSE_SUBPROTOCOL) {
      this.log.warn('client not using sokken subprotocol', fields())
      return tunnel.abort(CloseCode.POLICY, 'client not using sokken subprotocol')
    }
    const place = targets.find(asked)
    if (place === undefined) {
      this.log.warn(`target address not allowed: ${asked}`, fields())
      return tunnel.abort(CloseCode.INTERNAL, 'target address not allowed')
    }
    this.log.info(`dialing ${asked}`, fields())
    let socket: Socket
    try {
      socket = await this.#dial(place, tunnel)
    } catch (error) {
      // The real server says nothing here, and its clients hang.
      this.log.error('Dial error', { ...fields(), error: messageOf(error) })
      return tunnel.abort(CloseCode.BAD_GATEWAY, 'cannot connect to the target')
    }
    this.log.info('plumbing start', fields())
    const startedMs = clock()
    const { error } = await join(tunnel, socket)
    const lastedMs = clock() - startedMs
    if (error !== undefined) logFault(this.log, error, fields())
    this.log.info(`plumbing end, lasted ${goDuration(lastedMs)}`, {
      ...fields(),
      // This one is over, and the real program does not count it any more.
      'active-connections': this.options.count.active - 1,
      'plumbing-duration-ms': Math.round(lastedMs),
    })
  }

  #dial(place: HostPort, tunnel: WebSocketStream): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const socket = connect({ ...place, allowHalfOpen: true, noDelay: true })
      const { dialTimeoutMs } = this.options
      const timer = setTimeout(() => fail(new Error(`no answer from ${formatHostPort(place)} within ${dialTimeoutMs} ms`)), dialTimeoutMs)
      const fail = (error: Error): void => {
        clearTimeout(timer)
        socket.destroy()
        reject(error)
      }
      const left = guarded(reject, () => fail(new GatewayError('CANCELLED', 'the client has left')))
      tunnel.once('close', left)
      socket.once('error', fail)
      socket.once('connect', () => {
        clearTimeout(timer)
        tunnel.off('close', left)
        socket.off('error', fail)
        resolve(socket)
      })
    })
  }

  #fields(request: IncomingMessage, path: string): SokkenFields {
    const forwarded = request.headers['x-forwarded-for']
    return {
      target: path.slice(TUNNEL_PATH.length),
      client: formatHostPort({ host: request.socket.remoteAddress ?? '', port: request.socket.remotePort ?? 0 }),
      'x-forwarded-for': (Array.isArray(forwarded) ? forwarded[0] : forwarded)?.split(',')[0]?.trim(),
    }
  }
}

function isAuthorized(request: IncomingMessage, tokens: TokenList): boolean {
  const credentials = parseAuthorization(request.headers.authorization)
  return credentials !== undefined && tokens.has(credentials.kind === 'bearer' ? credentials.token : credentials.password)
}

/** Closing at once would reset the connection and could take the answer with it (RFC 9112 §9.6). */
function endLingering(socket: Duplex): void {
  socket.end()
  socket.resume()
  const timer = setTimeout(() => socket.destroy(), LINGER_MS).unref()
  socket.once('close', () => clearTimeout(timer))
}

/** The end of a broken tunnel, in the words of sokken. */
export function logFault(log: SokkenLog, error: Error, fields: SokkenFields): void {
  if (error instanceof TunnelClosed) log.error('abnormal websocket close status', { ...fields, error: error.message })
  else log.debug(`connection closed, io.Copy says: ${messageOf(error)}`, fields)
}
