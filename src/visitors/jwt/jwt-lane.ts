import { createHash } from 'node:crypto'
import { GatewayError } from '../../errors.ts'
import type { AccessRequestOfVisitor } from '../../outer/access/visitor-check.ts'
import { Recent } from '../../rates/recent.ts'
import { emailKey, type JwtRule, type Visitor } from '../../route/access.ts'
import { credentialsOf, tokenChallenges, type Credential } from '../credential.ts'
import type { Failures } from '../failures.ts'
import type { Lane, LaneOffer, Rejection, Verdict } from '../lane.ts'
import type { SessionWatch } from '../session/session-watch.ts'
import { claimOf, readToken, verifiedClaims, whyNotFor, whyNotNow, type Claims, type UnverifiedToken } from './foreign-token.ts'
import { IssuerKeys } from './issuer-keys.ts'
import type { IssuerKey } from './issuer-key.ts'

/** Tokens that were verified lately. */
const MAX_KNOWN = 10_000
const KNOWN_MS = 300_000
const MAX_GROUPS = 100
const MAX_TEXT = 200

/** A token whose signature is good. */
interface Known {
  readonly read: UnverifiedToken
  readonly key: IssuerKey
  readonly claims: Claims
  readonly visitor: Visitor | undefined
}

/** A token of an issuer that the target has rules for. */
interface Found {
  readonly credential: Credential
  readonly read: UnverifiedToken
  readonly rules: readonly JwtRule[]
}

/** The parts of the lane. */
export interface JwtLaneParts {
  readonly watch: SessionWatch
  readonly failures: Failures
  /** ms since 1970 */
  readonly clock: () => number
  /** ms, rising */
  readonly steady: () => number
  /** Gets a document of an issuer; the default does so over the network. */
  readonly get?: (url: string) => Promise<unknown>
}

/** JWTs of issuers that the operator names: CI systems, clusters, other gateways. */
export class JwtLane implements Lane {
  readonly name = 'jwt'
  readonly #known: Recent<Known>
  readonly #issuers = new Map<string, IssuerKeys>()

  constructor(private readonly parts: JwtLaneParts) {
    this.#known = new Recent(MAX_KNOWN, KNOWN_MS, parts.steady)
  }

  judge(request: AccessRequestOfVisitor): Verdict | undefined | Promise<Verdict | undefined> {
    const { jwt: rules } = request.access
    if (rules.length === 0) return undefined
    const found = this.#find(request, rules)
    if (found === undefined) return undefined
    const { credential, read } = found
    const dropsAuthorization = credential.isInAuthorization
    const refuse = (reason: string): Rejection => ({
      ...this.parts.failures.refuse(request.client.address, `a token of ${read.issuer}: ${reason}`),
      dropsAuthorization,
    })
    if (read.fault !== undefined) return refuse(read.fault)
    try {
      const key = this.#keysOf(found.rules[0]!).find(read.keyId)
      if (!(key instanceof Promise)) return this.#judge(found, key, refuse)
      return key.then(
        fetched => this.#judge(found, fetched, refuse),
        (error: unknown) => away(error, dropsAuthorization),
      )
    } catch (error) {
      return away(error, dropsAuthorization)
    }
  }

  offer({ access, request, host }: Pick<AccessRequestOfVisitor, 'access' | 'request' | 'host'>): LaneOffer | undefined {
    if (access.jwt.length === 0) return undefined
    const issuers = [...new Set(access.jwt.map(({ issuer }) => issuer))].join(' or ')
    return { lane: 'jwt', challenge: tokenChallenges(request, host), how: `a JWT of ${issuers}: "Authorization: Bearer …", or X-SG-Token` }
  }

  /** The first credential that is a token of an issuer of the target's. */
  #find({ request }: AccessRequestOfVisitor, rules: readonly JwtRule[]): Found | undefined {
    for (const credential of credentialsOf(request)) {
      const read = this.#known.get(digestOf(credential.text))?.read ?? readToken(credential.text)
      if (read === undefined) continue
      const [first] = rules.filter(({ issuer }) => issuer === read.issuer)
      // What one set of keys verifies is no token for a rule with another one.
      const own = rules.filter(({ issuer, jwks }) => issuer === read.issuer && jwks === first?.jwks)
      if (own.length > 0) return { credential, read, rules: own }
    }
    return undefined
  }

  #judge(
    { credential: { text, isInAuthorization }, read, rules }: Found,
    key: IssuerKey | undefined,
    refuse: (reason: string) => Rejection,
  ): Verdict {
    if (key === undefined) return refuse('its key is none of the issuer')
    const digest = digestOf(text)
    const before = this.#known.get(digest)
    // Another key with the same id has not signed it.
    const known = before?.key === key ? before : knownOf(text, read, key)
    if (known === undefined) return refuse('its signature is wrong')
    if (known !== before) this.#known.set(digest, known)
    const { claims, visitor } = known
    const reason = whyNotNow(claims, this.parts.clock())
    if (reason !== undefined) return refuse(reason)
    if (visitor === undefined) return refuse('it names nobody (sub)')
    const reasons = rules.map(rule => whyNotFor(rule, claims))
    if (!reasons.includes(undefined))
      return { kind: 'refuse', code: 'VISITOR_FORBIDDEN', reason: reasons[0]!, visitor, dropsAuthorization: isInAuthorization }
    const follow = (ended: (why: string) => void): (() => void) =>
      this.parts.watch.watch(() => whyNotNow(claims, this.parts.clock()), ended)
    return { kind: 'admit', visitor, dropsAuthorization: isInAuthorization, follow }
  }

  /** Rules of several targets share the keys of an issuer. */
  #keysOf(rule: JwtRule): IssuerKeys {
    const id = `${rule.issuer} ${rule.jwks ?? ''} ${rule.isPublicOnly === true ? 'public' : ''}`
    const known = this.#issuers.get(id) ?? new IssuerKeys(rule, this.parts.steady, this.parts.get)
    this.#issuers.set(id, known)
    return known
  }
}

const digestOf = (text: string): string => createHash('sha256').update(text).digest('base64')

function away(error: unknown, dropsAuthorization: boolean): Rejection {
  if (!(error instanceof GatewayError && error.code === 'VISITOR_PROVIDER_AWAY')) throw error
  return { kind: 'refuse', code: 'VISITOR_PROVIDER_AWAY', reason: error.message, dropsAuthorization }
}

function knownOf(text: string, read: UnverifiedToken, key: IssuerKey): Known | undefined {
  const claims = verifiedClaims(text, key)
  return claims === undefined ? undefined : { read, key, claims, visitor: visitorOf(claims, read.issuer) }
}

/** A text of a token, for logs and fields; undefined for what is none, or too long. */
function textOf(claims: Claims, name: string): string | undefined {
  const value = claimOf(claims, name)
  return typeof value === 'string' && value !== '' && value.length <= MAX_TEXT ? value : undefined
}

function visitorOf(claims: Claims, issuer: string): Visitor | undefined {
  const subject = textOf(claims, 'sub')
  if (subject === undefined) return undefined
  const email = claimOf(claims, 'email_verified') === true ? textOf(claims, 'email') : undefined
  const groups = claimOf(claims, 'groups')
  return Object.freeze({
    lane: 'jwt',
    email: email !== undefined && emailKey(email) !== undefined ? email : undefined,
    name: textOf(claims, 'name'),
    groups: Array.isArray(groups) ? groups.filter(each => typeof each === 'string').slice(0, MAX_GROUPS) : [],
    claims: new Map<string, readonly string[]>(),
    subject,
    provider: issuer,
    sessionId: undefined,
  })
}
