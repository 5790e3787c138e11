import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { GatewayError, type ErrorCode } from '../../errors.ts'
import { unmapped } from '../../address/mapped.ts'
import type { Peer } from '../../http/client.ts'
import { loggedPath } from '../../http/logged-path.ts'
import { answerBare, codeOfClientError, isLost, speaksTls, type ClientError } from './raw-answer.ts'
import type { ConnectionLimits } from '../access/connection-limits.ts'
import type { EdgeContext } from './edge-context.ts'
import { EarlyBytes } from '../../net/early-bytes.ts'
import { Http1EdgeRequest } from './http1-edge-request.ts'
import { headWithoutUpgrade, Http1UpgradeCall, mayUpgrade } from './http1-upgrade.ts'
import { PipelineGate } from './pipeline-gate.ts'
import { firstTurns } from '../quick-edge/first-turns.ts'
import { QuickConnection, type QuickEdge } from '../quick-edge/quick-connection.ts'
import { HttpExchange } from '../exchange/http-exchange.ts'
import type { ClientTurns } from '../../net/client-turns.ts'
import { attempt, guarded, type Fail } from '../../net/guard.ts'
import { untilEmpty } from '../../net/until-empty.ts'
import { listen } from '../../net/listen.ts'
import { countConnections } from '../../net/socket-book.ts'

/** Longer than the idle timeout of usual load balancers in front (60 s), so that they close first. Node waits a second longer than it announces. */
const KEEP_ALIVE_MS = 65_000
const KEEP_ALIVE_MARGIN_MS = 1_000
/** The most that one read brings. */
const READ_BYTES = 65_536
/** Pipelined requests that wait on one connection before nothing more is parsed. */
const MAX_WAITING = 8

interface Connection {
  readonly peer: Peer
  current: HttpExchange<Http1EdgeRequest> | undefined
  /** Each begins the next request. */
  readonly waiting: (() => void)[]
  /** The next of them begins in the next turn, so that a burst of one client is not answered before all others. */
  isTurning: boolean
  gate: PipelineGate | undefined
  /** True when bytes that still come are not even parsed. */
  isDeaf: boolean
  /** The fault of bytes that came after the requests so far and cannot be one; answered in its turn, as the last. */
  fault: { readonly code: ErrorCode; readonly reason: string; readonly req?: IncomingMessage } | undefined
  /** The last answer was given: whatever the client sends from now on is thrown away (RFC 9112 §9.6). */
  isClosing: boolean
}

/** Options of an edge. */
export interface HttpEdgeOptions {
  /** Undefined: the edge opens none, and gets its connections by `adopt`. */
  readonly port: number | undefined
  readonly host?: string
  readonly isTrusted: (address: string) => boolean
  /** The connections of all edges are counted, and what comes on them at the same moment is begun in turns. */
  readonly connections: ConnectionLimits
  readonly turns: ClientTurns
  /** Announced idle time of connections; the default suits everything but tests. */
  readonly keepAliveMs?: number
}

/**
 * Step 1 of the path: raw node:http, no framework. One request of a connection at a time. Plain requests do not get as far as that: what is
 * read and written for them here is half of what it costs in node:http.
 */
export class HttpEdge {
  readonly #server: Server
  /** The listener of node:http for a connection. */
  readonly #parse: (socket: Socket) => void
  readonly #quick: QuickEdge
  readonly #quickConnections = new Set<QuickConnection>()
  readonly #connections = new WeakMap<Duplex, Connection>()
  /** Connections on which nothing was asked yet. */
  readonly #fresh = new Set<Duplex>()
  readonly #readBuffer = Buffer.allocUnsafeSlow(READ_BYTES)
  #openExchanges = 0
  #onIdle: (() => void) | undefined

