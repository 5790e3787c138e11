import { randomBytes } from 'node:crypto'
import { performance } from 'node:perf_hooks'
import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises'
import type { Admin } from '../admin/admin.ts'
import { compileTrustFields } from '../http/believed-fields.ts'
import { identifyClient } from '../http/client.ts'
import { LinkCounters } from '../mux/link-counters.ts'
import { settleWithin } from '../mux/settle-within.ts'
import { createAccessLog } from '../telemetry/access-log.ts'
import { createConnectionLog, type ConnectionRecord } from '../telemetry/connection-log.ts'
import { ConnectionMetrics } from '../telemetry/connection-metrics.ts'
import { silentLog, type Log } from '../telemetry/log.ts'
import { RequestMetrics } from '../telemetry/request-metrics.ts'
import { createTracing } from '../telemetry/tracing.ts'
import { RepeatedFieldLists } from '../payload/byte-codec.ts'
import { VERSION } from '../version.ts'
import { LayerEvents } from './events/layer-events.ts'
import { BookWatch, watchedLinks, type WatchedPort } from './book-watch.ts'
import { ClientPorts } from './client-ports.ts'
import { ConnectionLimits } from './access/connection-limits.ts'
import { DeadlineQueues } from '../net/deadline-queue.ts'
import { DEFAULT_EDGE_LIMITS } from './access/client-limits.ts'
import { HeldRequests, MAX_HELD } from './inner-layers/held-requests.ts'
import { LinkPort } from './inner-layers/link-port.ts'
import { createOperatorView } from './operator-view.ts'
import { OUTER_LAYER_DEFAULTS, type OuterLayerDefaults, type OuterLayerOptions } from './options/outer-options.ts'
import { alwaysOf, offersHttp2 } from './options/derived-options.ts'
import { linkPortOptions } from './link-port-options.ts'
import { sourcesOf, type Sources } from './options/sources.ts'
import { TunnelSessions } from './tunnel-sessions.ts'
import { createServicePort } from './service-port.ts'
import { Sightings } from './sightings.ts'
import { logStarted } from './start-lines.ts'
import { OriginHealth } from './inner-layers/origin-health.ts'
import { ProxiedClients } from './ports/proxied-clients.ts'
import { OriginRefusals } from './inner-layers/origin-refusals.ts'
import { OriginProfiles } from './inner-layers/origin-profiles.ts'
import { Balancer } from './inner-layers/balancer.ts'
import { AccessCheck } from './access/access-check.ts'
import { RequestLimit } from './access/request-limit.ts'
import { Registry } from './inner-layers/registry.ts'
import { Cluster } from '../cluster/cluster.ts'
import { followConnections } from './follow-connections.ts'
import { HostHints } from './exchange/host-hints.ts'
import { SwitchedConnections } from './exchange/switched-connections.ts'
import type { EdgeReplay, EdgeReplayResult } from './exchange/replay.ts'
import { PassedNames } from './tcp-edge/passed-names.ts'
import { TcpEdge } from './tcp-edge/tcp-edge.ts'
import { TcpTerminators } from './tcp-edge/tcp-terminator.ts'
import { createTrust } from './ports/trusted-proxies.ts'
import { TunnelEdge } from './tunnel-edge/tunnel-edge.ts'

/** The process on the public host: takes requests, sends them through the inner layers that are connected. */
export class OuterLayer {
  readonly registry = new Registry()
  readonly #edge: ClientPorts
  readonly #tcp: TcpEdge
  readonly #listener: LinkPort
  readonly #deadlines: DeadlineQueues
  readonly #health: OriginHealth
  readonly #profiles: OriginProfiles
  readonly #admin: Admin
  readonly #switched: SwitchedConnections
  readonly #tunnels: TunnelEdge
  readonly #books: BookWatch
  readonly #events: LayerEvents
  readonly #sources: Sources
  /** With a directory only. */
  readonly #tunnelSessions: TunnelSessions | undefined
  /** With other outer layers only. */
  readonly #cluster: Cluster | undefined
  /** For the links of the service process. */
  readonly #serviceListener: LinkPort | undefined
  #socketPort = 0
  #servicePort = 0
  #isDraining = false
  #closing: Promise<void> | undefined
  /** Ends what was begun with the sources of targets and keys. */
  #unfollow = (): void => undefined

