import type { IncomingMessage, ServerResponse } from 'node:http'
import { GatewayError } from '../../errors.ts'
import { guarded } from '../../net/guard.ts'
import type { ExchangeRecord } from '../exchange-record.ts'
import { importHar } from '../view/import-har.ts'
import type { Inspector } from '../inspector.ts'
import { RedactedError, replayRequest, replayTimes, type Replayer } from '../replay/replay.ts'
import { readEdits } from '../replay/read-edits.ts'
import { comparedTexts, compareRecords } from '../view/compare.ts'
import { copyAs } from '../view/copy-as.ts'
import { compileFilter } from '../view/filter.ts'
import { harOf, readHar } from '../view/har.ts'
import { replyBytes } from './bytes.ts'
import { Feed } from './feed.ts'
import { readJson, refuseForeignPages } from './read-body.ts'
import { Readers } from './readers.ts'
import { replyDone, replyError, replyHead, replyJson, type Call } from './reply.ts'
import { listRequests } from './requests.ts'

const PREFIX = '/inspector/'
const MAX_LIMIT = 1_000
const MAX_EDITS_BYTES = 16_777_216
const MAX_HAR_BYTES = 67_108_864
/** Replays that are under way at a time. */
const MAX_REPLAYS = 4

/** The parts that calls need. */
export interface ApiContext {
  readonly inspector: Inspector
  /** Undefined: nothing can be sent again from here. */
  readonly replayer?: Replayer | undefined
  /** A fault of ours in a call. */
  readonly onFault: (thrown: unknown) => void
}

/** A call once its path is taken apart. */
type Handler = (call: Call, names: readonly string[]) => void | Promise<void>

interface Route {
  readonly method: string
  /** Parts of the path behind the prefix; `*` takes any. */
  readonly parts: readonly string[]
  readonly handle: Handler
}

/** The HTTP API of an inspector: docs/inspector.md. Who may call is asked before. */
export class InspectorApi {
  readonly #readers: Readers
  readonly #routes: readonly Route[]
  #replays = 0

