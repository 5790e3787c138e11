import type { AdvertisedNode, NodesNote } from '../payload/nodes-note.ts'

/** Links to one outer layer that was found by another one. */
export interface FoundLinks {
  start(): void
  /** Lets requests in flight finish, and ends them. */
  drain(): Promise<void>
}

/** Options of the links. */
export interface NodeLinksOptions {
  /** Outer layers to be linked to. */
  readonly wanted: number
  /** May this URL be dialled? */
  readonly admits: (url: string) => boolean
  readonly create: (url: string) => FoundLinks
  /** 0 … 1: which of equal ones is taken. */
  readonly random: () => number
}

/**
 * Which outer layers of a cluster this inner layer is linked to, beyond those that it was given: as many as are wanted, in different zones where there are
 * such, and other ones when one of them leaves.
 */
export class NodeLinks {
  /** Session of a link that was given → the node at its other end. */
  readonly #given = new Map<object, { readonly id: string; readonly zone: string }>()
  readonly #found = new Map<string, { readonly node: AdvertisedNode; readonly links: FoundLinks }>()
  #nodes: readonly AdvertisedNode[] = []
  #isStopped = false

  constructor(private readonly options: NodeLinksOptions) {}

  /** An outer layer has told which ones there are. @param session  by which it did @param isGiven  the link was given, not found */
  told(session: object, { self, zone, isLeaving, nodes }: NodesNote, isGiven: boolean): void {
    if (isLeaving) this.#given.delete(session)
    else if (isGiven) this.#given.set(session, { id: self, zone })
    this.#nodes = nodes
    this.#settle()
  }

  /** A session has ended. */
  lost(session: object): void {
    const node = this.#given.get(session)
    if (node === undefined) return
    this.#given.delete(session)
    // It is dialled as given anyway: taken for another one, it would keep one that lives from being found. Whoever is connected next tells of all again.
    if (![...this.#given.values()].some(({ id }) => id === node.id)) this.#nodes = this.#nodes.filter(({ id }) => id !== node.id)
    this.#settle()
  }

  /** No more are dialled, and none is ended, from now on. */
  stop(): void {
    this.#isStopped = true
  }

  #settle(): void {
    if (this.#isStopped) return
    const given = new Map([...this.#given.values()].map(({ id, zone }) => [id, zone]))
    const candidates = this.#nodes.filter(({ id, url }) => !given.has(id) && this.options.admits(url))
    const chosen = this.#choose(candidates, this.options.wanted - given.size, new Set(given.values()))
    for (const [id, { links }] of this.#found) {
      if (chosen.some(node => node.id === id)) continue
      this.#found.delete(id)
      void links.drain()
    }
    for (const node of chosen) {
      if (this.#found.has(node.id)) continue
      const links = this.options.create(node.url)
      this.#found.set(node.id, { node, links })
      links.start()
    }
  }

  /** Those that are linked to stay; then one of a zone that has none yet; then any. */
  #choose(candidates: readonly AdvertisedNode[], count: number, zones: Set<string>): readonly AdvertisedNode[] {
    const left = [...candidates].map(node => ({ node, order: this.options.random() })).sort((a, b) => a.order - b.order)
    const chosen: AdvertisedNode[] = []
    while (chosen.length < count && left.length > 0) {
      const best = left.reduce((first, other) => (this.#rank(other.node, zones) > this.#rank(first.node, zones) ? other : first))
      left.splice(left.indexOf(best), 1)
      chosen.push(best.node)
      zones.add(best.node.zone)
    }
    return chosen
  }

  #rank({ id, zone }: AdvertisedNode, zones: ReadonlySet<string>): number {
    return (this.#found.has(id) ? 2 : 0) + (zones.has(zone) ? 0 : 1)
  }
}
