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
    private readonly registry: Pick<Registry, 'operators' | 'processOf'>,
    private readonly nodes: () => readonly { readonly id: string }[],
  ) {}

  look(): void {
    const nodes = this.nodes().map(({ id }) => id)
    this.#follow(nodes)
    for (const [instance, own] of this.#own()) {
      const tries = this.#tries.get(instance) ?? 0
      if (own.length < 2 || tries >= MAX_TRIES) continue
      const elsewhere = new Set(this.registry.processOf(own[0]!).map(({ node }) => node))
      if (nodes.every(id => elsewhere.has(id))) continue
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

  /** Connections to this worker, by process of an inner layer. */
  #own(): ReadonlyMap<string, readonly InnerConnection[]> {
    const processes = new Map<string, InnerConnection[]>()
    for (const connection of this.registry.operators) {
      if (!connection.session.isOpen) continue
      const known = processes.get(connection.instance)
      if (known === undefined) processes.set(connection.instance, [connection])
      else known.push(connection)
    }
    for (const instance of this.#tries.keys()) if (!processes.has(instance)) this.#tries.delete(instance)
    return processes
  }
}
