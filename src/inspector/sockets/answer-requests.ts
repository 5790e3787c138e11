import { isUtf8 } from 'node:buffer'
import type {
  RequestsAnswer,
  RequestsQuestion,
  SeenBody,
  SeenHalf,
  SeenRequest,
  SeenRequestDetail,
} from '../../directory/socket-requests.ts'
import { GatewayError } from '../../errors.ts'
import type { BodyRecord } from '../body-record.ts'
import type { ExchangeRecord } from '../exchange-record.ts'
import type { MessageHalf } from '../kept/record.ts'
import { compileFilter } from '../view/filter.ts'
import type { SocketInspectors } from './socket-inspectors.ts'

const MAX_LIMIT = 100
const MAX_MESSAGES = 100

/** Answers the owner of a socket. Never throws. */
export function answerRequests(inspectors: SocketInspectors, question: RequestsQuestion): RequestsAnswer {
  const { accountId, socketId } = question
  try {
    const records = inspectors.newestFirst(accountId, socketId)
    return question.kind === 'list' ? listOf(records, question) : oneOf(records, question.requestId)
  } catch (thrown) {
    if (thrown instanceof GatewayError) return { kind: 'refused', code: thrown.code, why: thrown.message }
    return { kind: 'refused', code: 'INTERNAL', why: 'the records could not be read' }
  }
}

function listOf(
  records: Iterable<ExchangeRecord>,
  { filter, before, limit }: Extract<RequestsQuestion, { readonly kind: 'list' }>,
): RequestsAnswer {
  const matches = compileFilter(filter)
  const items: SeenRequest[] = []
  for (const record of records) {
    if ((before !== undefined && record.id >= before) || !matches(record)) continue
    if (items.length === Math.min(limit, MAX_LIMIT)) return { kind: 'list', items, next: items.at(-1)?.id ?? null }
    items.push(lineOf(record))
  }
  return { kind: 'list', items, next: null }
}

function oneOf(records: Iterable<ExchangeRecord>, requestId: string): RequestsAnswer {
  for (const record of records) if (record.id === requestId) return { kind: 'one', request: detailOf(record) }
  return { kind: 'refused', code: 'NOT_FOUND', why: 'this request is not kept, or not any more' }
}

/** By name, so that nothing is shown by accident, such as the names that the gateway itself has for where it went. */
function lineOf({ summary }: ExchangeRecord): SeenRequest {
  return {
    id: summary.id,
    kind: summary.kind,
    at: summary.at,
    durationMs: summary.durationMs,
    isOver: summary.isOver,
    scheme: summary.scheme,
    method: summary.method,
    host: summary.host,
    path: summary.path,
    status: summary.status,
    error: summary.error,
    visitor: summary.visitor,
    client: summary.client,
    requestBytes: summary.requestBytes,
    responseBytes: summary.responseBytes,
    type: summary.type,
    messages: summary.messages,
  }
}

function detailOf(record: ExchangeRecord): SeenRequestDetail {
  const { version, requestId, phases, request, response, close, redacted } = record.detail
  return {
    ...lineOf(record),
    version,
    requestId,
    phases,
    request: halfOf(request, record.requestBody),
    response: response && { ...halfOf(response, record.responseBody), status: response.status, reason: response.reason },
    close: close && { code: close.code, reason: close.reason, by: close.by, explanation: close.explanation },
    messageList: (record.messages?.from(0, MAX_MESSAGES) ?? []).map(({ number, at, from, type, bytes, text }) => ({
      number,
      at,
      from,
      type,
      bytes,
      text,
    })),
    redacted,
  }
}

const halfOf = ({ fields, trailers, body }: MessageHalf, kept: BodyRecord | undefined): SeenHalf => ({
  fields,
  trailers,
  body: { ...contentOf(kept), ...infoOf(body) },
})

const infoOf = ({ bytes, isCut, isComplete, type, note, redactions }: MessageHalf['body']): Omit<SeenBody, 'text' | 'base64'> => ({
  bytes,
  isCut,
  isComplete,
  type,
  note,
  redactions,
})

function contentOf(kept: BodyRecord | undefined): Pick<SeenBody, 'text' | 'base64'> {
  const bytes = kept?.held.bytes
  if (bytes === undefined || bytes.length === 0) return { text: null, base64: null }
  // A body that was cut may end in the middle of a character.
  const isText = isUtf8(bytes) || (kept!.held.isCut && [1, 2, 3].some(less => isUtf8(bytes.subarray(0, bytes.length - less))))
  return isText && !bytes.includes(0) ? { text: bytes.toString('utf8'), base64: null } : { text: null, base64: bytes.toString('base64') }
}
