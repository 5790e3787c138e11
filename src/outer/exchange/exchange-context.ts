import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { TrustFields } from '../../http/believed-fields.ts'
import type { AcceptedRequest } from '../../http/admission.ts'
import type { Client, Peer } from '../../http/client.ts'
import type { RouteTable } from '../../route/table.ts'
import type { AccessRecord } from '../../telemetry/access-log.ts'
import type { Log } from '../../telemetry/log.ts'
import type { Tracing } from '../../telemetry/tracing.ts'
import type { DeadlineQueues } from '../../net/deadline-queue.ts'
import type { DispatchContext } from '../inner-layers/dispatch.ts'
import type { EdgeLimits } from '../access/client-limits.ts'
import type { AccessCheck } from '../access/access-check.ts'
import type { HeldRequests } from '../inner-layers/held-requests.ts'
import type { RequestLimit } from '../access/request-limit.ts'
import type { SwitchedConnections } from './switched-connections.ts'

/** The paths under which tunnels are opened. */
export interface TunnelPaths {
  takes(request: IncomingMessage): boolean
  /** Is this target one of those paths, however it is written? */
  owns(target: string): boolean
  /** A request that it takes and that is none to switch protocols. */
  answer(request: IncomingMessage, response: ServerResponse, peer: Peer): void
  /** A request that it takes and that is one to switch protocols. @param head  bytes that came behind the request */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, peer: Peer): void
}

/** What every exchange of an edge shares. */
export interface EdgeContext {
  /** The targets in force now. */
  readonly table: () => RouteTable
  readonly dispatch: DispatchContext
  readonly deadlines: DeadlineQueues
  /** Longest silence of an origin before its answer begins, where a target does not say; 0: any. */
  readonly headMs: number
  readonly limits: EdgeLimits
  readonly requestLimit: RequestLimit
  readonly held: HeldRequests
  /** Who may come. */
  readonly accessCheck: AccessCheck
  readonly clientOf: (peer: Peer, request: AcceptedRequest) => Client
  /** Fields that a trusted peer may send to every target. */
  readonly trustFields: TrustFields | undefined
  /** Our name, for loops. */
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
  readonly tunnels: TunnelPaths
  /** Connections that have left HTTP. */
  readonly switched: SwitchedConnections
  /** True once the process is leaving. */
  readonly isDraining: () => boolean
}
