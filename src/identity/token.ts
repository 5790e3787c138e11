/*
 * Tokens: secrets that a program made up, 256 bits of chance. Because nobody can guess one, a plain SHA-256 of it tells nothing to whoever
 * reads the file with the hashes, and it is fast enough to be computed for every attempt. A hash that is slow on purpose (scrypt) is for
 * passwords, which people make up and others can guess.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { platform } from 'node:os'
import { GatewayError } from '../errors.ts'
import { readKeyText } from './key.ts'

const PREFIX = 'sha256:'
const HASH = /^sha256:[A-Za-z0-9_-]{43}$/
/** Shorter texts could be guessed, and then their hash could be turned back. */
const MIN_LENGTH = 24
const MAX_LENGTH = 1_024
const OTHERS = 0o077

const digest = (token: string): Buffer => createHash('sha256').update(token).digest()

/** A fresh token: `sgt_` and 43 characters of base64url. */
export const mintToken = (): string => `sgt_${randomBytes(32).toString('base64url')}`

/** Returns the text that is stored for a token: `sha256:` and 43 characters of base64url. */
export const hashToken = (token: string): string => PREFIX + digest(token).toString('base64url')

/** Is it what `hashToken` gives? */
export const isTokenHash = (text: string): boolean => HASH.test(text)

/** The tokens that open something. */
export class TokenList {
  readonly #digests: readonly Buffer[]

  /** @param hashes  as `hashToken` gives them */
  constructor(hashes: readonly string[]) {
    this.#digests = hashes.map(hash => Buffer.from(hash.slice(PREFIX.length), 'base64url'))
  }

  get size(): number {
    return this.#digests.length
  }

  /** Is it one of them? Takes as long whichever it is, and whether it is. */
  has(token: string): boolean {
    const actual = digest(token)
    let found = false
    for (const expected of this.#digests) if (timingSafeEqual(actual, expected)) found = true
    return found
  }
}

/**
 * The lines of a token file: each a token, or the hash of one; empty lines and those that begin with `#` are skipped.
 * @throws GatewayError KEY_INVALID (also when group or others may read it) or FILE_UNREADABLE; never with a token in its message
 */
export async function readTokenFile(file: string): Promise<readonly string[]> {
  const text = await readKeyText(file, (_, { mode }) => {
    if ((mode & OTHERS) !== 0 && platform() !== 'win32')
      throw new GatewayError('KEY_INVALID', `${file}: the tokens can be read by other accounts; run: chmod 600 ${JSON.stringify(file)}`)
  })
  const lines = text
    .split('\n')
    .map((line, index) => ({ line: line.trim(), number: index + 1 }))
    .filter(({ line }) => line !== '' && !line.startsWith('#'))
  if (lines.length === 0) throw new GatewayError('KEY_INVALID', `${file}: no token found; make one with: socket-gateway token`)
  const bad = lines.find(
    ({ line }) => !isTokenHash(line) && (line.length < MIN_LENGTH || line.length > MAX_LENGTH || /[^\x21-\x7e]/.test(line)),
  )
  if (bad !== undefined)
    throw new GatewayError(
      'KEY_INVALID',
      `${file}:${bad.number}: expected a token of ${MIN_LENGTH} to ${MAX_LENGTH} printable characters without spaces, or its hash; make one with: socket-gateway token`,
    )
  return lines.map(({ line }) => line)
}

/**
 * The token of a file that holds one, to be sent.
 * @throws GatewayError KEY_INVALID or FILE_UNREADABLE
 */
export async function readToken(file: string): Promise<string> {
  const [token = '', ...more] = await readTokenFile(file)
  if (more.length > 0) throw new GatewayError('KEY_INVALID', `${file}: ${more.length + 1} tokens; expected one`)
  if (isTokenHash(token)) throw new GatewayError('KEY_INVALID', `${file}: this is the hash of a token; expected the token itself`)
  return token
}

/**
 * The tokens of a file that says which ones are accepted.
 * @throws GatewayError KEY_INVALID or FILE_UNREADABLE
 */
export const readTokenList = async (file: string): Promise<TokenList> =>
  new TokenList((await readTokenFile(file)).map(line => (isTokenHash(line) ? line : hashToken(line))))

/** Credentials in an Authorization field. */
export type Credentials =
  | { readonly kind: 'bearer'; readonly token: string }
  /** A token may stand in the place of the password: that is all a program can send that only knows URLs. */
  | { readonly kind: 'basic'; readonly user: string; readonly password: string }

/** Reads an Authorization field (RFC 6750 §2.1, RFC 7617 §2); undefined for anything else. */
export function parseAuthorization(value: string | undefined): Credentials | undefined {
  const [, scheme = '', rest = ''] = /^([a-z]+) +([\x21-\x7e]+)$/i.exec(value ?? '') ?? []
  if (scheme.toLowerCase() === 'bearer') return { kind: 'bearer', token: rest }
  if (scheme.toLowerCase() !== 'basic') return undefined
  const pair = Buffer.from(rest, 'base64').toString('utf8')
  const colon = pair.indexOf(':')
  return colon < 0 ? undefined : { kind: 'basic', user: pair.slice(0, colon), password: pair.slice(colon + 1) }
}
