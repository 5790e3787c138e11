import type { RequestsAnswer, RequestsQuestion, SeenRequest } from '../../directory/socket-requests.ts'
import { GatewayError } from '../../errors.ts'
import type { ExchangeRecord } from '../exchange-record.ts'
import { compileFilter } from '../view/filter.ts'
import { harEntryOf } from '../view/har.ts'
import { detailOf, lineOf, messagesOf } from './shown.ts'
import type { SocketInspectors } from './socket-inspectors.ts'

const MAX_LIMIT = 100
const MAX_MESSAGES = 200
/** A part of a HAR file that goes to the other process at once, characters, but for its last entry. */
const HAR_PART = 524_288

/** A question that nothing is sent for. */
export type ReadQuestion = Exclude<RequestsQuestion, { readonly kind: 'replay' }>
type Of<Kind extends ReadQuestion['kind']> = Extract<ReadQuestion, { readonly kind: Kind }>

/** Answers the owner of a socket. Never throws. */
export function answerRequests(inspectors: SocketInspectors, question: ReadQuestion): RequestsAnswer {
  try {
    return answer(inspectors, question)
  } catch (thrown) {
    return refusalOf(thrown)
  }
}

/** The refusal that a fault becomes. */
export const refusalOf = (thrown: unknown): RequestsAnswer =>
  thrown instanceof GatewayError
    ? { kind: 'refused', code: thrown.code, why: thrown.message }
    : { kind: 'refused', code: 'INTERNAL', why: 'the records could not be read' }

function answer(inspectors: SocketInspectors, question: ReadQuestion): RequestsAnswer {
  const { accountId, socketId } = question
  switch (question.kind) {
    case 'list':
      return listOf(inspectors.newestFirst(accountId, socketId), question)
    case 'har':
      return harOf(inspectors.newestFirst(accountId, socketId), question)
    case 'one':
      return { kind: 'one', request: detailOf(inspectors.find(question)) }
    case 'messages':
      return messagesFrom(inspectors.find(question), question)
  }
}

function listOf(records: Iterable<ExchangeRecord>, { filter, before, limit }: Of<'list'>): RequestsAnswer {
  const matches = compileFilter(filter)
  const items: SeenRequest[] = []
  for (const record of records) {
    if ((before !== undefined && record.id >= before) || !matches(record)) continue
    if (items.length === Math.min(limit, MAX_LIMIT)) return { kind: 'list', items, next: items.at(-1)?.id ?? null }
    items.push(lineOf(record))
  }
  return { kind: 'list', items, next: null }
}

function harOf(records: Iterable<ExchangeRecord>, { filter, ids, before }: Of<'har'>): RequestsAnswer {
  const matches = compileFilter(filter)
  const wanted = ids && new Set(ids)
  const entries: object[] = []
  let last: string | null = null
  let size = 0
  for (const record of records) {
    if ((before !== undefined && record.id >= before) || wanted?.has(record.id) === false || !matches(record)) continue
    if (size >= HAR_PART) return { kind: 'har', entries, next: last }
    const entry = harEntryOf(record, { hidesGateway: true })
    entries.push(entry)
    size += JSON.stringify(entry).length
    last = record.id
  }
  return { kind: 'har', entries, next: null }
}

function messagesFrom(record: ExchangeRecord, { from, limit }: Of<'messages'>): RequestsAnswer {
  const items = messagesOf(record, from, Math.min(limit, MAX_MESSAGES))
  const behind = (items.at(-1)?.number ?? -1) + 1
  const next = items.length > 0 && behind < (record.messages?.count ?? 0) ? behind : null
  return { kind: 'messages', items, next, dropped: record.messages?.dropped ?? 0 }
}
