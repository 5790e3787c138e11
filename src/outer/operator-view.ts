import { Admin, type AdminOptions } from '../admin/admin.ts'
import { histogramSamples, type MetricSource, type Sample } from '../admin/exposition.ts'
import { linkMetrics } from '../admin/link-metrics.ts'
import type { CertificateStatus, InnerLayerStatus, OwnStatus, TargetStatus } from '../admin/status.ts'
import type { TargetsFile } from '../config/watch.ts'
import type { KeyFiles } from '../identity/public-keys.ts'
import type { LinkCounters } from '../mux/link-counters.ts'
import { ownAnswerOf } from '../route/own-answer.ts'
import { originOf, type Target } from '../route/table.ts'
import type { ConnectionMetrics, ConnectionNumbers } from '../telemetry/connection-metrics.ts'
import type { Histogram } from '../telemetry/histogram.ts'
import type { Log } from '../telemetry/log.ts'
import type { RequestMetrics, TargetMetrics } from '../telemetry/request-metrics.ts'
import type { CertificateStore } from '../tls/certificate-store.ts'
import type { ServerPair } from '../tls/server-pair.ts'
import type { ConnectionLimits } from './access/connection-limits.ts'
import type { OriginHealth } from './inner-layers/origin-health.ts'
import type { InnerConnection, Registry } from './inner-layers/registry.ts'
import type { SwitchedConnections } from './exchange/switched-connections.ts'
import type { TcpEdge } from './tcp-edge/tcp-edge.ts'
import type { TunnelEdge } from './tunnel-edge/tunnel-edge.ts'

/** What the view of an outer layer looks at. */
export interface OperatorViewOptions {
  /** Undefined: no admin port. */
  readonly admin: AdminOptions | undefined
  readonly registry: Registry
  readonly targets: TargetsFile
  readonly keys: KeyFiles
  /** Those of the ports with TLS. */
  readonly certificates: readonly CertificateStore[]
  readonly requests: RequestMetrics
  readonly counters: LinkCounters
  readonly isDraining: () => boolean
  /** Requests that are not over. */
  readonly openRequests: () => number
  readonly ports: () => { readonly app: number; readonly socket: number }
  /** The public TCP ports. */
  readonly tcp: Pick<TcpEdge, 'faults' | 'missing' | 'ports' | 'openConnections'>
  readonly tunnels: Pick<TunnelEdge, 'openConnections'>
  readonly clients: Pick<ConnectionLimits, 'count'>
  readonly switched: Pick<SwitchedConnections, 'count'>
  /** Which inner layers had better not be asked for which origin. */
  readonly health: Pick<OriginHealth, 'isAvoided'>
  readonly connections: ConnectionMetrics
  readonly log: Log
  readonly clock: () => number
}

/** What operators see of an outer layer: why it is not ready, its status and its metrics, all read when somebody asks. */
export function createOperatorView(options: OperatorViewOptions): Admin {
  return new Admin(options.admin, {
    faults: () => faultsOf(options),
    status: () => statusOf(options),
    metrics: metricsOf(options),
    log: options.log,
    clock: options.clock,
    nowMs: Date.now,
  })
}

function faultsOf({ isDraining, targets, registry, tcp, certificates }: OperatorViewOptions): string[] {
  const faults: string[] = []
  if (isDraining()) faults.push('shutting down')
  if (targets.fault !== undefined) faults.push('the targets file is not valid; the last good one is in force')
  if (certificates.some(store => store.faults.length > 0)) faults.push('a TLS certificate is not valid; the last good one is in force')
  if (registry.size === 0) faults.push('no inner layer is connected')
  // Their reasons name files and addresses, which are the log's to tell.
  if (tcp.faults.length > 0) faults.push(tcpFaultOf(tcp.missing))
  return faults
}

/** A range of ports can be long, and this is one line of a health page. */
const MAX_LISTED = 10

/** @param missing  ports that are not open; none where open ones could not take over what the file says */
function tcpFaultOf(missing: readonly number[]): string {
  const { length } = missing
  if (length === 0) return 'TCP ports with TLS are not as the file says; what was good last is in force'
  const listed = missing.slice(0, MAX_LISTED).join(', ')
  return `${length === 1 ? '1 TCP port is' : `${length} TCP ports are`} not open: ${listed}${length > MAX_LISTED ? ', …' : ''}`
}

