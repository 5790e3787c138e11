import type { NodeStatus, OuterStatus } from '../../src/admin/status.ts'
import { count, duration, plural } from './format.ts'
import { Table, type Column } from './table.tsx'

/** The column that says which nodes of a cluster have a row; none where one node is shown. */
export const nodesColumn = <T extends { readonly nodes?: readonly string[] }>({ nodes }: OuterStatus): readonly Column<T>[] =>
  nodes === undefined ? [] : [{ name: 'nodes', cell: row => row.nodes?.join(', ') ?? '', order: row => row.nodes?.join() ?? '' }]

/** The same for what one node has. */
export const nodeColumn = <T extends { readonly node?: string }>(isCluster: boolean): readonly Column<T>[] =>
  isCluster ? [{ name: 'node', cell: row => row.node ?? '', order: row => row.node ?? '' }] : []

/** The words for nodes that do not answer, whose part is not shown. Nothing while all do. */
export function Missing({
  nodes = [],
}: {
  readonly nodes?: readonly { readonly name: string; readonly why: string | null }[] | undefined
}) {
  if (nodes.length === 0) return null
  return (
    <div class="stale" role="status">
      <p>
        <strong>{plural(nodes.length, 'node')} missing: what follows is without what came in there.</strong>
      </p>
      <ul>
        {nodes.map(({ name, why }) => (
          <li key={name}>
            {name}: {why}
          </li>
        ))}
      </ul>
    </div>
  )
}

/** Nodes that do not answer. */
export const missingIn = ({ nodes = [] }: OuterStatus): readonly NodeStatus[] => nodes.filter(({ answers }) => !answers)

const stateOf = ({ answers, ready, degraded }: NodeStatus): string =>
  !answers ? 'does not answer' : ready !== true ? 'not ready' : degraded.length > 0 ? 'ready, but degraded' : 'ready'

/** All nodes, and how they are. */
export function Nodes({ nodes }: { readonly nodes: readonly NodeStatus[] }) {
  return (
    <>
      <h2>Nodes</h2>
      <Table
        caption="Nodes of the cluster"
        rows={nodes}
        keyOf={({ id }) => id}
        empty=""
        columns={[
          { name: 'node', cell: row => row.name, order: row => row.name },
          {
            name: 'state',
            cell: stateOf,
            tone: row => (!row.answers || row.ready !== true ? 'bad' : row.degraded.length > 0 ? 'warn' : 'good'),
          },
          { name: 'inner layers', cell: row => (row.innerLayers === null ? '–' : count(row.innerLayers)), isNumber: true },
          { name: 'in flight', cell: row => (row.inFlight === null ? '–' : count(row.inFlight)), isNumber: true },
          { name: 'release', cell: row => row.version ?? '–' },
          { name: 'up', cell: row => (row.uptimeSeconds === null ? '–' : duration(row.uptimeSeconds)), isNumber: true },
          { name: 'what is wrong', cell: row => row.why ?? row.degraded.join('; '), isLong: true },
        ]}
      />
    </>
  )
}
