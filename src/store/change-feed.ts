/** The changes, read in the order in which they were committed, by whoever follows them. */
import type { Kysely } from 'kysely'
import type { Database, Row } from './schema.ts'

/** A change as it was committed. */
export type Change = Row<'changes'>

export interface FollowOptions {
  /** Number of the last change that is known already. */
  readonly since: number
  /** Called with at most 500 changes at a time, the next time when it has resolved; a rejection is as if the database were away: the same changes come again. */
  readonly onChanges: (changes: readonly Change[]) => void | Promise<void>
  /** Once, until it works again. */
  readonly onFault?: (fault: unknown) => void
}

const BATCH = 500
/** Behind the signals, of which none has to come. */
const POLL_MS = 1_000

/** Follows the table `changes` for as many as want to. */
export class ChangeFeed {
  readonly #db: Kysely<Database>
  readonly #followers = new Set<Follower>()

  constructor(db: Kysely<Database>) {
    this.#db = db
  }

  /** @returns a function that ends it, resolving when nothing of it runs any more */
  follow(options: FollowOptions): () => Promise<void> {
    const follower = new Follower(this.#db, options)
    this.#followers.add(follower)
    follower.look()
    return async () => {
      this.#followers.delete(follower)
      await follower.stop()
    }
  }

  /** There may be new ones. */
  signal(): void {
    for (const follower of this.#followers) follower.look()
  }

  async close(): Promise<void> {
    const followers = [...this.#followers]
    this.#followers.clear()
    await Promise.all(followers.map(follower => follower.stop()))
  }
}

class Follower {
  readonly #db: Kysely<Database>
  readonly #options: FollowOptions
  #seq: number
  #isStopped = false
  /** Asked while it was at it: it looks once more. */
  #isAsked = false
  #isFaulty = false
  #work: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(db: Kysely<Database>, options: FollowOptions) {
    this.#db = db
    this.#options = options
    this.#seq = options.since
  }

  look(): void {
    if (this.#isStopped) return
    if (this.#work !== undefined) {
      this.#isAsked = true
      return
    }
    clearTimeout(this.#timer)
    this.#work = this.#read()
      .then(
        () => {
          this.#isFaulty = false
        },
        (fault: unknown) => {
          const isNew = !this.#isFaulty
          this.#isFaulty = true
          if (isNew) this.#options.onFault?.(fault)
        },
      )
      .catch(() => undefined) // what onFault throws concerns nobody
      .then(() => {
        this.#work = undefined
        if (this.#isStopped) return
        if (this.#isAsked) {
          this.#isAsked = false
          this.look()
        } else this.#timer = setTimeout(() => this.look(), POLL_MS).unref()
      })
  }

  async #read(): Promise<void> {
    for (;;) {
      const changes = await this.#db.selectFrom('changes').selectAll().where('seq', '>', this.#seq).orderBy('seq').limit(BATCH).execute()
      if (changes.length === 0 || this.#isStopped) return
      await this.#options.onChanges(changes)
      this.#seq = changes.at(-1)!.seq
    }
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    clearTimeout(this.#timer)
    await this.#work
  }
}
