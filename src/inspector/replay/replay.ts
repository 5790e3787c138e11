import { GatewayError } from '../../errors.ts'
import type { ExchangeRecord } from '../exchange-record.ts'
import { namedValues } from '../kept/fields-text.ts'
import type { ExchangeKind, ReplayOutcome } from '../kept/record.ts'
import { CENSOR } from '../redact/secret-names.ts'

/** A request that is to be sent again. */
export interface ReplayRequest {
  readonly method: string
  /** Path and query. */
  readonly path: string
  /** Names and values in turn; Host among them, framing not. */
  readonly fields: readonly string[]
  /** Undefined for none. */
  readonly body: Buffer | undefined
  /** The record that it repeats. */
  readonly replayOf: string
  /** Gives up what is under way. */
  readonly signal?: AbortSignal
}

/** The outcome. */
export type ReplayResult = ReplayOutcome

/** Sends requests again, as the layer does that has recorded them. */
export interface Replayer {
  /** @param record  the one that is repeated, which knows the way */
  send(request: ReplayRequest, record: ExchangeRecord): Promise<ReplayResult>
}

/** Changes to what was recorded. */
export interface ReplayEdits {
  readonly method?: string | undefined
  readonly path?: string | undefined
  /** Instead of the recorded ones. */
  readonly fields?: readonly (readonly [string, string])[] | undefined
  /** On top of the recorded ones; null removes one. */
  readonly setFields?: Readonly<Record<string, string | null>> | undefined
  readonly body?: Buffer | undefined
  readonly times?: number | undefined
  readonly concurrency?: number | undefined
  /** Sends `***` where something was taken out. */
  readonly allowRedacted?: boolean | undefined
}

/** The parts that a recorded request lacks, so that it cannot be sent as it was. */
export class RedactedError extends GatewayError {
  constructor(readonly missing: readonly string[]) {
    super('CONFLICT', `these were redacted: ${missing.join(', ')}; give them, or let *** be sent (allowRedacted, --allow-redacted)`)
  }
}

/** A record that is no single request: its messages depend on what the other side has said meanwhile. */
const CONVERSATIONS: ReadonlyMap<ExchangeKind, string> = new Map<ExchangeKind, string>([
  ['websocket', 'a WebSocket cannot be sent again: its messages depend on the answers to them; requests show lists each of them'],
  ['grpc', 'a gRPC call cannot be sent again: its messages depend on the answers to them; requests show lists each of them'],
  ['tcp', 'a TCP connection cannot be sent again: its bytes depend on the answers to them'],
])

/** Fields that the sender makes anew. */
const FRAMING: ReadonlySet<string> = new Set([
  'content-length',
  'transfer-encoding',
  'connection',
  'keep-alive',
  'proxy-connection',
  'upgrade',
  'te',
  'trailer',
  'expect',
])
const NAME = /^[!#$%&'*+.^\w`|~-]+$/
const PATH = /^\/[\x21-\x7e]*$/

/**
 * The request that a record and edits make. Nothing that was redacted is known any more, anywhere: whoever wants it sent has to give it.
 * @throws RedactedError, GatewayError INVALID, CONFLICT
 */
export function replayRequest(record: ExchangeRecord, edits: ReplayEdits): ReplayRequest {
  const { start, requestBody } = record
  if (!record.detail.canReplay) throw new GatewayError('CONFLICT', CONVERSATIONS.get(record.kind) ?? 'this cannot be sent again from here')
  const method = edits.method ?? start.method
  const path = edits.path ?? start.path
  if (!NAME.test(method)) throw new GatewayError('INVALID', 'method: not a method')
  if (!PATH.test(path))
    throw new GatewayError('INVALID', 'path: expected a path that begins with / and has no spaces or control characters')
  const fields = fieldsFor(record, edits)
  const missing: string[] = []
  if (edits.path === undefined && record.redacted.has('request query')) missing.push('request query')
  for (let i = 0; i < fields.length; i += 2) if (fields[i + 1]!.includes(CENSOR)) missing.push(`request field ${fields[i]!.toLowerCase()}`)
  if (edits.body === undefined && requestBody !== undefined && requestBody.bytes > 0) {
    if (requestBody.held.isCut || !requestBody.isComplete || requestBody.info.note !== null)
      throw new GatewayError('CONFLICT', 'not all of the body was kept; give one, or inspect with a larger limit')
    if (requestBody.redactions > 0) missing.push('request body')
  }
  if (missing.length > 0 && edits.allowRedacted !== true) throw new RedactedError(missing)
  const recorded = requestBody === undefined || requestBody.bytes === 0 ? undefined : requestBody.held.bytes
  return { method, path, fields, body: edits.body ?? recorded, replayOf: record.id }
}

function fieldsFor({ start, requestBody }: ExchangeRecord, { fields, setFields = {}, body }: ReplayEdits): string[] {
  const set = new Map(Object.entries(setFields).map(([name, value]) => [name.toLowerCase(), { name, value }]))
  const result: string[] = []
  for (const [name, value] of fields ?? namedValues(start.fields)) {
    const lower = name.toLowerCase()
    if (FRAMING.has(lower) || set.has(lower)) continue
    // The body that is kept is without its coding.
    if (lower === 'content-encoding' && (body !== undefined ? fields === undefined : (requestBody?.coding ?? null) !== null)) continue
    result.push(lower === ':authority' ? 'Host' : name, value)
  }
  for (const { name, value } of set.values()) if (value !== null) result.push(name, value)
  for (let i = 0; i < result.length; i += 2) {
    if (!NAME.test(result[i]!))
      throw new GatewayError('INVALID', `fields: ${JSON.stringify(result[i]!.slice(0, 50))} is no name of a field`)
    if (/[\0\r\n]|[^\0-\xff]/.test(result[i + 1]!))
      throw new GatewayError('INVALID', `fields: the value of ${result[i]!} has characters that cannot be sent`)
  }
  return result
}

/** Sends it as often as is wanted, so many at a time; once its signal says so, no more. */
export async function replayTimes(
  replayer: Replayer,
  record: ExchangeRecord,
  request: ReplayRequest,
  { times = 1, concurrency = 1 }: ReplayEdits,
): Promise<ReplayResult[]> {
  const results: ReplayResult[] = []
  let left = times
  const worker = async (): Promise<void> => {
    while (left > 0 && request.signal?.aborted !== true) {
      left--
      results.push(await replayer.send(request, record))
    }
  }
  await Promise.all(Array.from({ length: Math.min(concurrency, times) }, worker))
  return results
}
