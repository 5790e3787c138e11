import { randomBytes } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { platform } from 'node:os'
import { GatewayError, messageOf } from '../../errors.ts'

const BYTES = 32
const OTHERS = 0o077

/** The text of a new key file: 32 bytes of chance in base64url. */
export const createSecretsKey = (): string => `${randomBytes(BYTES).toString('base64url')}\n`

/**
 * Reads the key under which secrets in the store are sealed.
 * @param file  as `createSecretsKey` makes it
 * @returns 32 bytes
 * @throws GatewayError FILE_UNREADABLE, KEY_INVALID (also when other accounts may read it); the message never holds the key
 */
export async function readSecretsKey(file: string): Promise<Buffer> {
  let text: string
  let mode: number
  try {
    mode = (await stat(file)).mode
    text = await readFile(file, 'utf8')
  } catch (cause) {
    const remedy = 'it is made by "socket-gateway service init", and the secrets in the store are lost without it'
    throw new GatewayError('FILE_UNREADABLE', `secrets ${file}: ${messageOf(cause)}; ${remedy}`, { cause })
  }
  if ((mode & OTHERS) !== 0 && platform() !== 'win32')
    throw new GatewayError('KEY_INVALID', `secrets ${file}: other accounts of this machine can read it; run: chmod 600 on it`)
  const key = Buffer.from(text.trim(), 'base64url')
  if (key.length !== BYTES || !/^[\w-]{43}$/.test(text.trim()))
    throw new GatewayError(
      'KEY_INVALID',
      `secrets ${file}: expected ${BYTES} bytes in base64url, as "socket-gateway service init" writes them`,
    )
  return key
}
