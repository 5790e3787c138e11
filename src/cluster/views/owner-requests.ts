import type { RequestsAnswer, RequestsChange, RequestsFollowing, RequestsQuestion, SeenRequest } from '../../directory/socket-requests.ts'
import { attempt } from '../../net/guard.ts'
import type { PeerAnswers, PeerCalls } from '../../peers/peer-calls.ts'
import type { RequestSource } from '../../service-host/recorded-requests.ts'
import { answerCall, readQuestion } from './answer-call.ts'
import { answerLines } from './lines.ts'

const PATH = '/requests'
const FOLLOW = '/requests/follow'
/** A request that is sent again is answered by then: the node that has it gives up before, milliseconds. */
const REPLAY_MS = 20_000

type Answer<Kind extends RequestsAnswer['kind']> = Extract<RequestsAnswer, { readonly kind: Kind }>
type Question<Kind extends RequestsQuestion['kind']> = Extract<RequestsQuestion, { readonly kind: Kind }>

/**
 * Requests of sockets that were recorded, at whichever node they came in: lists of all nodes are put together, and what is about one request goes to the node
 * that has it. Owners are told how many nodes do not answer, and not which: these are the operator's.
 * @param own  those of this node
 */
export function shareRequests(calls: PeerCalls, own: RequestSource, onFault: (thrown: unknown) => void): RequestSource {
  calls.serve((request, response) => {
    if (request.url === PATH) return answerCall(request, response, onFault, question => own.answer(question as RequestsQuestion))
    if (request.url !== FOLLOW) return false
    readQuestion(request).then(
      following =>
        answerLines(
          response,
          onFault,
          send => own.follow(following as RequestsFollowing, changes => changes.forEach(send)),
          send => void send({ type: 'reset' }),
        ),
      () => response.destroy(),
    )
    return true
  })
  const askAll = (question: RequestsQuestion, withinMs?: number): Promise<PeerAnswers<RequestsAnswer>> =>
    calls.askAll({ method: 'POST', path: PATH, body: question }, withinMs === undefined ? {} : { withinMs })

  const list = async (question: Question<'list'>): Promise<RequestsAnswer> => {
    const [mine, { answers, missing }] = await Promise.all([own.answer(question), askAll(question)])
    // A filter that cannot be read is none anywhere; a socket may not have come to all nodes yet.
    if (mine.kind !== 'list') return mine
    const lists = [mine, ...answers.map(({ value }) => value).filter(isOf('list'))]
    return { ...mergeLists(lists, question.limit), ...missingIn(missing.length) }
  }

  const har = async (question: Question<'har'>): Promise<RequestsAnswer> => {
    const { node, before } = placeIn(question.before)
    const part = { ...question, before }
    const answer = await (node === '' ? own.answer(part) : askOne(node, part))
    // One node after the other, this one first; nodes may come and go meanwhile.
    const [following] = calls.others
      .map(({ id }) => id)
      .filter(id => id > node)
      .sort()
    if (answer.kind !== 'har' && node === '') return answer
    const { entries, next } = answer.kind === 'har' ? answer : { entries: [], next: null }
    const place = next !== null ? `${node}/${next}` : following === undefined ? null : `${following}/`
    return { kind: 'har', entries, next: place, ...missingIn(answer.kind === 'har' ? 0 : 1) }
  }

  const askOne = (node: string, question: RequestsQuestion): Promise<RequestsAnswer> =>
    calls
      .ask<RequestsAnswer>(node, { method: 'POST', path: PATH, body: question })
      .catch((): RequestsAnswer => ({ kind: 'refused', code: 'NOT_FOUND', why: 'the node does not answer' }))

  /** Calls about one request: no two nodes have the same, so that it is sent again once at most. */
  const one = async (question: Question<'messages' | 'one' | 'replay'>): Promise<RequestsAnswer> => {
    const mine = await own.answer(question)
    if (!isNotFound(mine)) return mine
    const { answers, missing } = await askAll(question, question.kind === 'replay' ? REPLAY_MS : undefined)
    const found = answers.map(({ value }) => value).find(value => !isNotFound(value))
    if (found !== undefined || missing.length === 0) return found ?? mine
    return { kind: 'refused', code: 'NOT_FOUND', why: `${mine.why}; ${missing.length} other nodes that may have it do not answer` }
  }

  return {
    answer: question => {
      if (calls.others.length === 0) return own.answer(question)
      if (question.kind === 'list') return list(question)
      return question.kind === 'har' ? har(question) : one(question)
    },
    follow: (following, tell) => {
      const missing = new Set<string>()
      const end = own.follow(following, tell)
      const leave = calls.follow(
        { method: 'POST', path: FOLLOW, body: following },
        {
          line: (_peer, change) => {
            const known = change as RequestsChange
            // It ends where the socket is gone: here too, in a moment.
            if (known.type !== 'end') tell([known])
          },
          turn: ({ id }, isThere) => {
            if (isThere) missing.delete(id)
            else missing.add(id)
            // What has come there meanwhile was not told.
            tell([...(isThere ? [{ type: 'reset' } as const] : []), { type: 'nodes', missing: missing.size }])
          },
        },
      )
      return () => {
        attempt(onFault, leave)
        end()
      }
    },
  }
}

const isOf =
  <Kind extends RequestsAnswer['kind']>(kind: Kind) =>
  (answer: RequestsAnswer): answer is Answer<Kind> =>
    answer.kind === kind

const isNotFound = (answer: RequestsAnswer): answer is Answer<'refused'> => answer.kind === 'refused' && answer.code === 'NOT_FOUND'

const missingIn = (count: number): { readonly missingNodes?: number } => (count === 0 ? {} : { missingNodes: count })

/** Lists of which each has the newest, as one: ids rise with time at all nodes. */
export function mergeLists(lists: readonly Answer<'list'>[], limit: number): Answer<'list'> {
  const all = lists.flatMap(({ items }) => items).sort((a: SeenRequest, b: SeenRequest) => (a.id < b.id ? 1 : -1))
  const items = all.slice(0, limit)
  const isCut = all.length > items.length || lists.some(({ next }) => next !== null)
  return { kind: 'list', items, next: isCut ? (items.at(-1)?.id ?? null) : null }
}

/** The node and the id of a place in the records of all nodes. */
function placeIn(before: string | undefined): { readonly node: string; readonly before: string | undefined } {
  const [id, node = ''] = (before ?? '').split('/', 2).toReversed()
  return { node, before: id === '' ? undefined : id }
}
