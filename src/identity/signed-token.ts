/*
 * What every signed token here is: a JWT (RFC 7519) in compact form, of one type, with exactly the header members of that type.
 *
 * jsonwebtoken only checks the signature. It takes tokens without exp, with iat in the future, with `crit`, of any typ, and with a
 * payload that is no object; it compares aud against lists. So the header is judged here, and every claim by who knows what it means.
 */
import { createHash, timingSafeEqual, type KeyObject } from 'node:crypto'
import type jwt from 'jsonwebtoken'
import { messageOf, type GatewayError } from '../errors.ts'
import { lazily } from '../lazily.ts'

/** The package that signs and verifies: 60 modules, which nothing needs before the first token. */
export const jsonWebToken = lazily<typeof jwt>('jsonwebtoken')

const MAX_LENGTH = 8_192
const FORM = /^([\w-]+)\.[\w-]+\.[\w-]+$/

/** Members of an object in JSON. */
export type Members = Readonly<Record<string, unknown>>

/** Makes the error of a refusal; its message is for the log, not for the peer. */
export type Refuse = (reason: string, cause?: unknown) => GatewayError

/** A kind of token. */
export interface TokenType {
  /** `typ` in its header. */
  readonly typ: string
  /** The members that its header may have. */
  readonly members: ReadonlySet<string>
  readonly refuse: Refuse
}

/** Quotes a value that a peer sent, safe and short enough for a log line. */
export const shown = (value: unknown): string =>
  (JSON.stringify(value) ?? 'absent')
    .slice(0, 80)
    .replace(/[^\x20-\x7e]/g, char => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)

/** An own member: a `__proto__` in the JSON lends nothing. */
export const member = (members: Members, name: string): unknown => (Object.hasOwn(members, name) ? members[name] : undefined)

const isMembers = (value: unknown): value is Members => typeof value === 'object' && value !== null && !Array.isArray(value)

/** Has it the form of a signed token? */
export const isSignedToken = (text: string): boolean => FORM.test(text)

/** Reads the header of a token, without believing it. @throws GatewayError what `refuse` makes */
export function headerOf(token: string, { typ, members, refuse }: TokenType): Members {
  if (typeof token !== 'string') throw refuse('it is not a string')
  if (token.length > MAX_LENGTH) throw refuse(`${token.length} characters, more than ${MAX_LENGTH}`)
  const [, encoded] = FORM.exec(token) ?? []
  if (encoded === undefined) throw refuse('it is not a signed token of three base64url parts')
  let header: unknown
  try {
    header = JSON.parse(Buffer.from(encoded, 'base64url').toString('utf8'))
  } catch (cause) {
    throw refuse('the header is not JSON', cause)
  }
  if (!isMembers(header)) throw refuse('the header is not an object')
  // Above all `crit`, which changes the meaning of a token (RFC 7515 §4.1.11), and `jku`, `jwk`, `x5u`, `x5c`, which bring a key along.
  const stranger = Object.keys(header).find(name => !members.has(name))
  if (stranger !== undefined) throw refuse(`header member ${shown(stranger)} is not accepted`)
  if (member(header, 'typ') !== typ) throw refuse(`typ is ${shown(member(header, 'typ'))}, not ${typ}`)
  return header
}

/**
 * Verifies the signature of a token whose header has been judged.
 * @returns the claims, none of which has been judged: above all not the times, since whole seconds would round a validity of 1000 ms away
 * @throws GatewayError what `refuse` makes
 */
export function claimsOf(token: string, key: KeyObject, algorithms: readonly jwt.Algorithm[], refuse: Refuse): Members {
  let claims: unknown
  try {
    claims = jsonWebToken().verify(token, key, { algorithms: [...algorithms], ignoreExpiration: true, ignoreNotBefore: true })
  } catch (cause) {
    throw refuse(messageOf(cause), cause)
  }
  if (!isMembers(claims)) throw refuse('the payload is not an object')
  return claims
}

/** A claim that has to be a text. */
export function textClaim(claims: Members, name: string, refuse: Refuse): string {
  const value = member(claims, name)
  if (typeof value !== 'string') throw refuse(`${name} is ${value === undefined ? 'missing' : 'not a string'}`)
  return value
}

/** A claim that has to be a time, in seconds since 1970. */
export function timeClaim(claims: Members, name: string, refuse: Refuse): number {
  const value = member(claims, name)
  // JSON has no NaN, but 1e999 reads as Infinity
  if (typeof value !== 'number' || !Number.isFinite(value)) throw refuse(`${name} is ${value === undefined ? 'missing' : 'not a number'}`)
  return value
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

/** Constant time: digests have one length, and where they differ first says nothing of the texts. */
export const sameText = (actual: string, expected: string): boolean => timingSafeEqual(digest(actual), digest(expected))
