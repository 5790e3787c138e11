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
}

// A grant that names no identifier is a grant of all of them, so it swallows the narrower ones.
function merge(first: RegisteredKey, second: RegisteredKey): RegisteredKey {
  const identifiers = first.identifiers && second.identifiers && [...new Set([...first.identifiers, ...second.identifiers])]
  return Object.freeze({ ...first, identifiers })
}

/** The registered keys by thumbprint. Immutable: a change of the files makes a new registry. */
export class KeyRegistry implements Iterable<RegisteredKey> {
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

  [Symbol.iterator](): Iterator<RegisteredKey> {
    return this.#keys.values()
  }
}
