import { Admin } from '../admin/admin.ts'
import { histogramSamples, type MetricSource, type Sample } from '../admin/exposition.ts'
import { linkMetrics } from '../admin/link-metrics.ts'
import type { ConnectionNumbers } from '../telemetry/connection-metrics.ts'
import type { Histogram } from '../telemetry/histogram.ts'
import { MAX_NAMES, type TargetMetrics } from '../telemetry/request-metrics.ts'
import type { InnerConnection } from './inner-layers/registry.ts'
import type { OperatorViewOptions } from './operator-context.ts'
import { readinessOf } from './readiness.ts'
import { statusOf } from './status.ts'

/** What operators see of an outer layer: why it is not ready, its status and its metrics, all read when somebody asks. */
export function createOperatorView(options: OperatorViewOptions): Admin {
  return new Admin(options.admin, {
    readiness: () => readinessOf(options),
    status: () => statusOf(options),
    metrics: metricsOf(options),
    log: options.log,
    clock: options.clock,
    nowMs: Date.now,
  })
}

const PREFIX = 'socket_gateway'

function metricsOf(options: OperatorViewOptions): MetricSource[] {
  const { registry, targets, startedAt, keys, requests, counters, openRequests, certificates, health } = options
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
    one(
      'targets_loaded_timestamp_seconds',
      'When the targets in force were read.',
      'gauge',
      () => (targets.loadedAt ?? startedAt).getTime() / 1000,
    ),
    one('keys', 'Keys of inner layers in force.', 'gauge', () => keys.registry.size),
    {
      name: `${PREFIX}_inner_layers_avoided`,
      help: 'Connections of inner layers that are asked last for a target, since its origin is not well there.',
      type: 'gauge',
      samples: function* () {
        const { all } = targets.table
        // Of a table that is longer than a scrape should be, the rest speaks up when there is something to say.
        const looked = health.isEmpty ? all.slice(0, MAX_NAMES) : all
        let rows = 0
        for (const [i, target] of looked.entries()) {
          const value = registry.connections.filter(connection => health.isAvoided(target, connection)).length
          if (i >= MAX_NAMES && (value === 0 || rows >= 2 * MAX_NAMES)) continue
          rows++
          yield { labels: { target: target.name }, value }
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
