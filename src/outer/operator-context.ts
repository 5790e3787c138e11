import type { AdminOptions } from '../admin/admin.ts'
import type { Cluster } from '../cluster/cluster.ts'
import type { EventBook } from '../events/event-book.ts'
import type { LinkCounters } from '../mux/link-counters.ts'
import type { ConnectionMetrics } from '../telemetry/connection-metrics.ts'
import type { Log } from '../telemetry/log.ts'
import type { RequestMetrics } from '../telemetry/request-metrics.ts'
import type { CertificateStore } from '../tls/certificate-store.ts'
import type { BookWatch } from './book-watch.ts'
import type { VisitorCheck } from './access/visitor-check.ts'
import type { ConnectionLimits } from './access/connection-limits.ts'
import type { OriginHealth } from './inner-layers/origin-health.ts'
import type { Registry } from './inner-layers/registry.ts'
import type { SwitchedConnections } from './exchange/switched-connections.ts'
import type { DirectorySource, KeySource, TableSource } from './options/outer-options.ts'
import type { Sightings } from './sightings.ts'
import type { TcpEdge } from './tcp-edge/tcp-edge.ts'
import type { TunnelEdge } from './tunnel-edge/tunnel-edge.ts'

/** The parts of an outer layer that its view shows. */
export interface OperatorViewOptions {
  /** Undefined: no admin port. */
  readonly admin: AdminOptions | undefined
  readonly registry: Registry
  readonly targets: TableSource
  readonly keys: KeySource
  readonly directory: Pick<DirectorySource, 'size' | 'fault' | 'overruled'> | undefined
  /** Undefined: it is alone. */
  readonly cluster: Pick<Cluster, 'drainNode' | 'facts' | 'fault' | 'nodes' | 'options' | 'rebalance' | 'relays'> | undefined
  /** When this process made what it serves from, where nothing says a later time. */
  readonly startedAt: Date
  /** Those of the ports with TLS. */
  readonly certificates: readonly CertificateStore[]
  readonly requests: RequestMetrics
  readonly counters: LinkCounters
  readonly isDraining: () => boolean
  /** Requests that are not over. */
  readonly openRequests: () => number
  readonly ports: () => { readonly app: number; readonly socket: number }
  /** The public TCP ports. */
  readonly tcp: Pick<TcpEdge, 'clientFaults' | 'faults' | 'missing' | 'ports' | 'openConnections' | 'visitors'>
  readonly tunnels: Pick<TunnelEdge, 'openConnections'>
  readonly clients: Pick<ConnectionLimits, 'count'>
  readonly books: Pick<BookWatch, 'freed' | 'unaccounted'>
  readonly switched: Pick<SwitchedConnections, 'count'>
  /** Which inner layers had better not be asked for which origin. */
  readonly health: Pick<OriginHealth, 'isAvoided' | 'isEmpty'>
  readonly connections: ConnectionMetrics
  /** Undefined: nobody is asked who they are. */
  readonly visitors: Pick<VisitorCheck, 'counts' | 'owns'> | undefined
  readonly sightings: Sightings
  readonly events: EventBook
  readonly log: Log
  readonly clock: () => number
}
