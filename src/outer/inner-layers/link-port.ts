import { randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'
import { answerProbe, type Readiness } from '../../admin/health.ts'
import { ERRORS, GatewayError, type ErrorCode } from '../../errors.ts'
import { clientAddressOf, peerOf, type Peer } from '../../http/client.ts'
import { unmapped } from '../../address/mapped.ts'
import type { Keys } from '../../identity/key-registry.ts'
import { PREPARE_MS, prepareProofs, verifyProof } from '../../identity/proof.ts'
import { createListener } from '../../link/listener.ts'
import { STREAM_PATH, SWITCHED_HEAD } from '../../link/stream-dialer.ts'
import { StreamLink } from '../../link/stream-link.ts'
import { greet } from '../../mux/handshake.ts'
import { DEFAULT_LIMITS, GROWTH_BUDGET_BYTES } from '../../mux/limits.ts'
import type { Link } from '../../mux/link.ts'
import type { LinkCounters } from '../../mux/link-counters.ts'
import { listsFor } from '../../payload/field-lists.ts'
import type { Timing } from '../../mux/liveness.ts'
import { GrowthBudget } from '../../mux/receive-window.ts'
import { Session, type SessionOptions } from '../../mux/session.ts'
import type { Pool } from '../../route/target.ts'
import type { Log } from '../../telemetry/log.ts'
import { mutedText, Repeats } from '../../telemetry/repeats.ts'
import type { CertificateStore } from '../../tls/certificate-store.ts'
import { followCertificates, tlsOptions } from '../../tls/server.ts'
import { AGENT } from '../../version.ts'
import { demandClientCertificates } from './client-certificates.ts'
import { attempt, guarded } from '../../net/guard.ts'
import { listenAt } from '../../net/listen.ts'
import { countConnections, SocketBook } from '../../net/socket-book.ts'
import type { InnerConnection, PeerFacts, Registry } from './registry.ts'
import { HandshakeLimits } from './handshake-limits.ts'
import { takeTurns } from './tls-turns.ts'

/** Other requests that are served at the socket port; it is asked before inner layers are looked at. */
export interface OtherRequests {
  takes(request: IncomingMessage): boolean
  /** A request that it takes and that is none to switch protocols. */
  answer(request: IncomingMessage, response: ServerResponse, peer: Peer): void
  /** A request that it takes and that is one to switch protocols. @param head  bytes that came behind the request */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, peer: Peer): void
}

/** An inner layer that was not let in. */
export interface RefusedInnerLayer {
  readonly address: string
  readonly code: ErrorCode
  readonly reason: string
}

/** Options of the listener. */
export interface LinkPortOptions {
  readonly port: number
  readonly host?: string
  /** In the place of a port: other processes of this machine connect here, by links without a websocket. */
  readonly path?: string | undefined
  /** Certificates for wss:, started; absent: ws:. With authorities for clients, each link has to have a certificate of the key that it proves. */
  readonly tls?: CertificateStore | undefined
  readonly keys: () => Pick<Keys, 'get' | 'allows'>
  /** All connections are links of the service process, for tunnels and for itself; absent: their keys say what they are for. */
  readonly isOfService?: boolean
  readonly validityMs: number
  /** The names that the `url` of a proof may have; none: anything. */
  readonly linkNames: readonly string[]
  /** Is this the address of a proxy that is believed? */
  readonly isTrusted: (address: string) => boolean
  readonly timing: Timing
  readonly clock: () => number
  readonly registry: Registry
  /** Called with the notes of an inner layer, which are about all its streams. @throws GatewayError PROTOCOL, which ends the session */
  readonly onNote: (connection: InnerConnection, payload: Buffer) => void
  /** Makes what takes the streams that the peer opens; absent: none are taken, as from inner layers. */
  readonly serve?: (connection: InnerConnection) => SessionOptions['accept']
  /** The word for those who connect here, in the log; by default an inner layer. */
  readonly peer?: 'inner layer' | 'node'
  /** Advice in the log where nobody knows the key of a peer. */
  readonly unknownKey?: string
  /** Limits of each session, both ways. */
  readonly limits?: SessionOptions['limits']
  readonly others: OtherRequests
  readonly counters: LinkCounters
  /** Is this process ready? */
  readonly readiness: () => Readiness
  /** Called for each inner layer that is refused. */
  readonly onRefused: (refused: RefusedInnerLayer) => void
}

/** The reason that the inner layers log. */
const REASON = 'the outer layer stops'
/** One of the two stops while the other connects: no refusal that anybody has to look into. */
const LEAVING: ReadonlySet<ErrorCode> = new Set(['GOING_AWAY', 'DRAINING'])
/** The shortest time between two log lines of the same refusal of the same address, milliseconds. */
const REFUSAL_PERIOD_MS = 60_000

