import type { RequestsAnswer, RequestsQuestion, SeenReplay } from '../../directory/socket-requests.ts'
import { GatewayError } from '../../errors.ts'
import { guarded } from '../../net/guard.ts'
import { EdgeReplayer, type SendAtEdge } from '../replay/edge-replayer.ts'
import { readEdits } from '../replay/read-edits.ts'
import { replayRequest, replayTimes } from '../replay/replay.ts'
import { refusalOf } from './answer-requests.ts'
import type { SocketInspectors } from './socket-inspectors.ts'

/** Calls that are under way at a time, of one account and of all. */
const MAX_OF_ACCOUNT = 2
const MAX_REPLAYS = 16
/** The answer of a call is there by then: what is not over is given up, milliseconds. */
const MAX_MS = 15_000

type ReplayQuestion = Extract<RequestsQuestion, { readonly kind: 'replay' }>

/** Sends requests of sockets again, for their owners. */
export class SocketReplays {
  readonly #running = new Map<string, number>()
  #count = 0

  /**
   * @param socketAt  the socket that a host is of now
   * @param send      the way that requests of clients take
   * @param maxMs     the longest time of a call
   */
  constructor(
    private readonly inspectors: SocketInspectors,
    private readonly socketAt: (host: string) => string | undefined,
    private readonly send: SendAtEdge,
    private readonly maxMs = MAX_MS,
  ) {}

  /** Sends it as its question says. Never rejects. */
  async answer(question: ReplayQuestion): Promise<RequestsAnswer> {
    try {
      return { kind: 'replayed', results: await this.#replay(question) }
    } catch (thrown) {
      if (!(thrown instanceof GatewayError)) this.inspectors.options.onFault(thrown)
      return refusalOf(thrown)
    }
  }

  async #replay(question: ReplayQuestion): Promise<readonly SeenReplay[]> {
    const { accountId, socketId, address } = question
    const record = this.inspectors.find(question)
    const edits = readEdits(question.edits)
    const { authority } = record.start
    const request = replayRequest(record, edits)
    // A name may have been given to somebody else's socket meanwhile.
    const host = hostIn(authority)
    if (this.socketAt(host) !== socketId)
      throw new GatewayError('CONFLICT', `${authority} is no name of this socket any more, so the request cannot be sent there again`)
    for (let i = 0; i < request.fields.length; i += 2)
      if (request.fields[i]!.toLowerCase() === 'host' && hostIn(request.fields[i + 1]!) !== host)
        throw new GatewayError('INVALID', `fields: Host has to stay ${authority}; a request can be sent again to its own socket alone`)
    const running = this.#running.get(accountId) ?? 0
    if (running >= MAX_OF_ACCOUNT || this.#count >= MAX_REPLAYS)
      throw new GatewayError('OVERLOADED', 'other replays are under way; wait until they are over')
    const inspector = this.inspectors.inspectorOf(accountId)
    if (inspector === undefined) throw new GatewayError('NOT_FOUND', 'this request is not kept any more; see the list of requests')
    this.#running.set(accountId, running + 1)
    this.#count++
    const late = new AbortController()
    const timer = setTimeout(
      guarded(this.inspectors.options.onFault, () => late.abort()),
      this.maxMs,
    ).unref()
    try {
      const replayer = new EdgeReplayer(replay => this.send({ ...replay, address }), inspector)
      const results = await replayTimes(replayer, record, { ...request, signal: late.signal }, edits)
      return late.signal.aborted ? this.#inTime(results, edits.times ?? 1) : results
    } finally {
      clearTimeout(timer)
      this.#count--
      const left = (this.#running.get(accountId) ?? 1) - 1
      if (left === 0) this.#running.delete(accountId)
      else this.#running.set(accountId, left)
    }
  }

  /** A replay that was given up has not answered in time, nor has one that was not begun. */
  #inTime(results: readonly SeenReplay[], times: number): readonly SeenReplay[] {
    const late: SeenReplay = { id: null, status: null, durationMs: this.maxMs, error: 'ORIGIN_TIMEOUT' }
    const rest = Array.from({ length: times - results.length }, () => late)
    return [...results.map(result => (result.error === 'CANCELLED' ? { ...result, error: 'ORIGIN_TIMEOUT' } : result)), ...rest]
  }
}

/** The host of an authority, in lower case. */
const hostIn = (authority: string): string => authority.toLowerCase().replace(/:\d{1,5}$/, '')
