import { constants, performServerHandshake, type IncomingHttpHeaders, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import type { Peer } from '../../http/client.ts'
import { MAX_FIELDS } from '../../http/fields.ts'
import { http2Request } from '../../http/http2-request.ts'
import type { EdgeContext } from '../exchange/exchange-context.ts'
import { FRAME_COST, FrameBudget } from './frame-budget.ts'
import { Http2EdgeRequest, type Http2CallContext } from './http2-edge-request.ts'
import { Http2UpgradeCall } from './http2-upgrade.ts'
import { HttpExchange } from '../exchange/http-exchange.ts'
import { Penalties } from '../access/penalties.ts'

const { NGHTTP2_FLAG_END_STREAM, NGHTTP2_ENHANCE_YOUR_CALM } = constants
/** RFC 9113 §6.5.2 recommends no fewer; each may wait for an origin. */
const MAX_STREAMS = 100
/** Bytes of an upload that come ahead of the link, for each stream. */
const STREAM_WINDOW_BYTES = 65_535
/** For all streams of a connection together; a stream that stands still does not hold the others back. */
const CONNECTION_WINDOW_BYTES = 1_048_576
/** Connections without a stream are kept this long, as over HTTP/1. */
const IDLE_MS = 65_000
/** An address whose connection was ended for a flood gets no other for this long; proxies that are trusted apart, milliseconds. */
const PENALTY_MS = 10_000
/** The client has this long to close its end when all is said. */
const LINGER_MS = 1_000

/** What an HTTP/2 edge is made from. */
export interface Http2EdgeOptions {
  /** How long connections without a stream are kept; the default suits everything but tests. */
  readonly idleMs?: number
}

/** One connection. */
interface Connection {
  readonly socket: Socket
  readonly session: ServerHttp2Session
  readonly budget: FrameBudget
  readonly calls: Http2CallContext
  openStreams: number
}

/** Step 1 of the path for HTTP/2 (RFC 9113): connections come from other ports, by ALPN or by their preface. Every stream is an exchange. */
export class Http2Edge {
  readonly #connections = new Set<Connection>()
  readonly #settings: Parameters<typeof performServerHandshake>[1]
  readonly #penalties: Penalties
  #openExchanges = 0
  #isClosing = false
  #onIdle: (() => void) | undefined

  constructor(
    private readonly context: EdgeContext,
    private readonly options: Http2EdgeOptions = {},
  ) {
    this.#penalties = new Penalties(PENALTY_MS, context.clock)
    this.#settings = {
      maxHeaderListPairs: 2 * MAX_FIELDS, // beyond MAX_FIELDS admission says 431, what is beyond this is reset
      maxSessionInvalidFrames: 100,
      settings: {
        enableConnectProtocol: true,
        initialWindowSize: STREAM_WINDOW_BYTES,
        maxConcurrentStreams: MAX_STREAMS,
        maxHeaderListSize: 2 * context.limits.headerBytes, // likewise
      },
    }
  }

  /** Requests that are not over. */
  get openExchanges(): number {
    return this.#openExchanges
  }

  /** Connections that are open. */
  get openConnections(): number {
    return this.#connections.size
  }

  /** Takes a connection that another port has accepted and counted; what was read of it already is given back to it. */
  adopt(socket: Socket, peer: Peer): void {
    // A session on a socket that is gone would end the process (Node 20).
    if (socket.destroyed || this.#isClosing || this.#penalties.has(peer.address)) return void socket.destroy()
    const { context } = this
    socket.allowHalfOpen = false // a client that ends its half has left
    const session = performServerHandshake(socket, this.#settings)
    const budget = new FrameBudget(context.clock)
    const calls = {
      peer,
      stall: context.deadlines.of(context.limits.writeStallMs),
      moved: () => budget.earn(FRAME_COST.piece),
    }
    const connection: Connection = { socket, session, budget, calls, openStreams: 0 }
    this.#connections.add(connection)
    session.setLocalWindowSize(CONNECTION_WINDOW_BYTES)
    session.on('stream', (stream: ServerHttp2Stream, _headers: IncomingHttpHeaders, flags: number, raw: string[]) =>
      this.#begin(connection, stream, raw, (flags & NGHTTP2_FLAG_END_STREAM) !== 0),
    )
    session.on('error', (error: Error) =>
      context.log.debug({ address: peer.address, reason: error.message }, 'an HTTP/2 connection failed'),
    )
    session.on('ping', () => this.#spend(connection, FRAME_COST.ping))
    session.on('remoteSettings', () => {
      session.setTimeout(this.options.idleMs ?? IDLE_MS)
      this.#spend(connection, FRAME_COST.settings)
    })
    session.setTimeout(context.limits.headerMs)
    session.on('timeout', () => {
      if (connection.openStreams === 0) this.#retire(connection)
    })
    socket.on('error', () => socket.destroy())
    socket.once('close', () => {
      this.#connections.delete(connection)
      this.#idle()
    })
  }

  /** Takes no new connections and no new requests; resolves once those in flight are over. */
  async close(): Promise<void> {
    this.#isClosing = true
    if (this.#connections.size === 0) return
    const idle = new Promise<void>(resolve => {
      this.#onIdle = resolve
    })
    for (const connection of this.#connections) this.#retire(connection)
    await idle
  }

  /** Cuts everything. */
  destroy(): void {
    this.#isClosing = true
    for (const { session, socket } of this.#connections) {
      session.destroy()
      socket.destroy()
    }
  }

  #begin(connection: Connection, stream: ServerHttp2Stream, raw: readonly string[], endsWithHead: boolean): void {
    stream.on('error', ignore) // `close` follows, if there is a call that wants to know
    // Reset in the same breath: nobody is there to be answered.
    if (stream.destroyed || stream.closed) return this.#spend(connection, FRAME_COST.brokenStream)
    const request = http2Request(raw, endsWithHead, this.context.limits.headerBytes)
    const call = new (request.upgrades === undefined ? Http2EdgeRequest : Http2UpgradeCall)(connection.calls, stream, request)
    connection.openStreams++
    this.#openExchanges++
    new HttpExchange<Http2EdgeRequest>(this.context, call, () => this.#end(connection, call)).start()
  }

  #end(connection: Connection, call: Http2EdgeRequest): void {
    connection.openStreams--
    this.#openExchanges--
    if (call.isFinished) connection.budget.earn(FRAME_COST.wholeStream)
    else if (!call.isCut) this.#spend(connection, FRAME_COST.brokenStream)
    if (connection.openStreams === 0 && connection.session.closed) this.#linger(connection)
    this.#idle()
  }

  #idle(): void {
    if (this.#openExchanges === 0 && this.#connections.size === 0) this.#onIdle?.()
  }

  /** RFC 9113 §10.5: a client that makes work of which nothing comes is told to calm down, and left. */
  #spend({ session, budget, calls }: Connection, cost: number): void {
    if (budget.spend(cost)) return
    if (!calls.peer.isTrusted) this.#penalties.add(calls.peer.address)
    if (session.destroyed) return
    this.context.log.debug({ address: calls.peer.address }, 'an HTTP/2 connection was ended: too many frames that lead to nothing')
    session.destroy(new Error('too many frames that lead to nothing'), NGHTTP2_ENHANCE_YOUR_CALM)
  }

  /** GOAWAY; the streams that are open finish. */
  #retire(connection: Connection): void {
    connection.session.close()
    if (connection.openStreams === 0) this.#linger(connection)
  }

  #linger({ socket }: Connection): void {
    const timer = setTimeout(() => socket.destroy(), LINGER_MS)
    timer.unref()
    socket.once('close', () => clearTimeout(timer))
  }
}

const ignore = (): void => undefined
