import { GatewayError } from '../../errors.ts'
import type { BodyRecord } from '../body-record.ts'
import type { ExchangeRecord } from '../exchange-record.ts'
import { fieldIn, namedValues } from '../kept/fields-text.ts'

/** HAR 1.2: http://www.softwareishard.com/blog/har-12-spec/. Members that begin with `_` are ours, or Chrome's for messages of WebSockets. */

const NAMES = { name: 'socket-gateway', version: '1.0' }

/** Writes records as a HAR file, the oldest first. */
export function harOf(records: readonly ExchangeRecord[]): object {
  return { log: { version: '1.2', creator: NAMES, pages: [], entries: records.map(record => harEntryOf(record)) } }
}

/** One exchange. @param options.hidesGateway  without the names that only whoever runs the gateway has */
export function harEntryOf(record: ExchangeRecord, { hidesGateway = false }: { readonly hidesGateway?: boolean } = {}): object {
  const { start, answer, requestBody, responseBody, phases, ended, messages, detail } = record
  const wait = phases.firstByte ?? 0
  const receive = phases.body ?? 0
  const blocked = phases.edge ?? -1
  const connect = phases.connect ?? -1
  return {
    startedDateTime: new Date(start.at).toISOString(),
    time: [blocked, connect, wait, receive].reduce((sum, ms) => sum + Math.max(0, ms), 0),
    request: {
      method: start.method,
      url: `${start.scheme}://${start.authority}${start.path}`,
      httpVersion: `HTTP/${start.version}`,
      cookies: [],
      headers: headersOf(start.fields),
      queryString: queryOf(start.path),
      ...(requestBody !== undefined && requestBody.held.length > 0 && { postData: postDataOf(requestBody) }),
      headersSize: -1,
      bodySize: requestBody?.bytes ?? 0,
    },
    response: {
      status: answer?.status ?? 0,
      statusText: answer?.reason ?? '',
      httpVersion: `HTTP/${start.version}`,
      cookies: [],
      headers: headersOf(answer?.fields ?? ''),
      content: contentOf(responseBody, answer?.fields),
      redirectURL: fieldIn(answer?.fields ?? '', 'location') ?? '',
      headersSize: -1,
      bodySize: responseBody?.bytes ?? 0,
    },
    cache: {},
    timings: { blocked, dns: -1, connect, ssl: -1, send: 0, wait, receive },
    ...(ended?.error !== undefined && { comment: hidesGateway ? ended.error : `${ended.error}: ${ended.reason ?? ''}` }),
    _resourceType: record.kind === 'websocket' ? 'websocket' : record.kind === 'events' ? 'eventsource' : 'fetch',
    ...(messages !== undefined && {
      _webSocketMessages: messages.all.map(({ from, at, type, body }) => ({
        type: from === 'client' ? 'send' : 'receive',
        time: at / 1000,
        opcode: type === 'binary' || type === 'grpc' ? 2 : 1,
        data: type === 'binary' || type === 'grpc' ? body.bytes.toString('base64') : body.bytes.toString('utf8'),
      })),
    }),
    _socketGateway: {
      id: record.id,
      kind: record.kind,
      redacted: detail.redacted,
      phases,
      close: detail.close,
      innerLayer: hidesGateway ? null : (ended?.innerLayer ?? null),
    },
  }
}

const headersOf = (fields: string): object[] => namedValues(fields).map(([name, value]) => ({ name, value }))

function queryOf(path: string): object[] {
  const mark = path.indexOf('?')
  if (mark < 0) return []
  return [...new URLSearchParams(path.slice(mark + 1))].map(([name, value]) => ({ name, value }))
}

const isText = (bytes: Buffer): boolean => !bytes.includes(0) && bytes.equals(Buffer.from(bytes.toString('utf8')))

function postDataOf({ held, type }: BodyRecord): object {
  const { bytes } = held
  return isText(bytes)
    ? { mimeType: type ?? '', text: bytes.toString('utf8') }
    : { mimeType: type ?? '', text: bytes.toString('base64'), encoding: 'base64', comment: 'the text is base64' }
}

