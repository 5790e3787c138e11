/** Requests that were recorded at sockets, for their owners. */
import type { RequestsAnswer, RequestsQuestion, SeenRequest, SeenRequestDetail } from '../../directory/socket-requests.ts'
import { needScope, notFound } from '../core/access.ts'
import type { DataPlane, PageRequest, SocketRequests } from '../contract.ts'
import { ServiceError } from '../input/service-error.ts'
import type { Actor, Page } from '../model.ts'
import { socketFor, type SocketParts } from './socket-parts.ts'

const DEFAULT_LIMIT = 50
const MAX_LIMIT = 100

type Asked = RequestsQuestion extends infer Q ? (Q extends unknown ? Omit<Q, 'accountId' | 'socketId'> : never) : never

/** The rules of recorded requests. */
export class RecordedRequests implements SocketRequests {
  constructor(
    private readonly parts: Pick<SocketParts, 'store'>,
    private readonly dataPlane: Pick<DataPlane, 'requests'>,
  ) {}

  async list(actor: Actor, socketId: string, page: PageRequest & { readonly filter?: string }): Promise<Page<SeenRequest>> {
    const { filter = '', cursor: before, limit = DEFAULT_LIMIT } = page
    const answer = await this.#ask(actor, socketId, { kind: 'list', filter, before, limit: Math.min(limit, MAX_LIMIT) })
    if (answer.kind !== 'list') throw refusal(answer)
    return { items: answer.items, next: answer.next }
  }

  async get(actor: Actor, socketId: string, requestId: string): Promise<SeenRequestDetail> {
    const answer = await this.#ask(actor, socketId, { kind: 'one', requestId })
    if (answer.kind !== 'one') throw refusal(answer)
    return answer.request
  }

  /** Guards what visitors have sent: it is for whoever may change the socket, and owns it: the role of an admin does not reach it. */
  async #ask(actor: Actor, socketId: string, question: Asked): Promise<RequestsAnswer> {
    needScope(actor, 'sockets')
    const { id, account_id } = await socketFor(this.parts.store.db, actor, socketId, 'read')
    if (account_id !== actor.accountId) throw notFound()
    return (await this.dataPlane.requests?.({ ...question, accountId: account_id, socketId: id })) ?? NOT_RECORDED
  }
}

const NOT_RECORDED: RequestsAnswer = { kind: 'refused', code: 'CONFLICT', why: 'This gateway does not record requests of sockets.' }

const refusal = (answer: RequestsAnswer): ServiceError =>
  answer.kind === 'refused' ? new ServiceError(answer.code, answer.why) : new ServiceError('INTERNAL')
