import { Policy } from '../../route/policy.ts'
import type { Visitor } from '../../route/access.ts'
import type { AccessRequestOfVisitor } from '../../outer/access/visitor-check.ts'
import { credentialsOf, tokenChallenges } from '../credential.ts'
import type { Failures } from '../failures.ts'
import type { Lane, LaneOffer, Verdict } from '../lane.ts'
import { isWithin } from '../path-scope.ts'
import type { SessionWatch } from '../session/session-watch.ts'
import { hashOf, isServiceToken, pathRule, type ServiceToken } from './service-token.ts'

/** A token in force. */
interface KnownToken {
  readonly token: ServiceToken
  readonly expiresMs: number
  /** Undefined: every path. */
  readonly policy: Policy | undefined
  readonly visitor: Visitor
}

/** The parts of the lane. */
export interface TokenLaneParts {
  readonly watch: SessionWatch
  readonly failures: Failures
  /** Told of each that lets somebody in. */
  readonly onUse?: ((visitor: Visitor, target: string, address: string) => void) | undefined
  /** ms since 1970 */
  readonly clock: () => number
}

/** Service tokens: programs of the operator. */
export class TokenLane implements Lane {
  readonly name = 'token'
  #known: ReadonlyMap<string, KnownToken> = new Map()

  constructor(private readonly parts: TokenLaneParts) {}

  /** Puts tokens in force; what is open by others ends. @throws GatewayError CONFIG_INVALID for a path that is none */
  set(tokens: readonly ServiceToken[]): void {
    const before = this.#known
    const known = (token: ServiceToken): KnownToken => {
      const old = before.get(token.hash)
      return old !== undefined && JSON.stringify(old.token) === JSON.stringify(token) ? old : knownOf(token)
    }
    this.#known = new Map(tokens.map(token => [token.hash, known(token)]))
    this.parts.watch.look()
  }

  judge(request: AccessRequestOfVisitor): Verdict | undefined {
    if (!request.access.tokens) return undefined
    const ours = credentialsOf(request.request).filter(({ text }) => isServiceToken(text))
    const [credential] = ours
    if (credential === undefined) return undefined
    // Also where nobody is asked: the application behind is no place for it.
    const dropsAuthorization = ours.some(({ isInAuthorization }) => isInAuthorization)
    const hash = hashOf(credential.text)
    const known = ours.every(({ text }) => text === credential.text) ? this.#known.get(hash) : undefined
    const reason = known === undefined ? 'a token that is none of those in force' : this.#whyOver(hash, known)
    if (known === undefined || reason !== undefined)
      return { ...this.parts.failures.refuse(request.client.address, reason!), dropsAuthorization }
    const { visitor } = known
    const forbidden = whyNot(known, request)
    if (forbidden !== undefined) return { kind: 'refuse', code: 'VISITOR_FORBIDDEN', reason: forbidden, visitor, dropsAuthorization }
    this.parts.onUse?.(visitor, request.target, request.client.address)
    const follow = (ended: (reason: string) => void): (() => void) => this.parts.watch.watch(() => this.#whyOver(hash, known), ended)
    return { kind: 'admit', visitor, dropsAuthorization, follow }
  }

  offer({ access, request, host }: Pick<AccessRequestOfVisitor, 'access' | 'request' | 'host'>): LaneOffer | undefined {
    if (!access.tokens) return undefined
    return {
      lane: 'token',
      challenge: tokenChallenges(request, host),
      how: 'a service token of this host: "Authorization: Bearer …", the password of Basic, or the field X-SG-Token',
    }
  }

  #whyOver(hash: string, known: KnownToken): string | undefined {
    if (this.#known.get(hash) !== known) return 'the token was revoked, or is another one now'
    return this.parts.clock() >= known.expiresMs ? `the token ${known.token.name} has expired` : undefined
  }
}

function knownOf(token: ServiceToken): KnownToken {
  const { id, name, methods, paths, expiresAt } = token
  return {
    token,
    expiresMs: Date.parse(expiresAt),
    policy: paths.length === 0 ? undefined : Policy.of(paths.map(pattern => pathRule(pattern, methods))),
    visitor: Object.freeze({
      lane: 'token',
      email: undefined,
      name,
      groups: [],
      claims: new Map(),
      subject: id,
      provider: 'service-token',
      sessionId: undefined,
    }),
  }
}

function whyNot({ token, policy }: KnownToken, { target, request, path }: AccessRequestOfVisitor): string | undefined {
  const { name, targets, methods } = token
  // A token for a host is one for its routes; no name of a host has a slash.
  if (!targets.some(each => target === each || target.startsWith(`${each}/`))) return `the token ${name} is not for this target`
  if (!methods.includes(request.method) && !methods.includes('*')) return `the token ${name} is not for this method`
  if (policy !== undefined && !isWithin(path, each => policy.decide(request.method, each) !== undefined))
    return `the token ${name} is not for this path`
  return undefined
}
