import type { NodeStatus, OuterStatus } from '../../admin/status.ts'
import { mergeStatus } from '../../workers/view/merge-status.ts'

/** The status of one node. */
export interface NodeAnswer {
  readonly node: { readonly id: string; readonly name: string }
  readonly status: OuterStatus
}

/** A node that has answered, in one row. */
export const nodeStatusOf = ({ node, status }: NodeAnswer): NodeStatus => ({
  id: node.id,
  name: node.name,
  answers: true,
  why: null,
  version: status.version,
  uptimeSeconds: status.uptimeSeconds,
  ready: status.ready,
  degraded: [...status.reasons, ...status.degraded],
  inFlight: status.requests.inFlight,
  innerLayers: status.innerLayers.filter(({ node: at }) => at === undefined).length,
})

/**
 * The status of all nodes as one: what each has for itself is added up or listed with its node, what all have is that of the first.
 * @param answers  at least one, that of the node that is asked first
 */
export function mergeNodes(answers: readonly NodeAnswer[], nodes: readonly NodeStatus[]): OuterStatus {
  const [first] = answers as readonly [NodeAnswer, ...NodeAnswer[]]
  const merged = mergeStatus(
    answers.map(({ status }) => status),
    first.status.workers ?? [],
  )
  const own = <Row>(list: (status: OuterStatus) => readonly Row[]): readonly (Row & { readonly node: string })[] =>
    answers.flatMap(({ node, status }) => list(status).map(row => ({ ...row, node: node.name })))
  const { workers: _, ...rest } = merged
  const { version, since, uptimeSeconds, eventLoop } = first.status
  const services = answers.flatMap(({ status: { service } }) => (service === null ? [] : [service]))
  const withNames = (texts: (status: OuterStatus) => readonly string[]): readonly string[] =>
    answers.flatMap(({ node, status }) => texts(status).map(text => (answers.length === 1 ? text : `${node.name}: ${text}`)))
  const missing = nodes.filter(({ answers: isThere }) => !isThere).map(({ name, why }) => `${name} is missing here: ${why ?? ''}`)
  const reasons = withNames(status => status.reasons)
  return {
    ...rest,
    ...{ version, since, uptimeSeconds, eventLoop },
    ...(first.status.workers !== undefined && { workers: first.status.workers }),
    // Clients find those that are ready.
    ready: answers.some(({ status }) => status.ready),
    ...(answers.some(({ status }) => status.ready)
      ? { reasons: [], degraded: [...reasons, ...withNames(status => status.degraded), ...missing] }
      : { reasons, degraded: [...withNames(status => status.degraded), ...missing] }),
    nodes,
    innerLayers: own(({ innerLayers }) => innerLayers.filter(({ node }) => node === undefined)),
    service:
      services.length === 0
        ? null
        : {
            sockets: Math.max(...services.map(({ sockets }) => sockets)),
            fault: withNames(({ service }) => (typeof service?.fault === 'string' ? [service.fault] : [])).join('; ') || null,
            tunnels: services.reduce((sum, { tunnels }) => sum + tunnels, 0),
            firstTunnels: own(({ service }) => (service?.firstTunnels ?? []).filter(({ node }) => node === undefined)),
          },
    reload: { ...first.status.reload, fault: withNames(({ reload }) => (reload.fault === null ? [] : [reload.fault])).join('\n') || null },
    keys: { ...first.status.keys, faults: withNames(({ keys }) => keys.faults) },
    certificates: { ...first.status.certificates, faults: withNames(({ certificates }) => certificates.faults) },
    targets: named(
      merged.targets,
      namesBy(
        answers,
        ({ targets }) => targets,
        ({ host }) => host,
      ),
      ({ host }) => host,
    ),
    tcp: {
      ...merged.tcp,
      ports: [...new Set(answers.flatMap(({ status }) => status.tcp.ports))],
      services: named(
        merged.tcp.services,
        namesBy(
          answers,
          ({ tcp }) => tcp.services,
          ({ name }) => name,
        ),
        ({ name }) => name,
      ),
    },
    tunnels: {
      ...merged.tunnels,
      services: named(
        merged.tunnels.services,
        namesBy(
          answers,
          ({ tunnels }) => tunnels.services,
          ({ name }) => name,
        ),
        ({ name }) => name,
      ),
    },
    refused: named(
      merged.refused,
      namesBy(answers, ({ refused }) => refused, refusedKey),
      refusedKey,
    ),
    unknownHosts: named(
      merged.unknownHosts,
      namesBy(
        answers,
        ({ unknownHosts }) => unknownHosts,
        ({ host }) => host,
      ),
      ({ host }) => host,
    ),
  }
}

const refusedKey = ({ address, code, reason }: OuterStatus['refused'][number]): string => `${address} ${code} ${reason}`

/** The names of the nodes that have a row of each key. */
function namesBy<Row>(
  answers: readonly NodeAnswer[],
  rows: (status: OuterStatus) => readonly Row[],
  keyOf: (row: Row) => string,
): ReadonlyMap<string, readonly string[]> {
  const names = new Map<string, string[]>()
  for (const { node, status } of answers)
    for (const row of rows(status)) {
      const known = names.get(keyOf(row))
      if (known === undefined) names.set(keyOf(row), [node.name])
      else known.push(node.name)
    }
  return names
}

const named = <Row>(
  rows: readonly Row[],
  names: ReadonlyMap<string, readonly string[]>,
  keyOf: (row: Row) => string,
): readonly (Row & { readonly nodes: readonly string[] })[] =>
  rows.map(row => ({ ...row, nodes: (names.get(keyOf(row)) ?? []).toSorted() }))
