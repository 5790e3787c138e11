import { AMPERSAND, AT, BACKSLASH, byteSet, HASH, LETTER_U, NAME_BYTES, percentAt, QUESTION, SEMICOLON, SLASH, unicodeAt } from './bytes.ts'
import type { SecretNames } from './secret-names.ts'

/** A name that is longer is none that anybody has given to a secret, bytes. */
export const MAX_NAME = 256
/** Longest user and password before the host of a URL, bytes. */
const MAX_USER = 512
/** Ends the host of a URL, or what stands before it. */
const ENDS_HOST = byteSet('/?#"\'`<>,;(){}[]|^\\ ', [
  [0x00, 0x1f],
  [0x7f, 0xff],
])

/** Stands before a parameter of a URL. */
const isDelimiter = (byte: number | undefined): boolean => byte === QUESTION || byte === AMPERSAND || byte === HASH || byte === SEMICOLON

/** Where the name begins that ends before `to`. */
export function nameStart(bytes: Uint8Array, to: number, least: number): number {
  let at = to
  const end = Math.max(least, to - MAX_NAME)
  while (at > end && NAME_BYTES[bytes[at - 1]!] === 1) at--
  return at
}

/** A secret, and a parameter of a URL. */
export const IN_URL = 2

/**
 * Says whether the name that ends before its sign of equality at `to` is one of a secret: 0, it is not; 1, it is; `IN_URL`.
 * @param isInUrlAlone  only parameters of URLs are looked at
 */
export function isSecretParameter(bytes: Uint8Array, to: number, least: number, names: SecretNames, isInUrlAlone: boolean): number {
  let at = nameStart(bytes, to, least)
  if (at === to || to - at >= MAX_NAME) return 0
  let isInUrl = at > least && isDelimiter(bytes[at - 1])
  if (at > least && bytes[at - 1] === BACKSLASH) {
    // An escape of JSON before it: `\u0026name=`, `\nname=`.
    if (bytes[at] === LETTER_U) {
      isInUrl = isDelimiter(unicodeAt(bytes, at - 1))
      at += 5
    } else at++
  }
  // A URL as a value of another one: `?next=https%3A%2F%2Fhost%2F%3Fname%3D…`.
  for (let i = at; i < to; i++) {
    if (bytes[i] !== 0x25 || !isDelimiter(percentAt(bytes, i))) continue
    isInUrl = true
    at = i + 3
  }
  if (isInUrl) return names.judge(bytes, at, to, 'url') === 'open' ? 0 : IN_URL
  return isInUrlAlone || names.judge(bytes, at, to, 'encoded') === 'open' ? 0 : 1
}

/** Where the user before the host ends that may begin at `at`: at its `@`; -1: there is none; -2: the bytes do not say yet. */
export function userEnd(bytes: Uint8Array, at: number, isLast: boolean): number {
  const most = Math.min(bytes.length, at + MAX_USER)
  let found = -1
  for (let i = at; i < most; i++) {
    const byte = bytes[i]!
    if (byte === AT) found = i
    else if (ENDS_HOST[byte] === 1) return found
  }
  return isLast || most < bytes.length ? found : -2
}

/** Length of the `://` at the colon `at`, also with escaped slashes; 0: it is none; -1: the bytes do not say yet. */
export function schemeEnd(bytes: Uint8Array, at: number, isLast: boolean): number {
  let i = at + 1
  for (let slashes = 0; slashes < 2; slashes++) {
    if (bytes[i] === BACKSLASH) i++
    if (i >= bytes.length) return isLast ? 0 : -1
    if (bytes[i++] !== SLASH) return 0
  }
  return i - at
}
