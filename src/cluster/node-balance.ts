import { attempt } from '../net/guard.ts'
import type { InnerConnection, Registry } from '../outer/inner-layers/registry.ts'
import { encodeNodesNote, type AdvertisedNode } from '../payload/nodes-note.ts'
import type { Log } from '../telemetry/log.ts'
import { averageOf, movesOf, Rebalance, type Move, type NodeLoad, type RebalanceWish } from './rebalance.ts'

/** A node, as whoever balances has to know it. */
export interface BalancedNode {
  readonly advertised: AdvertisedNode
  readonly name: string
  /** It takes inner layers, and they are told of it. */
  readonly isOpen: boolean
  readonly connections: readonly Pick<InnerConnection, 'pool' | 'instance'>[]
}

/** The parts of a node that this works with. */
export interface NodeBalanceOptions {
  readonly registry: Registry
  /** This node. */
  readonly self: () => BalancedNode
  readonly others: () => readonly BalancedNode[]
  readonly log: Log
}

/** The spread of the operator's inner layers over the nodes, for whoever has asked for a balance. */
export interface BalanceReport {
  readonly average: number
  /** `moves`: so many leave it, as far as this node can say. */
  readonly nodes: readonly { readonly name: string; readonly innerLayers: number; readonly isOpen: boolean; readonly moves: number }[]
}

/** An inner layer finds its other node before its links here end, milliseconds. */
const NOTICE_MS = 2_000

/** The inner layers of this node among those of all: shows how they are spread, and sends some elsewhere. */
export class NodeBalance {
  readonly #rebalance: Rebalance

  constructor(private readonly options: NodeBalanceOptions) {
    const { log, self, others } = options
    this.#rebalance = new Rebalance({
      own: () => loadOf(self()),
      others: () => others().map(loadOf),
      move: move => this.#move(move),
      onFault: this.#fault,
      onDone: moved => {
        if (moved > 0) log.info({ moved }, `rebalanced: ${moved} inner layers were sent to other nodes`)
      },
    })
  }

  start(wish: RebalanceWish): void {
    this.#rebalance.start(wish)
  }

  stop(): void {
    this.#rebalance.stop()
  }

  report(wish: RebalanceWish): BalanceReport {
    const nodes = [this.options.self(), ...this.options.others()]
    const loads = nodes.map(loadOf)
    return {
      average: averageOf(loads),
      nodes: nodes.map(({ name, isOpen }, index) => ({
        name,
        innerLayers: loads[index]!.instances.size,
        isOpen,
        moves: movesOf(loads[index]!, loads.toSpliced(index, 1), wish).length,
      })),
    }
  }

  /** Tells an inner layer of those that it has and of the one that it is sent to, then ends its links here. */
  #move({ instance, to }: Move): void {
    const { registry, self, others } = this.options
    const nodes = others().filter(
      ({ advertised: { id }, connections }) => id === to || connections.some(other => other.instance === instance),
    )
    const { id, zone } = self().advertised
    const note = encodeNodesNote({
      self: id,
      zone,
      isLeaving: true,
      nodes: nodes.filter(({ isOpen }) => isOpen).map(({ advertised }) => advertised),
    })
    const own = registry.processOf({ pool: 'operator', instance }).filter(({ node }) => node === undefined)
    registry.turnAway(instance)
    for (const { session } of own) if (session.isOpen) session.note(note)
    const end = (): void => {
      for (const { session } of own) if (session.isOpen) void session.drain('GOING_AWAY', 'this node has more inner layers than the others')
    }
    setTimeout(() => attempt(this.#fault, end), NOTICE_MS).unref()
  }

  readonly #fault = (thrown: unknown): void =>
    this.options.log.error({ err: thrown }, 'internal fault while inner layers were sent to other nodes')
}

const loadOf = ({ advertised: { id }, isOpen, connections }: BalancedNode): NodeLoad => ({
  id,
  isOpen,
  instances: new Set(connections.filter(({ pool }) => pool === 'operator').map(({ instance }) => instance)),
})
