import { sign } from 'node:crypto'
import { visitorName, type Visitor } from '../../route/access.ts'
import type { KeyRing } from './key-ring.ts'

/** Seconds that a token is good for. */
const LIFETIME_S = 60
/** An origin gets one that is good for at least this long. */
const LEFT_S = 20

/** X-SG-Identity: a JWT (RFC 7519, ES256) that says to one host who a visitor is. Origins verify it by the JWKS of the auth host. */
export class IdentityTokens {
  /**
   * @param keys    those in force
   * @param issuer  origin of the auth host
   * @param clock   ms since 1970
   */
  constructor(
    private readonly keys: () => KeyRing,
    private readonly issuer: () => string,
    private readonly clock: () => number,
  ) {}

  /** @param host  the audience. @returns the token, and until when it is handed out */
  sign(visitor: Visitor, host: string): { readonly token: string; readonly untilMs: number } {
    const { id, signing } = this.keys().newest
    const nowMs = this.clock()
    const issuedS = Math.floor(nowMs / 1000)
    const { lane, email, name, groups, claims, subject, provider, sessionId } = visitor
    const payload = {
      // Ours last: none of them is the provider's to say.
      ...(claims.size > 0 && { claims: Object.fromEntries(claims) }),
      iss: this.issuer(),
      aud: host,
      sub: provider === undefined ? subject : `${provider}|${subject}`,
      iat: issuedS,
      nbf: issuedS,
      exp: issuedS + LIFETIME_S,
      lane,
      ...(provider !== undefined && { provider }),
      ...(email !== undefined && { email, email_verified: true }),
      name: name ?? visitorName(visitor),
      ...(groups.length > 0 && { groups }),
      ...(sessionId !== undefined && { sid: sessionId }),
    }
    const signed = `${encode({ alg: 'ES256', typ: 'JWT', kid: id })}.${encode(payload)}`
    const proof = sign('sha256', Buffer.from(signed), { key: signing, dsaEncoding: 'ieee-p1363' }).toString('base64url')
    return { token: `${signed}.${proof}`, untilMs: (issuedS + LIFETIME_S - LEFT_S) * 1000 }
  }

  /** The keys by which the tokens are verified (RFC 7517). */
  get jwks(): { readonly keys: readonly Readonly<Record<string, string>>[] } {
    return { keys: this.keys().all.map(({ jwk }) => jwk) }
  }
}

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
