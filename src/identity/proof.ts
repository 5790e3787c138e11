import { randomUUID } from 'node:crypto'
import { GatewayError } from '../errors.ts'
import { isIdentifier } from './identifier.ts'
import { isDialledAs } from './link-name.ts'
import type { Keys, RegisteredKey } from './key-registry.ts'
import type { PrivateKey } from './private-key.ts'
import {
  claimsOf,
  headerOf,
  jsonWebToken,
  member,
  sameText,
  shown,
  textClaim,
  timeClaim,
  type Members,
  type Refuse,
  type TokenType,
} from './signed-token.ts'

/*
 * The proof of identity is a JWT (RFC 7519) that an inner layer signs over the nonce of one HELLO:
 *
 *   header  { alg, typ: 'sg-inner+jwt', kid }                 exactly these members
 *   claims  { sub: identifier, own, url, aud, nonce, iat, exp, jti }    others are ignored
 *
 * `own: true` says that nobody has chosen the identifier: a key that is bound to one identifier takes that one.
 */

const TYPE = 'sg-inner+jwt'
const CLOCK_TOLERANCE_SECONDS = 1
const ROUNDING_SECONDS = 1e-6 // iat and exp are decimal fractions, so exp - iat is off by a few ulps

/** Default of `--validity`, in ms. */
export const DEFAULT_VALIDITY_MS = 1000

/** The claims that an inner layer puts into its proof. */
export interface ProofClaims {
  readonly identifier: string
  /** True when the identifier was not chosen: then the one that the key is bound to is as good. */
  readonly isDefault?: boolean | undefined
  /** Scheme and authority that were dialled, such as `wss://link.example.com`: a proof for one outer layer is none for another. */
  readonly url: string
  readonly audience: string
  readonly nonce: string
  /** Time on the clock of the outer layer: that of its HELLO plus what has passed since. Seconds since 1970, fractions count. */
  readonly nowSeconds: number
  readonly validityMs?: number
}

/** The values that the outer layer checks a proof against. */
export interface ProofExpectation {
  readonly registry: Pick<Keys, 'get'>
  /** Names under which inner layers dial this outer layer, as `parseLinkName` gives them; none: `url` is not checked. */
  readonly linkNames?: readonly string[]
  readonly audience: string
  readonly nonce: string
  /** When the HELLO with this nonce was sent, in seconds since 1970. */
  readonly issuedAtSeconds: number
  readonly nowSeconds: number
  readonly validityMs: number
  /** Advice where nobody knows the key; by default that for the key of an inner layer. */
  readonly unknownKey?: string | undefined
}

/** The inner layer that has proven itself, and its key. */
export interface ProvenIdentity {
  readonly kid: string
  readonly identifier: string
  /** It serves a tunnel of the service, and nothing else. */
  readonly isTunnel: boolean
  /** The service has enrolled the key, not the operator. */
  readonly isEnrolled: boolean
  /** Of a tunnel: the login that the key was given for, the newest with the highest number. */
  readonly login?: number | undefined
}

/** Signs a proof: a JWT in compact form, below 2 KiB. */
export function createProof(
  { key, kid, algorithm }: PrivateKey,
  { identifier, isDefault, url, audience, nonce, nowSeconds, validityMs = DEFAULT_VALIDITY_MS }: ProofClaims,
): string {
  const exp = nowSeconds + validityMs / 1000
  const own = isDefault === true ? { own: true } : {}
  const claims = { sub: identifier, ...own, url, aud: audience, nonce, iat: nowSeconds, exp, jti: randomUUID() }
  return jsonWebToken().sign(claims, key, { algorithm, header: { alg: algorithm, typ: TYPE, kid } })
}

/** So long after a port is open they are prepared: a start is over by then. */
export const PREPARE_MS = 1_000

/** Loads what proofs are verified with, before the first comes: an update may have replaced its files by then. */
export const prepareProofs = (): void => void jsonWebToken()

/**
 * Holds a proof against one HELLO. Synchronous and without any look-up outside of memory.
 * @throws GatewayError AUTH, its message being the exact reason: for the log, not for the peer
 */
