import type { RequestsChange, RequestsFollowing } from '../../directory/socket-requests.ts'
import { guarded } from '../../net/guard.ts'
import type { ExchangeRecord } from '../exchange-record.ts'
import { compileFilter } from '../view/filter.ts'
import { lineOf } from './shown.ts'
import type { SocketInspectors } from './socket-inspectors.ts'

/** Between two turns: a request is told at most once in this time, milliseconds. */
const TURN_MS = 250
/** Told in one turn. */
const MAX_TOLD = 250
/** Wait for one; with more, the list has to be asked for again. */
const MAX_WAITING = 5_000
const MAX_IDS = 1_000

/** Tells what changes among the requests of one socket, until its `end` is called or it has told the end itself. */
export class RequestFollower {
  readonly #changed = new Set<ExchangeRecord>()
  #gone: string[] = []
  #isBehind = false
  #wasInspected: boolean
  readonly #matches: (record: ExchangeRecord) => boolean
  readonly #unlisten: () => void
  readonly #timer: NodeJS.Timeout

  /**
   * @param tell  gets the changes of a turn
   * @throws GatewayError INVALID for the filter
   */
  constructor(
    private readonly inspectors: SocketInspectors,
    private readonly following: RequestsFollowing,
    private readonly tell: (changes: readonly RequestsChange[]) => void,
  ) {
    const { accountId, socketId, filter } = following
    this.#matches = compileFilter(filter)
    const { isInspected, onFault } = inspectors.options
    this.#wasInspected = isInspected(socketId) === true
    this.#unlisten = inspectors.listen(accountId, {
      changed: record => {
        if (record.start.socketId !== socketId) return
        this.#changed.add(record)
        this.#bound()
      },
      gone: ids => {
        for (const id of ids.slice(0, MAX_WAITING + 1)) this.#gone.push(id)
        this.#bound()
      },
    })
    this.#timer = setInterval(
      guarded(onFault, () => this.turn()),
      TURN_MS,
    ).unref()
  }

  end(): void {
    clearInterval(this.#timer)
    this.#unlisten()
  }

  /** Tells what has happened since the last one. */
  turn(): void {
    const isInspected = this.inspectors.options.isInspected(this.following.socketId)
    if (isInspected === undefined) {
      this.end()
      return this.tell([{ type: 'end' }])
    }
    const changes: RequestsChange[] = []
    // Nobody gets what was kept any more, from this moment on.
    if (this.#isBehind || (this.#wasInspected && !isInspected)) changes.push({ type: 'reset' })
    this.#isBehind = false
    this.#wasInspected = isInspected
    if (!isInspected) this.#clear()
    for (const record of this.#changed) {
      if (changes.length >= MAX_TOLD) break
      this.#changed.delete(record)
      if (!record.isGone && this.#matches(record)) changes.push({ type: 'request', request: lineOf(record) })
    }
    const ids = this.#gone.splice(0, MAX_IDS)
    if (ids.length > 0) changes.push({ type: 'gone', ids })
    if (changes.length > 0) this.tell(changes)
  }

  #bound(): void {
    if (this.#changed.size + this.#gone.length <= MAX_WAITING) return
    this.#clear()
    this.#isBehind = true
  }

  #clear(): void {
    this.#changed.clear()
    this.#gone = []
  }
}
