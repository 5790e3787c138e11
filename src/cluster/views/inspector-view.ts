import type { IncomingMessage, ServerResponse } from 'node:http'
import { GatewayError } from '../../errors.ts'
import { refuseForeignPages } from '../../inspector/api/read-body.ts'
import { Readers } from '../../inspector/api/readers.ts'
import { replyDone, replyError, replyHead, replyJson, type Call } from '../../inspector/api/reply.ts'
import type { RequestPage } from '../../inspector/api/requests.ts'
import type { InspectorState, RequestSummary } from '../../inspector/record.ts'
import { guarded } from '../../net/guard.ts'
import { SELF, type CallAnswerer, type MissingPeer, type PeerCalls } from '../../peers/peer-calls.ts'
import type { Peer } from '../../peers/peers.ts'
import { InspectorStream, mergeStates, nodesOf } from './inspector-stream.ts'

const PREFIX = '/inspector/'
const MAX_LIMIT = 1_000

/** The inspector of one node. */
export interface OwnInspector {
  readonly handle: CallAnswerer
  /** Is a record with this id kept here? */
  readonly has: (id: string) => boolean
  /** The name of this node. */
  readonly name: string
}

/** A record with the name of its node. */
export type NodeSummary = RequestSummary & { readonly node: string }

interface Har {
  readonly log: { readonly entries: readonly { readonly startedDateTime?: string }[]; readonly [more: string]: unknown }
}

/** The inspectors of all nodes as one: lists are put together, and what is about one request goes to the node that has it. */
export class InspectorView {
  readonly #self: Peer
  readonly #readers: Readers

  constructor(
    private readonly calls: PeerCalls,
    private readonly own: OwnInspector,
    private readonly onFault: (thrown: unknown) => void,
  ) {
    this.#self = { id: SELF, name: own.name }
    this.#readers = new Readers(onFault)
    calls.serve(own.handle)
  }

  /** Answers a request below the paths of an inspector. @returns false for any other, which is untouched */
  readonly handle: CallAnswerer = (request, response) => {
    const url = request.url ?? ''
    if (!url.startsWith(PREFIX)) return false
    const [path = '', query = ''] = url.slice(PREFIX.length).split('?', 2)
    const call: Call = { request, response, query: new URLSearchParams(query) }
    const answer = this.#answerOf(request.method === 'HEAD' ? 'GET' : request.method, path)
    if (this.calls.others.length === 0 || answer === undefined) return this.own.handle(request, response)
    const refuse = (thrown: unknown): void => {
      if (!(thrown instanceof GatewayError)) this.onFault(thrown)
      replyError(call, thrown)
    }
    const begin = (): void => {
      if (request.method !== 'GET' && request.method !== 'HEAD') refuseForeignPages(request)
      answer(call).catch(refuse)
    }
    guarded(refuse, begin)()
    return true
  }

