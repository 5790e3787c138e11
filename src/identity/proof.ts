import { createHash, randomUUID, timingSafeEqual } from 'node:crypto'
import jwt from 'jsonwebtoken'
import { GatewayError, messageOf } from '../errors.ts'
import { isIdentifier } from './identifier.ts'
import { isDialledAs } from './link-name.ts'
import type { KeyRegistry, RegisteredKey } from './key-registry.ts'
import type { PrivateKey } from './private-key.ts'

/*
 * The proof of identity is a JWT (RFC 7519) that an inner layer signs over the nonce of one HELLO:
 *
 *   header  { alg, typ: 'sg-inner+jwt', kid }                 exactly these members
 *   claims  { sub: identifier, url, aud, nonce, iat, exp, jti }    others are ignored
 *
 * jsonwebtoken only checks the signature. It takes tokens without exp, with iat in the future, with `crit`, of any typ, and with a
 * payload that is no object; it compares aud against lists. So every claim and every header member is judged here.
 */

const TYPE = 'sg-inner+jwt'
const MAX_TOKEN_LENGTH = 8192
const CLOCK_TOLERANCE_SECONDS = 1
const ROUNDING_SECONDS = 1e-6 // iat and exp are decimal fractions, so exp - iat is off by a few ulps
const HEADER_MEMBERS: ReadonlySet<string> = new Set(['alg', 'typ', 'kid'])

/** Default of `--validity`, in ms. */
export const DEFAULT_VALIDITY_MS = 1000

/** What an inner layer puts into its proof. */
export interface ProofClaims {
  readonly identifier: string
  /** Scheme and authority that were dialled, such as `wss://link.example.com`: a proof for one outer layer is none for another. */
  readonly url: string
  readonly audience: string
  readonly nonce: string
  /** Time on the clock of the outer layer: that of its HELLO plus what has passed since. Seconds since 1970, fractions count. */
  readonly nowSeconds: number
  readonly validityMs?: number
}

/** What the outer layer holds a proof against. */
export interface ProofExpectation {
  readonly registry: KeyRegistry
  /** Names under which inner layers dial this outer layer, as `parseLinkName` gives them; none: `url` is not checked. */
  readonly linkNames?: readonly string[]
  readonly audience: string
  readonly nonce: string
  /** When the HELLO with this nonce was sent, in seconds since 1970. */
  readonly issuedAtSeconds: number
  readonly nowSeconds: number
  readonly validityMs: number
}

/** Who has proven itself, and with which key. */
export interface ProvenIdentity {
  readonly kid: string
  readonly identifier: string
}

/** Signs a proof: a JWT in compact form, below 2 KiB. */
export function createProof(
  { key, kid, algorithm }: PrivateKey,
  { identifier, url, audience, nonce, nowSeconds, validityMs = DEFAULT_VALIDITY_MS }: ProofClaims,
): string {
  const claims = { sub: identifier, url, aud: audience, nonce, iat: nowSeconds, exp: nowSeconds + validityMs / 1000, jti: randomUUID() }
  return jwt.sign(claims, key, { algorithm, header: { alg: algorithm, typ: TYPE, kid } })
}

/**
 * Holds a proof against one HELLO. Synchronous and without any look-up outside of memory.
 * @throws GatewayError AUTH, its message being the exact reason: for the log, not for the peer
 */
export function verifyProof(token: string, expected: ProofExpectation): ProvenIdentity {
  const key = keyOf(headerOf(token), expected.registry)
  const claims = claimsOf(token, key, expected.nowSeconds)
  checkTimes(claims, expected)
  // RFC 7519 §4.1.3 allows a list of audiences; a proof is for one outer layer
  if (!sameText(stringClaim(claims, 'aud'), expected.audience))
    throw refused(`aud is ${shown(member(claims, 'aud'))}, not this outer layer`)
  if (!sameText(stringClaim(claims, 'nonce'), expected.nonce)) throw refused('nonce is not the one of this connection')
  checkUrl(claims, expected.linkNames ?? [])
  const jti = stringClaim(claims, 'jti')
  if (jti.length < 1 || jti.length > 255) throw refused('jti is empty or too long')
  const identifier = stringClaim(claims, 'sub')
  if (!isIdentifier(identifier)) throw refused('sub is no identifier of 1 to 255 printable characters')
  if (key.identifiers !== undefined && !key.identifiers.includes(identifier)) {
    throw refused(`key ${key.kid} is bound to ${key.identifiers.map(shown).join(', ')} and cannot claim ${shown(identifier)}`)
  }
  return { kid: key.kid, identifier }
}

const refused = (reason: string, cause?: unknown): GatewayError => new GatewayError('AUTH', `proof refused: ${reason}`, { cause })

/** What a peer sent, safe and short enough for a log line. */
const shown = (value: unknown): string =>
  (JSON.stringify(value) ?? 'absent')
    .slice(0, 80)
    .replace(/[^\x20-\x7e]/g, char => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)

type Members = Readonly<Record<string, unknown>>

