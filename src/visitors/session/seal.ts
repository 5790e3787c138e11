import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import type { KeyRing } from './key-ring.ts'

const ALGORITHM = 'aes-256-gcm'
const NONCE = 12
const TAG = 16
/** No cookie and no part of a URL of ours is longer. */
const MAX_CHARS = 4_096

/**
 * Texts that only this gateway can make and read: what browsers carry for us. Each is for one purpose and one place, and opens nowhere else.
 */
export class Seal {
  /** @param keys  those in force */
  constructor(private readonly keys: () => KeyRing) {}

  /** Another one as soon as something opens no longer that did. */
  get ring(): KeyRing {
    return this.keys()
  }

  /**
   * @param purpose  one word
   * @param place    such as a host
   */
  seal(purpose: string, place: string, text: string): string {
    const { id, secret } = this.keys().newest
    const nonce = randomBytes(NONCE)
    const cipher = createCipheriv(ALGORITHM, secret, nonce).setAAD(contextOf(purpose, place))
    const sealed = Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()])
    return `${id}.${sealed.toString('base64url')}`
  }

  /** @returns undefined for what was not sealed here, for this purpose and place, by a key that is still there */
  open(purpose: string, place: string, sealed: string): string | undefined {
    if (sealed.length > MAX_CHARS) return undefined
    const dot = sealed.indexOf('.')
    const key = dot < 0 ? undefined : this.keys().find(sealed.slice(0, dot))
    if (key === undefined) return undefined
    const bytes = Buffer.from(sealed.slice(dot + 1), 'base64url')
    if (bytes.length < NONCE + TAG) return undefined
    try {
      const decipher = createDecipheriv(ALGORITHM, key.secret, bytes.subarray(0, NONCE))
        .setAAD(contextOf(purpose, place))
        .setAuthTag(bytes.subarray(bytes.length - TAG))
      return Buffer.concat([decipher.update(bytes.subarray(NONCE, bytes.length - TAG)), decipher.final()]).toString('utf8')
    } catch {
      return undefined // forged, or cut
    }
  }
}

const contextOf = (purpose: string, place: string): Buffer => Buffer.from(`${purpose}\0${place}`)
