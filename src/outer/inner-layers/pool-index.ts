import type { InnerConnection } from './inner-connection.ts'

/** The connections of one process, never empty: they share its machine and its fate. */
export type InnerProcess = InnerConnection[]

const NONE: readonly InnerProcess[] = Object.freeze([])

/** The connections of one pool, as those who pick need them: those of this process, and those that other nodes have. */
export class PoolIndex {
  /** Of this process. */
  readonly #all = new Set<InnerConnection>()
  readonly #remote = new Set<InnerConnection>()
  /** The same as a list, made when somebody asks: thousands may come and go in a moment. */
  #list: readonly InnerConnection[] | undefined
  /** Those that get what names nobody, of all identifiers, in the order in which they came. */
  readonly processes: InnerProcess[] = []
  readonly #byInstance = new Map<string, InnerProcess>()
  readonly #byIdentifier = new Map<string, InnerProcess[]>()

  /** Those of this process, in the order in which they came. */
  get connections(): readonly InnerConnection[] {
    return (this.#list ??= [...this.#all])
  }

  /** The number of connections of this process. */
  get size(): number {
    return this.#all.size
  }

  /** Is nobody connected, here or to another node? */
  get isEmpty(): boolean {
    return this.#byInstance.size === 0
  }

  /** Identifiers of the inner layers that are connected. */
  get identifiers(): readonly string[] {
    return [...this.#byIdentifier.keys()]
  }

  has(identifier: string): boolean {
    return this.#byIdentifier.has(identifier)
  }

  /** The connections of the process that has this one. */
  processOf({ instance }: Pick<InnerConnection, 'instance'>): readonly InnerConnection[] {
    return this.#byInstance.get(instance) ?? []
  }

  /** The processes that serve one of these. */
  of(identifiers: readonly string[]): readonly InnerProcess[] {
    if (identifiers.length === 1) return this.#byIdentifier.get(identifiers[0]!) ?? NONE
    return identifiers.flatMap(identifier => this.#byIdentifier.get(identifier) ?? NONE)
  }

  add(connection: InnerConnection): void {
    this.#setOf(connection).add(connection)
    this.#list = undefined
    const { instance, identifier } = connection
    const known = this.#byInstance.get(instance)
    if (known !== undefined) return void known.push(connection)
    const process: InnerProcess = [connection]
    this.#byInstance.set(instance, process)
    if (connection.isEnrolled !== true) this.processes.push(process)
    const same = this.#byIdentifier.get(identifier)
    if (same === undefined) this.#byIdentifier.set(identifier, [process])
    else same.push(process)
  }

  /** @returns whether it was the last one of its process; undefined when it was not there */
  remove(connection: InnerConnection): boolean | undefined {
    if (!this.#setOf(connection).delete(connection)) return undefined
    this.#list = undefined
    const { instance, identifier } = connection
    const process = this.#byInstance.get(instance)!
    drop(process, connection)
    if (process.length > 0) return false
    this.#byInstance.delete(instance)
    drop(this.processes, process)
    const same = this.#byIdentifier.get(identifier)!
    drop(same, process)
    if (same.length === 0) this.#byIdentifier.delete(identifier)
    return true
  }

  #setOf({ node }: InnerConnection): Set<InnerConnection> {
    return node === undefined ? this.#all : this.#remote
  }
}

function drop<T>(list: T[], item: T): void {
  const at = list.indexOf(item)
  if (at >= 0) list.splice(at, 1)
}
