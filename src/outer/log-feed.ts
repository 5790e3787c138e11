import { encodeLogNote, type LogLine } from '../payload/log-note.ts'
import { attempt } from '../net/guard.ts'
import { TokenBucket } from '../rates/token-bucket.ts'
import type { Carrier } from './inner-layers/carrier.ts'

/** Lines in a second, in the long run and at once: nobody reads faster, and a flood of requests must not become a flood of notes. */
const LINES_PER_SECOND = 50
/** Lines that one note has, and that wait for a link with more important things to carry. */
const MAX_LINES = 20
/** Between two looks whether the link has room, milliseconds. */
const HELD_UP_MS = 50
/** Lines that were left out are told after this time at the latest, milliseconds. */
const OMITTED_MS = 1_000

/** Options of a feed. */
export interface LogFeedOptions {
  readonly session: Pick<Carrier, 'note' | 'isOpen' | 'isHeldUp'>
  /** Does the inner layer understand this line? */
  readonly isUnderstood: (line: LogLine) => boolean
  /** Milliseconds, rising. */
  readonly clock: () => number
  readonly onFault: (thrown: unknown) => void
}

/**
 * The live log of one socket on its way to one inner layer. It comes last: a few lines wait while the link is busy, what is too much is counted and left out,
 * and a line says how many were.
 */
export class LogFeed {
  readonly #bucket: TokenBucket
  #lines: LogLine[] = []
  #omitted = 0
  #immediate: NodeJS.Immediate | undefined
  #retry: NodeJS.Timeout | undefined
  #timer: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(private readonly options: LogFeedOptions) {
    this.#bucket = new TokenBucket(LINES_PER_SECOND, LINES_PER_SECOND, options.clock)
  }

  /** Takes one more line. */
  readonly add = (line: LogLine): void => {
    if (this.#isClosed || !this.options.isUnderstood(line)) return
    if (this.#lines.length >= MAX_LINES || !this.#bucket.take()) return this.#omit(1)
    this.#lines.push(line)
    // Behind whatever this turn of the event loop sends.
    if (this.#retry === undefined) this.#immediate ??= setImmediate(() => attempt(this.options.onFault, () => this.#flush()))
  }

  /** Nothing is told any more. */
  close(): void {
    this.#isClosed = true
    clearImmediate(this.#immediate)
    clearTimeout(this.#retry)
    clearTimeout(this.#timer)
  }

  #omit(count: number): void {
    this.#omitted += count
    this.#timer ??= setTimeout(() => attempt(this.options.onFault, () => this.#tellOmitted()), OMITTED_MS).unref()
  }

  #flush(): void {
    this.#immediate = undefined
    this.#retry = undefined
    const lines = this.#lines
    const { session } = this.options
    if (session.isOpen && session.isHeldUp === true) {
      this.#retry = setTimeout(() => attempt(this.options.onFault, () => this.#flush()), HELD_UP_MS).unref()
      return
    }
    this.#lines = []
    if (session.isOpen) session.note(encodeLogNote(lines))
  }

  #tellOmitted(): void {
    this.#timer = undefined
    const { session } = this.options
    if (this.#isClosed || !session.isOpen || this.#omitted === 0) return
    if (session.isHeldUp === true) return this.#omit(0)
    const count = this.#omitted
    this.#omitted = 0
    session.note(encodeLogNote([{ kind: 'omitted', at: Date.now(), count }]))
  }
}
