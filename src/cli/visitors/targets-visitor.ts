import { stateFileOf } from '../../config/visitors/state-file.ts'
import { readIfAny } from '../../files/change-file.ts'
import type { AccessRequestOfVisitor } from '../../outer/access/visitor-check.ts'
import { isPublic, type Access, type LoginRule } from '../../route/access.ts'
import { Failures } from '../../visitors/failures.ts'
import { JwtLane } from '../../visitors/jwt/jwt-lane.ts'
import type { Verdict } from '../../visitors/lane.ts'
import { whyNot } from '../../visitors/session/login-rule.ts'
import { SessionWatch } from '../../visitors/session/session-watch.ts'
import { isServiceToken, readServiceTokens } from '../../visitors/tokens/service-token.ts'
import { TokenLane } from '../../visitors/tokens/token-lane.ts'

/** Somebody who would come, and where to. */
export interface ExplainedVisitor {
  /** Address of a person who has logged in. */
  readonly email: string | undefined
  readonly token: string | undefined
  /** File of logins, beside which tokens are. */
  readonly visitors: string
  /** Of the target or route. */
  readonly target: string
  readonly access: Access
  readonly method: string
  readonly host: string
  /** That the policy sees. */
  readonly path: string
}

/** The lane that decides, in words, and whether it lets in. @throws GatewayError CONFIG_INVALID for a file of tokens that is none */
export async function explainVisitor(wanted: ExplainedVisitor): Promise<{ readonly text: string; readonly isAdmitted: boolean }> {
  const { access, email, token, path } = wanted
  const verdict = token === undefined ? undefined : await judgeToken(wanted, token)
  if (verdict !== undefined && verdict.lane.kind === 'admit') return { text: `${verdict.name}: let in`, isAdmitted: true }
  if (isPublic(access, path)) return { text: 'public: the path is for all', isAdmitted: true }
  if (verdict !== undefined && verdict.lane.kind === 'refuse')
    return { text: `${verdict.name}: refused, ${verdict.lane.reason} (${verdict.lane.code})`, isAdmitted: false }
  if (email !== undefined && access.login !== undefined) return judgePerson(access.login, email)
  return { text: 'none: refused, there is no credential of a lane that the target has (VISITOR_REQUIRED)', isAdmitted: false }
}

async function judgeToken(
  { access, visitors, target, method, host, path }: ExplainedVisitor,
  token: string,
): Promise<{ readonly name: string; readonly lane: Verdict } | undefined> {
  const parts = {
    watch: new SessionWatch(() => undefined),
    failures: new Failures(() => 0),
    clock: Date.now,
    steady: () => performance.now(),
  }
  const tokens = new TokenLane(parts)
  if (access.tokens && isServiceToken(token)) tokens.set(readServiceTokens(await readIfAny(stateFileOf(visitors, 'tokens'))))
  const request = {
    request: { method, fields: ['X-SG-Token', token], names: ['x-sg-token'] },
    client: { address: '-' },
    ...{ access, target, host, path },
  } as unknown as AccessRequestOfVisitor
  for (const lane of [tokens, new JwtLane(parts)]) {
    const verdict = await lane.judge(request)
    if (verdict !== undefined) return { name: lane.name, lane: verdict }
  }
  return undefined
}

/** A stand-in for all that a provider would say beside the address. */
function judgePerson(rule: LoginRule, email: string): { readonly text: string; readonly isAdmitted: boolean } {
  const provider = rule.providers?.[0] ?? 'any provider'
  const person = { provider, subject: email, email, name: undefined, groups: [], claims: new Map<string, readonly string[]>() }
  const open: LoginRule = {
    ...rule,
    groups: new Set(),
    claims: new Map(),
    anyone: rule.anyone || rule.emails.size + rule.domains.size === 0,
  }
  const reason = whyNot(open, person)
  if (reason !== undefined) return { text: `login: refused, ${reason} (VISITOR_FORBIDDEN)`, isAdmitted: false }
  const more = rule.groups.size + rule.claims.size > 0 ? ', where the provider says the groups and claims that are demanded' : ''
  return { text: `login: let in${more}`, isAdmitted: true }
}