const isMembers = (value: unknown): value is Members => typeof value === 'object' && value !== null && !Array.isArray(value)

/** Own members only: a `__proto__` in the JSON lends nothing. */
const member = (members: Members, name: string): unknown => (Object.hasOwn(members, name) ? members[name] : undefined)

function headerOf(token: string): Members {
  if (typeof token !== 'string') throw refused('it is not a string')
  if (token.length > MAX_TOKEN_LENGTH) throw refused(`${token.length} characters, more than ${MAX_TOKEN_LENGTH}`)
  const [, encoded] = /^([\w-]+)\.[\w-]+\.[\w-]+$/.exec(token) ?? []
  if (encoded === undefined) throw refused('it is not a signed token of three base64url parts')
  let header: unknown
  try {
    header = JSON.parse(Buffer.from(encoded, 'base64url').toString('utf8'))
  } catch (cause) {
    throw refused('the header is not JSON', cause)
  }
  if (!isMembers(header)) throw refused('the header is not an object')
  // Above all `crit`, which changes the meaning of a token (RFC 7515 §4.1.11), and `jku`, `jwk`, `x5u`, `x5c`, which bring a key along.
  const stranger = Object.keys(header).find(name => !HEADER_MEMBERS.has(name))
  if (stranger !== undefined) throw refused(`header member ${shown(stranger)} is not accepted`)
  if (member(header, 'typ') !== TYPE) throw refused(`typ is ${shown(member(header, 'typ'))}, not ${TYPE}`)
  return header
}

function keyOf(header: Members, registry: KeyRegistry): RegisteredKey {
  const kid = member(header, 'kid')
  if (typeof kid !== 'string') throw refused('kid is missing or not a string')
  const key = registry.get(kid)
  if (key === undefined) throw refused(`kid ${shown(kid)} is not registered; give its certificate to the outer layer as --public-key`)
  const algorithm = member(header, 'alg')
  if (!key.algorithms.some(allowed => allowed === algorithm)) {
    throw refused(`alg is ${shown(algorithm)}, key ${key.kid} is for ${key.algorithms.join(' or ')}`)
  }
  return key
}

function claimsOf(token: string, key: RegisteredKey, nowSeconds: number): Members {
  let claims: unknown
  try {
    // The times are judged below: jsonwebtoken takes tokens without exp, and whole seconds would round a validity of 1000 ms away.
    claims = jwt.verify(token, key.key, {
      algorithms: [...key.algorithms],
      clockTimestamp: nowSeconds,
      ignoreExpiration: true,
      ignoreNotBefore: true,
    })
  } catch (cause) {
    throw refused(messageOf(cause), cause)
  }
  if (!isMembers(claims)) throw refused('the payload is not an object')
  return claims
}

function stringClaim(claims: Members, name: string): string {
  const value = member(claims, name)
  if (typeof value !== 'string') throw refused(`${name} is ${value === undefined ? 'missing' : 'not a string'}`)
  return value
}

function timeClaim(claims: Members, name: string): number {
  const value = member(claims, name)
  // JSON has no NaN, but 1e999 reads as Infinity
  if (typeof value !== 'number' || !Number.isFinite(value)) throw refused(`${name} is ${value === undefined ? 'missing' : 'not a number'}`)
  return value
}

function checkTimes(claims: Members, { issuedAtSeconds, nowSeconds, validityMs }: ProofExpectation): void {
  const iat = timeClaim(claims, 'iat')
  const exp = timeClaim(claims, 'exp')
  const since = (seconds: number): string => `${seconds.toFixed(3)} s`
  if (exp <= iat) throw refused('exp is not after iat')
  if (exp - iat > validityMs / 1000 + ROUNDING_SECONDS) throw refused(`valid for ${since(exp - iat)}, more than ${validityMs} ms`)
  if (iat > nowSeconds + CLOCK_TOLERANCE_SECONDS) throw refused(`iat is ${since(iat - nowSeconds)} in the future`)
  if (iat < issuedAtSeconds - CLOCK_TOLERANCE_SECONDS) throw refused(`iat is ${since(issuedAtSeconds - iat)} before the HELLO`)
  if (exp <= nowSeconds) throw refused(`expired ${since(nowSeconds - exp)} ago`)
  if (Object.hasOwn(claims, 'nbf') && timeClaim(claims, 'nbf') > nowSeconds + CLOCK_TOLERANCE_SECONDS) throw refused('nbf is in the future')
}

/** Whoever is dialled knows its nonce and could pass on that of another: the name that was dialled tells the two apart. */
function checkUrl(claims: Members, linkNames: readonly string[]): void {
  if (linkNames.length === 0) return
  const url = stringClaim(claims, 'url')
  if (!isDialledAs(url, linkNames))
    throw refused(`url is ${shown(url)}, the inner layer has dialled none of --link-name ${linkNames.join(', ')}`)
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

/** Constant time: digests have one length, and where they differ first says nothing of the texts. */
const sameText = (actual: string, expected: string): boolean => timingSafeEqual(digest(actual), digest(expected))
