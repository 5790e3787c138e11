import type { AcceptedRequest } from '../http/admission.ts'
import type { ClientFacts, Peer } from '../http/client-facts.ts'
import type { RouteTable } from '../route/table.ts'
import type { AccessRecord } from '../telemetry/access-log.ts'
import type { Log } from '../telemetry/log.ts'
import type { Tracing } from '../telemetry/tracing.ts'
import type { Patience } from './deadlines.ts'
import type { Balancer } from './balancer.ts'
import type { EdgeLimits } from './edge-limits.ts'
import type { Gate } from './gate.ts'
import type { HeldRequests } from './held-requests.ts'
import type { Load } from './load.ts'
import type { ProfileBook } from './profile-book.ts'
import type { Registry } from './registry.ts'
import type { SwitchedConnections } from './switched-connections.ts'
import type { TunnelEdge } from './tunnel-edge.ts'

/** What every exchange of an edge shares. */
export interface EdgeContext {
  /** The targets in force now. */
  readonly table: () => RouteTable
  readonly registry: Registry
  readonly balancer: Balancer
  readonly profiles: ProfileBook
  readonly patience: Patience
  /** Longest silence of an origin before its answer begins, where a target does not say; 0: any. */
  readonly headMs: number
  readonly limits: EdgeLimits
  readonly load: Load
  readonly held: HeldRequests
  /** Who may come. */
  readonly gate: Gate
  readonly clientOf: (peer: Peer, request: AcceptedRequest) => ClientFacts
  /** Our name in Via. */
  readonly pseudonym: string
  readonly removeCsps: boolean
  /** A fresh request id. */
  readonly nextId: () => string
  /** Milliseconds, rising. */
  readonly clock: () => number
  readonly log: Log
  readonly access: (record: AccessRecord) => void
  /** Undefined: nobody traces. */
  readonly tracing: Tracing | undefined
  /** Answers say where the time went. */
  readonly serverTiming: boolean
  /** Private access; takes requests before targets are looked at. */
  readonly tunnels: TunnelEdge
  /** Connections that have left HTTP. */
  readonly switched: SwitchedConnections
  /** True once the process is leaving. */
  readonly isDraining: () => boolean
}
