import type { RequestsChange } from '../../directory/socket-requests.ts'

/** Changes that wait for a reader; whoever is slower has to ask for the list again. */
const MAX_WAITING = 2_000

/** The changes of recorded requests for one reader. */
export class ChangeReader implements AsyncIterable<RequestsChange> {
  #waiting: RequestsChange[] = []
  #hasEnded = false
  #wake: (() => void) | undefined
  #onEnd: (() => void) | undefined

  /** Calls `action` once, at its end. */
  atEnd(action: () => void): void {
    if (this.#hasEnded) action()
    else this.#onEnd = action
  }

  add(changes: readonly RequestsChange[]): void {
    if (this.#hasEnded) return
    for (const change of changes) {
      if (change.type === 'end') return this.end()
      this.#waiting.push(change)
    }
    if (this.#waiting.length > MAX_WAITING) this.#waiting = [{ type: 'reset' }]
    this.#wake?.()
  }

  /** Idempotent. */
  end(): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    this.#onEnd?.()
    this.#wake?.()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<RequestsChange> {
    try {
      for (;;) {
        for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) yield next
        if (this.#hasEnded) return
        await new Promise<void>(resolve => (this.#wake = resolve))
        this.#wake = undefined
      }
    } finally {
      this.end()
    }
  }
}
