import type { IncomingMessage } from 'node:http'
import { asGatewayError, ERRORS, GatewayError, type ErrorCode, type Refusal } from '../../errors.ts'
import { encodeTcpHead } from '../../payload/tcp-head.ts'
import type { Tunnel } from '../../route/tunnel.ts'
import { Splice } from '../../splice/splice.ts'
import { connectionStart } from '../../tap/origin-way.ts'
import { watchSocket, type ExchangeTap, type Taps, type TapStart } from '../../tap/tap.ts'
import type { ConnectionRecord } from '../../telemetry/connection-log.ts'
import type { Log } from '../../telemetry/log.ts'
import { acceptHandshake } from '../../tunnel/accept.ts'
import type { WebSocketStream } from '../../tunnel/web-socket-stream.ts'
import { CloseCode } from '../../tunnel/wire.ts'
import { unmapped } from '../../address/mapped.ts'
import { proxyHeader } from '../../net/write-proxy-header.ts'
import { visitorName } from '../../route/access.ts'
import type { ConnectionAdmittance } from '../access/visitor-check.ts'
import { proxiedVisitor } from '../access/proxied-visitor.ts'
import { BeforeOrigin } from '../inner-layers/tcp-opening.ts'
import type { DeadlineQueue, QueueNode, Expiring } from '../../net/deadline-queue.ts'
import { guarded } from '../../net/guard.ts'
import type { EarlyBytes } from '../../net/early-bytes.ts'
import { countConnection } from '../inner-layers/count-connection.ts'
import type { CarrierStream } from '../inner-layers/carrier.ts'
import { Dispatch, type DispatchContext } from '../inner-layers/dispatch.ts'

/** Where an end is the end of both directions, what the origin still sends has nowhere to go; it gets this long to end, milliseconds. */
const LINGER_MS = 5_000

/** The context that all connections of the tunnels share. */
export interface TunnelContext {
  readonly dispatch: DispatchContext
  /** For an origin to be connected. */
  readonly opening: DeadlineQueue
  /** Milliseconds, rising. */
  readonly clock: () => number
  readonly log: Log
  readonly record: (record: ConnectionRecord) => void
  /** Undefined: nobody looks at connections. */
  readonly taps?: Taps | undefined
}

/** A client of a tunnel, with its connection and request. */
export interface TunnelVisit {
  readonly connectionId: string
  readonly client: { readonly address: string; readonly port: number }
  readonly tunnel: Tunnel
  /** The visitor, where one has proven who it is. */
  readonly admittance: ConnectionAdmittance | undefined
  readonly request: IncomingMessage
  readonly early: EarlyBytes
  /** The subprotocol, of those that are known, that the client understands. */
  readonly subprotocol: string
  /** Answers instead of the handshake; called at most once, before anything was opened. */
  readonly refuse: (refusal: Refusal) => void
}

/**
 * One tunnel: a stream to the origin first, then the answer 101, then a splice of both. That way a client learns why it cannot have the
 * connection from an HTTP status, and a request can go to another inner layer as long as nothing was answered.
 */
export class TunnelConnection extends BeforeOrigin implements Expiring {
  deadlineMs = 0
  earlier: QueueNode | undefined
  later: QueueNode | undefined
  readonly #startedMs: number
  readonly #dispatch: Dispatch
  #stream: CarrierStream | undefined
  #socket: WebSocketStream | undefined
  #splice: Splice | undefined
  #lingering: NodeJS.Timeout | undefined
  #unfollow: (() => void) | undefined
  #unmeter: (() => void) | undefined
  #isOver = false
  readonly #tap: ExchangeTap | undefined

