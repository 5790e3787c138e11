/** Brings a database to the version of this program, in one transaction under a lock: it has happened, or nothing has. */
import { sql } from './kysely.ts'
import type { Kysely, Transaction } from 'kysely'
import { GatewayError } from '../errors.ts'
import { MIGRATIONS, POSTGRES_WORDS, SQLITE_WORDS, type Migration } from './migrations.ts'

/** The version that a program of this release makes and needs. */
export const SCHEMA_VERSION = MIGRATIONS.length

/** Any number will do that nobody else uses in this database: the letters SGMIGRAT. */
const LOCK = '6001117839049212244'

interface VersionTable {
  schema_version: { id: number; version: number; changed_at: number; probed_at: number }
}

export interface MigrateOptions {
  readonly dialect: 'sqlite' | 'postgres'
  readonly now: () => number
  /** Makes a copy of what is there before the first step on it. */
  readonly copy?: (version: number) => Promise<void>
  /** All steps from the first one on. */
  readonly migrations: readonly Migration[]
  /** Told before the first step on what is there, and before its copy. */
  readonly onMigrating?: ((steps: MigrateResult) => void) | undefined
}

/** The steps that were taken: equal when there was nothing to do. */
export interface MigrateResult {
  readonly from: number
  readonly to: number
}

type Db = Kysely<VersionTable> | Transaction<VersionTable>

async function versionOf(db: Db): Promise<number> {
  await sql`create table if not exists schema_version (
    id bigint primary key check (id = 1), version bigint not null, changed_at bigint not null, probed_at bigint not null
  )`.execute(db)
  const row = await db.selectFrom('schema_version').select('version').executeTakeFirst()
  return row?.version ?? 0
}

function refuseNewer(found: number, known: number): void {
  if (found <= known) return
  throw new GatewayError(
    'STORE_INVALID',
    `the database has version ${found}, and this release knows versions up to ${known}; run the release that made it, or restore the copy from before it`,
  )
}

/**
 * Takes every step that the database lacks.
 * @throws GatewayError STORE_INVALID, naming both versions, where the database is of a later release
 */
export async function migrate(kysely: Kysely<unknown>, options: MigrateOptions): Promise<MigrateResult> {
  const { dialect, now, copy, migrations, onMigrating } = options
  const db = kysely as Kysely<VersionTable>
  if (copy !== undefined) {
    // Outside of the transaction, in which SQLite makes no copies. Nobody else writes the file meanwhile.
    const found = await versionOf(db)
    refuseNewer(found, migrations.length)
    if (found > 0 && found < migrations.length) {
      onMigrating?.({ from: found, to: migrations.length })
      await copy(found)
    }
  }
  return db.transaction().execute(async transaction => {
    if (dialect === 'postgres') {
      // A step may take as long as it takes, and so may another process that is at it.
      await sql`set local statement_timeout = 0`.execute(transaction)
      await sql`set local lock_timeout = 0`.execute(transaction)
      await sql`select pg_advisory_xact_lock(${sql.raw(LOCK)})`.execute(transaction)
    }
    const from = await versionOf(transaction)
    const to = migrations.length
    refuseNewer(from, to)
    if (from === to) return { from, to }
    if (from > 0 && copy === undefined) onMigrating?.({ from, to })
    const words = dialect === 'postgres' ? POSTGRES_WORDS : SQLITE_WORDS
    for (const step of migrations.slice(from)) for (const statement of step(words)) await sql.raw(statement).execute(transaction)
    const changed_at = now()
    await transaction
      .insertInto('schema_version')
      .values({ id: 1, version: to, changed_at, probed_at: changed_at })
      .onConflict(conflict => conflict.column('id').doUpdateSet({ version: to, changed_at }))
      .execute()
    return { from, to }
  })
}

/** Writes a little, to see whether the database can be written. */
export const probe = async (db: Kysely<never>, now: number): Promise<void> => {
  await sql`update schema_version set probed_at = ${now} where id = 1`.execute(db)
}
