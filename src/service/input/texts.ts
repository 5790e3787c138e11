/*
 * Texts that people type: names, addresses, passwords. Whatever brings them has not been checked before. Each `faultOf…` says in words
 * for people what is wrong, or undefined.
 */
import { domainToASCII } from 'node:url'

const MAX_NAME_LENGTH = 200
const MAX_EMAIL_LENGTH = 254 // RFC 5321 §4.5.3.1.3, less the brackets
const MAX_LOCAL_LENGTH = 64
const MIN_PASSWORD_LENGTH = 8
const MAX_PASSWORD_LENGTH = 256

// \p{C}: control, format (bidi, zero width), surrogate, private use, unassigned; \p{Zl}\p{Zp}: line and paragraph separators.
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/u

/** Says what is wrong with a label for people. */
export function faultOfName(name: unknown): string | undefined {
  if (typeof name !== 'string') return 'expected a text'
  if (name.trim() === '') return 'expected a name, not an empty text'
  if (name.length > MAX_NAME_LENGTH) return `expected at most ${MAX_NAME_LENGTH} characters, found ${name.length}`
  return UNPRINTABLE.test(name) ? 'control characters and characters that cannot be seen are not allowed' : undefined
}

const LOCAL = /^[\p{L}\p{N}!#$%&'*+/=?^_`{|}~.-]+$/u
const DOMAIN_LABEL = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/

/**
 * Reads an e-mail address. Quoted local parts and comments (RFC 5322) are refused: nobody has them, and much is hidden in them.
 * @returns the address in normal form C with its domain in lower-case A-labels; undefined for anything else
 */
export function parseEmail(text: unknown): string | undefined {
  if (typeof text !== 'string' || text.length > MAX_EMAIL_LENGTH) return undefined
  const at = text.lastIndexOf('@')
  const local = text.slice(0, Math.max(0, at)).normalize('NFC')
  if (local.length > MAX_LOCAL_LENGTH || !LOCAL.test(local) || local.startsWith('.') || local.endsWith('.') || local.includes('..'))
    return undefined
  const domain = parseMailDomain(text.slice(at + 1))
  return domain === undefined ? undefined : `${local}@${domain}`
}

/** Reads the domain of addresses: lower case, A-labels; undefined for what is none. */
export function parseMailDomain(text: unknown): string | undefined {
  // domainToASCII decodes percent signs and drops tabs, so that only letters, digits, dots and hyphens may come to it.
  if (typeof text !== 'string' || text.length > MAX_EMAIL_LENGTH || !/^[\p{L}\p{M}\p{N}.-]+$/u.test(text)) return undefined
  const domain = domainToASCII(text.normalize('NFC')).toLowerCase()
  const labels = domain.split('.')
  const isName = labels.every(label => label.length <= 63 && DOMAIN_LABEL.test(label)) && !/^\d+$/.test(labels.at(-1) ?? '')
  return isName && domain.length <= 253 ? domain : undefined
}

/** Returns the form in which addresses are compared: one account for all ways to write one. */
export const emailKey = (email: string): string => email.normalize('NFC').toLowerCase()

/** Says what is wrong with a password for an account. */
export function faultOfPassword(password: unknown, ...mustDiffer: readonly string[]): string | undefined {
  if (typeof password !== 'string') return 'expected a text'
  if (password.length < MIN_PASSWORD_LENGTH) return `expected at least ${MIN_PASSWORD_LENGTH} characters`
  if (password.length > MAX_PASSWORD_LENGTH) return `expected at most ${MAX_PASSWORD_LENGTH} characters`
  const plain = password.toLowerCase()
  if (mustDiffer.some(text => text.toLowerCase() === plain)) return 'expected something else than the name or the address'
  return /^(.)\1*$/u.test(password) ? 'expected more than one character over and over' : undefined
}