/** The socket port: links of inner layers, each proven before it carries a stream; and two health pages. */
export class LinkPort {
  /** Every connection of the port. */
  readonly book = new SocketBook()
  /** The proven connections of this port. */
  readonly #own = new Set<InnerConnection>()
  /** Of links without a websocket, proven or not: they are not the HTTP server's any more. */
  readonly #streams = new Set<StreamLink>()
  readonly #server: Server | TlsServer
  readonly #listener: { readonly close: () => Promise<void> }
  readonly #budget = new GrowthBudget(GROWTH_BUDGET_BYTES)
  readonly #audience = randomBytes(16).toString('hex')
  readonly #unproven: HandshakeLimits
  readonly #refusals: Repeats
  /** The word for those who connect here, in the log. */
  readonly #peer: 'inner layer' | 'node'
  readonly #limits: SessionOptions['limits']
  /** True: those that connect are processes of this machine, by links without a websocket. */
  readonly #takesStreams: boolean
  #unfollow: (() => void) | undefined
  #isDraining = false

  constructor(
    private readonly options: LinkPortOptions,
    private readonly log: Log,
  ) {
    this.#peer = options.peer ?? 'inner layer'
    this.#limits = options.limits ?? DEFAULT_LIMITS
    this.#takesStreams = options.isOfService === true || options.path !== undefined
    this.#unproven = new HandshakeLimits(options.clock, this.#takesStreams)
    this.#refusals = new Repeats(REFUSAL_PERIOD_MS, options.clock)
    this.#server = this.#createServer((request, response) => {
      const fail = (thrown: unknown): void => {
        request.socket.destroy()
        this.#fault(thrown)
      }
      attempt(fail, () => this.#answer(request, response))
    })
    this.#server.on(
      'connection',
      guarded(this.#fault, (socket: Socket) => this.book.enter(socket)),
    )
    this.#server.on('clientError', (_error, socket) => socket.destroy())
    this.#listener = createListener(this.#server, {
      admit: request => this.#admit(request),
      onLink: (link, request) => this.#greet(link, request),
      onFault: this.#fault,
    })
    this.#offerOthers()
  }

  /** A throw in an event that belongs to no connection yet. */
  readonly #fault = (thrown: unknown): void => {
    this.log.error({ err: thrown }, 'internal fault at the socket port')
  }

  /** Answers a request that is none of a link. */
  #answer(request: IncomingMessage, response: ServerResponse): void {
    const { others, isTrusted, readiness } = this.options
    if (answerProbe(request, response, readiness)) return
    if (others.takes(request)) return others.answer(request, response, peerOf(request, isTrusted))
    const text = 'This is the socket port of a socket-gateway: inner layers connect here.\n'
    response.writeHead(404, { 'Content-Type': 'text/plain; charset=utf-8', 'Content-Length': text.length }).end(text)
  }

  /** Before socket.io: it ends every other upgrade that is not answered within a second, and an origin may take longer. */
  #offerOthers(): void {
    const listeners = this.#server.listeners('upgrade') as ((...args: unknown[]) => void)[]
    const { others, isTrusted } = this.options
    this.#server.removeAllListeners('upgrade')
    const upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
      if (others.takes(request)) return others.upgrade(request, socket, head, peerOf(request, isTrusted))
      if (this.#takesStreams && request.url === STREAM_PATH) return this.#stream(request, head)
      // engine.io would leave it without an answer, and then hang up.
      if (!request.url?.startsWith(LINK_PATH)) return refuseUpgrade(socket)
      for (const listener of listeners) listener.call(this.#server, request, socket, head)
    }
    const failOf = (socket: Duplex) => (thrown: unknown) => {
      socket.destroy()
      this.log.error({ err: thrown }, 'internal fault while a connection of the socket port switched protocols')
    }
    this.#server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) =>
      attempt(failOf(socket), () => upgrade(request, socket, head)),
    )
  }

  #createServer(pages: RequestListener): Server | TlsServer {
    const settings = { headersTimeout: 10_000, requestTimeout: 10_000, connectionsCheckingInterval: 5_000 }
    const { tls } = this.options
    if (tls === undefined) return createServer(settings, pages)
    const server = createTlsServer(
      { ...tlsOptions(tls), rejectUnauthorized: false, ALPNProtocols: ['http/1.1', 'http/1.0'], ...settings },
      pages,
    )
    takeTurns(server, this.#fault)
    this.#unfollow = followCertificates(server, tls)
    if (tls.clientCa !== undefined) demandClientCertificates(server, (address, reason) => this.#certificateRefused(address, reason))
    const refused = (error: Error, socket: TLSSocket): void =>
      this.log.debug({ address: unmapped(socket.remoteAddress ?? ''), reason: error.message }, 'TLS handshake failed')
    server.on('tlsClientError', guarded(this.#fault, refused))
    return server
  }

  /** Refuses a client without a certificate of an authority. */
  #certificateRefused(address: string, reason: string): void {
    this.options.onRefused({ address, code: 'AUTH', reason: `client certificate: ${reason}` })
    const muted = this.#refusals.take(`${address} ${reason}`)
    if (muted === undefined) return
    const fields = { address, reason, ...(muted > 0 && { muted }) }
    this.log.warn(fields, `refused the client certificate of ${address} (--socket-client-ca): ${reason}${mutedText(muted)}`)
  }

  /** Opens the port. @returns its number, 0 for a path @throws GatewayError LISTEN_FAILED */
  async start(): Promise<number> {
    const port = await listenAt(this.#server, this.options)
    setTimeout(guarded(this.#fault, prepareProofs), PREPARE_MS).unref()
    return port
  }

  /** Connections that Node.js has. */
  countConnections(): Promise<number | undefined> {
    return countConnections(this.#server)
  }

  /** Lets the sessions finish their streams, then closes the port. */
  async drain(): Promise<void> {
    this.#isDraining = true
    await Promise.all([...this.#own].map(({ session }) => session.drain('GOING_AWAY', REASON)))
  }

  /** Ends every session and closes the port. */
  async close(): Promise<void> {
    this.#isDraining = true
    for (const { session } of [...this.#own]) session.destroy('GOING_AWAY', REASON)
    this.#unfollow?.()
    this.#server.closeAllConnections()
    for (const link of this.#streams) link.close()
    await this.#listener.close()
  }

  /** Keys have changed: sessions whose key or identifier is no longer allowed end. */
  recheckKeys(): void {
    this.#recheck(this.#own)
  }

  /** The same for the sessions of these keys alone. */
  recheckKeysOf(kids: readonly string[]): void {
    for (const kid of kids) this.#recheck(this.options.registry.ofKey(kid).filter(connection => this.#own.has(connection)))
  }

  #recheck(connections: Iterable<InnerConnection>): void {
    const keys = this.options.keys()
    for (const { kid, identifier, session } of [...connections])
      if (!keys.allows(kid, identifier)) session.destroy('KEY_REMOVED', `the key of this ${this.#peer} is no longer accepted`)
  }

  #admit(request: IncomingMessage): string | undefined {
    // Browsers send Origin and have no business here.
    if (request.headers.origin !== undefined) return 'no browsers'
    if (this.#isDraining) return 'shutting down'
    return this.#unproven.admit(request.socket, this.#addressOf(request))
  }

  /** A link without a websocket, of the service process: it has one for each SSH tunnel. */
  #stream(request: IncomingMessage, head: Buffer): void {
    const { socket } = request
    if (this.#admit(request) !== undefined) return void socket.destroy()
    const link = new StreamLink(socket)
    this.#streams.add(link)
    socket.once(
      'close',
      guarded(this.#fault, () => void this.#streams.delete(link)),
    )
    socket.write(SWITCHED_HEAD)
    attempt(link.fail, () => this.#greet(link, request))
    link.push(head)
  }

  #greet(link: Link, request: IncomingMessage): void {
    const address = this.#addressOf(request)
    const nonce = randomBytes(32).toString('base64url')
    const issuedAtSeconds = Date.now() / 1000
    const { validityMs, linkNames } = this.options
    let kid = ''
    let pool: Pool = 'operator'
    let isEnrolled = false
    let login: number | undefined
    greet(link, {
      agent: AGENT,
      hello: { features: [], nonce, audience: this.#audience, time: issuedAtSeconds, validityMs, limits: this.#limits },
      verify: auth => {
        // Its handshake began before; a session now would be one that nobody drains.
        if (this.#isDraining) throw new GatewayError('DRAINING', REASON)
        const expected = { linkNames, audience: this.#audience, nonce, issuedAtSeconds, nowSeconds: Date.now() / 1000, validityMs }
        const proven = verifyProof(auth.proof, { ...expected, registry: this.options.keys(), unknownKey: this.options.unknownKey })
        kid = proven.kid
        isEnrolled = proven.isEnrolled
        pool = proven.isTunnel || this.options.isOfService === true ? 'tunnel' : 'operator'
        this.#checkClientCertificate(request.socket, kid)
        login = this.options.isOfService === true ? loginOf(auth.login) : proven.login
        const instance = instanceOf(kid, proven.identifier, auth.instance)
        if (this.options.registry.isTurnedAway(instance)) throw new GatewayError('DRAINING', 'another node has room for this inner layer')
        if (pool === 'tunnel' && this.options.registry.isTakenOver(proven.identifier, instance, login))
          throw new GatewayError('TAKEN_OVER', 'a newer login serves this tunnel')
        return { session: randomBytes(8).toString('hex'), identifier: proven.identifier }
      },
      onReady: ({ ready, auth }) => {
        this.#unproven.proven(request.socket, address)
        const instance = instanceOf(kid, ready.identifier, auth.instance ?? ready.session)
        const facts = {
          identifier: ready.identifier,
          pool,
          kid,
          login,
          address,
          agent: printable(auth.agent),
          ...(isEnrolled && { isEnrolled }),
        }
        this.take(link, facts, { instance, limits: auth.limits, features: auth.features })
      },
      onRefused: (code, reason) => {
        if (LEAVING.has(code)) return this.log.debug({ address, code, reason }, `no ${this.#peer} from ${address}: ${reason}`)
        this.options.onRefused({ address, code, reason })
        // It comes back every few seconds, and the times in the reason differ.
        const muted = this.#refusals.take(`${address} ${code} ${reason.replace(/\d+(?:\.\d+)?/g, '0')}`)
        if (muted === undefined) return
        const fields = { address, code, reason, ...(muted > 0 && { muted }) }
        this.log.warn(fields, `refused ${this.#peer === 'node' ? 'a' : 'an'} ${this.#peer} from ${address}: ${reason}${mutedText(muted)}`)
      },
    })
  }

  /** A certificate of another inner layer, or of anything else that the authorities sign, is not enough. */
  #checkClientCertificate(socket: Socket, kid: string): void {
    const { tls, keys } = this.options
    if (tls?.clientCa === undefined) return
    const presented = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined
    const key = keys().get(kid)?.key
    if (presented === undefined || key === undefined || !presented.publicKey.equals(key))
      throw new GatewayError('AUTH', 'the client certificate of the TLS connection is for another key than the proof')
  }

  #addressOf(request: IncomingMessage): string {
    return clientAddressOf(request, peerOf(request, this.options.isTrusted), this.options.isTrusted)
  }

  /** Takes a link whose other end has proven who it is, or is this very process. */
  take(
    link: Link,
    facts: Pick<InnerConnection, 'identifier' | 'pool' | 'isEnrolled' | 'kid' | 'login' | 'address' | 'agent'>,
    { instance, limits: peerLimits, features }: PeerFacts,
  ): void {
    const { registry, clock, timing, counters } = this.options
    const name = `${this.#peer} "${facts.identifier}"`
    const session = new Session(link, {
      role: 'outer',
      limits: this.#limits,
      peerLimits,
      budget: this.#budget,
      clock,
      timing,
      counters,
      accept: (payload, stream) => accept(payload, stream),
      onNote: payload => this.options.onNote(connection, payload),
      onGoAway: (_code, reason) => this.log.info({ ...facts, reason }, `${name} is leaving`),
      onClose: (code, given) => {
        const reason = given || ERRORS[code].text
        this.#own.delete(connection)
        registry.remove(connection)
        this.log.info({ ...facts, code, reason, connections: registry.size }, `${name} disconnected: ${reason}`)
      },
      onFault: thrown => this.log.error({ err: thrown }, 'internal fault while handling a stream'),
    })
    const connection: InnerConnection = { ...facts, instance, session, lists: listsFor(features, clock), since: new Date() }
    const accept = this.options.serve?.(connection) ?? refuseStream
    this.#own.add(connection)
    registry.add(connection)
    this.log.info({ ...facts, connections: registry.size }, `${name} connected from ${facts.address}`)
  }
}

/** Where links are opened. */
const LINK_PATH = '/socket.io/'

/** Answers a handshake for a path that is none of links. */
function refuseUpgrade(socket: Duplex): void {
  const body = `Inner layers connect at ${LINK_PATH} here.\n`
  socket.on('error', () => socket.destroy()).once('finish', () => socket.destroy())
  socket.end(`HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`)
}

const printable = (text: string): string => text.slice(0, 64).replace(/[^\x20-\x7e]/g, '?')

/** A process as the registry tells it from others, whatever it calls itself. @param name  of its own choice */
const instanceOf = (kid: string, identifier: string, name: unknown): string =>
  `${kid} ${identifier} ${typeof name === 'string' ? name.slice(0, 64) : ''}`

/** The login that the service process says a tunnel of its own has. */
const loginOf = (value: unknown): number | undefined => (Number.isSafeInteger(value) ? (value as number) : undefined)

const refuseStream = (): never => {
  throw new GatewayError('REFUSED_STREAM', 'an inner layer opens no streams')
}
