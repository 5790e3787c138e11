import type { AccessRequestOfVisitor } from '../../outer/access/visitor-check.ts'
import { Recent } from '../../rates/recent.ts'
import type { Visitor } from '../../route/access.ts'
import { credentialsOf } from '../credential.ts'
import type { Failures } from '../failures.ts'
import type { Lane, Verdict } from '../lane.ts'
import { isDeviceToken, openDeviceToken, type DeviceGrant } from './device-token.ts'
import { whyNot } from './login-rule.ts'
import type { Seal } from './seal.ts'
import { visitorOf } from './session.ts'
import type { Sessions } from './sessions.ts'
import type { SessionWatch } from './session-watch.ts'
import type { SocketLogins } from './socket-logins.ts'

/** Tokens that were opened lately: the visitor of one is the same object each time. */
const MAX_KNOWN = 5_000
const KNOWN_MS = 600_000

/** The parts of the lane. */
export interface DeviceLaneParts {
  readonly seal: Seal
  readonly sessions: Sessions
  readonly watch: SessionWatch
  readonly logins: SocketLogins
  readonly failures: Failures
  readonly authHost: () => string
  /** ms, rising */
  readonly steady: () => number
}

/** People who have logged in for a program of theirs, which opens tunnels with the token that it got. */
export class DeviceLane implements Lane {
  readonly name = 'login'
  readonly #visitors: Recent<Visitor>

  constructor(private readonly parts: DeviceLaneParts) {
    this.#visitors = new Recent(MAX_KNOWN, KNOWN_MS, parts.steady)
  }

  judge({ access, request, client, target }: AccessRequestOfVisitor): Verdict | undefined {
    const { login: rule, sessionMs, ofSocket } = access
    if (rule === undefined) return undefined
    const text = credentialsOf(request).find(each => isDeviceToken(each.text))?.text
    if (text === undefined) return undefined
    const { seal, sessions, watch, logins, failures, authHost } = this.parts
    const grant = openDeviceToken(seal, authHost(), text)
    if (grant === undefined) return failures.refuse(client.address, 'a token of a login that is none of ours, or too old')
    const { session, tunnels } = grant
    const visitor = this.#visitorOf(grant)
    const over = sessions.whyEnded(session, sessionMs)
    if (over !== undefined) return { kind: 'refuse', code: 'VISITOR_SESSION_OVER', reason: over, visitor }
    const reason = tunnels.includes(target) ? whyNot(rule, session.person) : 'the login was for other tunnels'
    if (reason !== undefined) return { kind: 'refuse', code: 'VISITOR_FORBIDDEN', reason, visitor }
    logins.admitted(access, session, { visitor, by: 'program', address: client.address })
    const check = (): string | undefined => {
      const now = ofSocket?.latest?.login
      return sessions.whyEnded(session, sessionMs) ?? (now && whyNot(now, session.person))
    }
    return { kind: 'admit', visitor, follow: ended => watch.watch(check, ended) }
  }

  /** Told by the check of connections. */
  offer(): undefined {
    return undefined
  }

  #visitorOf({ session }: DeviceGrant): Visitor {
    const known = this.#visitors.get(session.id)
    if (known !== undefined) return known
    const visitor = visitorOf(session, 'login')
    this.#visitors.set(session.id, visitor)
    return visitor
  }
}
