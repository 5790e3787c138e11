import { VisitorCounts } from './access/visitor-counts.ts'
import { histogramSamples, type MetricSource, type Sample } from '../admin/exposition.ts'
import { linkMetrics } from '../admin/link-metrics.ts'
import type { ConnectionNumbers } from '../telemetry/connection-metrics.ts'
import type { Histogram } from '../telemetry/histogram.ts'
import { MAX_NAMES, TUNNELS, type TargetMetrics } from '../telemetry/request-metrics.ts'
import type { InnerConnection } from './inner-layers/registry.ts'
import type { OperatorViewOptions } from './operator-context.ts'

type Read = (view: OperatorViewOptions) => Iterable<Sample>

/** A metric of an outer layer, without the prefix of its name. */
interface MetricRow {
  readonly name: string
  readonly type: MetricSource['type']
  readonly help: string
  readonly read: Read
  readonly across?: MetricSource['across']
}

const one =
  (read: (view: OperatorViewOptions) => number): Read =>
  view => [{ value: read(view) }]

const byTarget = (read: (metrics: TargetMetrics, labels: { readonly target: string }) => Iterable<Sample>): Read =>
  function* ({ requests }) {
    for (const [target, metrics] of requests.targets) yield* read(metrics, { target })
  }

const histogram = (of: (metrics: TargetMetrics) => Histogram): Read => byTarget((metrics, labels) => histogramSamples(of(metrics), labels))

/** Of public TCP ports and tunnels. */
const byOrigin = (read: (numbers: ConnectionNumbers) => number): Read =>
  function* ({ connections }) {
    for (const [target, numbers] of connections.targets) yield { labels: { target }, value: read(numbers) }
  }

