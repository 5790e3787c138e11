import type { InnerConnection, Registry } from '../outer/inner-layers/registry.ts'

/** Where a connection comes to is chance: after so many that came back to this worker, it stays as it is until other workers come. */
const MAX_TRIES = 12

/**
 * Spreads the connections of inner layers: whoever has several to this worker and none to another one is asked to make one of them anew, and goes on with
 * the others meanwhile. What comes in at a worker without one takes a way that costs half as much again.
 */
export class LinkSpread {
  /** By process of an inner layer. */
  readonly #tries = new Map<string, number>()
  #nodes = ''

  /** @param nodes  the other workers that can be reached */
  constructor(
    private readonly registry: Pick<Registry, 'operators'>,
    private readonly nodes: () => readonly { readonly id: string }[],
  ) {}

  look(): void {
    const nodes = this.nodes().map(({ id }) => id)
    this.#follow(nodes)
    for (const [instance, { own, elsewhere }] of this.#processes()) {
      const tries = this.#tries.get(instance) ?? 0
      if (own.length < 2 || tries >= MAX_TRIES || nodes.every(id => elsewhere.has(id))) continue
      this.#tries.set(instance, tries + 1)
      void own.at(-1)!.session.drain('GOING_AWAY', 'another process of the outer layer has no connection of this inner layer')
    }
  }

  /** Other workers are another chance. */
  #follow(nodes: readonly string[]): void {
    const text = [...nodes].sort().join(' ')
    if (text !== this.#nodes) this.#tries.clear()
    this.#nodes = text
  }

  #processes(): ReadonlyMap<string, { readonly own: InnerConnection[]; readonly elsewhere: Set<string> }> {
    const processes = new Map<string, { readonly own: InnerConnection[]; readonly elsewhere: Set<string> }>()
    for (const connection of this.registry.operators) {
      const { instance, node, session } = connection
      const known = processes.get(instance) ?? { own: [], elsewhere: new Set() }
      processes.set(instance, known)
      if (node !== undefined) known.elsewhere.add(node)
      else if (session.isOpen) known.own.push(connection)
    }
    for (const instance of this.#tries.keys()) if (!processes.has(instance)) this.#tries.delete(instance)
    return processes
  }
}
