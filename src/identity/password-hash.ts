/** Hashes of passwords in PHC format: `$scrypt$ln=15,r=8,p=1$salt$hash` (github.com/P-H-C/phc-string-format). */
import { randomBytes, scrypt, timingSafeEqual, type ScryptOptions } from 'node:crypto'
import { GatewayError } from '../errors.ts'

/** A parsed hash. */
export interface PasswordHash {
  /** log2 of the cost N. */
  readonly ln: number
  readonly r: number
  readonly p: number
  readonly salt: Buffer
  readonly hash: Buffer
}

/** 32 MiB and a tenth of a second or two for one password: what OWASP recommends, and what a gateway can bear two of at a time. */
const DEFAULTS = { ln: 15, r: 8, p: 3 } as const
const SALT_BYTES = 16
const HASH_BYTES = 32
/** Memory that one hash may take, bytes: the file is trusted, but a slip of one digit must not stop the gateway. */
const MAX_MEMORY_BYTES = 256 * 1_024 * 1_024

const FORM = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,3}),p=(\d{1,3})\$([A-Za-z0-9+/]{8,})\$([A-Za-z0-9+/]{16,})$/

const invalid = (message: string): GatewayError => new GatewayError('CONFIG_INVALID', message)

/** @throws GatewayError CONFIG_INVALID, never with the hash in its message */
export function parsePasswordHash(text: string): PasswordHash {
  const parts = FORM.exec(text)
  if (parts === null) throw invalid('expected a hash such as "$scrypt$ln=15,r=8,p=3$…$…"; make one with: socket-gateway hash-password')
  const [ln, r, p] = [Number(parts[1]), Number(parts[2]), Number(parts[3])]
  if (ln < 10 || ln > 20 || r < 1 || p < 1 || p > 16 || 128 * 2 ** ln * r > MAX_MEMORY_BYTES)
    throw invalid('expected a hash with ln from 10 to 20, p from 1 to 16, and at most 256 MiB of memory (128 · 2^ln · r)')
  return { ln, r, p, salt: Buffer.from(parts[4]!, 'base64'), hash: Buffer.from(parts[5]!, 'base64') }
}

/** Hashes a password with a fresh salt. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES)
  const hash = await derive(password, { ...DEFAULTS, salt, hash: Buffer.alloc(HASH_BYTES) })
  const encode = (bytes: Buffer): string => bytes.toString('base64').replaceAll('=', '')
  return `$scrypt$ln=${DEFAULTS.ln},r=${DEFAULTS.r},p=${DEFAULTS.p}$${encode(salt)}$${encode(hash)}`
}

/** Is it the password? Compared in constant time; the work is done in the thread pool of Node. */
export async function verifyPassword(password: string, hash: PasswordHash): Promise<boolean> {
  return timingSafeEqual(await derive(password, hash), hash.hash)
}

/** Passwords are compared as UTF-8 in Unicode normal form C, as browsers may send either (RFC 8265 §4.2). */
function derive(password: string, { ln, r, p, salt, hash }: PasswordHash): Promise<Buffer> {
  const options: ScryptOptions = { N: 2 ** ln, r, p, maxmem: MAX_MEMORY_BYTES + 2 ** 24 }
  return new Promise((resolve, reject) => {
    scrypt(password.normalize('NFC'), salt, hash.length, options, (error, key) => (error === null ? resolve(key) : reject(error)))
  })
}
