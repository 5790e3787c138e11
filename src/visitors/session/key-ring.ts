import { createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes, type KeyObject } from 'node:crypto'
import { GatewayError } from '../../errors.ts'

/** One key: a secret that seals what browsers keep for us, and a pair that signs who somebody is. */
export interface VisitorKey {
  /** Stands before what was sealed, and as `kid` in what was signed. */
  readonly id: string
  readonly createdAt: string
  /** 32 bytes. */
  readonly secret: Buffer
  readonly signing: KeyObject
  /** The public half, as JWKS has it. */
  readonly jwk: Readonly<Record<string, string>>
}

/** Keys, the newest first: that one seals and signs, and all of them open and verify. */
export interface KeyRing {
  readonly newest: VisitorKey
  find(id: string): VisitorKey | undefined
  readonly all: readonly VisitorKey[]
}

/** More would not be missed: what the oldest has sealed is over. */
export const MAX_KEYS = 4

interface StoredKey {
  readonly id: string
  readonly createdAt: string
  readonly secret: string
  readonly signing: Readonly<Record<string, string>>
}

/** The keys as a ring. @param keys  the newest first, at least one */
export function createKeyRing(keys: readonly VisitorKey[]): KeyRing {
  const [newest] = keys
  if (newest === undefined) throw new GatewayError('KEY_INVALID', 'there is no key for visitors')
  const byId = new Map(keys.map(key => [key.id, key]))
  return Object.freeze({ newest, all: Object.freeze([...keys]), find: (id: string) => byId.get(id) })
}

/** @param now  ms since 1970 */
const mint = (now: number): StoredKey => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return {
    id: randomBytes(6).toString('base64url'),
    createdAt: new Date(now).toISOString(),
    secret: randomBytes(32).toString('base64url'),
    signing: privateKey.export({ format: 'jwk' }) as Record<string, string>,
  }
}

const textOf = (keys: readonly StoredKey[]): string => `${JSON.stringify({ keys }, undefined, 2)}\n`

/** The text of a new key file. @param now  ms since 1970 */
export const createKeyText = (now: number): string => textOf([mint(now)])

/**
 * The text of a key file with a new key before the others; what is older than the last few is left out.
 * @throws GatewayError KEY_INVALID
 */
export function rotateKeyText(text: string, now: number): string {
  readKeys(text)
  const { keys } = JSON.parse(text) as { readonly keys: readonly StoredKey[] }
  return textOf([mint(now), ...keys].slice(0, MAX_KEYS))
}

/** Reads a key file. @throws GatewayError KEY_INVALID; the message never holds a key */
export function readKeys(text: string): KeyRing {
  const invalid = (reason: string): never => {
    throw new GatewayError('KEY_INVALID', `${reason}; such a file is made by: socket-gateway visitors init`)
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return invalid('expected JSON with the keys of visitors')
  }
  const stored = (value as { readonly keys?: unknown } | null)?.keys
  if (!Array.isArray(stored) || stored.length === 0) return invalid('expected JSON with a list "keys" of at least one key')
  return createKeyRing(stored.map((each: unknown, i) => readKey(each) ?? invalid(`key ${i + 1} of the list is none`)))
}

function readKey(value: unknown): VisitorKey | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { id, createdAt, secret, signing } = value as Partial<StoredKey>
  if (typeof id !== 'string' || !/^[\w-]{4,32}$/.test(id) || typeof secret !== 'string' || typeof createdAt !== 'string') return undefined
  const bytes = Buffer.from(secret, 'base64url')
  if (bytes.length !== 32) return undefined
  try {
    const key = createPrivateKey({ key: signing as never, format: 'jwk' })
    if (key.asymmetricKeyType !== 'ec' || key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') return undefined
    const { kty, crv, x, y } = createPublicKey(key).export({ format: 'jwk' }) as Record<string, string>
    const jwk = Object.freeze({ kty: kty!, crv: crv!, x: x!, y: y!, kid: id, use: 'sig', alg: 'ES256' })
    return Object.freeze({ id, createdAt, secret: bytes, signing: key, jwk })
  } catch {
    return undefined
  }
}
