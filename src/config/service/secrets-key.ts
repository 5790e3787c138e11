import { randomBytes } from 'node:crypto'
import { open, readFile, rename, stat } from 'node:fs/promises'
import { platform } from 'node:os'
import { GatewayError, messageOf } from '../../errors.ts'

const BYTES = 32
const OTHERS = 0o077
const OWNER_ONLY = 0o600
const MAX_KEYS = 8

/** The text of a new key file: 32 bytes of chance in base64url. */
export const createSecretsKey = (): string => `${randomBytes(BYTES).toString('base64url')}\n`

/**
 * Writes a key file in one step: it has all of these keys, or what it had before.
 * @param keys  as `readSecretsKey` gives them
 * @throws GatewayError FILE_UNREADABLE, KEY_INVALID where there are too many
 */
export async function writeSecretsKey(file: string, keys: Buffer): Promise<void> {
  if (keys.length > MAX_KEYS * BYTES)
    throw new GatewayError(
      'KEY_INVALID',
      `secrets ${file}: it has ${MAX_KEYS} keys, the first of which is used; remove the last ones first`,
    )
  const temporary = `${file}.new`
  try {
    const handle = await open(temporary, 'w', OWNER_ONLY)
    try {
      await handle.chmod(OWNER_ONLY)
      for (let at = 0; at < keys.length; at += BYTES) await handle.write(`${keys.toString('base64url', at, at + BYTES)}\n`)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(temporary, file)
  } catch (cause) {
    throw new GatewayError('FILE_UNREADABLE', `secrets ${file}: ${messageOf(cause)}; nothing is changed`, { cause })
  }
}

/**
 * Reads the keys under which secrets in the store are sealed, one a line: the first one seals, the others, which it has replaced, still open.
 * @param file  as `createSecretsKey` and `writeSecretsKey` make it
 * @returns 32 bytes for each
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
  const lines = text.trim().split(/\r?\n/)
  if (lines.length > MAX_KEYS || lines.some(line => !/^[\w-]{43}$/.test(line) || Buffer.from(line, 'base64url').length !== BYTES))
    throw new GatewayError(
      'KEY_INVALID',
      `secrets ${file}: expected ${BYTES} bytes in base64url, as "socket-gateway service init" writes them, and at most ${MAX_KEYS} lines of them`,
    )
  return Buffer.concat(lines.map(line => Buffer.from(line, 'base64url')))
}
