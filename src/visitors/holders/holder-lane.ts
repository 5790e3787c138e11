import type { HolderVisit } from '../../outer/access/visitor-check.ts'
import { Recent } from '../../rates/recent.ts'
import type { Visitor } from '../../route/access.ts'
import type { Failures } from '../failures.ts'
import type { Admission, Rejection } from '../lane.ts'
import type { Seal } from '../session/seal.ts'
import { visitorOf, type Session } from '../session/session.ts'
import type { Sessions } from '../session/sessions.ts'
import type { SessionWatch } from '../session/session-watch.ts'
import type { SocketLogins } from '../session/socket-logins.ts'
import { whyNotHeld, isFor } from './held-socket.ts'
import { openHolderUri } from './holder-grant.ts'

const MAX_KNOWN = 5_000
const KNOWN_MS = 600_000

/** The parts of the lane. */
export interface HolderLaneParts {
  readonly seal: Seal
  readonly sessions: Sessions
  readonly watch: SessionWatch
  readonly logins: SocketLogins
  readonly failures: Failures
  readonly authHost: () => string
  /** ms, rising */
  readonly steady: () => number
}

/** People who have logged in for a program of theirs, which shows the certificate that it got at the port of a socket. */
export class HolderLane {
  readonly #visitors: Recent<Visitor>

  constructor(private readonly parts: HolderLaneParts) {
    this.#visitors = new Recent(MAX_KNOWN, KNOWN_MS, parts.steady)
  }

  /** @param visit  its `access` with providers */
  judge({ access, name, address, certificate }: HolderVisit): Admission | Rejection {
    const { login: rule, sessionMs, ofSocket } = access
    const { seal, sessions, watch, logins, failures, authHost } = this.parts
    if (certificate.fault !== undefined) return failures.refuse(address, `the certificate: ${certificate.fault}`)
    const grant = openHolderUri(seal, authHost(), certificate.uris)
    if (grant === undefined || ofSocket === undefined || rule === undefined)
      return failures.refuse(address, 'a certificate of no login, or of one that is too old')
    const { session, scope } = grant
    const visitor = this.#visitorOf(session)
    const over = sessions.whyEnded(session, sessionMs)
    if (over !== undefined) return { kind: 'refuse', code: 'VISITOR_SESSION_OVER', reason: over, visitor }
    const isMeant = isFor(scope, { name, accountId: ofSocket.accountId })
    const reason = isMeant ? whyNotHeld(rule, session) : 'the login was for another socket'
    if (reason !== undefined) return { kind: 'refuse', code: 'VISITOR_FORBIDDEN', reason, visitor }
    logins.admitted(access, session, { visitor, by: 'program', address })
    // As long as the session, not as the certificate: that one is for the moment of the handshake.
    const check = (): string | undefined => sessions.whyEnded(session, sessionMs) ?? whyNotHeld(ofSocket.latest?.login, session)
    return { kind: 'admit', visitor, follow: ended => watch.watch(check, ended) }
  }

  #visitorOf(session: Session): Visitor {
    const known = this.#visitors.get(session.id)
    if (known !== undefined) return known
    const visitor = visitorOf(session, 'certificate')
    this.#visitors.set(session.id, visitor)
    return visitor
  }
}
