import { setTimeout as delay } from 'node:timers/promises'
import { sql } from './kysely.ts'
import type { Kysely, Transaction } from 'kysely'
import { asGatewayError, GatewayError } from '../errors.ts'
import { ChangeFeed, type FollowOptions } from './change-feed.ts'
import { isConflict } from './faults.ts'
import { Health } from './health.ts'
import { probe, type MigrateResult } from './migrate.ts'
import { CHANNEL } from './postgres-listener.ts'
import type { PostgresTimes } from './postgres-pool.ts'
import type { Database } from './schema.ts'
import { createEngine, type Engine } from './engine.ts'
import { copySqlite, copySqliteFile, type SqliteModule } from './sqlite-file.ts'
import { parseStoreUrl } from './store-url.ts'

export interface StoreOptions {
  /** `sqlite:FILE`, `sqlite::memory:` or `postgres://USER@HOST/DATABASE`; see `parseStoreUrl`. */
  readonly url: string
  /** Of relative files in the URL. */
  readonly directory: string
  /** For PostgreSQL, where it does not stand in the URL. */
  readonly password?: string
  readonly now?: () => number
  /** The database is away, read-only or full: once for each time. */
  readonly onAway?: (fault: GatewayError) => void
  readonly onBack?: () => void
  /** Steps of the schema are about to be taken on what is there, which may take long. */
  readonly onMigrating?: (steps: MigrateResult) => void
  /** A step of the schema was taken; `copy` is the file of what was before, where one was made. */
  readonly onMigrated?: (result: MigrateResult & { readonly copy: string | undefined }) => void
  /** Resolve also when PostgreSQL is away; then calls are rejected until it is there. */
  readonly mayBeAway?: boolean
  /** Default: node:sqlite where it is, else libsql. */
  readonly sqlite?: SqliteModule
  readonly postgresTimes?: PostgresTimes
}

/** One transaction that may write. */
export interface StoreTransaction {
  /** Whatever runs on another one than this waits for this one to end. */
  readonly db: Transaction<Database>
  /** Notes that something has changed; written last, in the same transaction. @param kind  such as `socket` */
  readonly change: (kind: string, objectId: string) => void
}

/** A result, and the number of the last change that is in it; 0 where there was none ever. */
export interface Numbered<T> {
  readonly value: T
  readonly seq: number
}

/**
 * The database of the service. Every call, also on `db`, rejects with a GatewayError STORE_UNAVAILABLE (with Retry-After) where the database is
 * away, read-only or full, and with the fault of the driver where a rule of the database was broken: see `constraintOf`.
 */
export interface Store {
  readonly dialect: 'sqlite' | 'postgres'
  /** For single statements. Inside of a transaction, use that of the transaction. */
  readonly db: Kysely<Database>
  /**
   * Runs `work` in a transaction, up to five times where it conflicts with another one; so it must not do anything but to the database.
   * When the connection is lost at the commit, nobody knows whether it was committed.
   */
  transaction<T>(work: (transaction: StoreTransaction) => Promise<T>): Promise<T>
  /** The same, for a transaction that calls `change`; `seq` is the number of its last change. */
  changing<T>(work: (transaction: StoreTransaction) => Promise<T>): Promise<Numbered<T>>
  /** Reads one consistent state; `seq` is the number of the last change that is in it. */
  read<T>(work: (db: Transaction<Database>) => Promise<T>): Promise<Numbered<T>>
  /** Follows the changes, also those of other processes. @returns a function that ends it */
  follow(options: FollowOptions): () => Promise<void>
  /** Deletes changes from before `at`, but never the last one, of which the number is still needed. */
  pruneChanges(at: number): Promise<void>
  /** False from the first failure until a probe has been written, which is tried each second. */
  isHealthy(): boolean
  /**
   * Copies the database to a new file, readable by its owner only, while it is in use.
   * @throws GatewayError FILE_EXISTS, FILE_UNREADABLE, or USAGE for PostgreSQL, which has pg_dump
   */
  backup(file: string): Promise<void>
  close(): Promise<void>
}

const MAX_ATTEMPTS = 5
const FIRST_PAUSE_MS = 10

/** Serializes the transactions that change something, so that their numbers are committed in order. The letters SGCHANGE. */
const CHANGES_LOCK = '6001106788276979525'

/**
 * Opens the database and brings it up to date.
 * @throws GatewayError CONFIG_INVALID (the URL), STORE_INVALID (it cannot be used: of a later release, written by another process, a package is missing)
 * or STORE_UNAVAILABLE (it is away; not with `mayBeAway`)
 */
export async function openStore(options: StoreOptions): Promise<Store> {
  const store = new SqlStore(options)
  try {
    await store.open()
    return store
  } catch (thrown) {
    const fault = asGatewayError(thrown)
    const isInvalid = isOfNoUse(fault)
    if (options.mayBeAway === true && fault.code === 'STORE_UNAVAILABLE' && !isInvalid) return store
    await store.close()
    throw isInvalid ? fault.cause : thrown
  }
}

/** Was the database there, and turned out to be of no use to this process? */
const isOfNoUse = ({ cause }: GatewayError): boolean => cause instanceof GatewayError && cause.code === 'STORE_INVALID'

const usePgDump = (): GatewayError =>
  new GatewayError('USAGE', 'the database is PostgreSQL: make copies with its own tools, such as pg_dump --format=custom')

