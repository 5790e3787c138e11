import type { RequestsChange } from '../directory/socket-requests.ts'
import type { ServiceChild } from './ipc.ts'

/** Messages that the process has not taken yet, of one reader and of all: one has 250 changes at most. */
const MAX_OF_ONE = 4
const MAX_WAITING = 64
const RESET: RequestsChange = Object.freeze({ type: 'reset' })

/**
 * Tells the service process what its readers follow, and no more than it takes: while it stands still, changes are left out, and afterwards those
 * who have missed some are told to ask for the list again.
 */
export class FollowedMessages {
  #waiting = 0
  /** Readers that have missed something. */
  readonly #behind = new Set<Reader>()

  /** A reader of the process, by its number. */
  open(
    child: Pick<ServiceChild, 'send'>,
    id: number,
  ): { readonly tell: (changes: readonly RequestsChange[]) => void; readonly close: () => void } {
    const reader: Reader = { child, id, waiting: 0 }
    return { tell: changes => this.#tell(reader, changes), close: () => void this.#behind.delete(reader) }
  }

  #tell(reader: Reader, changes: readonly RequestsChange[]): void {
    const isEnd = changes.at(-1)?.type === 'end'
    // Nothing comes after an end, so there is one for each reader.
    if (!isEnd && (reader.waiting >= MAX_OF_ONE || this.#waiting >= MAX_WAITING)) {
      this.#behind.add(reader)
      return
    }
    const whole = this.#behind.delete(reader) && !isEnd ? [RESET, ...changes] : changes
    reader.waiting++
    this.#waiting++
    reader.child.send({ type: 'followed', id: reader.id, changes: whole }, () => {
      reader.waiting--
      this.#waiting--
      this.#catchUp()
    })
  }

  #catchUp(): void {
    for (const reader of this.#behind) {
      if (this.#waiting >= MAX_WAITING) return
      if (reader.waiting === 0) this.#tell(reader, [])
    }
  }
}

interface Reader {
  readonly child: Pick<ServiceChild, 'send'>
  readonly id: number
  waiting: number
}