const ROWS: readonly MetricRow[] = [
  {
    name: 'requests_total',
    type: 'counter',
    help: 'Requests that have ended, by target, method and class of the status.',
    read: byTarget(function* (metrics, labels) {
      for (const { method, status, count } of metrics.requests()) yield { labels: { ...labels, method, status }, value: count }
    }),
  },
  {
    name: 'errors_total',
    type: 'counter',
    help: 'Requests that ended with an error of the gateway, by its code.',
    read: byTarget(function* (metrics, labels) {
      for (const { code, count } of metrics.errors()) yield { labels: { ...labels, code }, value: count }
    }),
  },
  {
    name: 'request_duration_seconds',
    type: 'histogram',
    help: 'From the head of a request to the end of its answer.',
    read: histogram(({ durationMs }) => durationMs),
  },
  {
    name: 'first_byte_seconds',
    type: 'histogram',
    help: 'From the head of a request to the head of its answer.',
    read: histogram(({ firstByteMs }) => firstByteMs),
  },
  {
    name: 'received_bytes_total',
    type: 'counter',
    help: 'Bytes of bodies from clients.',
    read: byTarget(({ bytesIn }, labels) => [{ labels, value: bytesIn }]),
  },
  {
    name: 'sent_bytes_total',
    type: 'counter',
    help: 'Bytes of bodies to clients.',
    read: byTarget(({ bytesOut }, labels) => [{ labels, value: bytesOut }]),
  },
  {
    name: 'cluster_nodes',
    across: 'max',
    type: 'gauge',
    help: 'Other nodes of the cluster, by whether there is a link to them.',
    read: function* ({ cluster }) {
      if (cluster === undefined) return
      const linked = cluster.nodes.filter(({ isLinked }) => isLinked).length
      yield { labels: { linked: 'true' }, value: linked }
      yield { labels: { linked: 'false' }, value: cluster.nodes.length - linked }
    },
  },
  {
    name: 'cluster_relayed_streams_total',
    type: 'counter',
    help: 'Streams of other nodes that this one has passed on to its inner layers.',
    read: one(({ cluster }) => cluster?.relays.total ?? 0),
  },
  { name: 'requests_in_flight', type: 'gauge', help: 'Requests that are not over.', read: one(({ openRequests }) => openRequests()) },
  {
    name: 'repeats_total',
    type: 'counter',
    help: 'Times that a request was moved to another inner layer.',
    read: one(({ requests }) => requests.repeats),
  },
  {
    name: 'inner_layer_requests_total',
    type: 'counter',
    help: 'Requests that an inner layer served, by its identifier.',
    *read({ requests }) {
      for (const [identifier, { count }] of requests.inners) yield { labels: { identifier }, value: count }
    },
  },
  {
    name: 'targets',
    across: 'max',
    type: 'gauge',
    help: 'Targets in force.',
    read: one(({ requests, targets }) => {
      requests.keep(new Set(targets.table.all.map(({ name }) => name)))
      return targets.table.targets.length
    }),
  },
  {
    name: 'targets_fault',
    across: 'max',
    type: 'gauge',
    help: 'Whether the targets file is not valid, so that the last good one is in force.',
    read: one(({ targets }) => (targets.fault === undefined ? 0 : 1)),
  },
  {
    name: 'targets_loaded_timestamp_seconds',
    across: 'max',
    type: 'gauge',
    help: 'When the targets in force were read.',
    read: one(({ targets, startedAt }) => (targets.loadedAt ?? startedAt).getTime() / 1000),
  },
  { name: 'keys', across: 'max', type: 'gauge', help: 'Keys of inner layers in force.', read: one(({ keys }) => keys.registry.size) },
  {
    name: 'sockets',
    across: 'max',
    type: 'gauge',
    help: 'Sockets of the service in force.',
    read: one(({ directory }) => directory?.size ?? 0),
  },
  {
    name: 'tunnels_up',
    type: 'gauge',
    help: 'Connections that serve tunnels of the service.',
    read: one(({ registry }) => registry.tunnelCount),
  },
  {
    name: 'visitors_total',
    type: 'counter',
    help: 'Requests for targets and tunnels with `access`, and connections to TCP ports with `clientCa`, by the lane that decided and by what became of them.',
    *read({ visitors, tcp }) {
      for (const { lane, outcome, count } of VisitorCounts.sum([visitors?.counts ?? [], tcp.visitors]))
        yield { labels: { lane, outcome }, value: count }
    },
  },
  {
    name: 'inner_layers_avoided',
    across: 'max',
    type: 'gauge',
    help: 'Connections of inner layers that are asked last for a target, since its origin is not well there.',
    *read({ targets, health, registry }) {
      const { all } = targets.table
      // Of a table that is longer than a scrape should be, the rest speaks up when there is something to say.
      const looked = health.isEmpty ? all.slice(0, MAX_NAMES) : all
      let rows = 0
      for (const [i, target] of looked.entries()) {
        const value = registry.operators.filter(connection => health.isAvoided(target, connection)).length
        if (i >= MAX_NAMES && (value === 0 || rows >= 2 * MAX_NAMES)) continue
        rows++
        yield { labels: { target: target.name }, value }
      }
    },
  },
  {
    name: 'certificate_expiry_timestamp_seconds',
    across: 'max',
    type: 'gauge',
    help: 'When a certificate in force ends.',
    *read({ certificates }) {
      const pairs = new Map(certificates.flatMap(store => store.pairs.map(({ source, notAfter }) => [source, notAfter])))
      for (const [file, notAfter] of pairs) yield { labels: { file }, value: notAfter / 1000 }
    },
  },
  {
    name: 'connections_open',
    type: 'gauge',
    help: 'Connections that are not over: of clients at the app port, those of them that have left HTTP, of public TCP ports, of tunnels.',
    read: ({ clients, switched, tcp, tunnels }) => [
      { labels: { kind: 'client' }, value: clients.count },
      { labels: { kind: 'upgraded' }, value: switched.count },
      { labels: { kind: 'tcp' }, value: tcp.openConnections },
      { labels: { kind: 'tunnel' }, value: tunnels.openConnections },
    ],
  },
  {
    name: 'connections_unaccounted',
    type: 'gauge',
    help: 'Connections by which the books of the ports differ from what Node.js has, once that stands for ten seconds.',
    read: one(({ books }) => books.unaccounted),
  },
  {
    name: 'connections_freed_total',
    type: 'counter',
    help: 'Connections that ended without a word of Node.js, and that the watch of the books has freed.',
    read: one(({ books }) => books.freed),
  },
  {
    name: 'connections_total',
    type: 'counter',
    help: 'Connections of public TCP ports and of tunnels that have ended, by origin.',
    read: byOrigin(({ connections }) => connections),
  },
  {
    name: 'connection_errors_total',
    type: 'counter',
    help: 'Those of them that ended with an error.',
    read: byOrigin(({ errors }) => errors),
  },
  {
    name: 'connection_received_bytes_total',
    type: 'counter',
    help: 'Bytes from their clients.',
    read: byOrigin(({ bytesIn }) => bytesIn),
  },
  {
    name: 'connection_sent_bytes_total',
    type: 'counter',
    help: 'Bytes to their clients.',
    read: byOrigin(({ bytesOut }) => bytesOut),
  },
]

/** The metrics of an outer layer, read when somebody asks. */
export const metricsOf = (view: OperatorViewOptions): MetricSource[] => [
  ...ROWS.map(({ name, read, ...facts }) => ({ ...facts, name: `socket_gateway_${name}`, samples: () => read(view) })),
  // Those of other nodes are counted there.
  ...linkMetrics(view.counters, () => view.registry.connections.filter(({ node }) => node === undefined).map(sessionNumbers)),
]

const sessionNumbers = ({ identifier, pool, session }: InnerConnection) => ({
  // One line for all tunnels: they come and go by the thousand.
  peer: pool === 'tunnel' ? TUNNELS : identifier,
  streams: session.streamCount,
  outstandingBytes: session.outstandingBytes,
  inFlightBytes: session.inFlightBytes ?? 0,
  flightLimitBytes: session.flightLimitBytes ?? 0,
  roundTripMs: session.roundTripMs,
})
