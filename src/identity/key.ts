import { createHash, type KeyObject } from 'node:crypto'
import type { Stats } from 'node:fs'
import { open } from 'node:fs/promises'
import { GatewayError, messageOf } from '../errors.ts'

/** Signature algorithms that a key may be used with, the preferred one first. Fixed by the key, never by a token. */
export type KeyAlgorithms = readonly ['RS256', 'PS256'] | readonly ['ES256']

const RSA_ALGORITHMS = Object.freeze(['RS256', 'PS256'] as const)
const EC_ALGORITHMS = Object.freeze(['ES256'] as const)

const MIN_RSA_BITS = 2048
const MAX_RSA_BITS = 8192 // a larger modulus buys nothing and makes every refused proof expensive
const MIN_RSA_EXPONENT = 65537n // with an exponent of 1 anybody can sign

const MAX_FILE_BYTES = 65_536

/**
 * Algorithms of `key`, which is RSA of 2048 to 8192 bits or EC P-256.
 * @param source  file name for the message
 * @throws GatewayError KEY_INVALID for any other key
 */
export function algorithmsOf(key: KeyObject, source: string): KeyAlgorithms {
  const details = key.asymmetricKeyDetails ?? {}
  if (key.asymmetricKeyType === 'rsa') {
    const bits = details.modulusLength ?? 0
    if (bits < MIN_RSA_BITS || bits > MAX_RSA_BITS) {
      throw new GatewayError('KEY_INVALID', `${source}: RSA key of ${bits} bits; expected ${MIN_RSA_BITS} to ${MAX_RSA_BITS} bits`)
    }
    if ((details.publicExponent ?? 0n) < MIN_RSA_EXPONENT) {
      throw new GatewayError('KEY_INVALID', `${source}: RSA key with public exponent ${details.publicExponent}; expected 65537`)
    }
    return RSA_ALGORITHMS
  }
  if (key.asymmetricKeyType === 'ec' && details.namedCurve === 'prime256v1') return EC_ALGORITHMS
  const type = [key.asymmetricKeyType, details.namedCurve].filter(Boolean).join(' ')
  throw new GatewayError('KEY_INVALID', `${source}: key of type ${type}; expected RSA (2048 bits or more) or EC P-256`)
}

/** RFC 7638 SHA-256 thumbprint of the public half of `key` (RSA or EC), base64url: 43 characters. */
export function thumbprintOf(key: KeyObject): string {
  const { kty, e, n, crv, x, y } = key.export({ format: 'jwk' })
  // RFC 7638 §3.2: the required members only, in lexicographic order, without white space
  const members = kty === 'RSA' ? { e, kty, n } : { crv, kty, x, y }
  return createHash('sha256').update(JSON.stringify(members)).digest('base64url')
}

/** One block of a PEM file: `label` as in `-----BEGIN label-----`, `pem` with its border lines. */
export interface PemBlock {
  readonly label: string
  readonly pem: string
}

/** The PEM blocks of `text` in order; text around them is skipped (RFC 7468 §2). */
export const pemBlocksOf = (text: string): readonly PemBlock[] =>
  Array.from(text.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----[^-]*(?:-(?!----(?:BEGIN|END) )[^-]*)*-----END \1-----/g), match => ({
    label: match[1] ?? '',
    pem: `${match[0]}\n`,
  }))

/**
 * Text of a key or certificate file.
 * @param inspect  sees the text and the mode of the same open file, and may throw
 * @param maxBytes  larger files are refused; the default is more than any key or chain has
 * @throws GatewayError FILE_UNREADABLE, or KEY_INVALID when it is no regular file or too large
 */
export async function readKeyText(
  file: string,
  inspect?: (text: string, stats: Stats) => void,
  maxBytes: number = MAX_FILE_BYTES,
): Promise<string> {
  try {
    const handle = await open(file, 'r')
    try {
      const stats = await handle.stat()
      if (!stats.isFile()) throw new GatewayError('KEY_INVALID', `${file}: not a regular file`)
      if (stats.size > maxBytes) throw new GatewayError('KEY_INVALID', `${file}: ${stats.size} bytes are too many for a key`)
      const text = await handle.readFile('utf8')
      inspect?.(text, stats)
      return text
    } finally {
      await handle.close()
    }
  } catch (cause) {
    if (cause instanceof GatewayError) throw cause
    throw new GatewayError('FILE_UNREADABLE', `${file}: ${messageOf(cause)}`, { cause })
  }
}
