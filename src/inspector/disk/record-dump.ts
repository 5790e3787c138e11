import { BodyRecord } from '../body-record.ts'
import type { ExchangeRecord, RecordedAnswer, RecordStart, RecordTimes } from '../exchange-record.ts'
import type { Inspector } from '../inspector.ts'
import type { HeldMessage } from '../kept/message-log.ts'
import { MessageLog } from '../kept/message-log.ts'
import type { BodyInfo, CloseInfo, ExchangeKind, InterimAnswer } from '../kept/record.ts'

/** A record as it is written down: what was redacted in memory never was in it. */
interface Dump {
  readonly start: Omit<RecordStart, 'way'>
  /** The way to send it again, where nothing but its place is needed. */
  readonly way?: unknown
  readonly kind: ExchangeKind
  readonly times: RecordTimes
  readonly answer?: RecordedAnswer | undefined
  readonly trailers: readonly [string, string]
  readonly interim: readonly InterimAnswer[]
  readonly close?: CloseInfo | undefined
  readonly ended: NonNullable<ExchangeRecord['ended']>
  readonly redacted: readonly string[]
  readonly replayOf?: string | undefined
  readonly sentBytes: number
  readonly receivedBytes: number
  readonly requestBody?: DumpedBody | undefined
  readonly responseBody?: DumpedBody | undefined
  readonly messages?: { readonly dropped: number; readonly items: readonly DumpedMessage[] } | undefined
}

interface DumpedBody {
  readonly info: BodyInfo
  readonly bytes: string
}

type DumpedMessage = Omit<HeldMessage, 'body' | 'number'> & { readonly body: string }

const VERSION = 1

/** Writes a settled record as text. */
export function dumpRecord(record: ExchangeRecord): string {
  const { way, ...start } = record.start
  const { messages } = record
  const dump: Dump = {
    start,
    way: placeOf(way),
    kind: record.kind,
    times: record.times,
    answer: record.answer,
    trailers: [record.requestTrailers, record.responseTrailers],
    interim: record.interim,
    close: record.close,
    ended: record.ended ?? {},
    redacted: [...record.redacted],
    replayOf: record.replayOf,
    sentBytes: record.sentBytes,
    receivedBytes: record.receivedBytes,
    requestBody: dumpBody(record.requestBody),
    responseBody: dumpBody(record.responseBody),
    messages: messages && {
      dropped: messages.dropped,
      items: messages.all.map(({ body, number: _number, ...rest }) => ({ ...rest, body: body.bytes.toString('base64') })),
    },
  }
  return JSON.stringify([VERSION, dump])
}

/** A profile may have keys of TLS in it, and those are not written down. */
function placeOf(way: unknown): unknown {
  return typeof way === 'object' && way !== null && (way as { profile?: unknown }).profile !== undefined ? undefined : way
}

const dumpBody = (body: BodyRecord | undefined): DumpedBody | undefined =>
  body && { info: body.info, bytes: body.held.bytes.toString('base64') }

/** Reads what `dumpRecord` has written. @returns its id; undefined when there is no room for it, or it is of another release */
export function restoreRecord(inspector: Inspector, text: string): string | undefined {
  const [version, dump] = JSON.parse(text) as [number, Dump]
  if (version !== VERSION) return undefined
  const record = inspector.restore({ ...dump.start, way: dump.way })
  if (record === undefined) return undefined
  record.kind = dump.kind
  Object.assign(record.times, dump.times)
  record.answer = dump.answer
  ;[record.requestTrailers, record.responseTrailers] = dump.trailers
  for (const answer of dump.interim) record.addInterim(answer)
  record.close = dump.close
  for (const what of dump.redacted) record.addRedacted(what)
  record.replayOf = dump.replayOf
  record.sentBytes = dump.sentBytes
  record.receivedBytes = dump.receivedBytes
  const body = (dumped: DumpedBody | undefined): BodyRecord | undefined =>
    dumped && BodyRecord.restored(record, inspector.bodies, dumped.info, Buffer.from(dumped.bytes, 'base64'))
  record.requestBody = body(dump.requestBody)
  record.responseBody = body(dump.responseBody)
  if (dump.messages !== undefined) {
    const log = new MessageLog(record, inspector.options.budgetBytes, dump.messages.dropped)
    for (const { body: bytes, ...rest } of dump.messages.items) {
      const held = log.body(inspector.options.bodyLimitBytes)
      held.append(Buffer.from(bytes, 'base64'))
      log.add({ ...rest, body: held })
    }
    record.messages = log
  }
  record.ended = dump.ended
  inspector.restored(record)
  return record.id
}
