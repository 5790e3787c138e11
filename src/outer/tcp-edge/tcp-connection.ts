import type { Socket } from 'node:net'
import { asGatewayError, ERRORS, GatewayError, type ErrorCode } from '../../errors.ts'
import { unmapped } from '../../address/mapped.ts'
import { encodeTcpHead } from '../../payload/tcp-head.ts'
import { encodeTlsHead } from '../../payload/tls-head.ts'
import { visitorName, type Visitor } from '../../route/access.ts'
import { addressOf, type TcpPort, type TcpRoute } from '../../route/tcp-port.ts'
import { Splice } from '../../splice/splice.ts'
import { connectionStart } from '../../tap/origin-way.ts'
import { watchSocket, type ExchangeTap, type Taps } from '../../tap/tap.ts'
import type { ConnectionRecord } from '../../telemetry/connection-log.ts'
import type { Log } from '../../telemetry/log.ts'
import type { Admittance, ConnectionAdmittance, ConnectionCheck, HolderVisit } from '../access/visitor-check.ts'
import type { VisitorCounts } from '../access/visitor-counts.ts'
import { proxiedVisitor } from '../access/proxied-visitor.ts'
import { BeforeOrigin } from '../inner-layers/tcp-opening.ts'
import type { DeadlineQueue, QueueNode, Expiring } from '../../net/deadline-queue.ts'
import { guarded } from '../../net/guard.ts'
import { endAbruptly } from '../../net/linger.ts'
import { proxyHeader, type Endpoint, type ProxiedConnection } from '../../net/write-proxy-header.ts'
import { countConnection } from '../inner-layers/count-connection.ts'
import type { CarrierStream } from '../inner-layers/carrier.ts'
import { Dispatch, type DispatchContext } from '../inner-layers/dispatch.ts'

/** Longer ones are none of Node.js. */
const MAX_TIMER_MS = 2_147_483_647

/** The context that all connections of the public ports share. */
export interface TcpContext {
  readonly dispatch: DispatchContext
  /** For an origin to be connected. */
  readonly opening: DeadlineQueue
  /** For a client to say which name it wants, or to agree on TLS. */
  readonly greeting: DeadlineQueue
  /** A fresh id for the log. */
  readonly nextId: () => string
  /** Milliseconds, rising. */
  readonly clock: () => number
  readonly log: Log
  readonly record: (record: ConnectionRecord) => void
  /** Plain connections read into it. */
  readonly memory: Buffer
  /** Undefined: nobody looks at connections. */
  readonly taps?: Taps | undefined
  /** Counts of visitors with a proof, by outcome. */
  readonly visitors: VisitorCounts
  /** Says who may come to sockets of the service; undefined: nobody who has to log in. */
  readonly check: ConnectionCheck | undefined
}

/** A client that may be joined to an origin. */
export interface TcpRequest {
  readonly route: TcpRoute
  /** Bytes of the client that were read already. */
  readonly head?: Buffer
  /** Where the bytes of the client come from, when it is not the socket that was accepted: TLS that was ended. */
  readonly inside?: Socket
  /** The facts about TLS for the PROXY protocol. */
  readonly facts?: Pick<ProxiedConnection, 'authority' | 'alpn' | 'tls'>
  /** An authority asks whether the name leads here. */
  readonly isChallenge?: boolean
  /** Somebody who has proven who they are. */
  readonly visitor?: Visitor | undefined
}

/**
 * One connection of a client to a public port, from its accept to its line in the log. Until the origin is connected the client is read
 * once, and what it sent is kept, so that another inner layer can take over; from then on a splice does everything.
 */
export class TcpConnection extends BeforeOrigin implements Expiring {
  deadlineMs = 0
  earlier: QueueNode | undefined
  later: QueueNode | undefined
  readonly client: Endpoint
  readonly #connectionId: string
  readonly #startedMs: number
  readonly #local: Endpoint
  #name: string | undefined
  #greeted: TcpRequest | undefined
  #head: Buffer | undefined
  readonly #dispatch: Dispatch
  #stream: CarrierStream | undefined
  #splice: Splice | undefined
  #bytesIn = 0
  #unmeter: (() => void) | undefined
  #ending: NodeJS.Timeout | undefined
  #unfollow: (() => void) | undefined
  #refused: Visitor | undefined
  #isOver = false
  #tap: ExchangeTap | undefined

