import { guarded } from '../net/guard.ts'
import type { EventName, StateName } from './catalogue.ts'
import type { EventNote } from './event.ts'
import type { EventSink } from './event-sink.ts'
import { Occasions } from './occasions.ts'
import { TurningStates, type Tell } from './turning-states.ts'

const LOOK_MS = 250

/** Options of a folder. */
export interface EventFolderOptions {
  /** Takes what is to be told. */
  readonly tell: Tell
  /** Milliseconds since 1970. */
  readonly nowMs: () => number
  /** Takes errors that are thrown while something is told. */
  readonly onFault: (thrown: unknown) => void
  /** Factor of all times in which things are held back; the default suits everything but tests. */
  readonly holdScale?: number
}

/** Takes what happens, and tells it: the same never twice, what turns to and fro as one. A timer runs only while something is held back. */
export class EventFolder implements EventSink {
  readonly #states: TurningStates
  readonly #occasions: Occasions
  #timer: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(private readonly options: EventFolderOptions) {
    const tell: Tell = (...args) => guarded(options.onFault, options.tell)(...args)
    this.#states = new TurningStates(tell, options.holdScale)
    this.#occasions = new Occasions(tell, options.holdScale)
  }

  tell(name: EventName, note: EventNote): void {
    if (this.#isClosed) return
    this.#occasions.happened(name, note, this.options.nowMs())
    this.#wake()
  }

  turn(state: StateName, isWell: boolean, note: EventNote, key = note.subject): void {
    if (this.#isClosed) return
    this.#states.turn(state, isWell, note, key, this.options.nowMs())
    this.#wake()
  }

  forget(state: StateName, key: string): void {
    this.#states.forget(state, key)
  }

  /** Says nothing any more: what is held back, such as that all inner layers have left a process that ends, is no news. */
  close(): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
  }

  #wake(): void {
    if (this.#timer !== undefined || !(this.#states.isWaiting || this.#occasions.isWaiting)) return
    const look = guarded(this.options.onFault, () => {
      this.#timer = undefined
      const now = this.options.nowMs()
      this.#states.look(now)
      this.#occasions.look(now)
      this.#wake()
    })
    this.#timer = setTimeout(look, LOOK_MS).unref()
  }
}