  /**
   * @param id      a number of its own, for whoever keeps connections
   * @param onOver  called once
   */
  constructor(
    readonly id: number,
    private readonly context: TunnelContext,
    private readonly visit: TunnelVisit,
    private readonly onOver: (connection: TunnelConnection) => void,
  ) {
    super()
    this.#startedMs = context.clock()
    this.#dispatch = new Dispatch(context.dispatch)
    visit.early.socket.once('close', this.#left)
    if (context.taps !== undefined && visit.tunnel.isInspected === true) this.#tap = context.taps.open(this.#start())
  }

  #start(): TapStart {
    const { tunnel, client, connectionId } = this.visit
    const { owner, name } = tunnel
    const shown = owner === undefined ? {} : { owner, authority: name }
    return { ...connectionStart(tunnel), startedMs: this.#startedMs, requestId: connectionId, client: client.address, ...shown }
  }

  /** Asks an inner layer for the connection. */
  start(): void {
    try {
      const { tunnel } = this.visit
      tunnel.owner?.checkQuota()
      this.#unmeter = tunnel.owner?.follow({
        bytes: () => (this.#splice?.bytesIn ?? 0) + (this.#splice?.bytesOut ?? 0),
        end: (code, reason) => this.abort(code, reason),
      })
      this.#unfollow = this.visit.admittance?.follow?.(this.#ended)
      if (this.#open()) return
      if (tunnel.owner !== undefined) throw new GatewayError('NO_TUNNEL', 'no tunnel of this socket is connected')
      throw new GatewayError('NO_INNER_LAYER', this.#dispatch.absence(tunnel.name, tunnel))
    } catch (thrown) {
      this.#refuse(thrown)
    }
  }

  /** Ends it now: the client gets an answer or a close frame. Idempotent. */
  abort(code: ErrorCode, reason: string, closeCode: number = CloseCode.RESTART): void {
    this.#socket?.abort(closeCode, reason)
    if (this.#splice !== undefined) return this.#splice.abort(code, reason)
    this.#fail(code, reason)
  }

  onDeadline(): void {
    this.#fail('ORIGIN_CONNECT_TIMEOUT', 'the inner layer has not said that the origin is connected')
  }

  onFault(thrown: unknown): void {
    try {
      this.#refuse(thrown)
    } finally {
      this.visit.early.socket.destroy()
    }
  }

  // --- until the origin is connected ---

  /** @returns false when no inner layer is connected that could be asked */
  #open(): boolean {
    const { tunnel, client } = this.visit
    // A tunnel of the service tells its end who comes; inner layers of operators may be too old to be told.
    const payload = encodeTcpHead(tunnel.pool === 'tunnel' ? { ...tunnel, visitor: client } : tunnel)
    this.#stream = this.#dispatch.open({ target: tunnel, payload }, this)
    if (this.#stream === undefined) return false
    this.#tap?.mark('dispatched')
    this.#tap?.link(this.#dispatch.connection?.session.roundTripMs ?? 0)
    this.#introduce(this.#stream)
    this.context.opening.refresh(this)
    return true
  }

  /** Tells the origin who the client is, where it wants to know. */
  #introduce(stream: CarrierStream): void {
    const { tunnel, client, request, admittance } = this.visit
    const { proxyProtocol: version, tellsIdentity } = tunnel
    if (version === 0) return
    const { localAddress = '', localPort = 0 } = request.socket
    const destination = { address: unmapped(localAddress), port: localPort }
    const isTold = tellsIdentity && admittance !== undefined
    const who = isTold ? { visitor: proxiedVisitor(admittance.visitor, admittance.identity) } : {}
    stream.write(proxyHeader(version, { source: client, destination, ...who }))
  }

  override onHead(): void {
    const { early, request, subprotocol, tunnel } = this.visit
    this.context.opening.cancel(this)
    early.socket.off('close', this.#left)
    this.#dispatch.connected()
    const socket = acceptHandshake(request, early.socket, early.take(), { subprotocol, deflate: false })
    this.#socket = socket
    const tap = this.#tap
    tap?.mark('connected')
    this.#splice = new Splice(socket, {
      idleMs: tunnel.idleMs,
      failure: error => new GatewayError('CANCELLED', error === undefined ? 'the client closed the tunnel' : error.message),
      cut: () => socket.abort(CloseCode.INTERNAL, 'the connection to the service was lost'),
      ...(tap !== undefined && { watch: watchSocket(tap, 'client') }),
      onEnd: ({ code, reason, thrown }) => {
        if (thrown !== undefined) this.#logFault(thrown)
        this.#finish(this.#lingering === undefined ? code : undefined, reason)
      },
    })
    this.#splice.attach(this.#stream!)
    if (socket.halfClose) return
    const fail = (thrown: unknown): void => this.onFault(thrown)
    const leave = guarded(fail, () => this.#splice?.abort('CANCELLED', ''))
    const linger = (): void => {
      if (!this.#isOver) this.#lingering = setTimeout(leave, LINGER_MS).unref()
    }
    socket.once('end', guarded(fail, linger))
  }

  override onReset(code: ErrorCode, reason: string): void {
    if (this.#isOver) return
    this.#stream = undefined
    try {
      // Nothing of the client has been sent, so that nothing can happen twice.
      if (this.#dispatch.mayRepeat(code, true) && this.#open()) return
    } catch (thrown) {
      return this.#refuse(thrown)
    }
    this.#fail(code, reason)
  }

  // --- the end ---

  /** Ends the connection: the right that let the visitor in is over. */
  readonly #ended = guarded(
    thrown => this.onFault(thrown),
    (reason: string) => this.abort('VISITOR_SESSION_OVER', reason, CloseCode.POLICY),
  )

  readonly #left = guarded(
    thrown => this.onFault(thrown),
    () => this.#fail('CANCELLED', 'the client left before the origin was connected'),
  )

  #refuse(thrown: unknown): void {
    const { code, message } = asGatewayError(thrown)
    if (code === 'INTERNAL') this.#logFault(thrown)
    this.#fail(code, message)
  }

  #logFault(thrown: unknown): void {
    this.context.log.error({ err: thrown, connectionId: this.visit.connectionId }, 'internal fault in a tunnel')
  }

  #fail(code: ErrorCode, reason: string): void {
    if (this.#isOver || this.#splice !== undefined) return
    const { socket } = this.visit.early
    socket.off('close', this.#left)
    this.#stream?.reset(ERRORS[code].reset > 0 ? code : 'CANCELLED', reason)
    if (!socket.destroyed) this.visit.refuse({ code: ERRORS[code].status > 0 && code !== 'CANCELLED' ? code : 'INNER_LAYER_LOST' })
    this.#finish(code, reason)
  }

  #finish(error: ErrorCode | undefined, reason: string): void {
    if (this.#isOver) return
    this.#isOver = true
    clearTimeout(this.#lingering)
    this.#unfollow?.()
    this.#unmeter?.()
    this.context.opening.cancel(this)
    const { client, connectionId, tunnel, admittance } = this.visit
    const { owner } = tunnel
    const record: ConnectionRecord = {
      connectionId,
      client: client.address,
      clientPort: client.port,
      port: 'tunnel',
      target: tunnel.name,
      bytesIn: this.#splice?.bytesIn ?? 0,
      bytesOut: this.#splice?.bytesOut ?? 0,
      durationMs: this.context.clock() - this.#startedMs,
      identifier: this.#dispatch.connection?.identifier,
      error,
      reason,
      ...(admittance !== undefined && { visitor: visitorName(admittance.visitor), lane: admittance.visitor.lane }),
      ...(owner !== undefined && { isOfSocket: true }),
    }
    this.context.record(record)
    if (owner !== undefined) countConnection(owner, record)
    this.#tap?.end({
      error,
      reason,
      innerLayer: record.identifier,
      ...(admittance !== undefined && { visitor: visitorName(admittance.visitor) }),
    })
    this.onOver(this)
  }
}
