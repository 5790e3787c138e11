import { type IncomingMessage, STATUS_CODES, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { asGatewayError, GatewayError, messageOf, type Refusal } from '../../errors.ts'
import { clientAddressOf, type Peer } from '../../http/client.ts'
import { StreamTable } from '../../mux/stream-table.ts'
import type { TargetTable } from '../../route/table.ts'
import { parseTunnelName } from '../../route/tunnel.ts'
import type { Taps } from '../../tap/tap.ts'
import type { ConnectionRecord } from '../../telemetry/connection-log.ts'
import type { Log } from '../../telemetry/log.ts'
import { canonicalPath, parseRequestTarget } from '../../route/path.ts'
import { Repeats, mutedText } from '../../telemetry/repeats.ts'
import { checkHandshake, readOffer } from '../../tunnel/accept.ts'
import { TUNNEL_PATH } from '../../tunnel/wire.ts'
import { DeadlineQueue } from '../../net/deadline-queue.ts'
import { EarlyBytes } from '../../net/early-bytes.ts'
import { errorAnswer } from '../../http/errors/error-answer.ts'
import { endLingering } from '../../net/linger.ts'
import type { DispatchContext } from '../inner-layers/dispatch.ts'
import { TunnelConnection } from './tunnel-connection.ts'
import type { SharedCounts } from '../../rates/shared-counts.ts'
import type { ConnectionCheck } from '../access/visitor-check.ts'
import { TunnelCredentials, type OpenedTunnel } from './tunnel-credentials.ts'

/** Longer than an inner layer dials, so that it is the one who says why. */
const OPENING_MS = 30_000
/** The shortest time between two log lines of the same refusal of the same address, milliseconds. */
const REFUSAL_PERIOD_MS = 60_000

/** Options of the edge. */
export interface TunnelEdgeOptions {
  /** The tunnels in force now. */
  readonly table: () => TargetTable
  readonly dispatch: DispatchContext
  readonly isTrusted: (address: string) => boolean
  /** The names that the `url` of a proof may have; none: anything. */
  readonly linkNames: readonly string[]
  /** Proofs of who somebody is, for tunnels with `access`; undefined: there are none. */
  readonly visitors: ConnectionCheck | undefined
  /** A fresh id for the log. */
  readonly nextId: () => string
  /** Milliseconds, rising. */
  readonly clock: () => number
  /** True once the process is leaving. */
  readonly isDraining: () => boolean
  readonly log: Log
  /** Counts of other processes; undefined: this one is alone. */
  readonly shared?: Pick<SharedCounts, 'meter'> | undefined
  /** Undefined: nobody looks at connections. */
  readonly taps?: Taps | undefined
  /** Takes each connection that has ended. */
  readonly record: (record: ConnectionRecord) => void
}

/** Private access: `/tunnel/HOST:PORT` at the app port and at the socket port, while the targets file has tunnels. */
export class TunnelEdge {
  readonly #credentials: TunnelCredentials
  readonly #connections = new StreamTable<TunnelConnection>()
  readonly #open = new Map<string, number>()
  readonly #refusals: Repeats
  readonly #record: (record: ConnectionRecord) => void
  #opening: DeadlineQueue | undefined
  #count = 0

  constructor(private readonly options: TunnelEdgeOptions) {
    const { linkNames, visitors, clock, record, shared } = options
    this.#credentials = new TunnelCredentials(linkNames, visitors, clock, () => Date.now(), shared)
    this.#refusals = new Repeats(REFUSAL_PERIOD_MS, clock)
    this.#record = record
  }

  /** Connections that are not over. */
  get openConnections(): number {
    return this.#connections.size
  }

  /** Is this a request for a tunnel? Without tunnels none is, and the path is like any other. */
  takes(request: IncomingMessage): boolean {
    if (request.url?.startsWith(TUNNEL_PATH) !== true) return false
    const table = this.options.table()
    // Paths below it are those of other sockets' applications, too: of sockets, those alone that there are.
    return table.tunnels.size > 0 || isOfSocket(table, nameOf(request))
  }

  /**
   * Is this path one of the tunnels', in whatever spelling and version of HTTP it came? Whoever forwarded it would give a token for a tunnel
   * to an origin.
   * @param target  in origin-form
   */
  owns(target: string): boolean {
    const table = this.options.table()
    if (table.tunnels.size === 0 && table.socketTunnel === undefined) return false
    const { path } = parseRequestTarget(target)
    const { path: canonical } = canonicalPath(path, true)
    if (!`${canonical}/`.startsWith(TUNNEL_PATH)) return false
    return table.tunnels.size > 0 || isOfSocket(table, nameOf({ url: canonical }))
  }

  /** A request that `takes` took, with its socket. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, peer: Peer): void {
    const early = new EarlyBytes(socket, head)
    const refuse = (refusal: Refusal): void => this.#answerRaw(request, socket, refusal)
    this.#admit(request, peer)
      .then(
        opened => {
          if (socket.destroyed) return
          const violation = checkHandshake(request)
          const offer = readOffer(request)
          if (violation !== undefined || 'status' in offer)
            return refuse({ code: violation?.status === 426 ? 'UPGRADE_REQUIRED' : 'BAD_REQUEST', fields: violation?.fields ?? [] })
          if (offer.subprotocol === undefined) return refuse({ code: 'UPGRADE_REQUIRED' })
          this.#begin({ request, early, ...opened, subprotocol: offer.subprotocol, peer, refuse })
        },
        (thrown: unknown) => refuse(this.#refused(thrown, request, peer)),
      )
      .catch((thrown: unknown) => this.#failed(socket, thrown))
  }

  /** A request that `takes` took and that is none to switch protocols: says whether it would open. */
  answer(request: IncomingMessage, response: ServerResponse, peer: Peer): void {
    request.resume()
    const say = (refusal: Refusal): void => {
      const { status, fields, body } = errorAnswer(refusal, this.options.nextId(), request.headers.accept)
      response.writeHead(status, STATUS_CODES[status], fields)
      response.end(body)
    }
    this.#admit(request, peer)
      .then(
        () => say({ code: 'UPGRADE_REQUIRED', fields: ['Upgrade', 'websocket'] }),
        (thrown: unknown) => say(this.#refused(thrown, request, peer)),
      )
      .catch((thrown: unknown) => this.#failed(request.socket, thrown))
  }

  /** Cuts everything. */
  destroy(): void {
    for (const connection of this.#connections.all()) connection.abort('DRAINING', 'the outer layer stops')
    this.#opening?.close()
  }

  /** @throws GatewayError what the request is refused with */
  async #admit(request: IncomingMessage, peer: Peer): Promise<OpenedTunnel> {
    if (this.options.isDraining()) throw new GatewayError('DRAINING')
    const authorizations = request.headersDistinct['authorization'] ?? []
    return this.#credentials.check(this.options.table(), {
      name: nameOf(request),
      // Two fields are not one that is good.
      authorization: authorizations.length === 1 ? authorizations[0] : undefined,
      address: clientAddressOf(request, peer, this.options.isTrusted),
      fields: request.rawHeaders,
      peer,
    })
  }

  #begin(
    visit: OpenedTunnel & {
      readonly request: IncomingMessage
      readonly early: EarlyBytes
      readonly subprotocol: string
      readonly peer: Peer
      readonly refuse: (refusal: Refusal) => void
    },
  ): void {
    const { tunnel, request, peer } = visit
    const open = this.#open.get(tunnel.name) ?? 0
    if (open >= tunnel.maxConnections) {
      this.options.log.warn({ tunnel: tunnel.name, connections: open }, `tunnel ${tunnel.name}: refused the connection beyond ${open}`)
      return visit.refuse({ code: 'OVERLOADED' })
    }
    this.#open.set(tunnel.name, open + 1)
    const { dispatch, clock, log, taps, nextId } = this.options
    const connection = new TunnelConnection(
      ++this.#count,
      { dispatch, clock, log, taps, opening: (this.#opening ??= new DeadlineQueue(OPENING_MS, clock)), record: this.#record },
      {
        ...visit,
        connectionId: nextId(),
        client: { address: clientAddressOf(request, peer, this.options.isTrusted), port: request.socket.remotePort ?? 0 },
      },
      ended => this.#over(ended, tunnel.name),
    )
    this.#connections.add(connection)
    connection.start()
  }

  #over(connection: TunnelConnection, name: string): void {
    this.#connections.delete(connection)
    const left = (this.#open.get(name) ?? 0) - 1
    if (left > 0) this.#open.set(name, left)
    else this.#open.delete(name)
  }

  /** A fault of ours ends this one visit. */
  #failed(socket: Duplex, thrown: unknown): void {
    socket.destroy()
    this.options.log.error({ err: thrown }, 'internal fault in a tunnel')
  }

  /** Logs a refusal, muted when it repeats itself, and returns it. */
  #refused(thrown: unknown, request: IncomingMessage, peer: Peer): Refusal {
    const error = asGatewayError(thrown)
    const { code, message } = error
    const { log } = this.options
    if (code === 'INTERNAL') log.error({ err: thrown }, 'internal fault in a tunnel')
    const address = clientAddressOf(request, peer, this.options.isTrusted)
    const muted = this.#refusals.take(`${address} ${code} ${message}`)
    if (muted === undefined || code === 'INTERNAL') return error
    const tunnel = nameOf(request) ?? ''
    log.warn(
      { address, tunnel, code, reason: messageOf(thrown), ...(muted > 0 && { muted }) },
      `refused a tunnel${mutedText(muted)}: ${message}`,
    )
    return error
  }

  #answerRaw(request: IncomingMessage, socket: Duplex, refusal: Refusal): void {
    if (socket.destroyed || !socket.writable) return
    const { status, fields, body } = errorAnswer(refusal, this.options.nextId(), request.headers.accept)
    const all = [...fields, 'Date', new Date().toUTCString(), 'Connection', 'close']
    let head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Refused'}\r\n`
    for (let i = 0; i < all.length; i += 2) if (all[i] !== 'Connection' || all[i + 1] === 'close') head += `${all[i]!}: ${all[i + 1]!}\r\n`
    socket.write(`${head}\r\n${body}`)
    socket.resume()
    endLingering(socket)
  }
}

/** HOST:PORT behind `/tunnel/`, canonical; undefined for what is none. */
function nameOf({ url = '' }: Pick<IncomingMessage, 'url'>): string | undefined {
  try {
    return parseTunnelName(decodeURIComponent(url.slice(TUNNEL_PATH.length).split('?', 1)[0]!)).name
  } catch {
    return undefined
  }
}

const isOfSocket = (table: TargetTable, name: string | undefined): boolean => name !== undefined && table.socketTunnel?.(name) !== undefined
