/** Pieces of many routes, put together to one target for each host. */
import type { YamlMap } from '../../../config/document/yaml.ts'
import { unsupported } from './conditions.ts'
import type { Piece } from './rules.ts'

/** Longest text of what one host may have; `targetsDocument` takes no longer target. */
const MAX_HOST = 60_000

/** As a route of a target has it. */
const routeKeysOf = ({ path, match, keys }: Piece): YamlMap => ({ path, ...(match !== undefined && { match }), ...keys })

/** Two pieces with the same key are for the same requests. */
const keyOf = ({ path, match }: Piece): string => JSON.stringify([path, match])

/** One host. */
class HostTable {
  readonly #pieces = new Map<string, Piece>()
  #size = 0

  /** Names of the routes that have put in something. */
  readonly owners = new Set<string>()

  /**
   * Judges all pieces of a route. What is there already for the same requests stays: it is of an older route, or of an earlier rule.
   * @returns puts them in; between conditions that say as much the order counts, so whatever is older goes first
   * @throws NotDone
   */
  prepare(owner: string, pieces: readonly Piece[]): () => void {
    const added = new Map<string, Piece>()
    for (const piece of pieces) {
      const key = keyOf(piece)
      if (!this.#pieces.has(key) && !added.has(key)) added.set(key, piece)
    }
    const size = [...added.values()].reduce((sum, piece) => sum + JSON.stringify(piece, undefined, 8).length + 200, 0)
    if (this.#size + size > MAX_HOST)
      throw unsupported(`its rules take ${size} characters, and this host has ${this.#size} of ${MAX_HOST} already`)
    return () => {
      this.#size += size
      for (const [key, piece] of added) this.#pieces.set(key, piece)
      this.owners.add(owner)
    }
  }

  /** As `routes` of a target has it. */
  get routes(): readonly YamlMap[] {
    return [...this.#pieces.values()].map(routeKeysOf)
  }
}

/** All hosts of all routes. */
export class HostTables {
  readonly #tables = new Map<string, HostTable>()

  /** @returns puts them in @throws NotDone when there is no room for the pieces */
  prepare(host: string, owner: string, pieces: readonly Piece[]): () => void {
    const table = this.#tables.get(host) ?? new HostTable()
    const put = table.prepare(owner, pieces)
    return () => {
      this.#tables.set(host, table)
      put()
    }
  }

  /** Routes of a target that has these pieces alone. */
  routesOf(pieces: readonly Piece[]): readonly YamlMap[] {
    return [...new Map(pieces.map(piece => [keyOf(piece), routeKeysOf(piece)])).values()]
  }

  get all(): ReadonlyMap<string, Pick<HostTable, 'owners' | 'routes'>> {
    return this.#tables
  }
}
