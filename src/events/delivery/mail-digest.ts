import { isEventId } from '../event-book.ts'
import type { Letter } from '../../mail/letter.ts'
import { guarded } from '../../net/guard.ts'
import type { GatewayEvent } from '../event.ts'
import type { StateFile } from './state-file.ts'

/** Events often come together: the first of them waits for the others, milliseconds. */
const GATHER_MS = 30_000
const MAX_LISTED = 100
/** Letters that are kept while nobody takes them. */
const MAX_LETTERS = 100

/** Options of a digest. */
export interface MailDigestOptions {
  readonly to: readonly string[]
  /** The gateway, as readers know it. */
  readonly from: string
  readonly fits: (event: GatewayEvent) => boolean
  /** Resolves once the letter has gone, or is given up; never for one that still waits when the process ends. */
  readonly send: (letter: Letter, messageId: string) => Promise<void>
  /** Makes the Message-ID of a letter. */
  readonly newId: () => string
  readonly state: Pick<StateFile, 'read' | 'write'>
  /** The shortest time between two letters, milliseconds. */
  readonly everyMs: number
  readonly nowMs: () => number
  /** A letter was not taken. */
  readonly onFault: (thrown: unknown) => void
  readonly gatherMs?: number
}

interface KeptLetter extends Letter {
  readonly messageId: string
}

/** A thing that is kept until it has gone. */
interface Kept {
  /** When the last letter was written, milliseconds since 1970. */
  readonly sentMs: number
  /** Id of the last event that was taken. */
  readonly lastId: string
  readonly events: readonly GatewayEvent[]
  readonly omitted: number
  readonly letters: readonly KeptLetter[]
}

/**
 * Sends events as letters: what comes together in one, and seldom. What waits is on disk until it has gone, each letter under the Message-ID that it
 * keeps: a process that is killed at any moment loses none, and makes no second letter of the same events.
 */
export class MailDigest {
  #events: GatewayEvent[] = []
  #letters: KeptLetter[] = []
  #omitted = 0
  #sentMs = -Infinity
  #lastId = '0'
  #timer: NodeJS.Timeout | undefined
  #isClosed = false
  #written: Promise<void> = Promise.resolve()

  constructor(private readonly options: MailDigestOptions) {}

  /** Takes what an earlier run has left. @param known  the events of its log, the oldest first */
  async start(known: readonly GatewayEvent[]): Promise<void> {
    const kept = readKept(await this.options.state.read())
    // Whoever is told for the first time is not told what has long been over.
    if (kept === undefined) {
      this.#lastId = known.at(-1)?.id ?? '0'
      return this.#keep()
    }
    this.#events = [...kept.events]
    this.#omitted = kept.omitted
    this.#sentMs = kept.sentMs
    this.#lastId = kept.lastId
    this.#letters = [...kept.letters]
    for (const letter of this.#letters) this.#deliver(letter)
    // In the log already, and killed before it was here.
    for (const event of known) if (Number(event.id) > Number(kept.lastId)) this.take(event)
    if (this.#events.length > 0) this.#wait()
  }

  /** Takes an event, if it is one for these people. */
  take(event: GatewayEvent): void {
    if (this.#isClosed || !this.options.fits(event)) return
    this.#lastId = event.id
    if (this.#events.length < MAX_LISTED) this.#events.push(event)
    else this.#omitted++
    void this.#keep()
    this.#wait()
  }

  /** Writes the letter about what waits, and ends. */
  close(): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#timer)
    this.#send()
    return this.kept()
  }

  /** Resolves when what is known now is on disk. */
  kept(): Promise<void> {
    return this.#written
  }

  #wait(): void {
    const { everyMs, nowMs, onFault, gatherMs = GATHER_MS } = this.options
    this.#timer ??= setTimeout(
      guarded(onFault, () => this.#send()),
      Math.max(gatherMs, Math.min(everyMs, this.#sentMs + everyMs - nowMs())),
    ).unref()
  }

  #send(): void {
    this.#timer = undefined
    const { to, from, nowMs, newId } = this.options
    const [events, omitted] = [this.#events.splice(0), this.#omitted]
    this.#omitted = 0
    if (events.length === 0) return
    this.#sentMs = nowMs()
    const { subject, text } = letterOf(from, events, omitted)
    const letters = to.map(each => ({ to: each, subject, text, messageId: newId() }))
    this.#letters = [...this.#letters, ...letters].slice(-MAX_LETTERS)
    // Before it goes: what is on disk is at least what has gone.
    void this.#keep().then(() => {
      for (const letter of letters) this.#deliver(letter)
    })
  }

  #deliver(letter: KeptLetter): void {
    const { messageId, ...rest } = letter
    this.options.send(rest, messageId).then(() => {
      this.#letters = this.#letters.filter(each => each.messageId !== messageId)
      return this.#keep()
    }, this.options.onFault)
  }

  #keep(): Promise<void> {
    this.#written = this.options.state.write((): Kept => ({
      sentMs: Math.max(0, this.#sentMs),
      lastId: this.#lastId,
      events: this.#events,
      omitted: this.#omitted,
      letters: this.#letters,
    }))
    return this.#written
  }
}

/** Returns what is kept, where it is all there; undefined otherwise. */
function readKept(value: unknown): Kept | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { sentMs, lastId, events, omitted, letters } = value as Partial<Record<keyof Kept, unknown>>
  const isWhole =
    typeof sentMs === 'number' &&
    typeof lastId === 'string' &&
    isEventId(lastId) &&
    typeof omitted === 'number' &&
    Array.isArray(events) &&
    events.every(isEvent) &&
    Array.isArray(letters) &&
    letters.every(isLetter)
  return isWhole ? (value as Kept) : undefined
}

const isEvent = (value: unknown): boolean => hasTexts(value, ['id', 'at', 'severity', 'name', 'message'])

const isLetter = (value: unknown): boolean => hasTexts(value, ['to', 'subject', 'text', 'messageId'])

const hasTexts = (value: unknown, names: readonly string[]): boolean =>
  typeof value === 'object' && value !== null && names.every(name => typeof (value as Readonly<Record<string, unknown>>)[name] === 'string')

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
