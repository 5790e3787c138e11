import type { AccessRequestOfVisitor } from '../../outer/access/visitor-check.ts'
import type { Access, LoginRule } from '../../route/access.ts'
import type { Admission, Lane, LaneOffer, Rejection, Verdict } from '../lane.ts'
import { whyCrossSite } from './cross-site.ts'
import { whyNot } from './login-rule.ts'
import { AT_TARGETS, type KnownSession, type Sessions } from './sessions.ts'
import type { SessionWatch } from './session-watch.ts'
import type { SocketLogins } from './socket-logins.ts'

/** People who have logged in: their browser brings a session. */
export class SessionLane implements Lane {
  readonly name = 'login'

  constructor(
    private readonly sessions: Sessions,
    private readonly watch: SessionWatch,
    private readonly logins: SocketLogins,
  ) {}

  judge(visit: AccessRequestOfVisitor): Verdict | undefined {
    const { access, request, client, host, peer } = visit
    const { login: rule, sessionMs, ofSocket } = access
    if (rule === undefined || !request.names.includes('cookie')) return undefined
    const { scheme } = client
    // A proxy's connection has the requests of many.
    const known = peer.isTrusted
      ? this.sessions.find({ request, host, scheme }, AT_TARGETS, sessionMs)
      : this.sessions.findAgain(visit, sessionMs)
    if (known === undefined) return undefined
    const { session, visitor } = known
    // Known, but not by whom this target asks: that is no login here.
    if (rule.providers !== undefined && !rule.providers.includes(session.person.provider)) return undefined
    const verdict = this.#verdictOf(known, rule, { sessionMs, ofSocket }, client.address)
    if (verdict.kind === 'refuse') return verdict
    const crossing = whyCrossSite(request, client, rule)
    if (crossing !== undefined) return { kind: 'refuse', code: 'VISITOR_CROSS_SITE', reason: crossing, visitor }
    const cookie = this.sessions.renew(session, host, client.scheme, AT_TARGETS, sessionMs)
    return cookie === undefined ? verdict : { ...verdict, cookie, decided: undefined }
  }

  offer({ access, client }: Pick<AccessRequestOfVisitor, 'access' | 'client'>): LaneOffer | undefined {
    if (access.login === undefined) return undefined
    return { lane: 'login', challenge: undefined, how: 'people log in with a browser at', url: `${client.scheme}://${client.host}/` }
  }

  #verdictOf(known: KnownSession, rule: LoginRule, more: Pick<Access, 'sessionMs' | 'ofSocket'>, address: string): Admission | Rejection {
    const { sessionMs } = more
    const { judged } = known
    if (judged?.rule === rule && judged.sessionMs === sessionMs) return judged.verdict
    const verdict = this.#judge(known, rule, more)
    known.judged = { rule, sessionMs, verdict }
    const { session, visitor } = known
    if (verdict.kind === 'admit') this.logins.admitted(more, session, { visitor, by: 'browser', address })
    return verdict
  }

  #judge(
    { session, visitor }: KnownSession,
    rule: LoginRule,
    { sessionMs, ofSocket }: Pick<Access, 'sessionMs' | 'ofSocket'>,
  ): Admission | Rejection {
    const reason = whyNot(rule, session.person)
    if (reason !== undefined) return { kind: 'refuse', code: 'VISITOR_FORBIDDEN', reason, visitor }
    const check = (): string | undefined => {
      const now = ofSocket?.latest?.login
      return this.sessions.whyEnded(session, sessionMs) ?? (now && whyNot(now, session.person))
    }
    return {
      kind: 'admit',
      visitor,
      follow: ended => this.watch.watch(check, ended),
      decided: { decision: undefined, host: '', untilMs: 0 },
    }
  }
}
