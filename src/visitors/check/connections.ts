import { NO_BODY } from '../../http/message.ts'
import type {
  AccessRequestOfVisitor,
  ConnectionCheck,
  ConnectionDecision,
  ConnectionVisit,
  HolderVisit,
} from '../../outer/access/visitor-check.ts'
import type { LaneName } from '../../route/access.ts'
import type { HolderLane } from '../holders/holder-lane.ts'
import type { Lane, Verdict } from '../lane.ts'
import type { DefaultedProviders } from './defaulted-providers.ts'
import type { OriginFields } from './origin-fields.ts'
import type { VisitorCounts } from '../../outer/access/visitor-counts.ts'

/** The parts of the check. */
export interface ConnectionsParts {
  /** In the order in which they are asked: those that a program can use. */
  readonly lanes: readonly Lane[]
  readonly origin: OriginFields
  readonly defaults: DefaultedProviders
  /** Of certificates at ports of sockets. */
  readonly holders: HolderLane
  readonly counts: VisitorCounts
  readonly deviceUrl: () => string
}

/** No request of HTTP has it here: a token that is limited to methods opens no connection, unless it names this one. */
const METHOD = 'CONNECT'

/** Asks the lanes of programs about a connection that is carried as it is. */
export class ConnectionVisitors implements ConnectionCheck {
  constructor(private readonly parts: ConnectionsParts) {}

  get deviceUrl(): string {
    return this.parts.deviceUrl()
  }

  admit(visit: ConnectionVisit): ConnectionDecision | undefined | Promise<ConnectionDecision | undefined> {
    return this.#ask(requestOf({ ...visit, access: this.parts.defaults.complete(visit.access) }), 0)
  }

  admitHolder(visit: HolderVisit): ConnectionDecision {
    const { holders, defaults } = this.parts
    const verdict = holders.judge({ ...visit, access: defaults.complete(visit.access) })
    return this.#decide({ target: visit.name }, 'certificate', verdict)
  }

  #ask(request: AccessRequestOfVisitor, first: number): ConnectionDecision | undefined | Promise<ConnectionDecision | undefined> {
    const { lanes } = this.parts
    for (let i = first; i < lanes.length; i++) {
      const lane = lanes[i]!
      const verdict = lane.judge(request)
      if (verdict instanceof Promise)
        return verdict.then(given => (given === undefined ? this.#ask(request, i + 1) : this.#decide(request, lane.name, given)))
      if (verdict !== undefined) return this.#decide(request, lane.name, verdict)
    }
    return undefined
  }

  #decide({ target }: Pick<AccessRequestOfVisitor, 'target'>, lane: LaneName, verdict: Verdict): ConnectionDecision {
    const { counts, origin } = this.parts
    if (verdict.kind === 'admit') {
      counts.add(lane, 'admitted')
      const { visitor, follow } = verdict
      return { kind: 'admit', visitor, identity: origin.of(visitor, target).at(-1)!, follow }
    }
    counts.add(lane, 'refused')
    if (verdict.kind === 'answer')
      return { kind: 'refuse', code: 'VISITOR_CREDENTIALS', reason: 'a credential of browsers', visitor: verdict.visitor, fields: [] }
    const { code, reason, visitor, fields = [] } = verdict
    return { kind: 'refuse', code, reason, visitor, fields }
  }
}

/** The visit as lanes know it: the request for the whole of an authority, as RFC 9110 §9.3.6 has it. */
function requestOf({ access, name, client, fields, peer }: ConnectionVisit): AccessRequestOfVisitor {
  const names: string[] = []
  for (let i = 0; i < fields.length; i += 2) names.push(fields[i]!.toLowerCase())
  const request = {
    ...{ method: METHOD, target: '/', host: client.host, isHttp10: false, version: '1.1' as const, body: NO_BODY },
    ...{ expectsContinue: false, upgrades: undefined, fields, names },
  }
  return { access, target: name, request, client: { ...client, hops: [], port: '' }, peer, host: name, path: '/', query: '' }
}
