import { Admin } from '../admin/admin.ts'
import type { AdminCall } from '../admin/calls.ts'
import { StatusView } from '../cluster/views/status-view.ts'
import { actionsOf } from './operator-actions.ts'
import { metricsOf } from './metrics.ts'
import type { OperatorViewOptions } from './operator-context.ts'
import { readingOf } from './reading.ts'
import { readinessOf } from './readiness.ts'
import { statusOf } from './status.ts'

/** Creates the view that operators have of an outer layer: why it is not ready, its status and its metrics, all read when somebody asks. */
export function createOperatorView(options: OperatorViewOptions): Admin {
  const { cluster, events, log, clock } = options
  const actions = actionsOf(options)
  const peers = cluster?.options.peers
  const calls: AdminCall[] = [...actions]
  const admin = new Admin(options.admin, {
    readiness: () => readinessOf(options),
    status: () => statusOf(options),
    metrics: metricsOf(options),
    events,
    reading: () => readingOf(options),
    calls,
    ...(peers !== undefined && { features: ['cluster'] }),
    log,
    clock,
    nowMs: Date.now,
  })
  if (cluster === undefined || peers === undefined) return admin
  const onFault = (thrown: unknown): void => log.error({ err: thrown }, 'internal fault in what nodes show each other')
  const view = new StatusView({ calls: peers.calls, self: () => cluster.facts, admin, events, actions, clock, onFault })
  calls.push(...view.calls)
  return admin
}
