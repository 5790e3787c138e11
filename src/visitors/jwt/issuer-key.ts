/** Keys that an issuer publishes (RFC 7517), as far as they may verify something here. */
import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto'
import type { Algorithm } from 'jsonwebtoken'

/** Signatures by Edwards curves (RFC 8037 §3.1), also by their own names (RFC 9864 §2.2). */
export type EdwardsAlgorithm = 'EdDSA' | 'Ed25519' | 'Ed448'

/** A key of an issuer. */
export interface IssuerKey {
  readonly key: KeyObject
  /**
   * What it may verify. It follows from the kind of the key: were the token to say it, a public key could be taken for the secret of an HMAC,
   * or no signature be wanted at all (RFC 8725 §2.1).
   */
  readonly algorithms: readonly (Algorithm | EdwardsAlgorithm)[]
  /** As it was published. */
  readonly text: string
}

const RSA: readonly Algorithm[] = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']
const CURVES: ReadonlyMap<string, Algorithm> = new Map([
  ['P-256', 'ES256'],
  ['P-384', 'ES384'],
  ['P-521', 'ES512'],
])
const EDWARDS: ReadonlyMap<string, readonly EdwardsAlgorithm[]> = new Map([
  ['Ed25519', ['EdDSA', 'Ed25519']],
  ['Ed448', ['EdDSA', 'Ed448']],
])
/** More are not read. */
const MAX_KEYS = 100
const [MIN_RSA_BITS, MAX_RSA_BITS] = [2048, 8192]

/**
 * Reads a set of keys: key id → key, the empty text for one without an id. Whatever is no key for us is left out; of two with the same id,
 * both are.
 * @returns undefined for what is no set
 */
export function readIssuerKeys(value: unknown): ReadonlyMap<string, IssuerKey> | undefined {
  const list = (value as { readonly keys?: unknown } | null | undefined)?.keys
  if (!Array.isArray(list)) return undefined
  const keys = new Map<string, IssuerKey>()
  const doubled = new Set<string>()
  for (const each of list.slice(0, MAX_KEYS) as unknown[]) {
    if (typeof each !== 'object' || each === null) continue
    const jwk = each as JsonWebKey & Readonly<Record<string, unknown>>
    const key = readKey(jwk)
    if (key === undefined) continue
    const id = typeof jwk['kid'] === 'string' ? jwk['kid'] : ''
    if (keys.has(id)) doubled.add(id)
    keys.set(id, key)
  }
  for (const id of doubled) keys.delete(id)
  return keys
}

function algorithmsOf(kty: string | undefined, curve: string): IssuerKey['algorithms'] {
  if (kty === 'RSA') return RSA
  if (kty === 'OKP') return EDWARDS.get(curve) ?? []
  const algorithm = kty === 'EC' ? CURVES.get(curve) : undefined
  return algorithm === undefined ? [] : [algorithm]
}

function readKey(jwk: JsonWebKey & Readonly<Record<string, unknown>>): IssuerKey | undefined {
  const { kty, crv, alg, use, n, e, x, y } = jwk
  const possible = algorithmsOf(kty, String(crv))
  const algorithms = alg === undefined ? possible : possible.filter(each => each === alg)
  if (algorithms.length === 0 || (use !== undefined && use !== 'sig')) return undefined
  try {
    // The public members alone, whatever else is published.
    const key = createPublicKey({
      key: kty === 'RSA' ? { kty, n, e } : kty === 'OKP' ? { kty, crv, x } : { kty, crv, x, y },
      format: 'jwk',
    } as never)
    const { modulusLength: bits = 0, publicExponent = 0n } = key.asymmetricKeyDetails ?? {}
    // With an exponent of 1 anybody can sign.
    if (kty === 'RSA' && (bits < MIN_RSA_BITS || bits > MAX_RSA_BITS || publicExponent < 65_537n)) return undefined
    return { key, algorithms, text: JSON.stringify([kty, n, e, crv, x, y, algorithms]) }
  } catch {
    return undefined
  }
}
