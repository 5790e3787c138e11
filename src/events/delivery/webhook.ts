import { guarded } from '../../net/guard.ts'
import type { GatewayEvent } from '../event.ts'
import type { Outcome, Send } from './send.ts'
import { signedFields } from './signature.ts'
import type { StateFile } from './state-file.ts'

/** The waits after failures, milliseconds; the last one again and again. */
const WAITS_MS = [5_000, 30_000, 120_000, 600_000, 1_800_000, 3_600_000] as const
/** A receiver that takes nothing is asked again after so long at the latest, with whatever waits the longest. */
const LONGEST_PAUSE_MS = 600_000
/** So much shorter or longer than said, so that many do not come at once. */
const JITTER = 0.2
/** An event is given up after this time. */
const MAX_AGE_MS = 86_400_000
const MAX_WAITING = 1_000

/** An event that waits for its receiver. */
interface Waiting {
  /** The same in each attempt, by which receivers know what they have had. */
  readonly id: string
  readonly body: string
  readonly takenMs: number
  attempts: number
  dueMs: number
}

/** Options of a webhook. */
export interface WebhookOptions {
  readonly name: string
  readonly secret: Buffer
  readonly send: Send
  readonly fits: (event: GatewayEvent) => boolean
  readonly state: StateFile
  /** Name of this gateway in ids, where the file has none: digits and letters. */
  readonly source: string
  /** Milliseconds since 1970. */
  readonly nowMs: () => number
  /** 0 to 1. */
  readonly random: () => number
  /** The receiver takes events, or does not. */
  readonly onTurn: (isWell: boolean, waiting: number, reason?: string) => void
  /** Events are given up. @param first  id of the first one */
  readonly onDropped: (count: number, first: string, reason: string) => void
  readonly onFault: (thrown: unknown) => void
  /** Factor of all waits, for tests. */
  readonly waitScale?: number
}

/**
 * Delivers events to one receiver, the oldest first, one at a time. What waits is on disk before it is sent, so that a restart loses nothing; an event
 * that was taken just before a crash comes once more, with the same id.
 */
export class Webhook {
  #waiting: Waiting[] = []
  #source: string
  #failures = 0
  #pausedUntilMs = 0
  #timer: NodeJS.Timeout | undefined
  #work: Promise<void> | undefined
  #isGone = false
  #isClosed = false

  constructor(private readonly options: WebhookOptions) {
    this.#source = options.source
  }

  /** Events that wait. */
  get waiting(): number {
    return this.#waiting.length
  }

  /** Takes what an earlier run has left, and begins. */
  async start(): Promise<void> {
    const kept = (await this.options.state.read()) as { readonly source?: unknown; readonly waiting?: unknown } | undefined
    if (typeof kept?.source === 'string' && /^[\da-z]{1,32}$/.test(kept.source)) this.#source = kept.source
    if (Array.isArray(kept?.waiting)) this.#waiting.unshift(...kept.waiting.filter(isWaiting).slice(-MAX_WAITING))
    this.#wake()
  }

  /** Takes an event, if it is one for this receiver. What is said of a webhook does not go to itself. */
  take(event: GatewayEvent): void {
    const { name, fits, nowMs } = this.options
    if (this.#isClosed || this.#isGone || !fits(event) || (event.name.startsWith('webhook.') && event.subject === name)) return
    const body = JSON.stringify({ type: event.name, timestamp: event.at, data: event })
    this.#waiting.push({ id: `evt_${this.#source}_${event.id}`, body, takenMs: nowMs(), attempts: 0, dueMs: 0 })
    if (this.#waiting.length > MAX_WAITING) this.#drop([this.#waiting.shift()!], `more than ${MAX_WAITING} events wait`)
    this.#wake()
  }

  /** Ends; what waits is kept. Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#timer)
    await this.#work
    await this.#save()
  }

  #save(): Promise<void> {
    return this.options.state.write(() => ({ source: this.#source, waiting: this.#waiting }))
  }

  #wake(): void {
    if (this.#isClosed || this.#work !== undefined) return
    clearTimeout(this.#timer)
    this.#work = this.#run()
      .catch(this.options.onFault)
      .finally(() => {
        this.#work = undefined
        this.#sleep()
      })
  }

  /** Waits for the next that is due. */
  #sleep(): void {
    if (this.#isClosed || this.#waiting.length === 0) return
    const due = Math.max(this.#pausedUntilMs, Math.min(...this.#waiting.map(({ dueMs }) => dueMs)))
    const run = guarded(this.options.onFault, () => this.#wake())
    this.#timer = setTimeout(run, Math.max(1, Math.min(due - this.options.nowMs(), WAITS_MS.at(-1)!))).unref()
  }

  async #run(): Promise<void> {
    await this.#save()
    for (;;) {
      this.#dropOld()
      const next = this.#isClosed ? undefined : this.#next()
      if (next === undefined) return
      const outcome = await this.#attempt(next)
      this.#judge(next, outcome)
      await this.#save()
    }
  }

  #next(): Waiting | undefined {
    const now = this.options.nowMs()
    return now < this.#pausedUntilMs ? undefined : this.#waiting.find(({ dueMs }) => dueMs <= now)
  }

  #attempt({ id, body }: Waiting): Promise<Outcome> {
    const { secret, send, nowMs } = this.options
    return send(body, signedFields(secret, id, Math.floor(nowMs() / 1_000), body))
  }

  #judge(sent: Waiting, outcome: Outcome): void {
    const { onTurn, nowMs, waitScale = 1 } = this.options
    if (outcome.kind === 'taken') {
      this.#waiting = this.#waiting.filter(each => each !== sent)
      this.#failures = 0
      this.#pausedUntilMs = 0
      onTurn(true, this.waiting)
      return
    }
    onTurn(false, this.waiting, outcome.reason)
    if (outcome.kind === 'gone') {
      this.#isGone = true
      return this.#drop(this.#waiting.splice(0), outcome.reason)
    }
    sent.attempts++
    const now = nowMs()
    if (outcome.isAboutAll) {
      // The one that was tried stays the first: another one would fare no better.
      const waitMs = Math.min(this.#waitMs(this.#failures++), LONGEST_PAUSE_MS * waitScale)
      this.#pausedUntilMs = now + Math.max(waitMs, outcome.afterMs ?? 0)
    } else sent.dueMs = now + this.#waitMs(sent.attempts - 1)
  }

  #waitMs(failures: number): number {
    const { random, waitScale = 1 } = this.options
    const wait = WAITS_MS[Math.min(failures, WAITS_MS.length - 1)]!
    return wait * waitScale * (1 - JITTER + 2 * JITTER * random())
  }

  #dropOld(): void {
    const now = this.options.nowMs()
    const old = this.#waiting.filter(({ takenMs }) => now - takenMs > MAX_AGE_MS)
    if (old.length === 0) return
    this.#waiting = this.#waiting.filter(each => !old.includes(each))
    this.#drop(old, 'they could not be delivered for a day')
  }

  #drop(dropped: readonly Waiting[], reason: string): void {
    const [first] = dropped
    if (first !== undefined) this.options.onDropped(dropped.length, first.id, reason)
  }
}

const isWaiting = (value: unknown): value is Waiting => {
  const { id, body, takenMs, attempts, dueMs } = (value ?? {}) as Partial<Record<keyof Waiting, unknown>>
  return typeof id === 'string' && typeof body === 'string' && [takenMs, attempts, dueMs].every(each => typeof each === 'number')
}
