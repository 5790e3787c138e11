import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { mintKeyPair, type MintedPair } from '../../src/identity/certificate.ts'

/** A fresh EC pair with its certificate: quick to make. */
export const mintEc = (commonName = 'lan-a', now?: Date, validityYears = 1): Promise<MintedPair> =>
  mintKeyPair({ type: 'ec', commonName, validityYears, ...(now && { now }) })

/** The public half of a minted pair as PEM. */
export const publicPem = (key: KeyObject): string => key.export({ type: 'spki', format: 'pem' }) as string

/** PKCS #8 PEM of a fresh key of a kind that is refused. */
export const oddKeys = (): Readonly<Record<string, { privateKey: KeyObject; publicKey: KeyObject }>> => ({
  'RSA of 1024 bits': generateKeyPairSync('rsa', { modulusLength: 1024 }),
  'RSA with exponent 3': generateKeyPairSync('rsa', { modulusLength: 2048, publicExponent: 3 }),
  'RSA-PSS': generateKeyPairSync('rsa-pss', { modulusLength: 2048 }),
  'EC P-384': generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  'EC secp256k1': generateKeyPairSync('ec', { namedCurve: 'secp256k1' }),
  Ed25519: generateKeyPairSync('ed25519'),
  X25519: generateKeyPairSync('x25519'),
})

/** PKCS #8 PEM of a private key. */
export const privatePem = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }) as string

/** The key object of a minted pair. */
export const privateKeyOf = (pair: MintedPair): KeyObject => createPrivateKey(pair.privateKeyPem)
