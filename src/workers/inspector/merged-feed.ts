import { ReaderAnswer, type Reader } from '../../inspector/api/readers.ts'
import type { Call } from '../../inspector/api/reply.ts'
import type { InspectorState } from '../../inspector/kept/record.ts'
import { guarded, type Fail } from '../../net/guard.ts'
import { mergeStates } from '../records/merge-records.ts'
import { readLines, type InspectedWorker } from './worker-request.ts'

/** Between two looks at which workers there are, milliseconds. */
const LOOK_MS = 500
const ALIVE_MS = 15_000

interface Source {
  readonly close: () => void
  state: InspectorState | undefined
}

/** Tells a reader what changes in the lists of all workers. */
export class MergedFeed implements Reader {
  readonly #answer: ReaderAnswer
  readonly #sources = new Map<InspectedWorker, Source>()
  readonly #timer: NodeJS.Timeout
  readonly #path: string
  /** Lines were left out. */
  #isBehind = false
  #lastState = ''
  #sinceAliveMs = 0

  /** @param workers  those that can be asked at the moment */
  constructor(
    call: Call,
    private readonly workers: () => readonly InspectedWorker[],
    private readonly fail: Fail,
  ) {
    this.#path = `/inspector/requests/stream?filter=${encodeURIComponent(call.query.get('filter') ?? '')}`
    this.#answer = new ReaderAnswer(call)
    this.#timer = setInterval(
      guarded(fail, () => this.#turn()),
      LOOK_MS,
    ).unref()
    this.#look()
  }

  /** No more is told, and no worker asked. */
  close(): void {
    clearInterval(this.#timer)
    for (const { close } of this.#sources.values()) close()
    this.#sources.clear()
  }

  #turn(): void {
    this.#look()
    if (this.#isBehind && !this.#answer.isFull) {
      this.#isBehind = false
      this.#tell('reset', '{"type":"reset"}')
    }
    this.#state()
    this.#sinceAliveMs += LOOK_MS
    if (this.#sinceAliveMs < ALIVE_MS) return
    this.#sinceAliveMs = 0
    if (!this.#answer.isFull) this.#answer.alive()
  }

  /** Follows workers that are new. */
  #look(): void {
    for (const worker of this.workers()) {
      if (this.#sources.has(worker)) continue
      const source: Source = {
        state: undefined,
        close: readLines(worker, this.#path, {
          onLine: line => this.#line(source, line),
          onEnd: () => {
            // Its records are gone with it, whichever those were.
            if (this.#sources.delete(worker) && source.state !== undefined) this.#isBehind = true
          },
          fail: this.fail,
        }),
      }
      this.#sources.set(worker, source)
    }
  }

  #line(source: Source, line: string): void {
    const message = JSON.parse(line) as { readonly type: string; readonly state?: InspectorState }
    if (message.type !== 'state') return this.#tell(message.type, line)
    source.state = message.state
    this.#state()
  }

  /** The state of all, once all have told theirs. */
  #state(): void {
    const [first, ...rest] = [...this.#sources.values()].map(({ state }) => state)
    if (first === undefined || rest.includes(undefined)) return
    const state = JSON.stringify(mergeStates([first, ...(rest as InspectorState[])]))
    if (state === this.#lastState) return
    this.#lastState = state
    this.#tell('state', `{"type":"state","state":${state}}`)
  }

  #tell(type: string, data: string): void {
    if (this.#answer.isFull) this.#isBehind = true
    else this.#answer.tell(type, data)
  }
}
