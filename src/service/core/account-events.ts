import { STATES, type EventName, type StateName } from '../../events/catalogue.ts'
import { EventFolder } from '../../events/event-folder.ts'
import type { EventNote } from '../../events/event.ts'
import type { EventSink } from '../../events/event-sink.ts'
import type { Happening, Tell } from '../../events/turning-states.ts'
import type { Store } from '../../store/store.ts'
import type { Log } from '../../telemetry/log.ts'

/** Events that wait to be written while the database is slow; beyond, they are told and not kept. */
const MAX_WAITING = 1_000

const STATE_NAMES: ReadonlySet<EventName> = new Set(Object.values(STATES).flatMap(({ bad, good }) => [bad, good]))

/** Options of the events of accounts. */
export interface AccountEventsOptions {
  readonly store: Store
  readonly now: () => number
  readonly log: Log
  /** Told of each event once it is kept, for the operator. */
  readonly onTold: Tell
  /** Factor of all times in which things are held back; the default suits everything but tests. */
  readonly holdScale?: number
}

/** The events of accounts: folded, kept in the store for them to read, and told to the operator. Nothing of it throws. */
export class AccountEvents implements EventSink {
  readonly #folder: EventFolder
  readonly #listeners = new Set<() => void>()
  #work: Promise<void> = Promise.resolve()
  #waiting = 0

  constructor(private readonly options: AccountEventsOptions) {
    const { now, log, holdScale } = options
    this.#folder = new EventFolder({
      tell: (name, note, happening) => this.#keep(name, note, happening),
      nowMs: now,
      onFault: err => log.error({ err }, 'internal fault while events were told'),
      ...(holdScale !== undefined && { holdScale }),
    })
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

  /** Calls `listener` when something new can be read, until the returned function is called. */
  listen(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Says nothing any more, and writes what is said already. */
  async close(): Promise<void> {
    this.#folder.close()
    await this.#work
  }

  #keep(name: EventName, note: EventNote, happening: Happening): void {
    const { onTold } = this.options
    if (note.account === undefined || this.#waiting >= MAX_WAITING) return onTold(name, note, happening)
    this.#waiting++
    this.#work = this.#work
      .then(() => this.#write(name, note, happening))
      .catch((err: unknown) => {
        this.options.log.warn({ err, event: name }, 'an event of an account could not be written')
        return true
      })
      .then(isNew => {
        this.#waiting--
        if (!isNew) return
        onTold(name, note, happening)
        for (const listener of [...this.#listeners]) listener()
      })
      .catch((err: unknown) => this.options.log.error({ err }, 'internal fault while events were told'))
  }

  /** @returns false where the last that was told of it, perhaps before a restart, says the same */
  async #write(name: EventName, { subject, account, fields }: EventNote, { atMs, count, sinceMs }: Happening): Promise<boolean> {
    const { db } = this.options.store
    if (STATE_NAMES.has(name)) {
      const last = await db
        .selectFrom('events')
        .select('name')
        .where('account_id', '=', account!)
        .where('subject', '=', subject)
        .orderBy('id', 'desc')
        .limit(1)
        .executeTakeFirst()
      if (last?.name === name) return false
    }
    await db
      .insertInto('events')
      .values({ at: atMs, account_id: account!, name, subject, count, since: sinceMs ?? null, fields: JSON.stringify(fields) })
      .execute()
    return true
  }
}
