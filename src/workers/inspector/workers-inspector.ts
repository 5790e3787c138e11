import type { IncomingMessage, ServerResponse } from 'node:http'
import { GatewayError } from '../../errors.ts'
import { refuseForeignPages } from '../../inspector/api/read-body.ts'
import { Readers } from '../../inspector/api/readers.ts'
import { replyDone, replyError, replyHead, replyJson, type Call } from '../../inspector/api/reply.ts'
import type { InspectorState, RequestSummary } from '../../inspector/kept/record.ts'
import { compareTexts, type ComparedTexts } from '../../inspector/view/compare.ts'
import { compileFilter } from '../../inspector/view/filter.ts'
import { guarded } from '../../net/guard.ts'
import { askWorker } from '../view/ask-worker.ts'
import { mergeHar, mergePages, mergeStates, type HarFile, type Page } from '../records/merge-records.ts'
import { MergedFeed } from './merged-feed.ts'
import { has, passOn, type InspectedWorker } from './worker-request.ts'

const PREFIX = '/inspector/'
/** As the inspector of one process has them. */
const PAGE = 100
const MAX_LIMIT = 1_000

/** Options of the view of all inspectors. */
export interface WorkersInspectorOptions {
  /** Workers that can be asked at the moment. */
  readonly workers: () => readonly InspectedWorker[]
  /** A fault of ours in a call. */
  readonly onFault: (thrown: unknown) => void
}

/** The HTTP API of an inspector, docs/inspector.md, over those of all workers: lists are put together, and what one record is asked for is passed on to whoever has it. */
export class WorkersInspector {
  readonly #readers: Readers

  constructor(private readonly options: WorkersInspectorOptions) {
    this.#readers = new Readers(options.onFault)
  }

  /** Answers a request below its paths. @returns false for any other, which is untouched */
  readonly handle = (request: IncomingMessage, response: ServerResponse): boolean => {
    const url = request.url ?? ''
    if (!url.startsWith(PREFIX)) return false
    const mark = url.indexOf('?')
    const path = mark < 0 ? url : url.slice(0, mark)
    const call: Call = { request, response, query: new URLSearchParams(mark < 0 ? '' : url.slice(mark + 1)) }
    const refuse = (thrown: unknown): void => {
      if (!(thrown instanceof GatewayError)) this.options.onFault(thrown)
      replyError(call, thrown)
    }
    guarded(refuse, () => {
      if (request.method !== 'GET' && request.method !== 'HEAD') refuseForeignPages(request)
      this.#answer(call, path.slice(PREFIX.length)).catch(refuse)
    })()
    return true
  }

  /** Ends what does not end by itself. */
  close(): void {
    this.#readers.close()
  }

  async #answer(call: Call, path: string): Promise<void> {
    const method = call.request.method === 'HEAD' ? 'GET' : call.request.method
    switch (`${method} ${path}`) {
      case 'GET state':
        return replyJson(call, mergeStates(await this.#ask<InspectorState>('state')))
      case 'GET requests':
        return this.#list(call)
      case 'DELETE requests':
        await this.#ask('requests', 'DELETE')
        return replyDone(call)
      case 'GET requests/stream':
        compileFilter(call.query.get('filter') ?? '')
        return this.#readers.add(call, () => new MergedFeed(call, this.options.workers, this.options.onFault))
      case 'GET har':
        return this.#har(call)
    }
    const [what, id, then, other] = path.split('/')
    if (what !== 'requests' || id === undefined || id === '') return passOn(this.#workers[0], call)
    const owner = await this.#ownerOf(id)
    if (method === 'GET' && then === 'compare' && other !== undefined && (await this.#ownerOf(other)) !== owner)
      return this.#compare(call, [id, other])
    passOn(owner, call)
  }

  /** @throws GatewayError ADMIN_FAILED when there is none */
  get #workers(): readonly [InspectedWorker, ...InspectedWorker[]] {
    const [first, ...rest] = this.options.workers()
    if (first === undefined) throw new GatewayError('ADMIN_FAILED', 'no worker is up')
    return [first, ...rest]
  }

  async #list(call: Call): Promise<void> {
    const { query } = call
    compileFilter(query.get('filter') ?? '')
    const limit = limitOf(query, PAGE)
    replyJson(call, mergePages(await this.#ask<Page<RequestSummary>>(`requests?${query.toString()}`), limit))
  }

  async #har(call: Call): Promise<void> {
    const { query } = call
    compileFilter(query.get('filter') ?? '')
    const limit = limitOf(query, MAX_LIMIT)
    const body = JSON.stringify(mergeHar(await this.#ask<HarFile>(`har?${query.toString()}`), limit))
    replyHead(call, 200, {
      'Content-Type': 'application/json; charset=utf-8',
      'Content-Disposition': 'attachment; filename="requests.har"',
    })
    call.response.end(call.request.method === 'HEAD' ? undefined : body)
  }

  /** Two records of different workers. */
  async #compare(call: Call, ids: readonly [string, string]): Promise<void> {
    const texts = async (id: string): Promise<ComparedTexts> =>
      (await askWorker((await this.#ownerOf(id)).adminPath, { path: `${PREFIX}requests/${id}/texts` })) as ComparedTexts
    const [a, b] = await Promise.all(ids.map(texts))
    replyJson(call, compareTexts(a!, b!))
  }

  /** @throws GatewayError NOT_FOUND */
  async #ownerOf(id: string): Promise<InspectedWorker> {
    const found = await Promise.all(this.#workers.map(async worker => ((await has(worker, `${PREFIX}requests/${id}`)) ? [worker] : [])))
    const [owner] = found.flat()
    if (owner === undefined) throw new GatewayError('NOT_FOUND', 'this request is not kept, or not any more; see the list of requests')
    return owner
  }

  /** The answers of all; those that do not answer are left out. @throws GatewayError ADMIN_FAILED when none does, or as the first that refuses */
  async #ask<Answer>(path: string, method: 'GET' | 'DELETE' = 'GET'): Promise<readonly [Answer, ...Answer[]]> {
    const asked = await Promise.allSettled(this.#workers.map(({ adminPath }) => askWorker(adminPath, { method, path: PREFIX + path })))
    const [first, ...rest] = asked.flatMap(each => (each.status === 'fulfilled' ? [each.value as Answer] : []))
    if (asked.every(({ status }) => status === 'rejected')) throw (asked[0] as PromiseRejectedResult).reason
    return [first as Answer, ...rest]
  }
}

/** @throws GatewayError INVALID */
function limitOf(query: URLSearchParams, otherwise: number): number {
  const text = query.get('limit')
  if (text === null) return otherwise
  const limit = /^\d{1,10}$/.test(text) ? Number(text) : NaN
  if (!(limit >= 1 && limit <= MAX_LIMIT)) throw new GatewayError('INVALID', `limit: expected 1 to ${MAX_LIMIT}`)
  return limit
}
