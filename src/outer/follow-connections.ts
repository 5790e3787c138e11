import type { Cluster } from '../cluster/cluster.ts'
import type { TargetTable } from '../route/table.ts'
import type { LayerEvents } from './events/layer-events.ts'
import type { HeldRequests } from './inner-layers/held-requests.ts'
import type { OriginHealth } from './inner-layers/origin-health.ts'
import type { OriginProfiles } from './inner-layers/origin-profiles.ts'
import type { OriginRefusals } from './inner-layers/origin-refusals.ts'
import type { Registry } from './inner-layers/registry.ts'
import type { TunnelSessions } from './tunnel-sessions.ts'

/** Those who are told of connections that come and go, by whom it is begun when they exist. */
export interface ConnectionFollowers {
  readonly registry: Registry
  readonly held: HeldRequests
  readonly health: OriginHealth
  readonly refusals: OriginRefusals
  readonly profiles: OriginProfiles
  readonly table: () => TargetTable
  readonly events: () => Pick<LayerEvents, 'added' | 'removed'>
  readonly tunnelSessions: () => TunnelSessions | undefined
  readonly cluster: () => Cluster | undefined
}

/** Has each part of an outer layer hear of the connections that it has to know of. Those of other nodes are nobody's business but theirs who send requests. */
export function followConnections({ registry, held, health, refusals, profiles, ...parts }: ConnectionFollowers): void {
  registry.onAdd = connection => {
    if (connection.node === undefined) {
      if (connection.pool === 'operator') health.announce(parts.table(), connection, profiles)
      parts.tunnelSessions()?.added(connection)
      parts.cluster()?.added(connection)
    }
    held.wake(connection)
    if (connection.node === undefined) parts.events().added(connection)
  }
  registry.onRemove = (connection, wasLast) => {
    held.lost(connection)
    if (connection.node === undefined) {
      parts.tunnelSessions()?.removed(connection)
      parts.cluster()?.removed(connection)
      parts.events().removed(connection)
    }
    if (!wasLast) return
    health.left(connection)
    refusals.left(connection)
  }
}
