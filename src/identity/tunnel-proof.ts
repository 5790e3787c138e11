/*
 * The proof that opens a tunnel is a JWT (RFC 7519) which brings its public key along; the targets file says by thumbprint which keys may
 * open what, as RFC 9449 (DPoP) has it:
 *
 *   header  { alg, typ: 'sg-tunnel+jwt', jwk }         exactly these members
 *   claims  { aud: HOST:PORT, url, iat, exp, jti }     others are ignored
 *
 * There is no nonce of the server, since that would cost each connection a round trip. Instead it is good for one tunnel, at one gateway,
 * for half a minute and once.
 */
import { createPublicKey, randomUUID, type JsonWebKey, type KeyObject } from 'node:crypto'
import type jwt from 'jsonwebtoken'
import { GatewayError, messageOf } from '../errors.ts'
import { algorithmsOf, thumbprintOf } from './key.ts'
import { isDialledAs } from './link-name.ts'
import type { PrivateKey } from './private-key.ts'
import {
  claimsOf,
  headerOf,
  isSignedToken,
  jsonWebToken,
  member,
  sameText,
  textClaim,
  timeClaim,
  type Members,
  type Refuse,
  type TokenType,
} from './signed-token.ts'

const TYPE = 'sg-tunnel+jwt'
const VALIDITY_SECONDS = 30
/** Clocks of two machines, seconds. */
const CLOCK_TOLERANCE_SECONDS = 30

/** The time for which a `jti` has to be remembered, milliseconds. */
export const TUNNEL_PROOF_LIFETIME_MS = (VALIDITY_SECONDS + 2 * CLOCK_TOLERANCE_SECONDS) * 1_000

/** The claims of a proof. */
export interface TunnelProofClaims {
  /** HOST:PORT behind `/tunnel/`. */
  readonly tunnel: string
  /** Scheme and authority that are dialled, such as `wss://gw.example.com`. */
  readonly url: string
  readonly nowSeconds: number
}

/** The values that the outer layer checks a proof against. */
export interface TunnelProofExpectation {
  readonly tunnel: string
  /** Names under which this outer layer is dialled; none: `url` is not checked. */
  readonly linkNames: readonly string[]
  readonly nowSeconds: number
}

/** The key that has proven itself, and the id of its proof. */
export interface TunnelProof {
  /** RFC 7638 thumbprint of the key. */
  readonly thumbprint: string
  /** To be accepted once. */
  readonly jti: string
}

/** Does a token look like a proof rather than like a secret? */
export const isTunnelProof = isSignedToken

/** Signs a proof: a JWT in compact form. */
export function createTunnelProof({ key, algorithm }: PrivateKey, { tunnel, url, nowSeconds }: TunnelProofClaims): string {
  const { kty, crv, x, y, n, e } = createPublicKey(key).export({ format: 'jwk' })
  const jwk = kty === 'RSA' ? { kty, n, e } : { kty, crv, x, y }
  const claims = { aud: tunnel, url, iat: nowSeconds, exp: nowSeconds + VALIDITY_SECONDS, jti: randomUUID() }
  return jsonWebToken().sign(claims, key, { algorithm, header: { alg: algorithm, typ: TYPE, jwk } as jwt.JwtHeader })
}

/**
 * Holds a proof against what is asked for. Whether its key may open the tunnel, and whether its `jti` is fresh, is the caller's to decide.
 * @throws GatewayError TUNNEL_UNAUTHORIZED, its message being the exact reason: for the log, not for the peer
 */
export function verifyTunnelProof(token: string, { tunnel, linkNames, nowSeconds }: TunnelProofExpectation): TunnelProof {
  const { key, algorithm } = keyOf(headerOf(token, PROOF))
  const claims = claimsOf(token, key, [algorithm], refused)
  if (!sameText(textClaim(claims, 'aud', refused), tunnel)) throw refused('aud is not this tunnel')
  const iat = timeClaim(claims, 'iat', refused)
  const exp = timeClaim(claims, 'exp', refused)
  if (exp <= iat || exp - iat > VALIDITY_SECONDS + 1e-3) throw refused(`valid for ${exp - iat} s, more than ${VALIDITY_SECONDS} s`)
  if (iat > nowSeconds + CLOCK_TOLERANCE_SECONDS) throw refused('iat is in the future; check the clocks')
  if (exp < nowSeconds - CLOCK_TOLERANCE_SECONDS) throw refused('expired; check the clocks')
  const jti = textClaim(claims, 'jti', refused)
  if (jti.length < 16 || jti.length > 64) throw refused('jti is too short or too long')
  if (linkNames.length > 0 && !isDialledAs(textClaim(claims, 'url', refused), linkNames))
    throw refused(`url names another outer layer than ${linkNames.join(', ')}`)
  return { thumbprint: thumbprintOf(key), jti }
}

const refused: Refuse = (reason, cause) => new GatewayError('TUNNEL_UNAUTHORIZED', `proof refused: ${reason}`, { cause })

const PROOF: TokenType = { typ: TYPE, members: new Set(['alg', 'typ', 'jwk']), refuse: refused }

/** The key that a proof brings along: as good as any other, until its thumbprint has been found on a list. */
function keyOf(header: Members): { readonly key: KeyObject; readonly algorithm: jwt.Algorithm } {
  const jwk = member(header, 'jwk')
  if (typeof jwk !== 'object' || jwk === null || 'd' in jwk) throw refused('jwk is no public key')
  try {
    const key = createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' })
    const algorithm = algorithmsOf(key, 'jwk').find(allowed => allowed === member(header, 'alg'))
    if (algorithm === undefined) throw new Error('alg does not belong to the key')
    return { key, algorithm }
  } catch (cause) {
    throw refused(`jwk: ${messageOf(cause)}`, cause)
  }
}
