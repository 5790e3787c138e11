import type { EventName, StateName } from './catalogue.ts'
import type { EventNote } from './event.ts'

/** Where parts say what has happened. Nothing of it throws. */
export interface EventSink {
  /** Something has happened. The same of the same subject soon after is counted, and told as one. */
  tell(name: EventName, note: EventNote): void
  /**
   * Something is well, or is not. Whoever says what is so already says nothing; what turns to and fro is told as one.
   * @param key  which one, among all of this state; the subject where nothing else is needed
   */
  turn(state: StateName, isWell: boolean, note: EventNote, key?: string): void
  /** It is nothing any more that could be well or not. */
  forget(state: StateName, key: string): void
}

/** Says nothing to anybody. */
export const NO_EVENTS: EventSink = Object.freeze({ tell: () => undefined, turn: () => undefined, forget: () => undefined })
