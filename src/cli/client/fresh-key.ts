import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import type { Jwk } from '../../client/wire.ts'
import { thumbprintOf } from '../../identity/key.ts'
import type { PrivateKey } from '../../identity/private-key.ts'

/** A key that was made on the spot, and its public half as the API takes it. */
export interface FreshKey {
  readonly privateKey: PrivateKey
  readonly jwk: Jwk
}

/** Makes an EC key (P-256), which takes less than a millisecond. */
export function createFreshKey(): FreshKey {
  const { privateKey: key } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  return keyOf({ key, kid: thumbprintOf(createPublicKey(key)), algorithm: 'ES256' })
}

/** A key with its public half as the API takes it. */
export function keyOf(privateKey: PrivateKey): FreshKey {
  const { kty = '', crv, x, y, n, e } = createPublicKey(privateKey.key).export({ format: 'jwk' })
  const members = { kty, crv, x, y, n, e }
  return {
    privateKey,
    jwk: Object.fromEntries(Object.entries(members).filter((entry): entry is [string, string] => entry[1] !== undefined)),
  }
}
