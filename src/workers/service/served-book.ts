import type { ServedProcess } from '../../cluster/presence.ts'

/** Told of tunnels and keys of all workers together. */
export interface ServedBookOptions {
  /** Is this the key of the service process, which knows of its own tunnels? */
  readonly isOfService: (kid: string) => boolean
  /** Is this a key of the service? */
  readonly isKey: (kid: string) => boolean
  readonly onTunnel: (id: string, address: string | undefined) => void
  readonly onKey: (kid: string, address: string | undefined) => void
}

/** Tunnels and keys of inner layers that any worker has: up with the first worker, and down with the last. */
export class ServedBook<Worker> {
  readonly #tunnels = new Map<string, Map<string, string>>()
  readonly #keys = new Map<string, Map<string, string>>()
  readonly #places = new Map<Worker, Map<number, { readonly book: Map<string, Map<string, string>>; readonly id: string }>>()
  #count = 0
  readonly #names = new Map<Worker, string>()

  constructor(private readonly options: ServedBookOptions) {}

  /** Tunnels that are up. */
  get tunnels(): readonly { readonly id: string; readonly address: string }[] {
    return listOf(this.#tunnels)
  }

  /** Keys by which inner layers are connected. */
  get keys(): readonly { readonly id: string; readonly address: string }[] {
    return listOf(this.#keys)
  }

  /** A worker has a process of an inner layer. */
  serve(worker: Worker, { number, pool, identifier, kid, address }: ServedProcess): void {
    const { isOfService, isKey, onTunnel, onKey } = this.options
    const isTunnel = pool === 'tunnel'
    if (isTunnel ? isOfService(kid) : !isKey(kid)) return
    const [book, id] = isTunnel ? [this.#tunnels, identifier] : [this.#keys, kid]
    const places = this.#places.get(worker) ?? new Map<number, never>()
    this.#places.set(worker, places.set(number, { book, id }))
    const holders = book.get(id) ?? new Map<string, string>()
    book.set(id, holders.set(this.#nameOf(worker, number), address))
    ;(isTunnel ? onTunnel : onKey)(id, address)
  }

  /** It has it no more. */
  unserve(worker: Worker, number: number): void {
    const places = this.#places.get(worker)
    const place = places?.get(number)
    if (place === undefined) return
    places!.delete(number)
    const { book, id } = place
    const holders = book.get(id)
    if (holders?.delete(this.#nameOf(worker, number)) !== true || holders.size > 0) return
    book.delete(id)
    const { onTunnel, onKey } = this.options
    ;(book === this.#tunnels ? onTunnel : onKey)(id, undefined)
  }

  /** It has ended. */
  gone(worker: Worker): void {
    for (const number of [...(this.#places.get(worker)?.keys() ?? [])]) this.unserve(worker, number)
    this.#places.delete(worker)
    this.#names.delete(worker)
  }

  #nameOf(worker: Worker, number: number): string {
    const name = this.#names.get(worker) ?? String(++this.#count)
    this.#names.set(worker, name)
    return `${name} ${number}`
  }
}

/** The address of whoever has come last. */
const listOf = (book: ReadonlyMap<string, ReadonlyMap<string, string>>): { id: string; address: string }[] =>
  [...book].map(([id, holders]) => ({ id, address: [...holders.values()].at(-1) ?? '' }))
