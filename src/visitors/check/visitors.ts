import type {
  AccessRequestOfVisitor,
  Admittance,
  ConnectionCheck,
  OwnPage,
  VisitorCheck,
  VisitorDecision,
  VisitorRequest,
} from '../../outer/access/visitor-check.ts'
import { isPublic, type LaneName, type Visitor } from '../../route/access.ts'
import type { HolderLane } from '../holders/holder-lane.ts'
import type { Admission, Decided, Lane, LaneOffer, Rejection, Verdict } from '../lane.ts'
import type { PeopleAnswers } from '../people.ts'
import { isNavigation } from '../navigation.ts'
import { ConnectionVisitors } from './connections.ts'
import type { OriginFields } from './origin-fields.ts'
import type { OwnPages } from './own-pages.ts'
import type { DefaultedProviders } from './defaulted-providers.ts'
import { corsFields, preflightAnswer } from './cors.ts'
import { programAnswer } from './program-answer.ts'
import { VisitorCounts } from '../../outer/access/visitor-counts.ts'

/** The parts of the check. */
export interface VisitorsParts {
  /** In the order in which they are asked. */
  readonly lanes: readonly Lane[]
  /** Those of connections that are carried as they are. */
  readonly connectionLanes: readonly Lane[]
  readonly people: PeopleAnswers
  readonly origin: OriginFields
  readonly pages: OwnPages
  readonly defaults: DefaultedProviders
  readonly authHost: () => string
  /** Host of the API of a service, some paths of which are pages of ours; undefined: there is no service. */
  readonly apiHost: string | undefined
  readonly holders: HolderLane
  readonly deviceUrl: () => string
}

/** Asks the lanes of a target in turn, and says what becomes of the request. Whatever is not known for sure lets nobody in. */
export class Visitors implements VisitorCheck {
  readonly counts = new VisitorCounts()
  readonly connections: ConnectionCheck

  constructor(private readonly parts: VisitorsParts) {
    const { connectionLanes: lanes, origin, defaults, holders, deviceUrl } = parts
    this.connections = new ConnectionVisitors({ lanes, origin, defaults, holders, counts: this.counts, deviceUrl })
  }

  owns(host: string, target: string): boolean {
    const { authHost, apiHost, pages } = this.parts
    if (host === authHost()) return true
    if (host !== apiHost) return false
    const mark = target.indexOf('?')
    return pages.has('api', mark < 0 ? target : target.slice(0, mark))
  }

  pageFor(request: VisitorRequest): OwnPage {
    const { authHost, apiHost, pages } = this.parts
    const { host } = request
    return pages.pageFor(request, host === authHost() ? 'auth' : host === apiHost ? 'api' : 'target')
  }

  admit(request: AccessRequestOfVisitor): VisitorDecision | Promise<VisitorDecision> {
    const access = this.parts.defaults.complete(request.access)
    const isForAll = isPublic(access, request.path)
    // In place, and not a copy for each request: whoever asks has made it for this alone.
    if (access !== request.access) request.access = access
    return this.#ask(request, isForAll, 0)
  }

  /** From lane number `first` on. In a loop as long as lanes answer at once: most do, and a promise costs more than they. */
  #ask(request: AccessRequestOfVisitor, isForAll: boolean, first: number): VisitorDecision | Promise<VisitorDecision> {
    const { lanes } = this.parts
    for (let i = first; i < lanes.length; i++) {
      const lane = lanes[i]!
      const verdict = lane.judge(request)
      if (verdict instanceof Promise) return this.#askLater(request, isForAll, i, verdict)
      if (verdict !== undefined) return this.#decide(request, lane.name, verdict, isForAll)
    }
    return isForAll ? this.#anonymous() : this.#unknown(request)
  }

  /** Apart from `#ask`, where what this binds would be made anew for each lane, whether it answers at once or not. */
  async #askLater(
    request: AccessRequestOfVisitor,
    isForAll: boolean,
    asked: number,
    verdict: Promise<Verdict | undefined>,
  ): Promise<VisitorDecision> {
    const given = await verdict
    return given === undefined
      ? this.#ask(request, isForAll, asked + 1)
      : this.#decide(request, this.parts.lanes[asked]!.name, given, isForAll)
  }

  #decide(request: AccessRequestOfVisitor, lane: LaneName, verdict: Verdict, isForAll: boolean): VisitorDecision {
    if (verdict.kind === 'admit') {
      this.counts.add(lane, 'admitted')
      return this.#admitted(verdict, request.host)
    }
    if (verdict.kind === 'answer') {
      this.counts.add(lane, 'admitted')
      const { answer, visitor } = verdict
      return { kind: 'answer', answer, code: undefined, reason: undefined, visitor }
    }
    // Where everybody may come, nobody is told to log in.
    if (isForAll) return this.#anonymous(verdict)
    this.counts.add(lane, 'refused')
    return this.#refuse(request, verdict)
  }

  #admitted(verdict: Admission, host: string): Admittance {
    const { origin } = this.parts
    const { decided } = verdict
    if (decided?.decision !== undefined && decided.host === host && origin.isBefore(decided.untilMs)) return decided.decision
    const { visitor, cookie, dropsAuthorization = false, query, follow } = verdict
    const { fields, untilMs } = origin.made(visitor, host)
    const decision: Admittance = { kind: 'admit', visitor, fields, repeated: undefined, cookie, dropsAuthorization, query, follow }
    if (decided !== undefined) Object.assign(decided, { decision, host, untilMs } satisfies Decided)
    return decision
  }

  #anonymous(refused?: Rejection): VisitorDecision {
    this.counts.add('public', 'admitted')
    if (refused === undefined) return ANONYMOUS
    const { dropsAuthorization = false, query } = refused
    return { ...ANONYMOUS, dropsAuthorization, query }
  }

  /** No lane has found a credential. */
  #unknown(request: AccessRequestOfVisitor): VisitorDecision {
    if (request.access.login !== undefined && isNavigation(request.request)) {
      this.counts.add('login', 'sent-to-login')
      return { kind: 'answer', answer: this.parts.people.toLogin(request), code: undefined, reason: undefined, visitor: undefined }
    }
    const preflight = preflightAnswer(request.request, request.access)
    if (preflight !== undefined) {
      this.counts.add('public', 'admitted')
      return { kind: 'answer', answer: preflight, code: undefined, reason: undefined, visitor: undefined }
    }
    this.counts.add('none', 'refused')
    return this.#refuse(request, { kind: 'refuse', code: 'VISITOR_REQUIRED', reason: 'no credential of a lane that the target has' })
  }

  #refuse(request: AccessRequestOfVisitor, rejection: Rejection): VisitorDecision {
    const { code, reason, visitor } = rejection
    const answer = isNavigation(request.request)
      ? this.parts.people.refused(request, rejection)
      : programAnswer(request, rejection, this.#offers(request), corsFields(request.request, request.access))
    return { kind: 'answer', answer, code, reason, visitor }
  }

  #offers(request: AccessRequestOfVisitor): readonly LaneOffer[] {
    return this.parts.lanes.map(lane => lane.offer(request)).filter(offer => offer !== undefined)
  }
}

const ANONYMOUS: Admittance = Object.freeze({
  kind: 'admit',
  visitor: undefined satisfies Visitor | undefined,
  fields: Object.freeze([]),
  cookie: undefined,
  dropsAuthorization: false,
  query: undefined,
  follow: undefined,
})