  /** Builds the parts in the order of the path: edge, registry, listener of inner layers. */
  constructor(
    private readonly options: OuterLayerOptions & OuterLayerDefaults,
    private readonly log: Log,
  ) {
    const clock = (): number => performance.now()
    const isTrusted = createTrust(options.trustProxy)
    const limits = { ...DEFAULT_EDGE_LIMITS, ...options.limits }
    this.#sources = sourcesOf(options)
    const { targets, keys, table } = this.#sources
    const { directory, timing, cluster } = options
    this.#profiles = new OriginProfiles(alwaysOf(limits, options.serverTiming === true))
    const instance = randomBytes(4).toString('hex')
    let count = 0
    const requests = new RequestMetrics(Date.now)
    const counters = new LinkCounters(options.onMoved)
    const connections = new ConnectionMetrics()
    const sightings = new Sightings(Date.now)
    const logAccess = createAccessLog(log)
    const logConnection = createConnectionLog(log)
    const endOfConnection = (record: ConnectionRecord): void => {
      logConnection(record)
      connections.count(record)
    }
    this.#deadlines = new DeadlineQueues(clock)
    const clients = new ConnectionLimits(limits, isTrusted, options.shared?.counts)
    this.#switched = new SwitchedConnections(limits.websocketIdleMs)
    const held = new HeldRequests({ max: MAX_HELD, holdMs: limits.holdMs, registry: this.registry, clock })
    const profiles = this.#profiles
    this.#health = new OriginHealth(clock, log, turn => this.#events.originTurned(turn))
    const refusals = new OriginRefusals(log)
    followConnections({
      registry: this.registry,
      held,
      health: this.#health,
      refusals,
      profiles,
      table,
      events: () => this.#events,
      tunnelSessions: () => this.#tunnelSessions,
      cluster: () => this.#cluster,
    })
    const dispatch = { balancer: new Balancer(this.registry, this.#health, refusals), profiles }
    const nextId = (): string => `${instance}-${(++count).toString(36)}`
    this.#tunnels = new TunnelEdge({
      visitors: options.visitors?.connections,
      table,
      dispatch,
      isTrusted,
      linkNames: options.linkNames ?? [],
      nextId,
      clock,
      shared: options.shared?.counts,
      taps: options.taps,
      isDraining: () => this.#isDraining,
      log,
      record: endOfConnection,
    })
    this.#edge = new ClientPorts(
      {
        port: options.appPort,
        host: options.appHost,
        isTrusted,
        connections: clients,
        keepAliveMs: options.keepAliveMs,
        certificates: options.appCertificates,
        challenges: options.challenges,
        passed: new PassedNames(table, passed => this.#tcp.carry(passed)),
        ...{ httpPort: options.appHttpPort, httpHost: options.appHttpHost },
        hstsSeconds: options.hstsSeconds,
        proxied: options.proxied ?? (options.proxyProtocol === true ? new ProxiedClients(isTrusted, log, clock) : undefined),
        ...{ http2: offersHttp2(options, log), h2c: options.appH2c },
      },
      {
        table,
        dispatch,
        deadlines: this.#deadlines,
        headMs: options.timeoutMs,
        limits,
        requestLimit: new RequestLimit(limits.requests, options.shared?.counts.tally('requests')),
        held,
        accessCheck: new AccessCheck(clock, limits.rate, options.shared),
        visitors: options.visitors,
        taps: options.taps,
        clientOf: (peer, request) => identifyClient(peer, request, isTrusted),
        trustFields: compileTrustFields(options.trustFields ?? [], 'layer'),
        ...{ pseudonym: `sg-${instance}`, visitorFields: new RepeatedFieldLists() },
        removeCsps: options.removeCsps,
        hints: new HostHints(log),
        errorPages: options.errorPages,
        abuse: options.abuse,
        nextId,
        clock,
        log,
        tracing: createTracing('outer', VERSION),
        serverTiming: options.serverTiming === true,
        access: record => {
          logAccess(record)
          this.#events.sawRequest(record)
          if (options.admin === undefined) return
          requests.count(record)
          sightings.sawRequest(record)
        },
        tunnels: this.#tunnels,
        switched: this.#switched,
        isDraining: () => this.#isDraining,
      },
    )
    this.#tcp = new TcpEdge({
      dispatch,
      terminators: new TcpTerminators(options.tcpCertificates ?? (() => undefined), options.challenges),
      ...{ check: options.visitors?.connections, isTrusted },
      ...{ shared: options.shared?.counts, inherited: options.tcpInherited },
      nextId,
      clock,
      log,
      taps: options.taps,
      record: endOfConnection,
    })
    const linkOptions = linkPortOptions(options, {
      keys: this.#sources.allKeys,
      isTrusted,
      clock,
      registry: this.registry,
      tunnels: this.#tunnels,
      counters,
      health: this.#health,
      tunnelSessions: () => this.#tunnelSessions,
      readiness: () => this.#admin.readiness(),
      onRefused: refused => this.#events.refused(refused, sightings),
    })
    this.#listener = new LinkPort(linkOptions, log)
    if (directory !== undefined) {
      const [tcp, listener] = [this.#tcp, this.#listener]
      this.#tunnelSessions = new TunnelSessions({ directory, registry: this.registry, tcp, listener, clock, log })
      this.#serviceListener = createServicePort(directory, linkOptions, log)
    }
    const parts = { registry: this.registry, profiles, counters, timing, clock, log, onDrain: () => void this.#listener.drain() }
    if (cluster !== undefined) this.#cluster = new Cluster(cluster, parts)
    this.#books = new BookWatch(() => this.#watched, log)
    this.#events = new LayerEvents({ layer: options, sources: this.#sources, registry: this.registry, tcp: this.#tcp, log })
    this.#admin = createOperatorView({
      events: this.#events.book,
      admin: options.admin,
      registry: this.registry,
      targets,
      keys,
      directory,
      cluster: this.#cluster,
      startedAt: new Date(),
      certificates: [options.appCertificates, options.socketCertificates].filter(store => store !== undefined),
      requests,
      counters,
      isDraining: () => this.#isDraining,
      openRequests: () => this.#edge.openExchanges,
      ports: () => this.ports,
      tcp: this.#tcp,
      tunnels: this.#tunnels,
      clients,
      books: this.#books,
      switched: this.#switched,
      health: this.#health,
      connections,
      visitors: options.visitors,
      sightings,
      log,
      clock,
    })
  }

  /** This process among other outer layers; undefined: it is alone. */
  get cluster(): Cluster | undefined {
    return this.#cluster
  }

  /** The ports that are open, once started. */
  get ports(): { readonly app: number; readonly socket: number } {
    return { app: this.#edge.ports.app, socket: this.#socketPort }
  }

  get #watched(): readonly WatchedPort[] {
    const links = { socket: this.#listener, nodes: this.#cluster?.port, service: this.#serviceListener }
    return [this.#edge.watched, ...this.#tcp.watched, ...watchedLinks(this.#socketPort, links)]
  }

  /** The port of this machine for links of the service process, once started; 0 when there is none. */
  get servicePort(): number {
    return this.#servicePort
  }

  /** The port that redirects plain HTTP once started, 0 when there is none. */
  get httpPort(): number {
    return this.#edge.ports.http
  }

  /** The admin port once started, 0 when there is none. */
  get adminPort(): number {
    return this.#admin.port
  }

  /** The public TCP ports that are open. */
  get tcpPorts(): readonly number[] {
    return this.#tcp.ports
  }

  /** Sends a request again that was recorded here, by the same rules. */
  readonly replay = (request: EdgeReplay): Promise<EdgeReplayResult> => this.#edge.replay(request)

  /** Tunnels that are not over. */
  get openTunnels(): number {
    return this.#tunnels.openConnections
  }

  /** Connections to them that are not over. */
  get tcpConnections(): number {
    return this.#tcp.openConnections
  }

  /** Opens the ports. @throws GatewayError LISTEN_FAILED, or what keeps a TCP port from opening, with nothing left open */
  async start(): Promise<void> {
    const { targets, keys } = this.#sources
    this.#follow()
    try {
      await this.#admin.start()
      if (this.options.isAlone !== true) this.#socketPort = await this.#listener.start()
      this.#servicePort = (await this.#serviceListener?.start()) ?? 0
      await this.#tcp.start(targets.table.tcp)
      await this.#tunnelSessions?.follow()
      await this.#cluster?.start()
      await this.#edge.start()
    } catch (error) {
      this.#unfollow()
      await Promise.all([this.#closeLinks(), this.#tcp.destroy(), this.#admin.close()])
      throw error
    }
    this.#books.start()
    this.#events.start()
    const names = targets.table.targets.map(({ name }) => name)
    if (this.options.isAlone !== true) logStarted({ options: this.options, open: this, targets: names, keys: keys.registry.size }, this.log)
  }

  /** Takes over what the sources of targets and keys have from now on. */
  #follow(): void {
    const { keys, targets } = this.#sources
    const leaving = [
      keys.onChange?.(() => this.#listener.recheckKeys()),
      targets.onChange?.(() => {
        this.#health.follow(targets.table, this.registry.operators, this.#profiles)
        this.#events.tableChanged()
        void this.#tcp.update(targets.table.tcp)
      }),
    ]
    this.#unfollow = () => [...leaving, () => this.#tunnelSessions?.close()].forEach(leave => leave?.())
  }

  /** Takes an inner layer of this very process, which has nothing to prove. */
  readonly takeInner: LinkPort['take'] = (...connection) => this.#listener.take(...connection)

  /** Takes no new connections, lets requests in flight finish up to the drain timeout, then ends. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#drain()
    return this.#closing
  }

  /** Ends now. */
  destroy(): void {
    this.#isDraining = true
    this.#events.close()
    this.#unfollow()
    void this.#cut()
    void this.#admin.close()
    void this.#closeLinks()
  }

  #closeLinks(): Promise<unknown> {
    return Promise.all([this.#listener.close(), this.#serviceListener?.close(), this.#cluster?.destroy()])
  }

  /** Ends what clients have. */
  #cut(): Promise<void> {
    for (const part of [this.#edge, this.#switched, this.#tunnels]) part.destroy()
    this.#deadlines.close()
    this.#books.close()
    return this.#tcp.destroy()
  }

  async #drain(): Promise<void> {
    this.#isDraining = true
    this.#cluster?.leaving()
    this.#events.close()
    this.log.info(
      { requests: this.#edge.openExchanges, connections: this.#tcp.openConnections },
      'draining: requests in flight finish, and new connections are refused in a moment',
    )
    // The balancers before this process have to hear of it; until then they send new connections, which would be refused.
    if (this.options.drainDelayMs > 0) await delay(this.options.drainDelayMs)
    // Right behind a look at the listeners: what the kernel has accepted, and this process has not, would be reset.
    await turn()
    // Clients first, since their requests need the sessions; then the sessions, which tell the inner layers to go elsewhere.
    const finish = async (): Promise<void> => {
      await Promise.all([this.#edge.close(), this.#tcp.close()])
      await Promise.all([this.#listener.drain(), this.#serviceListener?.drain()])
    }
    if (!(await settleWithin(finish(), this.options.drainTimeoutMs))) {
      const left = { requests: this.#edge.openExchanges, connections: this.#tcp.openConnections }
      this.log.warn(left, 'drain timeout: requests in flight are cut')
      await this.#switched.close()
    }
    await this.#cluster?.close()
    await this.#cut()
    await this.#closeLinks()
    await this.#admin.close()
    this.#unfollow()
  }
}

/** Makes an outer layer; `start` opens its ports. What is not given is as the command line has it, but for the log, of which there is none. */
export const createOuterLayer = (options: OuterLayerOptions, { log = silentLog }: { readonly log?: Log } = {}): OuterLayer =>
  new OuterLayer({ ...OUTER_LAYER_DEFAULTS, ...options }, log)
