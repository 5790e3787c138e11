import type { AdminCall } from '../admin/calls.ts'
import { GatewayError } from '../errors.ts'
import type { InnerConnection } from './inner-layers/registry.ts'
import type { OperatorViewOptions } from './operator-context.ts'

const REASON = 'by the operator'

/** The calls of the admin port by which operators act on an outer layer. */
export function actionsOf({ registry, cluster, log }: OperatorViewOptions): readonly AdminCall[] {
  /** @throws GatewayError NOT_FOUND */
  const linksOf = (identifier: string | undefined): readonly InnerConnection[] => {
    const known = registry.connections.filter(connection => connection.identifier === identifier)
    const found = known.filter(({ node }) => node === undefined)
    if (found.length > 0) return found
    const where =
      known.length === 0 ? 'is connected; look at the list again' : 'is connected to this node; ask the one that it is connected to'
    throw new GatewayError('NOT_FOUND', `no inner layer with this identifier ${where}`)
  }
  return [
    {
      method: 'POST',
      path: 'inner-layers/:identifier/drain',
      answer: ({ params }) => {
        const links = linksOf(params.get('identifier'))
        log.warn({ identifier: params.get('identifier'), links: links.length }, 'an inner layer is drained by the operator')
        for (const { session } of links) void session.drain('GOING_AWAY', REASON)
        return { links: links.length }
      },
    },
    {
      method: 'POST',
      path: 'inner-layers/:identifier/disconnect',
      answer: ({ params }) => {
        const links = linksOf(params.get('identifier'))
        log.warn({ identifier: params.get('identifier'), links: links.length }, 'an inner layer is disconnected by the operator')
        for (const { session } of links) session.destroy('GOING_AWAY', REASON)
        return { links: links.length }
      },
    },
    ...(cluster === undefined ? [] : clusterCalls(cluster)),
  ]
}

/** The calls about other nodes. */
const clusterCalls = (cluster: NonNullable<OperatorViewOptions['cluster']>): readonly AdminCall[] => [
  {
    method: 'GET',
    path: 'cluster',
    answer: () => ({
      fault: cluster.fault ?? null,
      self: cluster.facts,
      relays: { open: cluster.relays.streamCount, total: cluster.relays.total },
      nodes: cluster.nodes,
    }),
  },
  {
    method: 'POST',
    path: 'cluster/rebalance',
    answer: ({ query }) => {
      const percent = (name: string, usual: number, most: number): number => {
        const value = Number(query.get(name) ?? usual)
        if (!(value >= 0 && value <= most)) throw new GatewayError('INVALID', `${name}: expected a number of percent, at most ${most}`)
        return value / 100
      }
      return cluster.rebalance({ threshold: percent('threshold', 20, 1_000), rate: percent('rate', 5, 100) })
    },
  },
  {
    method: 'POST',
    path: 'cluster/nodes/:name/drain',
    answer: ({ params }) => {
      const wanted = params.get('name') ?? ''
      const same = [cluster.facts, ...cluster.nodes].filter(({ name }) => name === wanted).length
      if (same > 1)
        throw new GatewayError('CONFLICT', `${same} nodes have this name: give its id (cluster status --json), or each its own --node-name`)
      if (!cluster.drainNode(wanted))
        throw new GatewayError('NOT_FOUND', 'there is no node with this name that can be reached; look at the list again')
    },
  },
]
