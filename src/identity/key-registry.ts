import type { KeyObject } from 'node:crypto'
import type { KeyAlgorithms } from './key.ts'

/** A public key that an inner layer may prove itself with. */
export interface RegisteredKey {
  /** RFC 7638 SHA-256 thumbprint, base64url. */
  readonly kid: string
  readonly key: KeyObject
  readonly algorithms: KeyAlgorithms
  /** Identifiers that the key may claim, undefined: any. */
  readonly identifiers: readonly string[] | undefined
  /** File that it was read from; the first one where several hold the same key. */
  readonly source: string
  /** Of a key of the service, what it was given for; undefined: a key of the operator. */
  readonly grant?: KeyGrant | undefined
}

/** The right that the service has given a key. */
export interface KeyGrant {
  /** The tunnel that it serves, in the pool of tunnels and under this identifier alone; undefined: it is of an inner layer of the operator. */
  readonly tunnel: string | undefined
  /** Milliseconds since 1970; Infinity: never. */
  readonly expiresAtMs: number
  /** Of a tunnel: the login that it was given for, among those of the tunnel. */
  readonly login?: number | undefined
}

/** The keys that inner layers may prove themselves with. */
export interface Keys {
  /** Number of different keys. */
  readonly size: number
  get(kid: string): RegisteredKey | undefined
  /** May a session that was proven by `kid` go on as `identifier`? */
  allows(kid: string, identifier: string): boolean
  /** Is there a key that may claim this identifier and names it? */
  names(identifier: string): boolean
}

// A grant that names no identifier is a grant of all of them, so it swallows the narrower ones.
function merge(first: RegisteredKey, second: RegisteredKey): RegisteredKey {
  const identifiers = first.identifiers && second.identifiers && [...new Set([...first.identifiers, ...second.identifiers])]
  return Object.freeze({ ...first, identifiers })
}

/** The registered keys by thumbprint. Immutable: a change of the files makes a new registry. */
export class KeyRegistry implements Keys, Iterable<RegisteredKey> {
  readonly #keys = new Map<string, RegisteredKey>()

  /** @param keys  a key that comes twice is registered once, with the identifiers of both */
  constructor(keys: Iterable<RegisteredKey> = []) {
    for (const key of keys) {
      const known = this.#keys.get(key.kid)
      this.#keys.set(key.kid, known === undefined ? Object.freeze(key) : merge(known, key))
    }
  }

  /** Number of different keys. */
  get size(): number {
    return this.#keys.size
  }

  get(kid: string): RegisteredKey | undefined {
    return this.#keys.get(kid)
  }

  /** May a session that was proven by `kid` go on as `identifier`? Ask it of a new registry to find the sessions to close. */
  allows(kid: string, identifier: string): boolean {
    const key = this.#keys.get(kid)
    return key !== undefined && (key.identifiers === undefined || key.identifiers.includes(identifier))
  }

  names(identifier: string): boolean {
    for (const { identifiers } of this.#keys.values()) if (identifiers?.includes(identifier) === true) return true
    return false
  }

  [Symbol.iterator](): Iterator<RegisteredKey> {
    return this.#keys.values()
  }
}
