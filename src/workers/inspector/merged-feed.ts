import { replyHead, type Call } from '../../inspector/api/reply.ts'
import type { InspectorState } from '../../inspector/kept/record.ts'
import { guarded, type Fail } from '../../net/guard.ts'
import { mergeStates } from '../records/merge-records.ts'
import { readLines, type InspectedWorker } from './worker-request.ts'

/** Between two looks at which workers there are, milliseconds. */
const LOOK_MS = 500
const ALIVE_MS = 15_000
/** A reader that has so much to read still is told to begin anew, bytes. */
const MAX_UNREAD_BYTES = 1_048_576
/** Readers at a time. */
const MAX_READERS = 32

/** Tells readers what changes in the lists of all workers. */
export class MergedFeed {
  readonly #readers = new Set<Reader>()

  /** @param workers  those that can be asked at the moment */
  constructor(
    private readonly workers: () => readonly InspectedWorker[],
    private readonly fail: Fail,
  ) {}

  /** @returns false when there are too many already */
  add(call: Call): boolean {
    if (this.#readers.size >= MAX_READERS) return false
    const reader = new Reader(call, this.workers, this.fail)
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

interface Source {
  readonly close: () => void
  state: InspectorState | undefined
}

class Reader {
  readonly #isEvents: boolean
  readonly #sources = new Map<InspectedWorker, Source>()
  readonly #timer: NodeJS.Timeout
  readonly #path: string
  /** Lines were left out. */
  #isBehind = false
  #lastState = ''
  #sinceAliveMs = 0

  constructor(
    private readonly call: Call,
    private readonly workers: () => readonly InspectedWorker[],
    private readonly fail: Fail,
  ) {
    const { request, query } = call
    this.#isEvents = (request.headers.accept ?? '').includes('text/event-stream')
    this.#path = `/inspector/requests/stream?filter=${encodeURIComponent(query.get('filter') ?? '')}`
    replyHead(call, 200, { 'Content-Type': this.#isEvents ? 'text/event-stream' : 'application/x-ndjson' })
    call.response.flushHeaders()
    this.#timer = setInterval(
      guarded(fail, () => this.#turn()),
      LOOK_MS,
    ).unref()
    this.#look()
  }

  close(): void {
    clearInterval(this.#timer)
    for (const { close } of this.#sources.values()) close()
    this.#sources.clear()
  }

  end(): void {
    this.close()
    this.call.response.end()
  }

  #turn(): void {
    this.#look()
    const { response } = this.call
    if (this.#isBehind && response.writableLength <= MAX_UNREAD_BYTES) {
      this.#isBehind = false
      this.#tell('reset', '{"type":"reset"}')
    }
    this.#state()
    this.#sinceAliveMs += LOOK_MS
    if (this.#sinceAliveMs < ALIVE_MS) return
    this.#sinceAliveMs = 0
    if (response.writableLength <= MAX_UNREAD_BYTES) response.write(this.#isEvents ? ':\n\n' : '\n')
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
    const { response } = this.call
    if (response.writableLength > MAX_UNREAD_BYTES) this.#isBehind = true
    else response.write(this.#isEvents ? `event: ${type}\ndata: ${data}\n\n` : `${data}\n`)
  }
}
