/** Pieces of many routes, put together to one target for each host. */
import type { YamlMap } from '../../../config/document/yaml.ts'
import { unsupported } from './conditions.ts'
import type { Piece } from './rules.ts'

/** Longest text of what one host may have; `targetsDocument` takes no longer target. */
const MAX_HOST = 60_000

interface Entry {
  readonly piece: Piece
  /** undefined: every one. */
  readonly methods: ReadonlySet<string> | undefined
}

/** Is the prefix of one the prefix of the other, by whole segments? */
const covers = (prefix: string | undefined, { text }: Piece): boolean =>
  prefix !== undefined && (prefix === '/' || text === prefix || text.startsWith(`${prefix}/`))

const sameKeys = (a: Piece, b: Piece): boolean => JSON.stringify(a.keys) === JSON.stringify(b.keys)

const byMethod = (): Error =>
  unsupported('matches.method: other methods of the same path would go elsewhere, and a target goes by host and path; use another path')

/** @returns what there is to be at this path; undefined: it stays as it is @throws NotDone */
function entryOf(piece: Piece, entries: ReadonlyMap<string, Entry>): Entry | undefined {
  const there = entries.get(piece.path)
  const others = [...entries.values()].filter(({ piece: { path } }) => path !== piece.path)
  const isSame = there !== undefined && sameKeys(there.piece, piece)
  if (piece.method === undefined) {
    // Requests by other methods than that of a narrower one would come here.
    const isAbove = others.some(({ piece: other, methods }) => methods !== undefined && covers(piece.prefix, other))
    if (isAbove || (there?.methods !== undefined && !isSame)) throw byMethod()
    return there === undefined || isSame ? { piece, methods: undefined } : undefined
  }
  if (there !== undefined && there.methods === undefined) {
    if (!isSame) throw byMethod()
    return undefined
  }
  if (there !== undefined && !isSame) {
    if (there.methods?.has(piece.method) === true) return undefined
    throw byMethod()
  }
  const isAmbiguous = others.some(
    ({ piece: other, methods }) => covers(other.prefix, piece) || (methods !== undefined && covers(piece.prefix, other)),
  )
  if (isAmbiguous) throw byMethod()
  return { piece, methods: new Set([...(there?.methods ?? []), piece.method]) }
}

/** One host. */
class HostTable {
  readonly #entries = new Map<string, Entry>()
  #size = 0

  /** Names of the routes that have put in something. */
  readonly owners = new Set<string>()

  /**
   * Judges all pieces of a route, of which those for every method come first. What is there already stays: it is of an older route.
   * @returns puts them in
   * @throws NotDone
   */
  prepare(owner: string, pieces: readonly Piece[]): () => void {
    const added = new Map<string, Entry>()
    const all = new Map(this.#entries)
    for (const piece of pieces) {
      const entry = entryOf(piece, all)
      if (entry === undefined) continue
      added.set(piece.path, entry)
      all.set(piece.path, entry)
    }
    const size = [...added.values()].reduce((sum, { piece }) => sum + JSON.stringify(piece, undefined, 8).length + 200, 0)
    if (this.#size + size > MAX_HOST)
      throw unsupported(`its rules take ${size} characters, and this host has ${this.#size} of ${MAX_HOST} already`)
    return () => {
      this.#size += size
      for (const [path, entry] of added) this.#entries.set(path, entry)
      this.owners.add(owner)
    }
  }

  /** As `routes` of a target has it. */
  get routes(): readonly YamlMap[] {
    return [...this.#entries.values()].map(({ piece, methods }) => ({
      path: piece.path,
      ...piece.keys,
      ...(methods !== undefined && { policy: { '*': [...methods].sort() } }),
    }))
  }
}

/** All hosts of all routes. */
export class HostTables {
  readonly #tables = new Map<string, HostTable>()

  /** @returns puts them in @throws NotDone when the pieces do not go together with those that are there */
  prepare(host: string, owner: string, pieces: readonly Piece[]): () => void {
    const table = this.#tables.get(host) ?? new HostTable()
    const put = table.prepare(owner, pieces)
    return () => {
      this.#tables.set(host, table)
      put()
    }
  }

  get all(): ReadonlyMap<string, Pick<HostTable, 'owners' | 'routes'>> {
    return this.#tables
  }
}
