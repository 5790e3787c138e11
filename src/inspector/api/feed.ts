import { guarded, type Fail } from '../../net/guard.ts'
import type { ExchangeRecord } from '../exchange-record.ts'
import type { Inspector } from '../inspector.ts'
import { replyHead, type Call } from './reply.ts'

/** A request is told at most once in this time, milliseconds. */
const TURN_MS = 250
const ALIVE_MS = 15_000
/** A reader that has so much to read still is told to begin anew, bytes. */
const MAX_UNREAD_BYTES = 1_048_576
/** Readers at a time. */
const MAX_READERS = 32

/** Tells readers what changes in the list. */
export class Feed {
  readonly #readers = new Set<Reader>()

  constructor(
    private readonly inspector: Inspector,
    private readonly fail: Fail,
  ) {}

  /** @returns false when there are too many already */
  add(call: Call, matches: (record: ExchangeRecord) => boolean): boolean {
    if (this.#readers.size >= MAX_READERS) return false
    const reader = new Reader(call, this.inspector, matches, this.fail)
    this.#readers.add(reader)
    call.response.on(
      'close',
      guarded(this.fail, () => {
        reader.close()
        this.#readers.delete(reader)
      }),
    )
    return true
  }

  /** Ends all of them. */
  close(): void {
    for (const reader of this.#readers) reader.end()
  }
}

class Reader {
  readonly #isEvents: boolean
  readonly #changed = new Set<ExchangeRecord>()
  #gone: string[] = []
  /** Ids that this reader was told of are among those that may be gone. */
  #isBehind = false
  #lastState = ''
  #sinceAlive = 0
  readonly #unlisten: () => void
  readonly #timer: NodeJS.Timeout

  constructor(
    private readonly call: Call,
    private readonly inspector: Inspector,
    private readonly matches: (record: ExchangeRecord) => boolean,
    fail: Fail,
  ) {
    this.#isEvents = (call.request.headers.accept ?? '').includes('text/event-stream')
    replyHead(call, 200, { 'Content-Type': this.#isEvents ? 'text/event-stream' : 'application/x-ndjson' })
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

  close(): void {
    clearInterval(this.#timer)
    this.#unlisten()
  }

  end(): void {
    this.close()
    this.call.response.end()
  }

  #turn(): void {
    const { response } = this.call
    if (response.writableLength > MAX_UNREAD_BYTES) {
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
    if (this.#sinceAlive >= ALIVE_MS) {
      this.#sinceAlive = 0
      response.write(this.#isEvents ? ':\n\n' : '\n')
    }
  }

  #state(): void {
    const { state } = this.inspector
    const text = JSON.stringify(state)
    if (text === this.#lastState) return
    this.#lastState = text
    this.#tell('state', { state })
  }

  #tell(type: string, more: object): void {
    const data = JSON.stringify({ type, ...more })
    this.call.response.write(this.#isEvents ? `event: ${type}\ndata: ${data}\n\n` : `${data}\n`)
  }
}
