/**
 * Sheds inner layers of a node that has more than its share, slowly, to nodes that have less (the idea is piko's). Each node looks for itself; what moves, moves as when a
 * node drains: it is told of another node first, and its streams finish.
 */
import { guarded } from '../net/guard.ts'

/** The balance that is wanted, and the pace at which it is reached. */
export interface RebalanceWish {
  /** A node may have so much more than the average: 0.2 is a fifth. */
  readonly threshold: number
  /** The part of the average that a node sheds each second; at least one. */
  readonly rate: number
}

/** The inner layers of the operator at one node. */
export interface NodeLoad {
  readonly id: string
  /** May others be sent there? */
  readonly isOpen: boolean
  /** Processes of inner layers; the same one may be at several nodes. */
  readonly instances: ReadonlySet<string>
}

/** An inner layer that leaves this node, and the node that it is sent to. */
export interface Move {
  readonly instance: string
  readonly to: string
}

/** Inner layers of a node, as there would be in a cluster in balance. */
export const averageOf = (loads: readonly NodeLoad[]): number => {
  const open = loads.filter(({ isOpen }) => isOpen)
  return open.reduce((sum, { instances }) => sum + instances.size, 0) / Math.max(1, open.length)
}

/** The number that a node should not exceed. */
const limitOf = (average: number, { threshold }: RebalanceWish): number =>
  Math.max(Math.ceil(average), Math.floor(average * (1 + threshold)))

/**
 * The moves that bring `own` to the average, if it is beyond the threshold: each to the emptiest node that does not have this inner layer yet, and that has less than
 * the average.
 */
export function movesOf(own: NodeLoad, others: readonly NodeLoad[], wish: RebalanceWish): readonly Move[] {
  const average = averageOf([own, ...others])
  if (own.instances.size <= limitOf(average, wish)) return []
  const open = others.filter(({ isOpen }) => isOpen).map(({ id, instances }) => ({ id, instances, size: instances.size }))
  const moves: Move[] = []
  for (const instance of own.instances) {
    if (own.instances.size - moves.length <= Math.ceil(average)) break
    const [to] = open
      .filter(({ instances, size }) => size + 1 <= Math.ceil(average) && !instances.has(instance))
      .sort((a, b) => a.size - b.size)
    if (to === undefined) continue
    to.size++
    moves.push({ instance, to: to.id })
  }
  return moves
}

/** The parts of a node that this works with. */
export interface RebalanceOptions {
  readonly own: () => NodeLoad
  readonly others: () => readonly NodeLoad[]
  readonly move: (move: Move) => void
  readonly onFault: (thrown: unknown) => void
  /** Nothing is left to be moved. @param moved  so many were */
  readonly onDone: (moved: number) => void
}

const STEP_MS = 1_000

/** One round of it, step by step; each inner layer is moved once at most. */
export class Rebalance {
  readonly #moved = new Map<string, string>()
  #timer: NodeJS.Timeout | undefined

  constructor(private readonly options: RebalanceOptions) {}

  /** Begins, or goes on with another wish. */
  start(wish: RebalanceWish): void {
    this.stop()
    const step = guarded(this.options.onFault, () => this.#step(wish))
    this.#timer = setInterval(step, STEP_MS).unref()
    step()
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#moved.clear()
  }

  #step(wish: RebalanceWish): void {
    const { move, onDone } = this.options
    const [own, others] = this.#loads()
    const left = movesOf(own, others, wish)
    if (left.length === 0) {
      const moved = this.#moved.size
      this.stop()
      return onDone(moved)
    }
    const count = Math.max(1, Math.round(averageOf([own, ...others]) * wish.rate))
    for (const one of left.slice(0, count)) {
      this.#moved.set(one.instance, one.to)
      move(one)
    }
  }

  /** With what is on its way as if it had arrived. */
  #loads(): readonly [NodeLoad, readonly NodeLoad[]] {
    const own = this.options.own()
    const others = this.options.others().map(other => {
      const coming = [...this.#moved].filter(([, to]) => to === other.id).map(([instance]) => instance)
      return { ...other, instances: new Set([...other.instances, ...coming]) }
    })
    return [{ ...own, instances: new Set([...own.instances].filter(instance => !this.#moved.has(instance))) }, others]
  }
}

/** The wish of a note; undefined for what is none. */
export function parseWish({ threshold, rate }: Readonly<Record<string, unknown>>): RebalanceWish | undefined {
  const isPart = (value: unknown, most: number): value is number => typeof value === 'number' && value >= 0 && value <= most
  return isPart(threshold, 100) && isPart(rate, 1) ? { threshold, rate } : undefined
}
