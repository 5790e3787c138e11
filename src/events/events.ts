import type { EventName, StateName } from './catalogue.ts'
import { EventBook } from './event-book.ts'
import { EventFolder } from './event-folder.ts'
import type { EventNote } from './event.ts'
import type { EventSink } from './event-sink.ts'

/** Options of the events of a process. */
export interface EventsOptions {
  /** Milliseconds since 1970. */
  readonly nowMs: () => number
  /** Takes errors that are thrown where something is told, or listened to. */
  readonly onFault: (thrown: unknown) => void
  /** Factor of all times in which things are held back; the default suits everything but tests. */
  readonly holdScale?: number
}

/** The events of a process: said by its parts, folded, and kept in a book. */
export class Events implements EventSink {
  readonly book: EventBook
  readonly #folder: EventFolder

  constructor(options: EventsOptions) {
    this.book = new EventBook(options.nowMs, options.onFault)
    this.#folder = new EventFolder({ ...options, tell: this.book.add })
  }

  tell(name: EventName, note: EventNote): void {
    this.#folder.tell(name, note)
  }

  turn(state: StateName, isWell: boolean, note: EventNote, key?: string): void {
    this.#folder.turn(state, isWell, note, key)
  }

  forget(state: StateName, key: string): void {
    this.#folder.forget(state, key)
  }

  /** From now on, nothing that happens is told: that everybody leaves a process that ends is no news. */
  mute(): void {
    this.#folder.close()
  }

  /** Ends. Idempotent. */
  close(): void {
    this.#folder.close()
    this.book.close()
  }
}
