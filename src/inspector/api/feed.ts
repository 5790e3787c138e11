import { guarded, type Fail } from '../../net/guard.ts'
import type { ExchangeRecord } from '../exchange-record.ts'
import type { Inspector } from '../inspector.ts'
import { ReaderAnswer, type Reader } from './readers.ts'
import type { Call } from './reply.ts'

/** A request is told at most once in this time, milliseconds. */
const TURN_MS = 250
const ALIVE_MS = 15_000

/** Tells a reader what changes in the list. */
export class Feed implements Reader {
  readonly #answer: ReaderAnswer
  readonly #changed = new Set<ExchangeRecord>()
  #gone: string[] = []
  /** Ids that this reader was told of are among those that may be gone. */
  #isBehind = false
  #lastState = ''
  #sinceAlive = 0
  readonly #unlisten: () => void
  readonly #timer: NodeJS.Timeout

  constructor(
    call: Call,
    private readonly inspector: Inspector,
    private readonly matches: (record: ExchangeRecord) => boolean,
    fail: Fail,
  ) {
    this.#answer = new ReaderAnswer(call)
    this.#unlisten = inspector.listen({
      changed: record => void this.#changed.add(record),
      gone: ids => void this.#gone.push(...ids.slice(0, 10_000)),
    })
    this.#timer = setInterval(
      guarded(fail, () => this.#turn()),
      TURN_MS,
    ).unref()
    this.#state()
  }

  /** No more is told. */
  close(): void {
    clearInterval(this.#timer)
    this.#unlisten()
  }

  #turn(): void {
    if (this.#answer.isFull) {
      this.#isBehind = true
      this.#changed.clear()
      this.#gone = []
      return
    }
    this.#sinceAlive += TURN_MS
    if (this.#isBehind) this.#tell('reset', {})
    this.#isBehind = false
    const changed = [...this.#changed].filter(record => !record.isGone && this.matches(record))
    this.#changed.clear()
    for (const record of changed) this.#tell('request', { request: record.summary })
    if (this.#gone.length > 0) this.#tell('gone', { ids: this.#gone })
    this.#gone = []
    if (this.#sinceAlive % 1_000 === 0) this.#state()
    if (this.#sinceAlive < ALIVE_MS) return
    this.#sinceAlive = 0
    this.#answer.alive()
  }

  #state(): void {
    const { state } = this.inspector
    const text = JSON.stringify(state)
    if (text === this.#lastState) return
    this.#lastState = text
    this.#tell('state', { state })
  }

  #tell(type: string, more: object): void {
    this.#answer.tell(type, JSON.stringify({ type, ...more }))
  }
}
