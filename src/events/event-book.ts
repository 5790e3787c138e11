import { performance } from 'node:perf_hooks'
import { RateMeter } from '../rates/rate-meter.ts'
import type { EventName } from './catalogue.ts'
import { createEvent, type EventNote, type GatewayEvent } from './event.ts'
import type { Happening } from './turning-states.ts'

/** Events that are kept in memory. */
export const KEPT_EVENTS = 10_000
const SLACK = 1_000
/** Events of one name: a hundred thousand tunnels that come at once are one story. */
const FLOOD = { perSecond: 1, burst: 200 }
/** The time after which the surplus of one name is told as one event, milliseconds. */
const FLOOD_MS = 10_000

/** A place in the list of events, and what is wanted of it. */
export interface EventQuery {
  /** Id: what came after it, the oldest first. */
  readonly after?: string
  /** Id: what came before it, the youngest first. */
  readonly before?: string
  readonly limit: number
  readonly fits?: (event: GatewayEvent) => boolean
}

/** A part of the list. */
export interface EventPage {
  readonly items: readonly GatewayEvent[]
  /** With `after`: where to go on, always. Otherwise: the `before` of the next page, null where there is nothing older. */
  readonly next: string | null
}

/** Two ids in their order: digits without leading zeros. */
const isAfter = (a: string, b: string): boolean => (a.length === b.length ? a > b : a.length > b.length)

/** Is it an id? */
export const isEventId = (text: string): boolean => /^\d{1,17}$/.test(text)

/** The last events of a process, and whoever listens. Ids rise, also over a restart, as they begin with the time. */
export class EventBook {
  #events: GatewayEvent[] = []
  #lastId = 0
  readonly #listeners = new Set<(event: GatewayEvent) => void>()
  readonly #meter: RateMeter
  readonly #flood = new Map<EventName, { note: EventNote; count: number; sinceMs: number }>()
  #timer: NodeJS.Timeout | undefined

  /** @param nowMs  milliseconds since 1970 @param onFault  what a listener throws @param clock  milliseconds, rising */
  constructor(
    private readonly nowMs: () => number,
    private readonly onFault: (thrown: unknown) => void,
    clock: () => number = () => performance.now(),
  ) {
    this.#meter = new RateMeter(FLOOD, clock)
  }

  /** Takes the events of an earlier run, the oldest first. */
  restore(events: readonly GatewayEvent[]): void {
    this.#events = [...events.slice(-KEPT_EVENTS), ...this.#events]
    this.#lastId = Math.max(this.#lastId, Number(this.#events.at(-1)?.id ?? 0))
  }

  /** Writes down what has happened, and tells all who listen. */
  readonly add = (name: EventName, note: EventNote, happening: Happening): void => {
    if (this.#meter.take(name) > 0) return this.#tooMany(name, note, happening)
    this.#add(createEvent(name, note, { id: this.#nextId(), ...happening }))
  }

  /** Calls `listener` with each event from now on. @returns ends it */
  listen(listener: (event: GatewayEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** The id of the last event; `0` before the first. */
  get last(): string {
    return this.#events.at(-1)?.id ?? '0'
  }

  /** Has the list lost something that came after this id? */
  hasLost(after: string): boolean {
    const [first] = this.#events
    return first !== undefined && this.#events.length >= KEPT_EVENTS && isAfter(first.id, after)
  }

  /** The events of a query. */
  list({ after, before, limit, fits = () => true }: EventQuery): EventPage {
    const items: GatewayEvent[] = []
    if (after !== undefined) {
      for (let index = this.#indexAfter(after); index < this.#events.length; index++) {
        const event = this.#events[index]!
        if (!fits(event)) continue
        if (items.length === limit) return { items, next: items.at(-1)!.id }
        items.push(event)
      }
      return { items, next: isAfter(this.last, after) ? this.last : after }
    }
    const end = before === undefined ? this.#events.length : this.#indexOf(before)
    for (let index = end - 1; index >= 0; index--) {
      const event = this.#events[index]!
      if (!fits(event)) continue
      if (items.length === limit) return { items, next: items.at(-1)!.id }
      items.push(event)
    }
    return { items, next: null }
  }

  /** Tells what is held back, and nothing after it. */
  close(): void {
    clearTimeout(this.#timer)
    this.#tellFlood()
    this.#listeners.clear()
  }

  #add(event: GatewayEvent): void {
    this.#events.push(event)
    if (this.#events.length >= KEPT_EVENTS + SLACK) this.#events.splice(0, this.#events.length - KEPT_EVENTS)
    for (const listener of [...this.#listeners]) {
      try {
        listener(event)
      } catch (thrown) {
        this.onFault(thrown)
      }
    }
  }

  #nextId(): string {
    this.#lastId = Math.max(this.#lastId + 1, this.nowMs() * 1_000)
    return String(this.#lastId)
  }

  #tooMany(name: EventName, note: EventNote, { count }: Happening): void {
    const known = this.#flood.get(name)
    if (known === undefined) this.#flood.set(name, { note, count, sinceMs: this.nowMs() })
    else {
      known.note = note
      known.count += count
    }
    this.#timer ??= setTimeout(() => {
      try {
        this.#tellFlood()
      } catch (thrown) {
        this.onFault(thrown)
      }
    }, FLOOD_MS).unref()
  }

  #tellFlood(): void {
    this.#timer = undefined
    const flood = [...this.#flood]
    this.#flood.clear()
    const atMs = this.nowMs()
    for (const [name, { note, count, sinceMs }] of flood) this.#add(createEvent(name, note, { id: this.#nextId(), atMs, count, sinceMs }))
  }

  /** The first event that is not before this id. */
  #indexOf(id: string): number {
    let [low, high] = [0, this.#events.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if (isAfter(id, this.#events[middle]!.id)) low = middle + 1
      else high = middle
    }
    return low
  }

  #indexAfter(id: string): number {
    const index = this.#indexOf(id)
    return this.#events[index]?.id === id ? index + 1 : index
  }
}
