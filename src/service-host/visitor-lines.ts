import type { LogLine } from '../payload/log-note.ts'

/** Milliseconds for which lines are collected before they are sent. */
const COLLECT_MS = 100
/** Lines in that time; what is beyond is counted. */
const MAX_LINES = 100

/** Lines of a live log on the way to the service process: gathered, and bounded whatever the traffic is. */
export class VisitorLines {
  #lines: LogLine[] = []
  #omitted = 0
  #timer: NodeJS.Timeout | undefined
  /** Called once with the end. */
  onClose: () => void = () => undefined

  constructor(private readonly send: (lines: readonly LogLine[]) => void) {}

  add(line: LogLine): void {
    if (this.#lines.length < MAX_LINES) this.#lines.push(line)
    else this.#omitted++
    this.#timer ??= setTimeout(() => this.#flush(), COLLECT_MS)
  }

  /** Sends what is there, and ends. */
  close(): void {
    this.onClose()
    clearTimeout(this.#timer)
    this.#flush()
  }

  #flush(): void {
    this.#timer = undefined
    const lines = this.#lines
    if (this.#omitted > 0) lines.push({ kind: 'omitted', at: Date.now(), count: this.#omitted })
    this.#lines = []
    this.#omitted = 0
    if (lines.length > 0) this.send(lines)
  }
}