  constructor(private readonly context: ApiContext) {
    const { inspector } = context
    this.#readers = new Readers(context.onFault)
    const route = (method: string, path: string, handle: Handler): Route => ({ method, parts: path.split('/'), handle })
    this.#routes = [
      route('GET', 'state', call => replyJson(call, inspector.state)),
      route('GET', 'requests', call => this.#list(call)),
      route('DELETE', 'requests', call => {
        inspector.clear()
        replyDone(call)
      }),
      route('GET', 'requests/stream', call => this.#stream(call)),
      route('GET', 'requests/*', (call, [id]) => replyJson(call, this.#record(id).detail)),
      route('DELETE', 'requests/*', (call, [id]) => {
        inspector.delete(this.#record(id))
        replyDone(call)
      }),
      route('GET', 'requests/*/request-body', (call, [id]) => this.#body(call, this.#record(id), 'request')),
      route('GET', 'requests/*/response-body', (call, [id]) => this.#body(call, this.#record(id), 'response')),
      route('GET', 'requests/*/messages', (call, [id]) => this.#messages(call, this.#record(id))),
      route('GET', 'requests/*/messages/*', (call, [id, number]) => this.#message(call, this.#record(id), number)),
      route('GET', 'requests/*/copy', (call, [id]) => replyText(call, copyAs(this.#record(id), call.query.get('as') ?? 'curl'))),
      route('GET', 'requests/*/compare/*', (call, [one, other]) => replyJson(call, compareRecords(this.#record(one), this.#record(other)))),
      route('GET', 'requests/*/texts', (call, [id]) => replyJson(call, comparedTexts(this.#record(id)))),
      route('POST', 'requests/*/replay', (call, [id]) => this.#replay(call, this.#record(id))),
      route('GET', 'har', call => this.#har(call)),
      route('POST', 'har', call => this.#importHar(call)),
    ]
  }

  /** Answers a request below its paths. @returns false for any other, which is untouched */
  readonly handle = (request: IncomingMessage, response: ServerResponse): boolean => {
    const url = request.url ?? ''
    if (!url.startsWith(PREFIX)) return false
    const mark = url.indexOf('?')
    const path = mark < 0 ? url : url.slice(0, mark)
    const call: Call = { request, response, query: new URLSearchParams(mark < 0 ? '' : url.slice(mark + 1)) }
    const answer = guarded(
      thrown => this.#refuse(call, thrown),
      () => {
        const { route, names } = this.#find(request.method ?? '', path.slice(PREFIX.length))
        if (route.method !== 'GET') refuseForeignPages(request)
        const done = route.handle(call, names)
        if (done instanceof Promise) done.catch((thrown: unknown) => this.#refuse(call, thrown))
      },
    )
    answer()
    return true
  }

  /** Ends what does not end by itself. */
  close(): void {
    this.#readers.close()
  }

  #find(method: string, path: string): { readonly route: Route; readonly names: readonly string[] } {
    const parts = path.split('/')
    const wanted = method === 'HEAD' ? 'GET' : method
    for (const route of this.#routes) {
      if (route.method !== wanted || route.parts.length !== parts.length) continue
      if (!route.parts.every((part, i) => part === '*' || part === parts[i])) continue
      return { route, names: parts.filter((_part, i) => route.parts[i] === '*') }
    }
    throw new GatewayError('NOT_FOUND', 'no such call; see docs/inspector.md')
  }

  #refuse(call: Call, thrown: unknown): void {
    if (!(thrown instanceof GatewayError)) this.context.onFault(thrown)
    replyError(call, thrown, thrown instanceof RedactedError ? { missing: thrown.missing } : {})
  }

  #record(id = ''): ExchangeRecord {
    const record = this.context.inspector.get(id)
    if (record === undefined) throw new GatewayError('NOT_FOUND', 'this request is not kept, or not any more; see the list of requests')
    return record
  }

  #matches({ query }: Call): (record: ExchangeRecord) => boolean {
    return compileFilter(query.get('filter') ?? '')
  }

  #list(call: Call): void {
    const before = call.query.get('cursor') ?? undefined
    replyJson(call, listRequests(this.context.inspector, { matches: this.#matches(call), limit: limitOf(call, 100), before }))
  }

  #stream(call: Call): void {
    const { inspector, onFault } = this.context
    const matches = this.#matches(call)
    this.#readers.add(call, () => new Feed(call, inspector, matches, onFault))
  }

  #body(call: Call, record: ExchangeRecord, side: 'request' | 'response'): void {
    const body = side === 'request' ? record.requestBody : record.responseBody
    const recorded = body && { bytes: body.held.bytes, type: body.type, isCut: body.held.isCut, name: `${record.id}-${side}` }
    replyBytes(call, recorded)
  }

  #messages(call: Call, { messages }: ExchangeRecord): void {
    const from = numberOf(call, 'from', 0)
    const items = messages?.from(from, limitOf(call, 200)) ?? []
    const last = items.at(-1)
    const next = last !== undefined && last.number + 1 < (messages?.count ?? 0) ? last.number + 1 : null
    replyJson(call, { items, next, dropped: messages?.dropped ?? 0 })
  }

  #message(call: Call, record: ExchangeRecord, number = ''): void {
    const message = /^\d{1,10}$/.test(number) ? record.messages?.get(Number(number)) : undefined
    const type = message?.type === 'binary' || message?.type === 'grpc' ? 'application/octet-stream' : 'text/plain'
    replyBytes(call, message && { bytes: message.body.bytes, type, isCut: message.isCut, name: `${record.id}-${number}` })
  }

  async #replay(call: Call, record: ExchangeRecord): Promise<void> {
    const { replayer } = this.context
    if (replayer === undefined) throw new GatewayError('CONFLICT', 'nothing can be sent again from here')
    const edits = readEdits(await readJson(call.request, MAX_EDITS_BYTES))
    const request = replayRequest(record, edits)
    if (this.#replays >= MAX_REPLAYS) throw new GatewayError('OVERLOADED', `${MAX_REPLAYS} replays are under way already`)
    this.#replays++
    // Nobody is there any more for what is under way, and what is not begun.
    const gone = new AbortController()
    const leave = guarded(this.context.onFault, () => gone.abort())
    call.response.once('close', leave)
    try {
      const results = await replayTimes(replayer, record, { ...request, signal: gone.signal }, edits)
      if (!gone.signal.aborted) replyJson(call, { results })
    } finally {
      call.response.off('close', leave)
      this.#replays--
    }
  }

  #har(call: Call): void {
    const { query } = call
    const matches = this.#matches(call)
    const ids = query.has('id') ? new Set(query.getAll('id')) : undefined
    const wanted = [...this.context.inspector.newestFirst()].filter(record => ids?.has(record.id) !== false && matches(record))
    const records = wanted.slice(0, limitOf(call, MAX_LIMIT)).reverse()
    const body = JSON.stringify(harOf(records))
    replyHead(call, 200, {
      'Content-Type': 'application/json; charset=utf-8',
      'Content-Disposition': 'attachment; filename="requests.har"',
    })
    call.response.end(call.request.method === 'HEAD' ? undefined : body)
  }

  async #importHar(call: Call): Promise<void> {
    const file = await readJson(call.request, MAX_HAR_BYTES)
    replyJson(call, { ids: importHar(this.context.inspector, readHar(file)) })
  }
}

function replyText(call: Call, text: string): void {
  replyHead(call, 200, { 'Content-Type': 'text/plain; charset=utf-8' })
  call.response.end(call.request.method === 'HEAD' ? undefined : text)
}

function numberOf({ query }: Call, name: string, otherwise: number): number {
  const text = query.get(name)
  if (text === null) return otherwise
  if (!/^\d{1,10}$/.test(text)) throw new GatewayError('INVALID', `${name}: expected a number`)
  return Number(text)
}

function limitOf(call: Call, otherwise: number): number {
  const limit = numberOf(call, 'limit', otherwise)
  if (limit < 1 || limit > MAX_LIMIT) throw new GatewayError('INVALID', `limit: expected 1 to ${MAX_LIMIT}`)
  return limit
}
