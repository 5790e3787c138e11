import type { OuterStatus, ServiceStatus, TargetStatus, WorkerStatus } from '../../admin/status.ts'

/** Rows of what was seen last. */
const MAX_SEEN = 50

const sum = <Row>(rows: readonly Row[], read: (row: Row) => number): number => rows.reduce((total, row) => total + read(row), 0)

/**
 * The status of an outer layer, from those of its workers: what each has for itself is added up or listed, what all of them have is that of the first.
 * @param statuses  at least one, in the order of their numbers
 */
export function mergeStatus(statuses: readonly OuterStatus[], workers: readonly WorkerStatus[]): Omit<OuterStatus, CommonKey> {
  const [first] = statuses as readonly [OuterStatus, ...OuterStatus[]]
  return {
    ...first,
    workers,
    // Each worker knows those of the others as well.
    innerLayers: statuses.flatMap(({ innerLayers }) => innerLayers.filter(({ node }) => node === undefined)),
    targets: mergeRows(
      statuses.map(({ targets }) => targets),
      ({ host }) => host,
      mergeTargets,
    ),
    requests: { inFlight: sum(statuses, ({ requests }) => requests.inFlight), repeats: sum(statuses, ({ requests }) => requests.repeats) },
    tcp: {
      ...first.tcp,
      connections: sum(statuses, ({ tcp }) => tcp.connections),
      faults: [...new Set(statuses.flatMap(({ tcp }) => tcp.faults))],
      services: mergeRows(
        statuses.map(({ tcp }) => tcp.services),
        ({ name }) => name,
        mergeServices,
      ),
    },
    tunnels: {
      connections: sum(statuses, ({ tunnels }) => tunnels.connections),
      services: mergeRows(
        statuses.map(({ tunnels }) => tunnels.services),
        ({ name }) => name,
        mergeServices,
      ),
    },
    refused: mergeSeen(
      statuses.map(({ refused }) => refused),
      ({ address, code, reason }) => `${address} ${code} ${reason}`,
    ),
    unknownHosts: mergeSeen(
      statuses.map(({ unknownHosts }) => unknownHosts),
      ({ host }) => host,
    ),
  }
}

type CommonKey = 'version' | 'since' | 'uptimeSeconds' | 'ready' | 'reasons' | 'degraded' | 'eventLoop'

/** Rows of the same key become one, in the order in which they come first. */
function mergeRows<Row>(
  lists: readonly (readonly Row[])[],
  keyOf: (row: Row) => string,
  merge: (rows: readonly [Row, ...Row[]]) => Row,
): Row[] {
  const rows = new Map<string, [Row, ...Row[]]>()
  for (const list of lists) {
    for (const row of list) {
      const known = rows.get(keyOf(row))
      if (known === undefined) rows.set(keyOf(row), [row])
      else known.push(row)
    }
  }
  return [...rows.values()].map(merge)
}

const mergeTargets = (rows: readonly [TargetStatus, ...TargetStatus[]]): TargetStatus => {
  const errors = rows.flatMap(({ lastError }) => (lastError === null ? [] : [lastError])).sort((a, b) => (a.at < b.at ? 1 : -1))
  const health = rows.some(row => row.health === 'not well') ? 'not well' : (rows.find(row => row.health !== null)?.health ?? null)
  return {
    ...rows[0],
    innerLayers: Math.max(...rows.map(({ innerLayers }) => innerLayers)),
    health,
    avoided: [...new Set(rows.flatMap(({ avoided }) => avoided))],
    requests: sum(rows, ({ requests }) => requests),
    errors: sum(rows, row => row.errors),
    lastError: errors[0] ?? null,
  }
}

const mergeServices = (rows: readonly [ServiceStatus, ...ServiceStatus[]]): ServiceStatus => ({
  ...rows[0],
  innerLayers: Math.max(...rows.map(({ innerLayers }) => innerLayers)),
  ended: sum(rows, ({ ended }) => ended),
  errors: sum(rows, ({ errors }) => errors),
})

/** Counts together what was seen by several; the latest stands first. */
const mergeSeen = <Row extends { readonly count: number; readonly at: string }>(
  lists: readonly (readonly Row[])[],
  keyOf: (row: Row) => string,
): Row[] =>
  mergeRows(lists, keyOf, rows => ({
    ...rows[0],
    count: sum(rows, ({ count }) => count),
    at: rows
      .map(({ at }) => at)
      .sort()
      .at(-1)!,
  }))
    .sort((a, b) => (a.at < b.at ? 1 : -1))
    .slice(0, MAX_SEEN)
