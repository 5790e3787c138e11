import type { Keys, RegisteredKey } from '../identity/key-registry.ts'
import { registeredJwk } from '../identity/read-public-key.ts'
import type { DirectoryKey } from './directory.ts'
import { isEqual } from './is-equal.ts'

/** Where such a key comes from, as operators read it. */
const SOURCE = 'a key that the service has given'

/** A key as it came, and as it is used from the first time on; null: it cannot be used. */
interface Entry {
  readonly key: DirectoryKey
  parsed: RegisteredKey | null | undefined
}

/** A key whose place a newer one of its tunnel has taken: it proves nothing any more, and what it has proven goes on for a while. */
interface Leaving {
  readonly tunnelId: string
  readonly untilMs: number
}

/** The time in which the newer key has to be used, and then what the older has begun has to finish, milliseconds. */
const LEAVE_MS = 90_000

/** The keys of tunnels and of enrolled inner layers. Parsing one costs more than keeping it, so that is done when it is used. */
export class GrantedKeys {
  readonly #entries = new Map<string, Entry>()
  readonly #leaving = new Map<string, Leaving>()

  get size(): number {
    return this.#entries.size
  }

  /** As they came. */
  get all(): readonly DirectoryKey[] {
    return [...this.#entries.values()].map(({ key }) => key)
  }

  get kids(): Iterable<string> {
    return this.#entries.keys()
  }

  /** @returns whether another key was there under the same id: then what it was for may have changed */
  set(key: DirectoryKey): boolean {
    const known = this.#entries.get(key.kid)
    if (known !== undefined && isEqual(known.key, key)) return false
    this.#entries.set(key.kid, { key, parsed: undefined })
    this.#leaving.delete(key.kid)
    return known !== undefined
  }

  delete(kid: string): boolean {
    this.#leaving.delete(kid)
    return this.#entries.delete(kid)
  }

  /**
   * Takes a key away that a newer one of `tunnels` takes the place of.
   * @param tunnels  those that have a new key
   * @returns false where it is none of these: whoever uses it is to be cut
   */
  supersede(kid: string, tunnels: ReadonlySet<string>, nowMs: number): boolean {
    const tunnelId = this.#entries.get(kid)?.key.tunnelId ?? undefined
    if (tunnelId === undefined || !tunnels.has(tunnelId)) return false
    this.#entries.delete(kid)
    for (const [other, { untilMs }] of this.#leaving) if (untilMs <= nowMs) this.#leaving.delete(other)
    this.#leaving.set(kid, { tunnelId, untilMs: nowMs + LEAVE_MS })
    return true
  }

  /** May a session that such a key has proven go on? */
  isLeaving(kid: string, tunnelId: string, nowMs: number): boolean {
    const leaving = this.#leaving.get(kid)
    return leaving?.tunnelId === tunnelId && leaving.untilMs > nowMs
  }

  get(kid: string): RegisteredKey | undefined {
    const entry = this.#entries.get(kid)
    if (entry === undefined) return undefined
    entry.parsed ??= parse(entry.key)
    return entry.parsed ?? undefined
  }
}

function parse({ kid, jwk, tunnelId, identifiers, expiresAt, login }: DirectoryKey): RegisteredKey | null {
  try {
    const grant = Object.freeze({ tunnel: tunnelId ?? undefined, expiresAtMs: expiresAt ?? Infinity, login })
    const key = registeredJwk(jwk, tunnelId === null ? (identifiers ?? []) : [tunnelId], SOURCE)
    // The id is what everything else is found by: it has to be the one of the key.
    return key.kid === kid ? Object.freeze({ ...key, grant }) : null
  } catch {
    return null // no key that anybody could prove anything with
  }
}

/**
 * The keys of the operator with those of the service behind them. The same key in both is the operator's, and an identifier that a key of
 * the operator names is never one that the service could give away.
 */
export class LayeredKeys implements Keys {
  constructor(
    private readonly operator: Keys,
    private readonly granted: GrantedKeys,
    /** Milliseconds since 1970. */
    private readonly nowMs: () => number = Date.now,
  ) {}

  get size(): number {
    return this.operator.size + this.granted.size
  }

  get(kid: string): RegisteredKey | undefined {
    const known = this.operator.get(kid) ?? this.granted.get(kid)
    if (known?.grant === undefined || known.grant.tunnel !== undefined) return known
    const identifiers = known.identifiers?.filter(identifier => !this.operator.names(identifier)) ?? []
    return identifiers.length === 0 ? undefined : { ...known, identifiers }
  }

  allows(kid: string, identifier: string): boolean {
    if (this.operator.get(kid) !== undefined) return this.operator.allows(kid, identifier)
    if (this.granted.isLeaving(kid, identifier, this.nowMs())) return true
    const key = this.get(kid)
    return key?.identifiers?.includes(identifier) === true && key.grant!.expiresAtMs > this.nowMs()
  }

  names(identifier: string): boolean {
    return this.operator.names(identifier)
  }
}
