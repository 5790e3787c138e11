/** JWTs of somebody else (RFC 7519, RFC 8725): what they say, before and after it is believed. */
import { verify } from 'node:crypto'
import jwt, { type Algorithm } from 'jsonwebtoken'
import type { DemandedClaims, JwtRule } from '../../route/access.ts'
import type { EdwardsAlgorithm, IssuerKey } from './issuer-key.ts'

/** Members of an object in JSON. */
export type Claims = Readonly<Record<string, unknown>>

/** The claims of a token about itself, believed by nobody yet. */
export interface UnverifiedToken {
  readonly issuer: string
  readonly keyId: string | undefined
  /** The reason why no key could make it good; undefined: one may. */
  readonly fault: string | undefined
}

const MAX_CHARS = 8_192
const FORM = /^([\w-]+)\.([\w-]+)\.[\w-]*$/
/** Clocks differ. */
const LEEWAY_S = 30
/** Tokens of other types are for other readers (RFC 8725 §3.11). */
const TYPES: ReadonlySet<string> = new Set(['jwt', 'at+jwt', 'application/jwt', 'application/at+jwt'])
const MAX_KEY_ID = 500
const EDWARDS: ReadonlySet<string> = new Set<EdwardsAlgorithm>(['EdDSA', 'Ed25519', 'Ed448'])

/** An own member: `__proto__` and its like lend nothing. */
export const claimOf = (claims: Claims, name: string): unknown => (Object.hasOwn(claims, name) ? claims[name] : undefined)

/** Reads a token without believing it. @returns undefined for what is none, and may be the application's */
export function readToken(text: string): UnverifiedToken | undefined {
  if (text.length > MAX_CHARS) return undefined
  const [, head = '', body = ''] = FORM.exec(text) ?? []
  const [header, claims] = [parse(head), parse(body)]
  if (header === undefined || claims === undefined) return undefined
  const issuer = claimOf(claims, 'iss')
  if (typeof issuer !== 'string') return undefined
  const keyId = claimOf(header, 'kid')
  return { issuer, keyId: typeof keyId === 'string' ? keyId : undefined, fault: faultOf(header) }
}

function faultOf(header: Claims): string | undefined {
  const [algorithm, type, keyId] = ['alg', 'typ', 'kid'].map(name => claimOf(header, name))
  // It changes the meaning of a token (RFC 7515 §4.1.11). Members that bring a key along (jwk, jku, x5c, x5u) are never looked at.
  if (Object.hasOwn(header, 'crit') || Object.hasOwn(header, 'b64')) return 'its header has crit'
  if (typeof algorithm !== 'string' || !(/^(?:RS|PS|ES)(?:256|384|512)$/.test(algorithm) || EDWARDS.has(algorithm)))
    return 'its algorithm is none that is accepted'
  if (type !== undefined && !(typeof type === 'string' && TYPES.has(type.toLowerCase()))) return 'it is of another type'
  if (keyId !== undefined && (typeof keyId !== 'string' || keyId.length > MAX_KEY_ID)) return 'its key id is none'
  return undefined
}

function parse(encoded: string): Claims | undefined {
  if (encoded === '') return undefined
  try {
    const value: unknown = JSON.parse(Buffer.from(encoded, 'base64url').toString('utf8'))
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Claims) : undefined
  } catch {
    return undefined
  }
}

/** Verifies the signature alone. @returns the claims, none of which has been judged; undefined when it is wrong */
export function verifiedClaims(text: string, { key, algorithms }: IssuerKey): Claims | undefined {
  const [head = '', body = '', proof = ''] = text.split('.')
  const algorithm = claimOf(parse(head) ?? {}, 'alg')
  if (typeof algorithm !== 'string' || !algorithms.some(each => each === algorithm)) return undefined
  try {
    // The library does not know them.
    if (EDWARDS.has(algorithm))
      return verify(null, Buffer.from(`${head}.${body}`), key, Buffer.from(proof, 'base64url')) ? parse(body) : undefined
    const claims: unknown = jwt.verify(text, key, { algorithms: [algorithm as Algorithm], ignoreExpiration: true, ignoreNotBefore: true })
    return typeof claims === 'object' && claims !== null && !Array.isArray(claims) ? (claims as Claims) : undefined
  } catch {
    return undefined
  }
}

/** Says why a token is not good at this time; undefined: it is. @param nowMs  since 1970 */
export function whyNotNow(claims: Claims, nowMs: number): string | undefined {
  const [expires, begins] = [claimOf(claims, 'exp'), claimOf(claims, 'nbf')]
  if (typeof expires !== 'number' || !Number.isFinite(expires)) return 'it has no end (exp)'
  if (nowMs >= (expires + LEEWAY_S) * 1000) return 'it has expired'
  if (begins === undefined) return undefined
  if (typeof begins !== 'number' || !Number.isFinite(begins)) return 'its beginning (nbf) is none'
  return nowMs < (begins - LEEWAY_S) * 1000 ? 'it is not good yet' : undefined
}

/** Says why a token is not one for this rule; undefined: it is. */
export function whyNotFor({ issuer, audiences, claims: demanded }: JwtRule, claims: Claims): string | undefined {
  if (claimOf(claims, 'iss') !== issuer) return 'it is of another issuer'
  const audience = claimOf(claims, 'aud')
  const all: readonly unknown[] = Array.isArray(audience) ? audience : [audience]
  if (!all.some(each => typeof each === 'string' && audiences.includes(each))) return 'it is for another audience'
  return whyNotClaims(demanded, claims)
}

function whyNotClaims(demanded: DemandedClaims, claims: Claims): string | undefined {
  for (const [name, values] of demanded) {
    const claim = claimOf(claims, name)
    const all: readonly unknown[] = Array.isArray(claim) ? claim : [claim]
    const isOne = (each: unknown): boolean => ['string', 'number', 'boolean'].includes(typeof each) && values.has(String(each))
    if (!all.some(isOne)) return `the claim ${name} is not as demanded`
  }
  return undefined
}
