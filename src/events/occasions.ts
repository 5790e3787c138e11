import type { EventName } from './catalogue.ts'
import type { EventNote } from './event.ts'
import type { Tell } from './turning-states.ts'

/** The same of the same subject is told again after so long at the earliest, milliseconds; each time the wait doubles. */
const FIRST_MS = 60_000
const LONGEST_MS = 3_600_000
const MAX_SUBJECTS = 1_000

interface Entry {
  readonly name: EventName
  note: EventNote
  count: number
  sinceMs: number
  atMs: number
  waitMs: number
  dueMs: number
}

/**
 * Events that happen once, or again and again: the first is told at once, and those after it as one event that counts. Strangers choose the subjects of some, so
 * beyond a thousand of them nothing is told one by one. Computes only: its owner has the clock.
 */
export class Occasions {
  readonly #entries = new Map<string, Entry>()

  /** @param scale  factor of all times, for tests */
  constructor(
    private readonly tell: Tell,
    private readonly scale = 1,
  ) {}

  get isWaiting(): boolean {
    return this.#entries.size > 0
  }

  /** Takes what has happened. @param nowMs  milliseconds since 1970 */
  happened(name: EventName, note: EventNote, nowMs: number): void {
    const key = `${name} ${note.subject}`
    const known = this.#entries.get(key)
    if (known !== undefined) return count(known, note, nowMs)
    if (this.#entries.size >= MAX_SUBJECTS) return this.#one(name, note, nowMs)
    this.#entries.set(key, this.#entryOf(name, note, nowMs))
    this.tell(name, note, { atMs: nowMs, count: 1 })
  }

  /** Tells what has come together. */
  look(nowMs: number): void {
    for (const [key, entry] of this.#entries) {
      if (entry.dueMs > nowMs) continue
      if (entry.count === 0) this.#entries.delete(key)
      else {
        const { name, note, count: times, atMs, sinceMs } = entry
        entry.count = 0
        entry.waitMs = Math.min(entry.waitMs * 2, LONGEST_MS * this.scale)
        entry.dueMs = nowMs + entry.waitMs
        this.tell(name, note, { atMs, count: times, sinceMs })
      }
    }
  }

  /** Everything beyond what can be told apart is counted together. */
  #one(name: EventName, note: EventNote, nowMs: number): void {
    const key = `${name} \0`
    const known = this.#entries.get(key)
    if (known !== undefined) return count(known, note, nowMs)
    const entry = this.#entryOf(name, note, nowMs)
    count(entry, note, nowMs)
    this.#entries.set(key, entry)
  }

  #entryOf(name: EventName, note: EventNote, nowMs: number): Entry {
    const waitMs = FIRST_MS * this.scale
    return { name, note, count: 0, sinceMs: nowMs, atMs: nowMs, waitMs, dueMs: nowMs + waitMs }
  }
}

function count(entry: Entry, note: EventNote, nowMs: number): void {
  if (entry.count++ === 0) entry.sinceMs = nowMs
  entry.note = note
  entry.atMs = nowMs
}