/**
 * Copies a database that another process may have open to a new file, readable by its owner only.
 * @throws GatewayError FILE_EXISTS, FILE_UNREADABLE, or USAGE for PostgreSQL, which has pg_dump
 */
export async function backUpStore(
  { url, directory, sqlite }: Pick<StoreOptions, 'url' | 'directory' | 'sqlite'>,
  file: string,
): Promise<void> {
  const place = parseStoreUrl(url, directory)
  if (place.kind === 'postgres') throw usePgDump()
  await copySqliteFile(place.file, file, sqlite)
}

/**
 * Numbers changes and announces them, in one statement: until the commit nobody else gets a number, so all that is done under this lock should be short.
 * The lock is the last one that is taken, so that it can be part of no deadlock. A number is given to a row once it is there, which is after the lock.
 */
async function numbered(
  db: Transaction<Database>,
  changes: readonly { readonly at: number; readonly kind: string; readonly object_id: string }[],
): Promise<readonly { readonly seq: number }[]> {
  const values = sql.join(changes.map(({ at, kind, object_id }) => sql`(${at}::bigint, ${kind}::text, ${object_id}::text)`))
  const { rows } = await sql<{ readonly seq: number }>`
    with held as materialized (select pg_advisory_xact_lock(${sql.raw(CHANGES_LOCK)})::text as lock)
    insert into changes (at, kind, object_id)
    select fresh.at, fresh.kind, fresh.object_id from held, (values ${values}) as fresh (at, kind, object_id)
    returning seq, pg_notify(${CHANNEL}, '')::text as told`.execute(db)
  return rows
}

class SqlStore implements Store {
  readonly dialect: 'sqlite' | 'postgres'
  readonly db: Kysely<Database>
  readonly #engine: Engine
  readonly #feed: ChangeFeed
  readonly #health: Health
  readonly #now: () => number
  #isOpening = false

  constructor(options: StoreOptions) {
    const place = parseStoreUrl(options.url, options.directory)
    this.dialect = place.kind
    this.#now = options.now ?? Date.now
    this.#health = new Health({
      // A transaction, before which it is seen whether the file is still there.
      probe: () => this.db.transaction().execute(db => probe(db as unknown as Kysely<never>, this.#now())),
      onAway: fault => {
        // Whoever opens it hears so from that.
        if (!this.#isOpening || !isOfNoUse(fault)) options.onAway?.(fault)
      },
      onBack: () => {
        options.onBack?.()
        this.#feed.signal()
      },
    })
    this.#engine = createEngine(place, {
      ...options,
      now: this.#now,
      onAway: fault => this.#health.away(fault),
      onSignal: () => this.#feed.signal(),
    })
    this.db = this.#engine.db
    this.#feed = new ChangeFeed(this.db)
  }

  async open(): Promise<void> {
    this.#isOpening = true
    try {
      await sql`select 1`.execute(this.db)
    } finally {
      this.#isOpening = false
    }
  }

  async transaction<T>(work: (transaction: StoreTransaction) => Promise<T>): Promise<T> {
    return (await this.changing(work)).value
  }

  async changing<T>(work: (transaction: StoreTransaction) => Promise<T>): Promise<Numbered<T>> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        const result = await this.db.transaction().execute(db => this.#run(db, work))
        if (result.seq > 0) this.#feed.signal()
        return result
      } catch (thrown) {
        if (attempt >= MAX_ATTEMPTS || !isConflict(thrown)) throw thrown
        await delay(Math.random() * FIRST_PAUSE_MS * 2 ** attempt)
      }
    }
  }

  async #run<T>(db: Transaction<Database>, work: (transaction: StoreTransaction) => Promise<T>): Promise<Numbered<T>> {
    const changes: { at: number; kind: string; object_id: string }[] = []
    const value = await work({ db, change: (kind, object_id) => void changes.push({ at: this.#now(), kind, object_id }) })
    if (changes.length === 0) return { value, seq: 0 }
    const rows =
      this.dialect === 'postgres' ? await numbered(db, changes) : await db.insertInto('changes').values(changes).returning('seq').execute()
    return { value, seq: Math.max(...rows.map(row => row.seq)) }
  }

  async read<T>(work: (db: Transaction<Database>) => Promise<T>): Promise<Numbered<T>> {
    return this.db
      .transaction()
      .setIsolationLevel('repeatable read')
      .setAccessMode('read only')
      .execute(async db => {
        const last = await db
          .selectFrom('changes')
          .select(({ fn }) => fn.max('seq').as('seq'))
          .executeTakeFirst()
        return { value: await work(db), seq: last?.seq ?? 0 }
      })
  }

  follow(options: FollowOptions): () => Promise<void> {
    return this.#feed.follow(options)
  }

  async pruneChanges(at: number): Promise<void> {
    await this.db
      .deleteFrom('changes')
      .where('at', '<', at)
      .where('seq', '<', query => query.selectFrom('changes').select(({ fn }) => fn.max('seq').as('seq')))
      .execute()
  }

  isHealthy(): boolean {
    return this.#health.isHealthy
  }

  async backup(file: string): Promise<void> {
    if (this.dialect === 'postgres') throw usePgDump()
    await copySqlite(partial => sql`vacuum into ${partial}`.execute(this.db), file)
  }

  async close(): Promise<void> {
    this.#health.close()
    await this.#feed.close()
    await this.#engine.close()
  }
}
