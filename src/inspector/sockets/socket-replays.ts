import type { RequestsAnswer, RequestsQuestion, SeenReplay } from '../../directory/socket-requests.ts'
import { GatewayError } from '../../errors.ts'
import { EdgeReplayer, type SendAtEdge } from '../replay/edge-replayer.ts'
import { readEdits } from '../replay/read-edits.ts'
import { replayRequest, replayTimes, type Replayer } from '../replay/replay.ts'
import { refusalOf } from './answer-requests.ts'
import type { SocketInspectors } from './socket-inspectors.ts'

/** Calls that are under way at a time, of one account and of all. */
const MAX_OF_ACCOUNT = 2
const MAX_REPLAYS = 16
/** The answer of a call is there by then: what is not over is in the list later, milliseconds. */
const MAX_MS = 15_000

type ReplayQuestion = Extract<RequestsQuestion, { readonly kind: 'replay' }>

/** Sends requests of sockets again, for their owners. */
export class SocketReplays {
  readonly #running = new Map<string, number>()
  #count = 0

  /**
   * @param socketAt  the socket that a host is of now
   * @param send      the way that requests of clients take
   */
  constructor(
    private readonly inspectors: SocketInspectors,
    private readonly socketAt: (host: string) => string | undefined,
    private readonly send: SendAtEdge,
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
    try {
      const replayer = new InTime(new EdgeReplayer(replay => this.send({ ...replay, address }), inspector))
      return await replayTimes(replayer, record, request, edits)
    } finally {
      this.#count--
      const left = (this.#running.get(accountId) ?? 1) - 1
      if (left === 0) this.#running.delete(accountId)
      else this.#running.set(accountId, left)
    }
  }
}

/** Waits for none of them longer than for the time of the whole call; what is left then is not begun. */
class InTime implements Replayer {
  readonly #late: Promise<SeenReplay>
  #isOver = false

  constructor(private readonly replayer: Replayer) {
    this.#late = new Promise(resolve =>
      setTimeout(() => {
        this.#isOver = true
        resolve({ id: null, status: null, durationMs: MAX_MS, error: 'ORIGIN_TIMEOUT' })
      }, MAX_MS).unref(),
    )
  }

  send(...call: Parameters<Replayer['send']>): ReturnType<Replayer['send']> {
    if (this.#isOver) return this.#late
    return Promise.race([this.replayer.send(...call), this.#late])
  }
}

/** The host of an authority, in lower case. */
const hostIn = (authority: string): string => authority.toLowerCase().replace(/:\d{1,5}$/, '')
