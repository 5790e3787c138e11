import { Admin, type AdminOptions } from '../admin/admin.ts'
import type { MetricSource } from '../admin/exposition.ts'
import type { EventBook } from '../events/event-book.ts'
import type { Readiness } from '../admin/health.ts'
import { linkMetrics, type SessionNumbers } from '../admin/link-metrics.ts'
import type { LinkCounters } from '../mux/link-counters.ts'
import type { Log } from '../telemetry/log.ts'
import type { ConnectionRecord } from './connection-record.ts'
import type { FailureLog } from './failure-log.ts'

/** The parts of an inner layer that its view shows. */
export interface OperatorViewOptions {
  /** Undefined: no admin port. */
  readonly admin: AdminOptions | undefined
  /** Undefined: nobody could read it. */
  readonly events: EventBook | undefined
  readonly identifier: string
  readonly connections: readonly ConnectionRecord[]
  readonly failures: FailureLog
  readonly counters: LinkCounters
  readonly streamCount: () => number
  readonly isDraining: () => boolean
  readonly log: Log
  readonly clock: () => number
}

/** Creates the view that operators have of an inner layer: why it is not ready, its status and its metrics, all read when somebody asks. */
export function createOperatorView(options: OperatorViewOptions): Admin {
  const { connections, failures, identifier, streamCount } = options
  return new Admin(options.admin, {
    readiness: () => readinessOf(options),
    status: () => ({
      layer: 'inner',
      identifier,
      connections: connections.map(({ status }) => status),
      requests: { inFlight: streamCount(), failed: sum(failures.counts.values()) },
      lastFailure: failures.last === undefined ? null : { ...failures.last, at: failures.last.at.toISOString() },
    }),
    metrics: metricsOf(options),
    ...(options.events !== undefined && { events: options.events }),
    reading: () => ({
      counters: {
        streams: options.counters.streams,
        failures: sum(failures.counts.values()),
        bytesIn: options.counters.receivedBytes,
        bytesOut: options.counters.sentBytes,
      },
      gauges: { links: connections.filter(({ isUp }) => isUp).length, inFlight: streamCount() },
    }),
    log: options.log,
    clock: options.clock,
    nowMs: Date.now,
  })
}

function readinessOf({ isDraining, connections }: OperatorViewOptions): Readiness {
  const reasons: string[] = []
  if (isDraining()) reasons.push('shutting down')
  const outerLayers = [...new Set(connections.map(({ outerLayer }) => outerLayer))]
  const away = outerLayers.filter(outerLayer => !connections.some(each => each.outerLayer === outerLayer && each.isUp))
  if (away.length === outerLayers.length) return { reasons: [...reasons, 'not connected to any outer layer'], degraded: [] }
  return { reasons, degraded: away.map(outerLayer => `not connected to ${outerLayer}`) }
}

const PREFIX = 'socket_gateway'

function metricsOf({ connections, failures, counters, streamCount }: OperatorViewOptions): MetricSource[] {
  return [
    {
      name: `${PREFIX}_requests_in_flight`,
      help: 'Requests that are not over.',
      type: 'gauge',
      samples: () => [{ value: streamCount() }],
    },
    {
      name: `${PREFIX}_origin_failures_total`,
      help: 'Requests that failed here or at their origin, by the code of the error.',
      type: 'counter',
      samples: () => Array.from(failures.counts, ([code, value]) => ({ labels: { code }, value })),
    },
    {
      name: `${PREFIX}_outer_layer_connected`,
      help: 'Connections to an outer layer that are up, by its URL.',
      type: 'gauge',
      samples: () => {
        const counts = new Map<string, number>()
        for (const { outerLayer, isUp } of connections) counts.set(outerLayer, (counts.get(outerLayer) ?? 0) + (isUp ? 1 : 0))
        return Array.from(counts, ([outerLayer, value]) => ({ labels: { outer_layer: outerLayer }, value }))
      },
    },
    ...linkMetrics(counters, () => connections.flatMap(sessionNumbers)),
  ]
}

function sessionNumbers({ connector, outerLayer }: ConnectionRecord): SessionNumbers[] {
  const session = connector?.session
  if (session === undefined) return []
  const { streamCount: streams, outstandingBytes, inFlightBytes, flightLimitBytes, roundTripMs } = session
  return [{ peer: outerLayer, streams, outstandingBytes, inFlightBytes, flightLimitBytes, roundTripMs }]
}

const sum = (values: Iterable<number>): number => Array.from(values).reduce((total, value) => total + value, 0)
