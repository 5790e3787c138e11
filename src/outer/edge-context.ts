import type { AcceptedRequest } from '../http/admission.ts'
import type { ClientFacts, Peer } from '../http/client-facts.ts'
import type { RouteTable } from '../route/table.ts'
import type { AccessRecord } from '../telemetry/access-log.ts'
import type { Log } from '../telemetry/log.ts'
import type { Deadlines } from './deadlines.ts'
import type { ProfileBook } from './profile-book.ts'
import type { Registry } from './registry.ts'

/** What every exchange of an edge shares. */
export interface EdgeContext {
  /** The targets in force now. */
import type { SwitchedConnections } from './switched-connections.ts'
  readonly table: () => RouteTable
  readonly registry: Registry
  readonly profiles: ProfileBook
  readonly deadlines: Deadlines
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
  /** True once the process is leaving. */
  readonly isDraining: () => boolean
}
  /** Connections that have left HTTP. */
  readonly switched: SwitchedConnections