export function verifyProof(token: string, expected: ProofExpectation): ProvenIdentity {
  const key = keyOf(headerOf(token, PROOF), expected)
  const claims = claimsOf(token, key.key, key.algorithms, refused)
  checkTimes(claims, expected)
  // RFC 7519 §4.1.3 allows a list of audiences; a proof is for one outer layer
  if (!sameText(textClaim(claims, 'aud', refused), expected.audience))
    throw refused(`aud is ${shown(member(claims, 'aud'))}, not this outer layer`)
  if (!sameText(textClaim(claims, 'nonce', refused), expected.nonce)) throw refused('nonce is not the one of this connection')
  checkUrl(claims, expected.linkNames ?? [])
  const jti = textClaim(claims, 'jti', refused)
  if (jti.length < 1 || jti.length > 255) throw refused('jti is empty or too long')
  const identifier = textClaim(claims, 'sub', refused)
  if (!isIdentifier(identifier)) throw refused('sub is no identifier of 1 to 255 printable characters')
  const { kid, grant } = key
  if (grant !== undefined && grant.expiresAtMs <= expected.nowSeconds * 1000)
    throw refused(`key ${kid} was for a time that is over: ${new Date(grant.expiresAtMs).toISOString()}`)
  const isTunnel = grant?.tunnel !== undefined
  const isEnrolled = grant !== undefined && !isTunnel
  const identifiers = isTunnel ? [grant.tunnel] : key.identifiers
  if (identifiers !== undefined && !identifiers.includes(identifier)) {
    const [bound, ...others] = identifiers
    if (member(claims, 'own') === true && bound !== undefined && others.length === 0)
      return { kid, identifier: bound, isTunnel, isEnrolled, login: grant?.login }
    throw refused(`key ${kid} is bound to ${identifiers.map(shown).join(', ')} and cannot claim ${shown(identifier)}`)
  }
  return { kid, identifier, isTunnel, isEnrolled, login: grant?.login }
}

const PUBLIC_KEY = 'give its certificate to the outer layer as --public-key'

const refused: Refuse = (reason, cause) => new GatewayError('AUTH', `proof refused: ${reason}`, { cause })

const PROOF: TokenType = { typ: TYPE, members: new Set(['alg', 'typ', 'kid']), refuse: refused }

function keyOf(header: Members, { registry, unknownKey = PUBLIC_KEY }: ProofExpectation): RegisteredKey {
  const kid = member(header, 'kid')
  if (typeof kid !== 'string') throw refused('kid is missing or not a string')
  const key = registry.get(kid)
  if (key === undefined) throw refused(`kid ${shown(kid)} is not registered; ${unknownKey}`)
  const algorithm = member(header, 'alg')
  if (!key.algorithms.some(allowed => allowed === algorithm)) {
    throw refused(`alg is ${shown(algorithm)}, key ${key.kid} is for ${key.algorithms.join(' or ')}`)
  }
  return key
}

function checkTimes(claims: Members, { issuedAtSeconds, nowSeconds, validityMs }: ProofExpectation): void {
  const iat = timeClaim(claims, 'iat', refused)
  const exp = timeClaim(claims, 'exp', refused)
  const since = (seconds: number): string => `${seconds.toFixed(3)} s`
  if (exp <= iat) throw refused('exp is not after iat')
  if (exp - iat > validityMs / 1000 + ROUNDING_SECONDS) throw refused(`valid for ${since(exp - iat)}, more than ${validityMs} ms`)
  if (iat > nowSeconds + CLOCK_TOLERANCE_SECONDS) throw refused(`iat is ${since(iat - nowSeconds)} in the future`)
  if (iat < issuedAtSeconds - CLOCK_TOLERANCE_SECONDS) throw refused(`iat is ${since(issuedAtSeconds - iat)} before the HELLO`)
  if (exp <= nowSeconds) throw refused(`expired ${since(nowSeconds - exp)} ago`)
  if (Object.hasOwn(claims, 'nbf') && timeClaim(claims, 'nbf', refused) > nowSeconds + CLOCK_TOLERANCE_SECONDS)
    throw refused('nbf is in the future')
}

/** Checks the name that was dialled: an outer layer that is dialled knows the nonce, and could pass on that of another one. */
function checkUrl(claims: Members, linkNames: readonly string[]): void {
  if (linkNames.length === 0) return
  const url = textClaim(claims, 'url', refused)
  if (!isDialledAs(url, linkNames))
    throw refused(`url is ${shown(url)}, the inner layer has dialled none of --link-name ${linkNames.join(', ')}`)
}
