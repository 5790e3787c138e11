import type { Letter } from '../../mail/letter.ts'
import { guarded } from '../../net/guard.ts'
import type { GatewayEvent } from '../event.ts'

/** Events often come together: the first of them waits for the others, milliseconds. */
const GATHER_MS = 30_000
const MAX_LISTED = 100

/** Options of a digest. */
export interface MailDigestOptions {
  readonly to: readonly string[]
  /** The gateway, as readers know it. */
  readonly from: string
  readonly fits: (event: GatewayEvent) => boolean
  readonly send: (letter: Letter) => Promise<void>
  /** The shortest time between two letters, milliseconds. */
  readonly everyMs: number
  readonly nowMs: () => number
  /** A letter was not taken. */
  readonly onFault: (thrown: unknown) => void
  readonly gatherMs?: number
}

/** Sends events as letters: what comes together in one, and seldom. */
export class MailDigest {
  #events: GatewayEvent[] = []
  #omitted = 0
  #sentMs = -Infinity
  #timer: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(private readonly options: MailDigestOptions) {}

  /** Takes an event, if it is one for these people. */
  take(event: GatewayEvent): void {
    const { fits, everyMs, nowMs, onFault, gatherMs = GATHER_MS } = this.options
    if (this.#isClosed || !fits(event)) return
    if (this.#events.length < MAX_LISTED) this.#events.push(event)
    else this.#omitted++
    const waitMs = Math.max(gatherMs, this.#sentMs + everyMs - nowMs())
    this.#timer ??= setTimeout(
      guarded(onFault, () => void this.#send()),
      waitMs,
    ).unref()
  }

  /** Sends what waits, and ends. */
  async close(): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#timer)
    await this.#send()
  }

  async #send(): Promise<void> {
    this.#timer = undefined
    const { to, from, send, nowMs, onFault } = this.options
    const [events, omitted] = [this.#events.splice(0), this.#omitted]
    this.#omitted = 0
    if (events.length === 0) return
    this.#sentMs = nowMs()
    const { subject, text } = letterOf(from, events, omitted)
    for (const each of to) await send({ to: each, subject, text }).catch(onFault)
  }
}

const SEVERITIES = ['error', 'warning', 'info'] as const

function letterOf(from: string, events: readonly GatewayEvent[], omitted: number): { readonly subject: string; readonly text: string } {
  const [first] = events
  const count = events.length + omitted
  const worst = SEVERITIES.find(severity => events.some(event => event.severity === severity)) ?? 'info'
  const what = count === 1 && first !== undefined ? first.message : `${count} events`
  const lines = events.map(({ at, severity, name, message }) => `${at}  ${severity}  ${name}\n    ${message}\n`)
  const rest = omitted === 0 ? '' : `\nand ${omitted} more: socket-gateway events\n`
  return { subject: `[${from}] ${worst}: ${what}`.slice(0, 190), text: `${lines.join('\n')}${rest}` }
}
