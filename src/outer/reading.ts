import type { Reading } from '../admin/minutes.ts'
import type { OperatorViewOptions } from './operator-context.ts'

/** Reads the numbers of an outer layer that are remembered by minute: sums over all targets, and over connections that are carried as they are. */
export function readingOf({
  requests,
  connections,
  counters,
  registry,
  openRequests,
  clients,
  tcp,
  tunnels,
}: OperatorViewOptions): Reading {
  let [all, errors, bytesIn, bytesOut] = [0, 0, 0, 0]
  let durations: { readonly bounds: readonly number[]; readonly counts: Float64Array } | undefined
  for (const metrics of requests.targets.values()) {
    all += metrics.requestCount
    errors += metrics.errorCount
    bytesIn += metrics.bytesIn
    bytesOut += metrics.bytesOut
    const { bounds, counts } = metrics.durationMs
    durations ??= { bounds, counts: new Float64Array(counts.length) }
    for (const [i, count] of counts.entries()) durations.counts[i]! += count
  }
  let ended = 0
  for (const numbers of connections.targets.values()) {
    ended += numbers.connections
    errors += numbers.errors
    bytesIn += numbers.bytesIn
    bytesOut += numbers.bytesOut
  }
  return {
    counters: {
      requests: all,
      errors,
      connections: ended,
      bytesIn,
      bytesOut,
      linkBytesIn: counters.receivedBytes,
      linkBytesOut: counters.sentBytes,
    },
    gauges: {
      // Those of other nodes are counted there.
      links: registry.connections.filter(({ node }) => node === undefined).length,
      inFlight: openRequests(),
      clients: clients.count,
      carried: tcp.openConnections + tunnels.openConnections,
    },
    durations: durations ?? { bounds: [], counts: new Float64Array(0) },
  }
}
