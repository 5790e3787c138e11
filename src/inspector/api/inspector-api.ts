import type { IncomingMessage, ServerResponse } from 'node:http'
import { GatewayError } from '../../errors.ts'
import { guarded } from '../../net/guard.ts'
import type { ExchangeRecord } from '../exchange-record.ts'
import type { Inspector } from '../inspector.ts'
import { replyBytes } from './bytes.ts'
import { Feed } from './feed.ts'
import { replyDone, replyError, replyJson, type Call } from './reply.ts'
import { listRequests } from './requests.ts'

const PREFIX = '/inspector/'
const MAX_LIMIT = 1_000

/** The parts that calls need. */
export interface ApiContext {
  readonly inspector: Inspector
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
  readonly #feed: Feed
  readonly #routes: readonly Route[]

  constructor(private readonly context: ApiContext) {
    const { inspector } = context
    this.#feed = new Feed(inspector, context.onFault)
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
    ]
  }

  /** Answers a request below its paths. @returns false for any other, which is untouched */
  handle(request: IncomingMessage, response: ServerResponse): boolean {
    const url = request.url ?? ''
    if (!url.startsWith(PREFIX)) return false
    const mark = url.indexOf('?')
    const path = mark < 0 ? url : url.slice(0, mark)
    const call: Call = { request, response, query: new URLSearchParams(mark < 0 ? '' : url.slice(mark + 1)) }
    const answer = guarded(
      thrown => this.#refuse(call, thrown),
      () => {
        const { route, names } = this.#find(request.method ?? '', path.slice(PREFIX.length))
        const done = route.handle(call, names)
        if (done instanceof Promise) done.catch((thrown: unknown) => this.#refuse(call, thrown))
      },
    )
    answer()
    return true
  }

  /** Ends what does not end by itself. */
  close(): void {
    this.#feed.close()
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
    replyError(call, thrown)
  }

  #record(id = ''): ExchangeRecord {
    const record = this.context.inspector.get(id)
    if (record === undefined) throw new GatewayError('NOT_FOUND', 'this request is not kept, or not any more')
    return record
  }

  #matches({ query }: Call): (record: ExchangeRecord) => boolean {
    const filter = query.get('filter') ?? ''
    return filter === '' ? () => true : record => record.start.path.includes(filter)
  }

  #list(call: Call): void {
    const before = call.query.get('cursor') ?? undefined
    replyJson(call, listRequests(this.context.inspector, { matches: this.#matches(call), limit: limitOf(call, 100), before }))
  }

  #stream(call: Call): void {
    if (!this.#feed.add(call, this.#matches(call))) throw new GatewayError('OVERLOADED', 'too many read the list as it changes')
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
