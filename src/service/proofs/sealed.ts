import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { GatewayError, messageOf } from '../../errors.ts'

const ALGORITHM = 'aes-256-gcm'
const NONCE_BYTES = 12
const TAG_BYTES = 16
/** Says how it was sealed, so that there can be another way one day. */
const VERSION = 'v1.'

/** Bytes of the key of a `SealingKey`. */
export const SEALING_KEY_BYTES = 32

/** The key outside of the database under which secrets lie in it: whoever steals the database alone cannot use them. */
export class SealingKey {
  readonly #keys: readonly [Buffer, ...Buffer[]]

  /** @param keys  32 bytes of chance, by which is sealed, and behind them those of keys that still open @throws GatewayError KEY_INVALID */
  constructor(keys: Buffer) {
    const count = keys.length / SEALING_KEY_BYTES
    if (!Number.isInteger(count) || count < 1)
      throw new GatewayError(
        'KEY_INVALID',
        `the key of the service has ${keys.length} bytes, expected ${SEALING_KEY_BYTES}; it is made by: socket-gateway service init`,
      )
    const [first, ...others] = Array.from({ length: count }, (_, at) => keys.subarray(at * SEALING_KEY_BYTES, (at + 1) * SEALING_KEY_BYTES))
    this.#keys = [first!, ...others]
  }

  /** Seals a secret for one place. @param place  so that nobody can put one secret where another one was */
  seal(secret: Buffer, place: string): string {
    const nonce = randomBytes(NONCE_BYTES)
    const cipher = createCipheriv(ALGORITHM, this.#keys[0], nonce).setAAD(Buffer.from(place))
    return VERSION + Buffer.concat([nonce, cipher.update(secret), cipher.final(), cipher.getAuthTag()]).toString('base64url')
  }

  /** Opens what `seal` gave. @throws GatewayError STORE_INVALID: another key, another place, or damaged */
  open(sealed: string, place: string): Buffer {
    let cause: unknown
    for (const key of this.#keys) {
      try {
        return openWith(key, sealed, place)
      } catch (thrown) {
        cause ??= thrown
      }
    }
    throw new GatewayError(
      'STORE_INVALID',
      `the secret ${place} cannot be opened (${messageOf(cause)}); the key file of the service belongs to another database, or one of them is damaged`,
      { cause },
    )
  }
}

/** @throws Error where it is another key, another place, or damaged */
function openWith(key: Buffer, sealed: string, place: string): Buffer {
  if (!sealed.startsWith(VERSION)) throw new Error('sealed in an unknown way')
  const bytes = Buffer.from(sealed.slice(VERSION.length), 'base64url')
  const decipher = createDecipheriv(ALGORITHM, key, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES })
  decipher.setAAD(Buffer.from(place)).setAuthTag(bytes.subarray(bytes.length - TAG_BYTES))
  return Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, bytes.length - TAG_BYTES)), decipher.final()])
}
