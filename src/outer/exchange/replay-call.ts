import type { RawRequest } from '../../http/admission.ts'
import type { Peer } from '../../http/client.ts'
import { guarded, type Fail } from '../../net/guard.ts'
import type { ClientEvents, EdgeRequest } from './edge-request.ts'

/** The longest that an answer may take, milliseconds. */
const MAX_MS = 120_000

/** A request that comes from nobody's connection: one that was recorded, and is sent again. What is answered is counted and dropped. */
export class ReplayCall implements EdgeRequest {
  events: ClientEvents | undefined
  readonly trailers: readonly string[] = []
  readonly needsDrain = false
  isReceived: boolean
  hasHead = false
  status = 0
  isFinished = false
  isGone = false
  readonly #timer: NodeJS.Timeout
  readonly #fail: Fail = thrown => this.events?.onFault(thrown)
  readonly #onAbort = guarded(this.#fail, () => this.cut())

  constructor(
    readonly peer: Peer,
    readonly request: RawRequest,
    private readonly body: Buffer | undefined,
    private readonly signal?: AbortSignal,
  ) {
    this.isReceived = body === undefined
    this.#timer = setTimeout(
      guarded(this.#fail, () => this.cut()),
      MAX_MS,
    ).unref()
    signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  startUpload(): void {
    this.#later(() => {
      if (this.isReceived) return
      this.isReceived = true
      if (this.body !== undefined) this.events?.onUpload(this.body)
      this.events?.onUploadEnd()
    })
  }

  pauseUpload(): void {
    // There is one piece of it.
  }

  resumeUpload(): void {
    // As above.
  }

  discardUpload(): void {
    this.isReceived = true
  }

  writeContinue(): void {
    // Nobody waits for it.
  }

  writeInterim(): void {
    // The tap has seen it.
  }

  writeHead({ status }: { readonly status: number }): void {
    this.hasHead = true
    this.status = status
  }

  flush(): void {
    // Nothing is held back.
  }

  write(): boolean {
    return true
  }

  setTrailers(): void {
    // The tap has seen them.
  }

  end(): void {
    this.isFinished = true
    this.#close()
  }

  closeAfterwards(): void {
    // There is no connection.
  }

  cut(): void {
    this.isGone = true
    this.#close()
  }

  #close(): void {
    clearTimeout(this.#timer)
    this.signal?.removeEventListener('abort', this.#onAbort)
    this.#later(() => this.events?.onClosed())
  }

  #later(action: () => void): void {
    setImmediate(guarded(this.#fail, action))
  }
}
