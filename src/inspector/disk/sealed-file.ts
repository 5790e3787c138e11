import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto'

const NONCE_BYTES = 12
const TAG_BYTES = 16
const HEAD_BYTES = 4
/** Most of one text, bytes: a length beyond it is no length. */
export const MAX_SEALED = 134_217_728

/** The key of one file: of a key for many files, so that no two files share one. */
export const fileKey = (key: Buffer, name: string): Buffer => createHmac('sha256', key).update(`inspector ${name}`).digest()

const KEY_BYTES = 32

/** Keys of a store, made of those of a service, so that neither seals what the other has. @param secrets  32 bytes each */
export function storeKeys(secrets: Buffer): Buffer[] {
  const keys: Buffer[] = []
  for (let at = 0; at + KEY_BYTES <= secrets.length; at += KEY_BYTES)
    keys.push(
      createHmac('sha256', secrets.subarray(at, at + KEY_BYTES))
        .update('inspector store')
        .digest(),
    )
  return keys
}

/** A text as it is appended to a file: length, nonce, AES-256-GCM, tag. The place in the file is authenticated, so that nothing is moved or left out. */
export function seal(key: Buffer, index: number, text: string): Buffer {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', key, nonce)
  cipher.setAAD(Buffer.from(String(index)))
  const sealed = Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()])
  const head = Buffer.alloc(HEAD_BYTES)
  head.writeUInt32BE(sealed.length)
  return Buffer.concat([head, sealed])
}

/** The texts of a file, up to its end or to what is not whole, as after a crash. */
export function* unseal(key: Buffer, file: Buffer): Generator<string> {
  let at = 0
  for (let index = 0; at + HEAD_BYTES <= file.length; index++) {
    const length = file.readUInt32BE(at)
    const end = at + HEAD_BYTES + length
    if (length < NONCE_BYTES + TAG_BYTES || length > MAX_SEALED || end > file.length) return
    const sealed = file.subarray(at + HEAD_BYTES, end)
    at = end
    try {
      const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, NONCE_BYTES))
      decipher.setAAD(Buffer.from(String(index)))
      decipher.setAuthTag(sealed.subarray(-TAG_BYTES))
      yield Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]).toString('utf8')
    } catch {
      return // of another key, or changed
    }
  }
}
