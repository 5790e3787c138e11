/** Records as the owner of a socket gets to see them: by name, so that nothing is shown by accident, such as the names that the gateway itself has. */
import { isUtf8 } from 'node:buffer'
import type { SeenBody, SeenHalf, SeenMessage, SeenRequest, SeenRequestDetail } from '../../directory/socket-requests.ts'
import type { BodyRecord } from '../body-record.ts'
import type { ExchangeRecord } from '../exchange-record.ts'
import type { MessageHalf } from '../kept/record.ts'

const MAX_MESSAGES = 100

/** One line of the list. */
export function lineOf({ summary }: ExchangeRecord): SeenRequest {
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
    replayOf: summary.replayOf,
  }
}

/** All that is kept of one. */
export function detailOf(record: ExchangeRecord): SeenRequestDetail {
  const { url, version, requestId, phases, request, interim, response, close, messagesDropped, redacted, canReplay } = record.detail
  return {
    ...lineOf(record),
    url,
    version,
    requestId,
    phases,
    request: halfOf(request, record.requestBody),
    interim: interim.map(({ status, reason, fields, afterMs }) => ({ status, reason, fields, afterMs })),
    response: response && { ...halfOf(response, record.responseBody), status: response.status, reason: response.reason },
    close: close && {
      code: close.code,
      reason: close.reason,
      by: close.by,
      isClean: close.isClean,
      explanation: close.explanation,
    },
    messageList: messagesOf(record, 0, MAX_MESSAGES),
    messagesDropped,
    redacted,
    canReplay,
  }
}

/** Messages from a number on. */
export const messagesOf = ({ messages }: ExchangeRecord, from: number, limit: number): SeenMessage[] =>
  (messages?.from(from, limit) ?? []).map(message => ({
    number: message.number,
    at: message.at,
    from: message.from,
    type: message.type,
    bytes: message.bytes,
    isCut: message.isCut,
    isCompressed: message.isCompressed,
    text: message.text,
    base64: message.text === null ? (messages?.get(message.number)?.body.bytes.toString('base64') ?? null) : null,
    code: message.code,
    event: message.event,
    eventId: message.eventId,
  }))

const halfOf = ({ fields, trailers, body }: MessageHalf, kept: BodyRecord | undefined): SeenHalf => ({
  fields,
  trailers,
  body: { ...contentOf(kept), ...infoOf(body) },
})

const infoOf = (body: MessageHalf['body']): Omit<SeenBody, 'text' | 'base64'> => ({
  bytes: body.bytes,
  heldBytes: body.heldBytes,
  isCut: body.isCut,
  isComplete: body.isComplete,
  type: body.type,
  coding: body.coding,
  note: body.note,
  redactions: body.redactions,
})

function contentOf(kept: BodyRecord | undefined): Pick<SeenBody, 'text' | 'base64'> {
  const bytes = kept?.held.bytes
  if (bytes === undefined || bytes.length === 0) return { text: null, base64: null }
  // A body that was cut may end in the middle of a character.
  const isText = isUtf8(bytes) || (kept!.held.isCut && [1, 2, 3].some(less => isUtf8(bytes.subarray(0, bytes.length - less))))
  return isText && !bytes.includes(0) ? { text: bytes.toString('utf8'), base64: null } : { text: null, base64: bytes.toString('base64') }
}