function statusOf(options: OperatorViewOptions): OwnStatus {
  const { registry, targets, keys, requests, openRequests, ports, tcp, tunnels, health, certificates } = options
  const { connections } = registry
  return {
    layer: 'outer',
    ports: ports(),
    innerLayers: connections.map(innerStatus),
    targets: targets.table.all.map(target => targetStatus(target, { connections, health, metrics: requests.targets.get(target.name) })),
    reload: { file: targets.file, loadedAt: targets.loadedAt.toISOString(), fault: targets.fault?.message ?? null },
    keys: { inForce: keys.registry.size, faults: keys.faults.map(({ message }) => message) },
    requests: { inFlight: openRequests(), repeats: requests.repeats },
    tcp: { ports: tcp.ports, connections: tcp.openConnections, faults: tcp.faults },
    tunnels: { connections: tunnels.openConnections },
    certificates: {
      inForce: certificates.flatMap(({ pairs }) => pairs.map(certificateStatus)),
      faults: certificates.flatMap(({ faults }) => faults.map(({ message }) => message)),
    },
  }
}

const innerStatus = ({ identifier, address, agent, kid, since, session }: InnerConnection): InnerLayerStatus => ({
  identifier,
  address,
  agent,
  key: kid,
  since: since.toISOString(),
  roundTripMs: session.roundTripMs,
  streams: session.streamCount,
  outstandingBytes: session.outstandingBytes,
})

const certificateStatus = ({ source, names, notAfter }: ServerPair): CertificateStatus => ({
  file: source,
  names,
  notAfter: new Date(notAfter).toISOString(),
})

interface TargetState {
  readonly connections: readonly InnerConnection[]
  readonly health: Pick<OriginHealth, 'isAvoided'>
  readonly metrics: TargetMetrics | undefined
}

function targetStatus(target: Target, { connections, health, metrics }: TargetState): TargetStatus {
  const { identifiers } = target
  const serving = connections.filter(({ identifier }) => identifiers?.includes(identifier) ?? true)
  const avoided = serving.filter(connection => health.isAvoided(target, connection)).map(({ identifier }) => identifier)
  const lastError = metrics?.lastError
  const answer = ownAnswerOf(target)
  return {
    host: target.name,
    origin: answer === undefined ? originOf(target) : null,
    answer: answer ?? null,
    identifiers: identifiers ?? null,
    innerLayers: serving.length,
    avoided: [...new Set(avoided)],
    requests: metrics?.requestCount ?? 0,
    errors: metrics?.errorCount ?? 0,
    lastError:
      lastError === undefined
        ? null
        : { code: lastError.code, reason: lastError.reason ?? null, at: new Date(lastError.atMs).toISOString() },
  }
}

const PREFIX = 'socket_gateway'

