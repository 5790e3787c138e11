/** Hashes of passwords for tests of what a password opens, not of how hard it is to guess. */
import { randomBytes, scryptSync } from 'node:crypto'

/** A hash as cheap as `parsePasswordHash` takes: a millisecond, where that of `hashPassword` takes a quarter of a second each time. */
export const cheapHash = (password: string): string => {
  const salt = randomBytes(16)
  const encode = (bytes: Buffer): string => bytes.toString('base64').replaceAll('=', '')
  return `$scrypt$ln=10,r=8,p=1$${encode(salt)}$${encode(scryptSync(password, salt, 32, { N: 1_024, r: 8, p: 1 }))}`
}
