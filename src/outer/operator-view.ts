import { Admin, type AdminOptions } from '../admin/admin.ts'
import { histogramSamples, type MetricSource, type Sample } from '../admin/exposition.ts'
import { linkMetrics } from '../admin/link-metrics.ts'
import type { InnerLayerStatus, OwnStatus, TargetStatus } from '../admin/status.ts'
import type { TargetsFile } from '../config/watch.ts'
import type { KeyFiles } from '../identity/public-keys.ts'
import type { LinkCounters } from '../mux/link-counters.ts'
import { originOf, type Target } from '../route/table.ts'
import type { Histogram } from '../telemetry/histogram.ts'
import type { Log } from '../telemetry/log.ts'
import type { RequestMetrics, TargetMetrics } from '../telemetry/request-metrics.ts'
import type { CertificateStore } from '../tls/certificate-store.ts'
import type { InnerConnection, Registry } from './registry.ts'
import type { TcpEdge } from './tcp-edge.ts'

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
  readonly tcp: Pick<TcpEdge, 'faults'>
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
  if (registry.connections.length === 0) faults.push('no inner layer is connected')
  // Their reasons name files and addresses, which are the log's to tell.
  if (tcp.faults.length > 0) faults.push(`TCP ports are not open: ${tcp.faults.length}`)
  return faults
}

function statusOf({ registry, targets, keys, requests, openRequests, ports }: OperatorViewOptions): OwnStatus {
  const { connections } = registry
  return {
    layer: 'outer',
    ports: ports(),
    innerLayers: connections.map(innerStatus),
    targets: targets.table.targets.map(target => targetStatus(target, connections, requests.targets.get(target.name))),
    reload: { file: targets.file, loadedAt: targets.loadedAt.toISOString(), fault: targets.fault?.message ?? null },
    keys: { inForce: keys.registry.size, faults: keys.faults.map(({ message }) => message) },
    requests: { inFlight: openRequests(), repeats: requests.repeats },
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

function targetStatus(target: Target, connections: readonly InnerConnection[], metrics: TargetMetrics | undefined): TargetStatus {
  const { identifiers } = target
  const lastError = metrics?.lastError
  return {
    host: target.name,
    origin: originOf(target),
    identifiers: identifiers ?? null,
    innerLayers: connections.filter(({ identifier }) => identifiers?.includes(identifier) ?? true).length,
    requests: metrics?.requestCount ?? 0,
    errors: metrics?.errorCount ?? 0,
    lastError:
      lastError === undefined
        ? null
        : { code: lastError.code, reason: lastError.reason ?? null, at: new Date(lastError.atMs).toISOString() },
  }
}

const PREFIX = 'socket_gateway'

function metricsOf({ registry, targets, keys, requests, counters, openRequests }: OperatorViewOptions): MetricSource[] {
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
      requests.keep(new Set(targets.table.targets.map(({ name }) => name)))
      return targets.table.targets.length
    }),
    one('targets_fault', 'Whether the targets file is not valid, so that the last good one is in force.', 'gauge', () =>
      targets.fault === undefined ? 0 : 1,
    ),
    one('targets_loaded_timestamp_seconds', 'When the targets in force were read.', 'gauge', () => targets.loadedAt.getTime() / 1000),
    one('keys', 'Keys of inner layers in force.', 'gauge', () => keys.registry.size),
    ...linkMetrics(counters, () => registry.connections.map(sessionNumbers)),
  ]
}

const sessionNumbers = ({ identifier, session }: InnerConnection) => ({
  peer: identifier,
  streams: session.streamCount,
  outstandingBytes: session.outstandingBytes,
  inFlightBytes: session.inFlightBytes,
  flightLimitBytes: session.flightLimitBytes,
  roundTripMs: session.roundTripMs,
})