  constructor(
    private readonly options: HttpEdgeOptions,
    private readonly context: EdgeContext,
  ) {
    this.#server = createServer({
      maxHeaderSize: context.limits.headerBytes,
      headersTimeout: context.limits.headerMs,
      connectionsCheckingInterval: Math.min(5_000, context.limits.headerMs),
      requestTimeout: 0, // honest uploads take as long as they take; silence is what ends a request
      keepAliveTimeout: options.keepAliveMs ?? KEEP_ALIVE_MS,
      // A client that vanished without a word is noticed by the kernel, also while a silent stream is open.
      keepAlive: true,
      keepAliveInitialDelay: 60_000,
      requireHostHeader: false, // admission decides, with an answer of our own
      noDelay: true,
      // `res.on('close')` is all that tells of a client that left, so a half-closed client counts as gone.
    })
    // Node cuts longer lists off silently, and framing fields behind the cut would vanish from sight.
    this.#server.maxHeadersCount = 0
    const [parse] = this.#server.listeners('connection') as ((socket: Socket) => void)[]
    this.#server.removeListener('connection', parse!)
    this.#parse = parse!.bind(this.#server)
    this.#server.on('connection', (socket: Socket) => attempt(this.#failOf(socket), () => this.#take(socket)))
    this.#quick = this.#createQuickEdge()
    const accept = (req: IncomingMessage, res: ServerResponse): void => attempt(this.#failOf(req.socket), () => this.#accept(req, res))
    for (const event of ['request', 'checkContinue', 'checkExpectation']) this.#server.on(event, accept)
    this.#server.on('upgrade', (req, socket, head) => attempt(this.#failOf(socket), () => this.#upgrade(req, socket, head)))
    this.#server.on('connect', (req, socket) =>
      attempt(this.#failOf(socket), () => {
        socket.on('error', () => socket.destroy()) // node:http listens no more
        this.#connectionOf(socket).gate?.release()
        socket.resume() // no parser reads it any more, and its end is to be seen
        this.#fault(socket, { code: 'METHOD_REFUSED', reason: 'method CONNECT', req })
      }),
    )
    this.#server.on('clientError', (error, socket) => attempt(this.#failOf(socket), () => this.#clientError(error, socket)))
  }

  /** Opens the port. @throws GatewayError LISTEN_FAILED */
  start(): Promise<number> {
    const { port, host } = this.options
    if (port !== undefined) return listen(this.#server, port, host)
    // node:http begins to look after its time-outs when it hears this.
    this.#server.emit('listening')
    return Promise.resolve(0)
  }

  /** Takes a connection that another port has accepted and counted, such as one whose TLS was ended there. */
  adopt(socket: Socket, peer: Peer): void {
    this.#connections.set(socket, connectionOf(peer))
    this.#server.emit('connection', socket)
  }

  /** Answers plain HTTP on a port for TLS, whose first bytes are not read yet. */
  refusePlain(socket: Socket): void {
    this.#fault(socket, { code: 'TLS_REQUIRED', reason: 'plain HTTP on the port for HTTPS' })
    socket.resume()
  }

  /** Connections of its own port that Node.js has. */
  countConnections(): Promise<number | undefined> {
    return countConnections(this.#server)
  }

  /** Requests that are not over. */
  get openExchanges(): number {
    return this.#openExchanges
  }

  /** Takes no new connections; resolves once the requests in flight are over. */
  async close(): Promise<void> {
    const closed = new Promise<void>(resolve => this.#server.close(() => resolve()))
    for (const connection of this.#quickConnections) connection.endIfIdle()
    // Whoever was accepted gets the first request answered; isDraining of the context says that it is the last.
    await untilEmpty(() => this.#fresh.size, this.context.limits.lastRequestMs)
    if (this.#openExchanges > 0) {
      await new Promise<void>(resolve => {
        this.#onIdle = resolve
      })
    }
    for (const connection of this.#quickConnections) connection.destroy()
    this.#server.closeIdleConnections()
    // Connections on which no request was begun are neither idle nor busy to node:http.
    this.#server.closeAllConnections()
    await closed
  }

  /** Cuts everything. */
  destroy(): void {
    this.#server.close()
    for (const connection of this.#quickConnections) connection.destroy()
    this.#server.closeAllConnections()
  }

  /** A fault of ours ends the connection that it happened on. */
  #failOf(socket: Duplex): Fail {
    return thrown => {
      this.context.log.error({ err: thrown }, 'internal fault in a connection of HTTP/1')
      socket.destroy()
    }
  }

  #take(socket: Socket): void {
    const isAdmitted = this.#admitConnection(socket)
    this.#fresh.add(socket)
    socket.once('close', () => this.#fresh.delete(socket))
    if (isAdmitted) this.#quickConnections.add(new QuickConnection(socket, this.#connectionOf(socket).peer, this.#quick))
    else this.#parseByNode(socket)
  }

  /** A connection beyond the limits gets one answer, whatever it was about to ask. */
  #admitConnection(socket: Socket): boolean {
    if (this.#connections.has(socket)) return true
    const reason = this.options.connections.admit(socket, unmapped(socket.remoteAddress ?? ''))
    if (reason !== undefined) this.#fault(socket, { code: 'OVERLOADED', reason })
    return reason === undefined
  }

  #createQuickEdge(): QuickEdge {
    const { context, options } = this
    const { deadlines, limits } = context
    const keepAliveMs = options.keepAliveMs ?? KEEP_ALIVE_MS
    const over = (): void => {
      this.#openExchanges--
      if (this.#openExchanges === 0) this.#onIdle?.()
    }
    return {
      headerBytes: limits.headerBytes,
      keepAliveSeconds: Math.floor(keepAliveMs / 1_000),
      first: deadlines.of(limits.headerMs),
      further: deadlines.of(keepAliveMs === 0 ? 0 : keepAliveMs + KEEP_ALIVE_MARGIN_MS),
      takeTurn: firstTurns(options.turns),
      isForOthers: target => context.tunnels.owns(target),
      begin: (request, socket) => {
        this.#openExchanges++
        this.#fresh.delete(socket)
        new HttpExchange(context, request, over).start()
      },
      handOver: (connection, bytes) => {
        this.#quickConnections.delete(connection)
        this.#parseByNode(connection.socket)
        this.#connectionOf(connection.socket).gate?.feed(bytes)
      },
      gone: connection => void this.#quickConnections.delete(connection),
      late: ({ socket }) => this.#fault(socket, { code: 'REQUEST_TIMEOUT', reason: 'Request timeout' }),
      failOf: socket => this.#failOf(socket),
    }
  }

  #parseByNode(socket: Socket): void {
    this.#parse(socket)
    const connection = this.#connectionOf(socket)
    connection.gate = new PipelineGate(socket, {
      isFull: () => connection.waiting.length >= MAX_WAITING,
      isOver: () => connection.isDeaf || connection.fault !== undefined,
      readBuffer: this.#readBuffer,
      fail: this.#failOf(socket),
    })
  }

  #accept(req: IncomingMessage, res: ServerResponse): void {
    const connection = this.#connectionOf(req.socket)
    if (connection.isClosing) return
    if (isBusy(connection)) {
      connection.waiting.push(() => this.#begin(connection, new Http1EdgeRequest(connection.peer, req, res, undefined, connection.gate)))
      return connection.gate?.crowd()
    }
    if (this.context.tunnels.takes(req)) return this.context.tunnels.answer(req, res, connection.peer)
    this.#begin(connection, new Http1EdgeRequest(connection.peer, req, res, undefined, connection.gate))
  }

  /** A request to switch protocols, of which node:http has parsed the head and then let go of the socket. */
  #upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void {
    const connection = this.#connectionOf(socket)
    connection.gate?.release()
    const { tunnels } = this.context
    if (tunnels.takes(req) && !isBusy(connection) && !connection.isClosing) {
      connection.isClosing = true
      return tunnels.upgrade(req, socket, head, connection.peer)
    }
    const early = new EarlyBytes(socket, head)
    if (connection.isClosing) return
    const isWanted = mayUpgrade(req, this.context.table())
    const begin = (): void => {
      if (isWanted) this.#begin(connection, new Http1UpgradeCall(connection.peer, req, early))
      else this.#parseAgain(req, early)
    }
    if (!isBusy(connection)) return begin()
    // The answer before it may have to wait for the socket, which node:http does not tell it any more.
    const drained = guarded(this.#failOf(socket), () => void connection.current?.call.res.emit('drain'))
    socket.on('drain', drained)
    connection.waiting.push(() => {
      socket.off('drain', drained)
      begin()
    })
  }

  /** RFC 9110 §7.8: an Upgrade that is not wanted is ignored. The socket gets a parser again, and the head without that field. */
  #parseAgain(req: IncomingMessage, early: EarlyBytes): void {
    early.giveBack(headWithoutUpgrade(req))
    this.#parseByNode(req.socket)
    early.socket.resume()
  }

  #begin(connection: Connection, call: Http1EdgeRequest): void {
    this.#openExchanges++
    this.#fresh.delete(call.req.socket)
    const exchange = new HttpExchange(this.context, call, this.#next)
    connection.current = exchange
    exchange.start()
    // What was wrong was its own body, while it waited for its turn: the rest of it never comes.
    const { fault } = connection
    if (fault !== undefined && !exchange.isReceived) exchange.refuse(new GatewayError(fault.code, fault.reason))
  }

  readonly #next = ({ call: { res } }: HttpExchange<Http1EdgeRequest>): void => {
    const connection = this.#connections.get(res.req.socket)
    this.#openExchanges--
    if (connection !== undefined) attempt(this.#failOf(res.req.socket), () => this.#proceed(connection, res))
    if (this.#openExchanges === 0) this.#onIdle?.()
  }

  /** The next request of the connection, unless the answer before it was the last. */
  #proceed(connection: Connection, res: ServerResponse): void {
    const { socket } = res.req
    connection.current = undefined
    if (!res.shouldKeepAlive || !res.writableFinished || socket.destroyed) {
      connection.isClosing = true
      connection.isDeaf = res.req.complete // the rest of an upload is counted while it is thrown away
      if (connection.isDeaf) connection.gate?.close()
      connection.waiting.length = 0
      return
    }
    const next = connection.waiting.shift()
    if (next !== undefined) {
      connection.isTurning = true
      setImmediate(guarded(this.#failOf(socket), () => this.#turn(connection, socket, next)))
    } else if (connection.fault !== undefined) this.#refuseRaw(socket, connection.fault)
  }

  #turn(connection: Connection, socket: Socket, next: () => void): void {
    connection.isTurning = false
    if (socket.destroyed) {
      connection.isClosing = true
      connection.waiting.length = 0
      return
    }
    next()
    connection.gate?.proceed()
  }

  #connectionOf(socket: Duplex): Connection {
    const known = this.#connections.get(socket)
    if (known !== undefined) return known
    const { remoteAddress = '', localPort = 0 } = socket as Duplex & { remoteAddress?: string; localPort?: number }
    const address = unmapped(remoteAddress)
    const connection = connectionOf({ address, isTrusted: this.options.isTrusted(address), scheme: 'http', localPort })
    this.#connections.set(socket, connection)
    return connection
  }

  /** Handles what node:http could not parse, or what did not come in time. */
  #clientError(error: ClientError, socket: Duplex): void {
    if (isLost(error)) {
      socket.destroy()
      return
    }
    const code = codeOfClientError(error)
    const current = this.#connections.get(socket)?.current
    // The body of the request under way is wrong, or the request after it, which then waits for its turn.
    if (current !== undefined && !current.isReceived) current.refuse(new GatewayError(code, error.message))
    else this.#fault(socket, { code, reason: speaksTls(error) ? SPEAKS_TLS : error.message })
  }

  /** Answers what is no request, behind the answers of the requests before it. The parser repeats itself, so the first fault counts. */
  #fault(socket: Duplex, fault: NonNullable<Connection['fault']>): void {
    const connection = this.#connectionOf(socket)
    if (connection.fault !== undefined || connection.isClosing) return
    connection.fault = fault
    connection.gate?.close()
    if (!isBusy(connection)) this.#refuseRaw(socket, fault)
  }

  /** Answers on the bare socket, where no response object exists. */
  #refuseRaw(socket: Duplex, { code, reason, req }: NonNullable<Connection['fault']>): void {
    const connection = this.#connectionOf(socket)
    connection.isClosing = true
    const requestId = this.context.nextId()
    const { status, body } = answerBare(socket, code, requestId, req?.headers.accept)
    this.context.access({
      requestId,
      client: connection.peer.address,
      host: req?.headers.host ?? '-',
      method: req?.method ?? '-',
      path: req?.url === undefined ? '-' : loggedPath(req.url),
      status,
      bytesIn: 0,
      bytesOut: body.length,
      durationMs: 0,
      firstByteMs: undefined,
      target: undefined,
      identifier: undefined,
      error: code,
      reason,
    })
  }
}

const SPEAKS_TLS = 'the client speaks TLS and this port plain HTTP: use http://, or give the outer layer a certificate (--tls-certificate)'

const connectionOf = (peer: Peer): Connection => ({
  peer,
  current: undefined,
  waiting: [],
  isTurning: false,
  gate: undefined,
  isDeaf: false,
  fault: undefined,
  isClosing: false,
})

/** Has a request of it begun, or is about to? */
const isBusy = ({ current, isTurning }: Connection): boolean => current !== undefined || isTurning
