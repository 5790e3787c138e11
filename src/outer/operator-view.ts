import { Admin } from '../admin/admin.ts'
import { actionsOf } from './operator-actions.ts'
import { metricsOf } from './metrics.ts'
import type { OperatorViewOptions } from './operator-context.ts'
import { readingOf } from './reading.ts'
import { readinessOf } from './readiness.ts'
import { statusOf } from './status.ts'

/** Creates the view that operators have of an outer layer: why it is not ready, its status and its metrics, all read when somebody asks. */
export function createOperatorView(options: OperatorViewOptions): Admin {
  return new Admin(options.admin, {
    readiness: () => readinessOf(options),
    status: () => statusOf(options),
    metrics: metricsOf(options),
    events: options.events,
    reading: () => readingOf(options),
    calls: actionsOf(options),
    log: options.log,
    clock: options.clock,
    nowMs: Date.now,
  })
}
