import { STATES, type EventName, type StateName } from './catalogue.ts'
import type { EventNote } from './event.ts'

/** Count and times of something that is told now. */
export interface Happening {
  /** Milliseconds since 1970; of several, the last. */
  readonly atMs: number
  readonly count: number
  /** The first of several. */
  readonly sinceMs?: number
}

/** Takes what is to be told. */
export type Tell = (name: EventName, note: EventNote, happening: Happening) => void

/** The longest time for which what turns to and fro is said to be so without a word, milliseconds. */
const LONGEST_MS = 60_000
/** Each telling makes the next one wait longer; one is forgiven in so many milliseconds. */
const FORGIVE_MS = 600_000
const MAX_LEVEL = 6
const MAX_ENTRIES = 10_000
/** Room that is made at a time: making it looks at all of them. */
const ROOM = 1_000

interface Entry {
  readonly state: StateName
  isWell: boolean
  told: boolean | undefined
  toldMs: number
  /** Tellings of late. */
  level: number
  /** Times that it turned bad and nothing was said of. */
  downs: number
  firstDownMs: number
  changedMs: number
  badMs: number
  /** The beginning of what is not told yet. */
  sinceMs: number
  dueMs: number | undefined
  note: EventNote
  badNote: EventNote | undefined
}

/**
 * States that turn between well and not well, told when they have come to rest: what is bad once it has been so for a while, what is well at
 * once, and what was bad only for a moment as one event that counts. Whatever goes on turning is told ever more rarely. Computes only: its
 * owner has the clock.
 */
export class TurningStates {
  readonly #entries = new Map<string, Entry>()
  readonly #due = new Set<Entry>()

  /** @param holdScale  factor of all times, for tests */
  constructor(
    private readonly tell: Tell,
    private readonly holdScale = 1,
  ) {}

  /** Is there something that is to be told later? */
  get isWaiting(): boolean {
    return this.#due.size > 0
  }

  /** Takes what is so now. @param nowMs  milliseconds since 1970 */
  turn(state: StateName, isWell: boolean, note: EventNote, key: string, nowMs: number): void {
    const id = `${state} ${key}`
    const entry = this.#entries.get(id)
    if (entry === undefined) return this.#begin(id, { state, isWell, note }, nowMs)
    entry.note = note
    if (!isWell) entry.badNote = note
    if (entry.isWell === isWell) return
    if (entry.dueMs === undefined) entry.sinceMs = nowMs
    entry.isWell = isWell
    entry.changedMs = nowMs
    if (!isWell) {
      if (entry.downs++ === 0) entry.firstDownMs = nowMs
      entry.badMs = nowMs
    }
    const isQuiet = entry.dueMs === undefined && nowMs - entry.toldMs >= this.#holdOf(entry)
    const isLong = nowMs - entry.sinceMs >= LONGEST_MS * this.holdScale
    if (isWell && ((entry.told === false && isQuiet) || isLong)) return this.#settle(entry, nowMs)
    entry.dueMs = nowMs + this.#holdOf(entry)
    this.#due.add(entry)
  }

  /** Forgets one, whatever it was. */
  forget(state: StateName, key: string): void {
    const id = `${state} ${key}`
    const entry = this.#entries.get(id)
    if (entry === undefined) return
    this.#entries.delete(id)
    this.#due.delete(entry)
  }

  /** Tells what has come to rest. */
  look(nowMs: number): void {
    for (const entry of [...this.#due]) if (entry.dueMs! <= nowMs) this.#settle(entry, nowMs)
  }

  #begin(id: string, { state, isWell, note }: { state: StateName; isWell: boolean; note: EventNote }, nowMs: number): void {
    const { first } = STATES[state]
    if (isWell && !first) return
    if (this.#entries.size >= MAX_ENTRIES) this.#makeRoom(nowMs)
    const entry: Entry = {
      state,
      isWell,
      told: first || note.isFromStart === true ? undefined : true,
      toldMs: -Infinity,
      level: 0,
      downs: isWell ? 0 : 1,
      firstDownMs: nowMs,
      changedMs: nowMs,
      badMs: nowMs,
      sinceMs: nowMs,
      dueMs: undefined,
      note,
      badNote: isWell ? undefined : note,
    }
    this.#entries.set(id, entry)
    if (isWell) return this.#settle(entry, nowMs)
    entry.dueMs = nowMs + this.#holdOf(entry)
    this.#due.add(entry)
  }

  #settle(entry: Entry, nowMs: number): void {
    const { isWell, told, downs, firstDownMs, changedMs, badMs, note, badNote = note } = entry
    const { bad, good, again, first } = STATES[entry.state]
    entry.dueMs = undefined
    entry.downs = 0
    this.#due.delete(entry)
    const several = downs > 1 ? { count: downs, sinceMs: firstDownMs } : { count: 1 }
    if (isWell && told === true) {
      if (downs > 0) this.#say(entry, again, note, { atMs: changedMs, ...several, sinceMs: firstDownMs }, nowMs)
    } else if (isWell && (told === false || first)) this.#say(entry, good, note, { atMs: changedMs, count: 1 }, nowMs)
    else if (!isWell && told !== false) this.#say(entry, bad, badNote, { atMs: badMs, ...several }, nowMs)
    entry.told = isWell
  }

  #say(entry: Entry, name: EventName, note: EventNote, happening: Happening, nowMs: number): void {
    entry.level = this.#levelOf(entry, nowMs) + 1
    entry.toldMs = nowMs
    this.tell(name, note, happening)
  }

  #levelOf({ level, toldMs }: Entry, nowMs: number): number {
    return Math.max(0, level - Math.floor((nowMs - toldMs) / (FORGIVE_MS * this.holdScale)))
  }

  /** Milliseconds for which a state has to stay as it is. Coming, and going once, are nothing out of the ordinary. */
  #holdOf({ state, level }: Entry): number {
    return STATES[state].holdMs * this.holdScale * 2 ** Math.min(MAX_LEVEL, Math.max(0, level - 2))
  }

  /** Forgets what is as if nothing had been said of it, then whatever is oldest. */
  #makeRoom(nowMs: number): void {
    for (const [id, entry] of this.#entries) {
      const isAtRest = entry.dueMs === undefined && entry.told !== STATES[entry.state].first
      if (isAtRest && this.#levelOf(entry, nowMs) === 0) this.#entries.delete(id)
    }
    for (const [id, entry] of this.#entries) {
      if (this.#entries.size <= MAX_ENTRIES - ROOM) return
      if (entry.dueMs === undefined) this.#entries.delete(id)
    }
  }
}