  /** The answerer of such a call for all nodes; undefined: this node does, for itself. */
  #answerOf(method: string | undefined, path: string): ((call: Call) => Promise<void>) | undefined {
    const [first, id, ...rest] = path.split('/')
    if (first === 'requests' && id === 'stream' && rest.length === 0) return call => this.#stream(call)
    if (first === 'requests' && id !== undefined && !this.own.has(id)) return call => this.#pass(call, id)
    if (method === 'GET' && path === 'requests') return call => this.#list(call)
    if (method === 'GET' && path === 'state') return call => this.#state(call)
    if (method === 'GET' && path === 'har') return call => this.#har(call)
    return method === 'DELETE' && path === 'requests' ? call => this.#clear(call) : undefined
  }

  /** Asks this node, whose refusal is that of all, and the others. */
  async #askAll<Answer>(
    method: 'DELETE' | 'GET',
    path: string,
  ): Promise<{
    readonly answers: readonly { readonly peer: Peer; readonly value: Answer }[]
    readonly missing: readonly MissingPeer[]
  }> {
    const [value, { answers, missing }] = await Promise.all([
      this.calls.ask<Answer>(SELF, { method, path }),
      this.calls.askAll<Answer>({ method, path }),
    ])
    return { answers: [{ peer: this.#self, value }, ...answers], missing }
  }

  async #list(call: Call): Promise<void> {
    const { answers, missing } = await this.#askAll<RequestPage>('GET', call.request.url!)
    const all = answers.flatMap(({ peer, value }) => value.items.map((item): NodeSummary => ({ ...item, node: peer.name })))
    all.sort((a, b) => (a.id < b.id ? 1 : -1))
    const items = all.slice(0, Number(call.query.get('limit') ?? 100))
    const isCut = all.length > items.length || answers.some(({ value }) => value.next !== null)
    replyJson(call, { items, next: isCut ? (items.at(-1)?.id ?? null) : null, missing: nodesOf(missing) })
  }

  async #state(call: Call): Promise<void> {
    const { answers, missing } = await this.#askAll<InspectorState>('GET', call.request.url!)
    replyJson(call, { ...mergeStates(answers.map(({ value }) => value)), missing: nodesOf(missing) })
  }

  async #har(call: Call): Promise<void> {
    const { answers, missing } = await this.#askAll<Har>('GET', call.request.url!)
    const [first] = answers as readonly [(typeof answers)[number]]
    const entries = answers.flatMap(({ value }) => value.log.entries)
    entries.sort((a, b) => ((a.startedDateTime ?? '') < (b.startedDateTime ?? '') ? -1 : 1))
    const comment = missing.length > 0 ? { comment: `without what came in at ${nodesOf(missing).join(', ')}, which did not answer` } : {}
    const limit = Number(call.query.get('limit') ?? MAX_LIMIT)
    replyHead(call, 200, {
      'Content-Type': 'application/json; charset=utf-8',
      'Content-Disposition': 'attachment; filename="requests.har"',
    })
    call.response.end(JSON.stringify({ log: { ...first.value.log, entries: entries.slice(-limit), ...comment } }))
  }

  async #clear(call: Call): Promise<void> {
    const { missing } = await this.#askAll('DELETE', call.request.url!)
    const left = missing.filter(({ code }) => code !== 'NOT_FOUND')
    if (left.length > 0)
      throw new GatewayError('REFUSED_STREAM', `all is forgotten but what ${nodesOf(left).join(', ')} has, which did not answer; try again`)
    replyDone(call)
  }

  async #stream(call: Call): Promise<void> {
    const filter = new URLSearchParams({ filter: call.query.get('filter') ?? '' }).toString()
    // Says what is wrong with the filter.
    await this.calls.ask(SELF, { path: `${PREFIX}requests?limit=1&${filter}` })
    if (call.response.destroyed) return
    const followed = { calls: this.calls, call: { path: `${PREFIX}requests/stream?${filter}` }, self: this.#self }
    this.#readers.add(call, () => new InspectorStream(call, followed, this.onFault))
  }

  /** Passes a call about a record that is not kept here on to the node that has it. */
  async #pass(call: Call, id: string): Promise<void> {
    const { request, response } = call
    const { answers, missing } = await this.calls.askAll({ method: 'HEAD', path: `${PREFIX}requests/${id}` })
    const [found] = answers
    const silent = missing.filter(({ code }) => code === 'REFUSED_STREAM')
    if (found === undefined) {
      const where = silent.length === 0 ? '' : `; ${nodesOf(silent).join(', ')} did not answer, and may have it`
      throw new GatewayError('NOT_FOUND', `this request is not kept, or not any more${where}; see the list of requests`)
    }
    const asked = this.calls.begin(found.peer.id, { method: methodOf(request), path: request.url! }, fieldsOf(request))
    const fail = (): void => {
      if (response.headersSent) response.destroy()
      else replyError(call, new GatewayError('REFUSED_STREAM', `the node ${found.peer.name} has left; try again`))
    }
    asked.on('error', guarded(this.onFault, fail))
    response.once(
      'close',
      guarded(this.onFault, () => void asked.destroy()),
    )
    asked.on(
      'response',
      guarded(this.onFault, (answer: IncomingMessage) => passOn(answer, response)),
    )
    request.pipe(asked)
  }
}

function methodOf({ method }: IncomingMessage): 'DELETE' | 'GET' | 'HEAD' | 'POST' {
  if (method === 'DELETE' || method === 'GET' || method === 'HEAD' || method === 'POST') return method
  throw new GatewayError('NOT_FOUND', 'no such call; see docs/inspector.md')
}

const PASSED = ['accept', 'content-length', 'content-type', 'transfer-encoding'] as const

const fieldsOf = ({ headers }: IncomingMessage): Readonly<Record<string, string>> =>
  Object.fromEntries(PASSED.flatMap(name => (headers[name] === undefined ? [] : [[name, headers[name]]])))

function passOn(answer: IncomingMessage, response: ServerResponse): void {
  const { connection: _, 'keep-alive': __, 'transfer-encoding': ___, ...headers } = answer.headers
  response.writeHead(answer.statusCode ?? 502, headers)
  answer.on('error', () => response.destroy())
  answer.pipe(response)
}