  /**
   * @param id      a number of its own, for whoever keeps connections
   * @param socket  as it was accepted, paused
   * @param onOver  called once
   * @param address  of the client, where that is not the other end of the socket
   */
  constructor(
    readonly id: number,
    private readonly context: TcpContext,
    private readonly port: TcpPort,
    private readonly socket: Socket,
    private readonly onOver: (connection: TcpConnection) => void,
    address = unmapped(socket.remoteAddress ?? ''),
  ) {
    super()
    this.#connectionId = context.nextId()
    this.#startedMs = context.clock()
    this.#dispatch = new Dispatch(context.dispatch)
    this.client = { address, port: socket.remotePort ?? 0 }
    this.#local = { address: unmapped(socket.localAddress ?? ''), port: socket.localPort ?? 0 }
    socket.on('error', ignore) // 'close' follows
    socket.on('close', guarded(this.fail, this.#left))
    context.greeting.refresh(this)
  }

  /** True when it has ended and was logged. */
  get isOver(): boolean {
    return this.#isOver
  }

  /** The name that the client wants, as it is logged. */
  set name(name: string | undefined) {
    this.#name = name
  }

  /** Picks an inner layer and opens a stream to the origin. */
  join(greeted: TcpRequest): void {
    if (this.#isOver) return
    this.#greeted = greeted
    if (this.context.taps !== undefined && this.port.options.isInspected === true) this.#look(this.context.taps, greeted.route)
    const source = greeted.inside ?? this.socket
    if (greeted.inside !== undefined) {
      source.on('error', ignore)
      source.on('close', guarded(this.fail, this.#left))
    }
    const { owner } = greeted.route
    try {
      owner?.checkQuota()
      this.#unmeter = owner?.follow({
        bytes: () => this.#bytesIn + (this.#splice?.bytesIn ?? 0) + (this.#splice?.bytesOut ?? 0),
        end: (code, reason) => this.abort(code, reason),
      })
      if (!this.#open()) throw this.#absence(greeted.route)
      if (greeted.head !== undefined) return this.#send(greeted.head)
      source.once('data', this.#onFirst)
      source.resume()
    } catch (thrown) {
      this.#refuse(thrown)
    }
  }

  #look(taps: Taps, route: TcpRoute): void {
    const { port, tls } = this.port.options
    this.#tap = taps.open({
      ...connectionStart(route),
      scheme: tls === 'none' ? 'tcp' : 'tls',
      authority: `${this.#name ?? '*'}:${port}`,
      startedMs: this.#startedMs,
      requestId: this.#connectionId,
      client: this.client.address,
      owner: route.owner,
    })
  }

  #absence(route: TcpRoute): GatewayError {
    if (route.owner !== undefined) return new GatewayError('NO_TUNNEL', 'no tunnel of this socket is connected')
    return new GatewayError('NO_INNER_LAYER', this.#dispatch.absence(addressOf(route), route))
  }

  /** Ends it now; the client sees a reset. Idempotent. */
  abort(code: ErrorCode, reason: string): void {
    if (this.#splice !== undefined) return this.#splice.abort(code, reason)
    if (this.#isOver) return
    this.#stream?.reset(ERRORS[code].reset > 0 ? code : 'CANCELLED', reason)
    this.#cut()
    this.#finish(code, reason)
  }

  /** Counts that somebody has shown a certificate, or has not. */
  countVisitor(outcome: 'admitted' | 'refused'): void {
    this.context.visitors.add('certificate', outcome)
  }

  /** Asks who somebody with a certificate is, and whether they may come. @returns undefined where they may not: it has ended then */
  judge(visit: Omit<HolderVisit, 'address'>): ConnectionAdmittance | undefined {
    const { check } = this.context
    if (check === undefined) {
      this.abort('VISITOR_LOGIN_MISSING', 'the outer layer has no providers')
      return undefined
    }
    const decision = check.admitHolder({ ...visit, address: this.client.address })
    if (decision.kind === 'admit') return decision
    this.#refused = decision.visitor
    this.abort(decision.code, decision.reason)
    return undefined
  }

  /** Ends it when what has let its visitor in is over. */
  follow(follow: Admittance['follow']): void {
    if (this.#isOver) return
    this.#unfollow = follow?.(guarded(this.fail, reason => this.abort('VISITOR_SESSION_OVER', reason)))
  }

  /** Ends it at a time, unless that is further away than any connection lasts. @param atMs  ms since 1970 */
  endAt(atMs: number, reason: string): void {
    const leftMs = atMs - Date.now()
    if (this.#isOver || leftMs > MAX_TIMER_MS) return
    const end = guarded(this.fail, () => this.abort('VISITOR_SESSION_OVER', reason))
    this.#ending = setTimeout(end, Math.max(0, leftMs)).unref()
  }

  /** The client has ended its half before it has said what it wants: it has left. */
  left(): void {
    this.#left()
  }

  /** Ends it with a last word to the client, such as an alert, instead of a reset. */
  dismiss(code: ErrorCode, reason: string, word: Buffer): void {
    if (this.#isOver) return
    this.#finish(code, reason)
    this.socket.resume()
    this.socket.end(word)
    this.socket.destroySoon()
  }

  /** One of its events threw: it ends, and what it has left behind with it. */
  readonly fail = (thrown: unknown): void => {
    try {
      this.#refuse(thrown)
    } finally {
      this.#cut()
    }
  }

  onFault(thrown: unknown): void {
    this.fail(thrown)
  }

  onDeadline(): void {
    if (this.#stream === undefined) this.abort('REQUEST_TIMEOUT', 'the client did not say in time what it wants')
    else this.abort('ORIGIN_CONNECT_TIMEOUT', 'the inner layer has not said that the origin is connected')
  }

  // --- until the origin is connected ---

  /** @returns false when no inner layer is connected that could be asked */
  #open(): boolean {
    const { route, facts, visitor } = this.#greeted!
    const stream = this.#dispatch.open({ target: route, payload: this.#payload(this.#greeted!) }, this)
    if (stream === undefined) return false
    this.#stream = stream
    this.context.opening.refresh(this)
    this.#tap?.mark('dispatched')
    this.#tap?.link(this.#dispatch.connection?.session.roundTripMs ?? 0)
    const { proxyProtocol: version, tellsIdentity } = this.port.options
    const who = tellsIdentity && visitor !== undefined ? { visitor: proxiedVisitor(visitor) } : {}
    if (version !== 0) stream.write(proxyHeader(version, { source: this.client, destination: this.#local, ...facts, ...who }))
    if (this.#head !== undefined) stream.write(this.#head)
    return true
  }

  #payload({ route, isChallenge = false }: TcpRequest): Buffer {
    if (route.endsTls === true) return encodeTlsHead({ name: route.hostname, isChallenge, client: this.client })
    // A tunnel of the service tells its end who comes; inner layers of operators may be too old to be told.
    return encodeTcpHead(route.pool === 'tunnel' ? { ...route, visitor: this.client } : route)
  }

  readonly #onFirst = guarded(this.fail, (chunk: Buffer) => {
    this.#source.pause()
    this.#send(chunk)
  })

  #send(head: Buffer): void {
    this.#head = head
    this.#bytesIn = head.length
    this.#stream?.write(head)
  }

  get #source(): Socket {
    return this.#greeted?.inside ?? this.socket
  }

  override onHead(): void {
    this.context.opening.cancel(this)
    const source = this.#source
    source.off('data', this.#onFirst)
    const tap = this.#tap
    tap?.mark('connected')
    if (this.#head !== undefined) tap?.sent(this.#head)
    this.#head = undefined
    this.#dispatch.connected()
    this.#splice = new Splice(source, {
      memory: this.context.memory,
      idleMs: this.port.options.idleMs,
      failure: error =>
        new GatewayError('CANCELLED', error === undefined ? 'the client closed the connection' : `the client: ${error.message}`),
      cut: () => this.#cut(),
      ...(tap !== undefined && { watch: watchSocket(tap, 'client') }),
      onEnd: ({ code, reason, thrown }) => {
        if (thrown !== undefined) this.#logFault(thrown)
        this.#finish(code, reason)
      },
    })
    this.#splice.attach(this.#stream!)
  }

  override onReset(code: ErrorCode, reason: string): void {
    if (this.#isOver) return
    // What was lost on its way may have reached the origin, unless there was nothing.
    if (this.#dispatch.mayRepeat(code, this.#head === undefined)) {
      const fields = { connectionId: this.#connectionId, code, reason, identifier: this.#dispatch.connection?.identifier }
      this.context.log.debug(fields, 'moving a connection to another inner layer')
      try {
        if (this.#open()) return
      } catch (thrown) {
        return this.#refuse(thrown)
      }
    }
    this.#cut()
    this.#finish(code, reason)
  }

  // --- the end ---

  #refuse(thrown: unknown): void {
    const { code, message } = asGatewayError(thrown)
    if (code === 'INTERNAL') this.#logFault(thrown)
    this.abort(code, message)
  }

  #logFault(thrown: unknown): void {
    this.context.log.error({ err: thrown, connectionId: this.#connectionId }, 'internal fault while handling a connection')
  }

  /** The client has gone before anything was joined. */
  readonly #left = (): void => {
    if (this.#splice !== undefined || this.#isOver) return
    this.#stream?.reset('CANCELLED', 'the client left')
    this.#finish('CANCELLED', 'the client left before the origin was connected')
    this.socket.destroy()
  }

  #cut(): void {
    // TLS inside follows by itself, a moment later: destroyed here it would say at once that the client has left.
    endAbruptly(this.socket)
  }

  #finish(code: ErrorCode | undefined, reason: string): void {
    if (this.#isOver) return
    this.#isOver = true
    clearTimeout(this.#ending)
    this.#unfollow?.()
    this.#unmeter?.()
    this.context.opening.cancel(this)
    const { route, visitor = this.#refused } = this.#greeted ?? {}
    const owner = route?.owner
    const record: ConnectionRecord = {
      connectionId: this.#connectionId,
      client: this.client.address,
      clientPort: this.client.port,
      port: this.#local.port,
      target: route === undefined ? undefined : addressOf(route),
      name: this.#name,
      bytesIn: this.#bytesIn + (this.#splice?.bytesIn ?? 0),
      bytesOut: this.#splice?.bytesOut ?? 0,
      durationMs: this.context.clock() - this.#startedMs,
      identifier: this.#dispatch.connection?.identifier,
      ...(visitor !== undefined && { visitor: visitorName(visitor), lane: visitor.lane }),
      error: code,
      reason,
      ...(owner !== undefined && { isOfSocket: true }),
    }
    this.context.record(record)
    if (owner !== undefined) countConnection(owner, record)
    this.#tap?.end({
      error: code,
      reason,
      innerLayer: record.identifier,
      ...(visitor !== undefined && { visitor: visitorName(visitor) }),
    })
    this.onOver(this)
  }
}

const ignore = (): void => undefined
