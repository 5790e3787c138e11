/** Files that a targets file names: read once with it, so that a target in force has all it needs. */
import { readFileSync, statSync } from 'node:fs'
import { platform } from 'node:os'
import path from 'node:path'
import { GatewayError, messageOf } from '../errors.ts'
import type { FileKind } from './keys/key.ts'

/** Longest of them, bytes. */
const MAX_BYTES = 1_048_576
const OTHERS = 0o077

/**
 * Reads a file that the targets file names.
 * @param name  relative to the folder of the targets file
 * @throws GatewayError CONFIG_INVALID with the whole path, also for a private key that group or others may use
 */
export function readNamedFile(targetsFile: string, name: string, kind: FileKind): string {
  const file = path.resolve(path.dirname(targetsFile), name)
  const refuse = (message: string, cause?: unknown): never => {
    throw new GatewayError('CONFIG_INVALID', `${file}: ${message}`, { cause })
  }
  let text: string
  let mode: number
  try {
    const facts = statSync(file)
    if (!facts.isFile()) return refuse('expected a file')
    if (facts.size > MAX_BYTES) return refuse('expected a file of at most 1 MiB')
    mode = facts.mode
    text = readFileSync(file, 'utf8')
  } catch (error) {
    return error instanceof GatewayError
      ? refuse(error.message.slice(file.length + 2))
      : refuse(`cannot be read: ${messageOf(error)}`, error)
  }
  if (kind === 'text') return text
  if (kind === 'certificate' && !text.includes('-----BEGIN CERTIFICATE-----')) return refuse('expected certificates in PEM format')
  if (kind === 'revocation list' && !text.includes('-----BEGIN X509 CRL-----'))
    return refuse('expected lists of revoked certificates in PEM format')
  if (kind === 'private key') {
    if (!/-----BEGIN (?:RSA |EC )?PRIVATE KEY-----/.test(text)) return refuse('expected a private key in PEM format, not encrypted')
    // On Windows every mode reads 0666 and means nothing.
    if ((mode & OTHERS) !== 0 && platform() !== 'win32')
      return refuse(
        `the private key can be used by other accounts (mode ${(mode & 0o777).toString(8).padStart(4, '0')}); run: chmod 600 on it`,
      )
  }
  return text
}