function metricsOf(options: OperatorViewOptions): MetricSource[] {
  const { registry, targets, keys, requests, counters, openRequests, certificates, health } = options
  const byTarget = (
    name: string,
    help: string,
    type: MetricSource['type'],
    read: (metrics: TargetMetrics, labels: { readonly target: string }) => Iterable<Sample>,
  ): MetricSource => ({
    name: `${PREFIX}_${name}`,
    help,
    type,
    samples: function* () {
      for (const [target, metrics] of requests.targets) yield* read(metrics, { target })
    },
  })
  const histogram = (name: string, help: string, of: (metrics: TargetMetrics) => Histogram): MetricSource =>
    byTarget(name, help, 'histogram', (metrics, labels) => histogramSamples(of(metrics), labels))
  const one = (name: string, help: string, type: 'counter' | 'gauge', read: () => number): MetricSource => ({
    name: `${PREFIX}_${name}`,
    help,
    type,
    samples: () => [{ value: read() }],
  })
  return [
    byTarget(
      'requests_total',
      'Requests that have ended, by target, method and class of the status.',
      'counter',
      function* (metrics, labels) {
        for (const { method, status, count } of metrics.requests()) yield { labels: { ...labels, method, status }, value: count }
      },
    ),
    byTarget('errors_total', 'Requests that ended with an error of the gateway, by its code.', 'counter', function* (metrics, labels) {
      for (const { code, count } of metrics.errors()) yield { labels: { ...labels, code }, value: count }
    }),
    histogram('request_duration_seconds', 'From the head of a request to the end of its answer.', metrics => metrics.durationMs),
    histogram('first_byte_seconds', 'From the head of a request to the head of its answer.', metrics => metrics.firstByteMs),
    byTarget('received_bytes_total', 'Bytes of bodies from clients.', 'counter', ({ bytesIn }, labels) => [{ labels, value: bytesIn }]),
    byTarget('sent_bytes_total', 'Bytes of bodies to clients.', 'counter', ({ bytesOut }, labels) => [{ labels, value: bytesOut }]),
    one('requests_in_flight', 'Requests that are not over.', 'gauge', openRequests),
    one('repeats_total', 'Times that a request was moved to another inner layer.', 'counter', () => requests.repeats),
    {
      name: `${PREFIX}_inner_layer_requests_total`,
      help: 'Requests that an inner layer served, by its identifier.',
      type: 'counter',
      samples: function* () {
        for (const [identifier, { count }] of requests.inners) yield { labels: { identifier }, value: count }
      },
    },
    one('targets', 'Targets in force.', 'gauge', () => {
      requests.keep(new Set(targets.table.all.map(({ name }) => name)))
      return targets.table.targets.length
    }),
    one('targets_fault', 'Whether the targets file is not valid, so that the last good one is in force.', 'gauge', () =>
      targets.fault === undefined ? 0 : 1,
    ),
    one('targets_loaded_timestamp_seconds', 'When the targets in force were read.', 'gauge', () => targets.loadedAt.getTime() / 1000),
    one('keys', 'Keys of inner layers in force.', 'gauge', () => keys.registry.size),
    {
      name: `${PREFIX}_inner_layers_avoided`,
      help: 'Connections of inner layers that are asked last for a target, since its origin is not well there.',
      type: 'gauge',
      samples: function* () {
        for (const target of targets.table.all)
          yield {
            labels: { target: target.name },
            value: registry.connections.filter(connection => health.isAvoided(target, connection)).length,
          }
      },
    },
    {
      name: `${PREFIX}_certificate_expiry_timestamp_seconds`,
      help: 'When a certificate in force ends.',
      type: 'gauge',
      samples: function* () {
        const pairs = new Map(certificates.flatMap(store => store.pairs.map(({ source, notAfter }) => [source, notAfter])))
        for (const [file, notAfter] of pairs) yield { labels: { file }, value: notAfter / 1000 }
      },
    },
    ...connectionMetrics(options),
    ...linkMetrics(counters, () => registry.connections.map(sessionNumbers)),
  ]
}

const sessionNumbers = ({ identifier, session }: InnerConnection) => ({
  peer: identifier,
  streams: session.streamCount,
  outstandingBytes: session.outstandingBytes,
  inFlightBytes: session.inFlightBytes ?? 0,
  flightLimitBytes: session.flightLimitBytes ?? 0,
  roundTripMs: session.roundTripMs,
})

function connectionMetrics({ tcp, tunnels, clients, switched, connections }: OperatorViewOptions): MetricSource[] {
  const byTarget = (name: string, help: string, read: (numbers: ConnectionNumbers) => number): MetricSource => ({
    name: `${PREFIX}_${name}`,
    help,
    type: 'counter',
    samples: function* () {
      for (const [target, numbers] of connections.targets) yield { labels: { target }, value: read(numbers) }
    },
  })
  return [
    {
      name: `${PREFIX}_connections_open`,
      help: 'Connections that are not over: of clients at the app port, those of them that have left HTTP, of public TCP ports, of tunnels.',
      type: 'gauge',
      samples: () => [
        { labels: { kind: 'client' }, value: clients.count },
        { labels: { kind: 'upgraded' }, value: switched.count },
        { labels: { kind: 'tcp' }, value: tcp.openConnections },
        { labels: { kind: 'tunnel' }, value: tunnels.openConnections },
      ],
    },
    byTarget(
      'connections_total',
      'Connections of public TCP ports and of tunnels that have ended, by origin.',
      numbers => numbers.connections,
    ),
    byTarget('connection_errors_total', 'Those of them that ended with an error.', numbers => numbers.errors),
    byTarget('connection_received_bytes_total', 'Bytes from their clients.', numbers => numbers.bytesIn),
    byTarget('connection_sent_bytes_total', 'Bytes to their clients.', numbers => numbers.bytesOut),
  ]
}