function contentOf(body: BodyRecord | undefined, fields = ''): object {
  const mimeType = fieldIn(fields, 'content-type') ?? 'x-unknown'
  if (body === undefined) return { size: 0, mimeType }
  const { bytes } = body.held
  return {
    size: bytes.length,
    mimeType,
    ...(isText(bytes) ? { text: bytes.toString('utf8') } : { text: bytes.toString('base64'), encoding: 'base64' }),
    ...(body.held.isCut && { comment: 'the body is cut' }),
  }
}

/** An exchange of a HAR file. */
export interface HarEntry {
  readonly at: number
  readonly durationMs: number
  readonly method: string
  readonly scheme: 'http' | 'https'
  readonly authority: string
  readonly path: string
  readonly version: string
  /** Names and values in turn. */
  readonly fields: readonly string[]
  readonly body: Buffer | undefined
  readonly status: number
  readonly reason: string
  readonly answerFields: readonly string[]
  readonly answerBody: Buffer | undefined
}

const MAX_ENTRIES = 10_000

/** Reads a HAR file, whoever has written it. @throws GatewayError INVALID with the place of the fault */
export function readHar(file: unknown): HarEntry[] {
  const entries = member(member(file, 'log'), 'entries')
  if (!Array.isArray(entries)) throw new GatewayError('INVALID', 'log.entries: expected a list; is this a HAR file?')
  if (entries.length > MAX_ENTRIES) throw new GatewayError('INVALID', `log.entries: at most ${MAX_ENTRIES}`)
  return entries.map((entry: unknown, index) => {
    try {
      return readEntry(entry)
    } catch (cause) {
      if (cause instanceof GatewayError) throw new GatewayError('INVALID', `log.entries[${index}].${cause.message}`, { cause })
      throw cause
    }
  })
}

function readEntry(entry: unknown): HarEntry {
  const request = member(entry, 'request')
  const response = member(entry, 'response')
  const url = urlOf(textOf(member(request, 'url')))
  if (url === undefined) throw new GatewayError('INVALID', 'request.url: expected an URL')
  const at = Date.parse(textOf(member(entry, 'startedDateTime')))
  const status = Number(member(response, 'status'))
  return {
    at: Number.isFinite(at) ? at : 0,
    durationMs: Math.max(0, Number(member(entry, 'time')) || 0),
    method: token(textOf(member(request, 'method'))),
    scheme: url.protocol === 'https:' || url.protocol === 'wss:' ? 'https' : 'http',
    authority: url.host,
    path: url.pathname + url.search,
    version: textOf(member(request, 'httpVersion'))
      .replace(/^HTTP\//i, '')
      .slice(0, 8),
    fields: fieldsIn(member(request, 'headers')),
    body: bodyOf(member(request, 'postData')),
    status: Number.isInteger(status) && status >= 0 && status <= 999 ? status : 0,
    reason: line(textOf(member(response, 'statusText'))),
    answerFields: fieldsIn(member(response, 'headers')),
    answerBody: bodyOf(member(response, 'content')),
  }
}

function urlOf(text: string): URL | undefined {
  try {
    return new URL(text)
  } catch {
    return undefined
  }
}

const member = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null && Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')
const line = (text: string): string => text.replace(/[\0\r\n]/g, ' ').slice(0, 1_000)
const token = (text: string): string => (/^[!#$%&'*+.^\w`|~-]{1,40}$/.test(text) ? text : 'GET')

function fieldsIn(headers: unknown): string[] {
  if (!Array.isArray(headers)) return []
  return headers.slice(0, 500).flatMap((header: unknown) => [line(textOf(member(header, 'name'))), line(textOf(member(header, 'value')))])
}

function bodyOf(content: unknown): Buffer | undefined {
  const text = textOf(member(content, 'text'))
  if (text === '') return undefined
  return Buffer.from(text, member(content, 'encoding') === 'base64' ? 'base64' : 'utf8')
}
