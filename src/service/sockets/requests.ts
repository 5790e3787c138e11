/** Requests that were recorded at sockets, for their owners. */
import type { RequestsAnswer, RequestsChange, RequestsQuestion, SeenReplay, SeenRequestDetail } from '../../directory/socket-requests.ts'
import type { Row } from '../../store/schema.ts'
import type { ServiceConfig } from '../config.ts'
import { needScope, notFound } from '../core/access.ts'
import type { DataPlane, PageRequest, RequestPlace, SeenMessages, SeenRequests, SocketRequests } from '../contract.ts'
import { ServiceError } from '../input/service-error.ts'
import type { Actor } from '../model.ts'
import { ChangeReader } from './change-reader.ts'
import { limitsOf, socketFor, type SocketParts } from './socket-parts.ts'

const DEFAULT_LIMIT = 50
const MAX_LIMIT = 100
const MESSAGES = 100
/** A HAR file has no more, characters or entries. */
const MAX_HAR = 16_777_216
const MAX_ENTRIES = 1_000

type Asked = RequestsQuestion extends infer Q ? (Q extends unknown ? Omit<Q, 'accountId' | 'socketId'> : never) : never
type AnswerOf<Kind> = Extract<RequestsAnswer, { readonly kind: Kind }>
type OwnSocket = Pick<Row<'sockets'>, 'id' | 'account_id'>

/** The rules of recorded requests. */
export class RecordedRequests implements SocketRequests {
  /** Account → those who follow its sockets. */
  readonly #followers = new Map<string, number>()

  constructor(
    private readonly parts: Pick<SocketParts, 'store' | 'audit'> & { readonly config: () => ServiceConfig },
    private readonly dataPlane: Pick<DataPlane, 'requests' | 'followRequests'>,
  ) {}

  async list(actor: Actor, socketId: string, page: PageRequest & { readonly filter?: string }): Promise<SeenRequests> {
    const { filter = '', cursor: before, limit = DEFAULT_LIMIT } = page
    const socket = await this.#own(actor, socketId)
    const asked = { kind: 'list', filter, before, limit: Math.min(limit, MAX_LIMIT) } as const
    const { items, next, missingNodes } = await this.#ask(socket, 'list', asked)
    return { items, next, ...(missingNodes !== undefined && { missingNodes }) }
  }

  async get(actor: Actor, socketId: string, requestId: string): Promise<SeenRequestDetail> {
    const socket = await this.#own(actor, socketId)
    return (await this.#ask(socket, 'one', { kind: 'one', requestId })).request
  }

  async messages(
    actor: Actor,
    { socketId, requestId }: RequestPlace,
    { from = 0, limit = MESSAGES }: { readonly from?: number; readonly limit?: number },
  ): Promise<SeenMessages> {
    const socket = await this.#own(actor, socketId)
    const { items, next, dropped } = await this.#ask(socket, 'messages', { kind: 'messages', requestId, from, limit })
    return { items, next, dropped }
  }

  async follow(actor: Actor, socketId: string, filter = '', signal: AbortSignal): Promise<AsyncIterable<RequestsChange>> {
    const socket = await this.#own(actor, socketId)
    // Says what is wrong with the filter, and whether anything is recorded here.
    await this.#ask(socket, 'list', { kind: 'list', filter, before: undefined, limit: 1 })
    const account = await this.parts.store.db.selectFrom('accounts').selectAll().where('id', '=', socket.account_id).executeTakeFirst()
    if (account === undefined) throw notFound()
    const most = limitsOf(account, this.parts.config()).logWatchers
    const count = this.#followers.get(account.id) ?? 0
    if (count >= most) throw new ServiceError('LIMIT_REACHED', `${most} readers of this account follow requests already; end one of them.`)
    this.#followers.set(account.id, count + 1)
    const reader = new ChangeReader()
    const following = { accountId: account.id, socketId: socket.id, filter }
    const end = this.dataPlane.followRequests?.(following, changes => reader.add(changes))
    reader.atEnd(() => {
      end?.()
      const left = (this.#followers.get(account.id) ?? 1) - 1
      if (left === 0) this.#followers.delete(account.id)
      else this.#followers.set(account.id, left)
    })
    if (end === undefined) reader.end()
    signal.addEventListener('abort', () => reader.end(), { once: true })
    if (signal.aborted) reader.end()
    return reader
  }

  async replay(actor: Actor, { socketId, requestId }: RequestPlace, edits: object): Promise<readonly SeenReplay[]> {
    const { audit, store } = this.parts
    const note = { by: actor, action: 'socket.replay', object: `socket:${socketId}`, details: { request: requestId } }
    return audit.attempt(note, async () => {
      const socket = await this.#own(actor, socketId)
      // What was sent has a line, whatever becomes of it.
      await audit.note(store.db, note)
      const asked = { kind: 'replay', requestId, edits, address: actor.address } as const
      return (await this.#ask(socket, 'replayed', asked)).results
    })
  }

  async har(
    actor: Actor,
    socketId: string,
    { filter = '', ids }: { readonly filter?: string; readonly ids?: readonly string[] },
  ): Promise<object> {
    const socket = await this.#own(actor, socketId)
    const entries: object[] = []
    const comments: string[] = []
    let before: string | undefined
    let size = 0
    let isCut = false
    do {
      const part: AnswerOf<'har'> = await this.#ask(socket, 'har', { kind: 'har', filter, ids, before })
      for (const entry of part.entries) {
        size += JSON.stringify(entry).length
        isCut = size > MAX_HAR || entries.length >= MAX_ENTRIES
        if (isCut) break
        entries.push(entry)
      }
      if (part.missingNodes !== undefined) comments.push('a node of the gateway does not answer: what came in there is left out')
      before = part.next ?? undefined
    } while (before !== undefined && !isCut)
    if (isCut) comments.push('older requests are left out')
    const comment = comments.length > 0 ? { comment: comments.join('; ') } : {}
    return {
      log: { version: '1.2', creator: { name: 'socket-gateway', version: '1.0' }, pages: [], entries: oldestFirst(entries), ...comment },
    }
  }

  /** Guards what visitors have sent: it is for whoever may change the socket, and owns it: the role of an admin does not reach it. */
  async #own(actor: Actor, socketId: string): Promise<OwnSocket> {
    needScope(actor, 'sockets')
    const { id, account_id } = await socketFor(this.parts.store.db, actor, socketId, 'read')
    if (account_id !== actor.accountId) throw notFound()
    return { id, account_id }
  }

  async #ask<Kind extends RequestsAnswer['kind']>({ id, account_id }: OwnSocket, kind: Kind, asked: Asked): Promise<AnswerOf<Kind>> {
    const answer = (await this.dataPlane.requests?.({ ...asked, accountId: account_id, socketId: id })) ?? NOT_RECORDED
    if (answer.kind === kind) return answer as AnswerOf<Kind>
    throw answer.kind === 'refused' ? new ServiceError(answer.code, answer.why) : new ServiceError('INTERNAL')
  }
}

const NOT_RECORDED: RequestsAnswer = { kind: 'refused', code: 'CONFLICT', why: 'This gateway does not record requests of sockets.' }

const startOf = (entry: object): string => {
  const { startedDateTime } = entry as { readonly startedDateTime?: unknown }
  return typeof startedDateTime === 'string' ? startedDateTime : ''
}

/** Entries that came newest first, of one node after the other. */
const oldestFirst = (entries: readonly object[]): readonly object[] =>
  entries.toReversed().sort((a, b) => (startOf(a) < startOf(b) ? -1 : startOf(a) > startOf(b) ? 1 : 0))
