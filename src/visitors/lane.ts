import type { ErrorCode } from '../errors.ts'
import type { AccessRequestOfVisitor, Admittance, VisitorAnswer } from '../outer/access/visitor-check.ts'
import type { LaneName, Visitor } from '../route/access.ts'

/** The codes with which a lane refuses. */
export type VisitorCode = Extract<ErrorCode, `VISITOR_${string}`> | 'RATE_LIMITED'

/** The credential is good, and lets in. */
export interface Admission {
  readonly kind: 'admit'
  /**
   * Who it is. The same object for the same credential: what the origin is told is made once for each, and costs as much as a signature.
   */
  readonly visitor: Visitor
  /** Set-Cookie for the answer. */
  readonly cookie?: string | undefined
  /** The credential came in Authorization. */
  readonly dropsAuthorization?: boolean
  /** The query for the origin, without the credential; undefined: as it came. */
  readonly query?: string | undefined
  /**
   * Tells when the credential ends before the request does; absent: it need not.
   * @param ended  called at most once
   * @returns to be called when nobody wants to know any more
   */
  readonly follow?: (ended: (reason: string) => void) => () => void
  /** Where the same object is given for many requests: what was made of it last. */
  readonly decided?: Decided | undefined
}

/** The decision that was made of a verdict, and how long it serves. */
export interface Decided {
  decision: Admittance | undefined
  /** Of its requests. */
  host: string
  /** ms since 1970 */
  untilMs: number
}

/** The credential is for this lane, and does not let in. */
export interface Rejection {
  readonly kind: 'refuse'
  readonly code: VisitorCode
  /** For the log alone: never a token. */
  readonly reason: string
  readonly visitor?: Visitor
  /** Such as Retry-After. */
  readonly fields?: readonly string[]
  /** The credential came in Authorization: it reaches no origin where everybody may come either. */
  readonly dropsAuthorization?: boolean
  /** As that of an admission, for the same reason. */
  readonly query?: string | undefined
}

/** The credential is good, and the browser has to go elsewhere with something that it gets for it. */
export interface Detour {
  readonly kind: 'answer'
  readonly answer: VisitorAnswer
  readonly visitor: Visitor
}

/** The word of a lane on a request that has a credential for it. */
export type Verdict = Admission | Rejection | Detour

/** The way in by a lane for a program: for the answer to one that has not. */
export interface LaneOffer {
  readonly lane: LaneName
  /** Challenges for WWW-Authenticate (RFC 9110 §11.6.1); undefined: none is defined for it. */
  readonly challenge: string | readonly string[] | undefined
  /** One sentence, in English. */
  readonly how: string
  /** Where a person begins. */
  readonly url?: string
}

/**
 * One way in. Lanes are asked in a fixed order, and the first that finds its credential in the request decides; so a lane must be sure that
 * a credential is its own before it says anything: Authorization may well be the application's.
 */
export interface Lane {
  readonly name: LaneName
  /**
   * @returns undefined where the request has no credential of this lane, or the target does not have the lane
   * @throws GatewayError where it cannot be told: nobody is let in then
   */
  judge(request: AccessRequestOfVisitor): Verdict | undefined | Promise<Verdict | undefined>
  /** @returns undefined where the target does not have the lane */
  offer(request: AccessRequestOfVisitor): LaneOffer | undefined
}
