import type { AccessRequestOfVisitor } from '../../outer/access/visitor-check.ts'
import type { LoginRule } from '../../route/access.ts'
import type { Lane, LaneOffer, Verdict } from '../lane.ts'
import { whyCrossSite } from './cross-site.ts'
import { whyNot } from './login-rule.ts'
import { AT_TARGETS, type KnownSession, type Sessions } from './sessions.ts'
import type { SessionWatch } from './session-watch.ts'

/** Judged for a target. */
interface Judged {
  readonly rule: LoginRule
  readonly reason: string | undefined
}

/** People who have logged in: their browser brings a session. */
export class SessionLane implements Lane {
  readonly name = 'login'
  /** A rule judges a session once. */
  readonly #judged = new WeakMap<KnownSession, Judged>()

  constructor(
    private readonly sessions: Sessions,
    private readonly watch: SessionWatch,
  ) {}

  judge({ access, request, client, host }: AccessRequestOfVisitor): Verdict | undefined {
    const { login: rule, sessionMs } = access
    if (rule === undefined || request.names.indexOf('cookie') < 0) return undefined
    const known = this.sessions.find({ request, host, scheme: client.scheme }, AT_TARGETS, sessionMs)
    if (known === undefined) return undefined
    const { session, visitor } = known
    // Known, but not by whom this target asks: that is no login here.
    if (rule.providers !== undefined && !rule.providers.includes(session.person.provider)) return undefined
    const reason = this.#whyNot(known, rule)
    if (reason !== undefined) return { kind: 'refuse', code: 'VISITOR_FORBIDDEN', reason, visitor }
    const crossing = whyCrossSite(request, client, rule)
    if (crossing !== undefined) return { kind: 'refuse', code: 'VISITOR_CROSS_SITE', reason: crossing, visitor }
    return {
      kind: 'admit',
      visitor,
      cookie: this.sessions.renew(session, host, client.scheme, AT_TARGETS, sessionMs),
      follow: ended => this.watch.watch(() => this.sessions.whyEnded(session, sessionMs), ended),
    }
  }

  offer({ access, client }: Pick<AccessRequestOfVisitor, 'access' | 'client'>): LaneOffer | undefined {
    if (access.login === undefined) return undefined
    return { lane: 'login', challenge: undefined, how: 'people log in with a browser at', url: `${client.scheme}://${client.host}/` }
  }

  #whyNot(known: KnownSession, rule: LoginRule): string | undefined {
    const judged = this.#judged.get(known)
    if (judged?.rule === rule) return judged.reason
    const reason = whyNot(rule, known.session.person)
    this.#judged.set(known, { rule, reason })
    return reason
  }
}
