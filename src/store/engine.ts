/** kysely over the one database that a URL names. */
import type { Dialect, Driver, Kysely as KyselyType } from 'kysely'
import {
  Kysely,
  PostgresAdapter,
  PostgresDriver,
  PostgresIntrospector,
  PostgresQueryCompiler,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  sql,
} from './sqlite/kysely.ts'
import { GatewayError } from '../errors.ts'
import { postgresFault, sqliteFault, unavailable } from './faults.ts'
import { GuardedDriver, type DriverGuard } from './guarded-driver.ts'
import { migrate, type MigrateResult } from './migrate.ts'
import { MIGRATIONS, type Migration } from './migrations.ts'
import { PostgresConnections } from './postgres-connections.ts'
import { PostgresListener } from './postgres-listener.ts'
import { clientConfigOf, createPool, loadPostgres, POSTGRES_TIMES, type PostgresTimes } from './postgres-pool.ts'
import type { Database } from './schema.ts'
import { SqliteDriver } from './sqlite/sqlite-driver.ts'
import { copySqlite, IN_MEMORY, openSqliteFile, type SqliteModule } from './sqlite-file.ts'
import type { StorePlace } from './store-url.ts'

export interface EngineOptions {
  readonly password?: string
  readonly sqlite?: SqliteModule
  readonly postgresTimes?: PostgresTimes
  readonly migrations?: readonly Migration[]
  readonly now: () => number
  readonly onAway: (fault: GatewayError) => void
  /** Another process has changed something. */
  readonly onSignal: () => void
  readonly onMigrating?: (steps: MigrateResult) => void
  readonly onMigrated?: (result: MigrateResult & { readonly copy: string | undefined }) => void
}

export interface Engine {
  readonly db: KyselyType<Database>
  close(): Promise<void>
}

/** kysely over a driver that opens its database when it is first asked, and never again after it was closed. */
function engineOver(
  dialect: Omit<Dialect, 'createDriver'>,
  guard: DriverGuard,
  around: (close: () => Promise<void>) => Promise<void> = close => close(),
): Engine {
  let isClosed = false
  const open = async (): Promise<Driver> => {
    if (isClosed) throw unavailable('the store is closed')
    return guard.open()
  }
  const driver = new GuardedDriver({ ...guard, open })
  const db = new Kysely<Database>({ dialect: { ...dialect, createDriver: () => driver } })
  const close = async (): Promise<void> => {
    isClosed = true
    // Rejected where the database was being opened, and that failed: then there is nothing to close.
    await around(() => db.destroy().catch(() => undefined))
  }
  return { db, close }
}

/** Nothing is opened before the first statement. */
export const createEngine = (place: StorePlace, options: EngineOptions): Engine =>
  place.kind === 'sqlite' ? sqliteEngine(place.file, options) : postgresEngine(place, options)

const SQLITE: Omit<Dialect, 'createDriver'> = {
  createAdapter: () => new SqliteAdapter(),
  createQueryCompiler: () => new SqliteQueryCompiler(),
  createIntrospector: db => new SqliteIntrospector(db),
}

const POSTGRES: Omit<Dialect, 'createDriver'> = {
  createAdapter: () => new PostgresAdapter(),
  createQueryCompiler: () => new PostgresQueryCompiler(),
  createIntrospector: db => new PostgresIntrospector(db),
}

/** kysely over a driver that somebody else closes. */
const over = (dialect: Omit<Dialect, 'createDriver'>, driver: Driver): KyselyType<unknown> =>
  new Kysely<unknown>({ dialect: { ...dialect, createDriver: () => driver } })

function sqliteEngine(file: string, { sqlite, migrations = MIGRATIONS, now, onAway, onMigrating, onMigrated }: EngineOptions): Engine {
  const open = async (): Promise<Driver> => {
    const opened = await openSqliteFile(file, sqlite)
    const driver = new SqliteDriver(opened, () => opened.assertThere())
    try {
      const db = over(SQLITE, driver)
      let copied: string | undefined
      const copy = async (version: number): Promise<void> => {
        const stamp = new Date(now()).toISOString().replaceAll(/[-:]|\.\d+/g, '')
        copied = `${file}.version-${version}.${stamp}`
        await copySqlite(partial => sql`vacuum into ${partial}`.execute(db), copied)
      }
      const result = await migrate(db, { dialect: 'sqlite', now, migrations, onMigrating, ...(file !== IN_MEMORY && { copy }) })
      if (result.from !== result.to) onMigrated?.({ ...result, copy: copied })
      return driver
    } catch (thrown) {
      await driver.destroy()
      throw thrown
    }
  }
  return engineOver(SQLITE, { open, connections: 1, faultOf: sqliteFault, onAway })
}

function postgresEngine(
  place: Extract<StorePlace, { kind: 'postgres' }>,
  { password, postgresTimes = POSTGRES_TIMES, migrations = MIGRATIONS, now, onAway, onSignal, onMigrating, onMigrated }: EngineOptions,
): Engine {
  let listener: PostgresListener | undefined
  let connections: PostgresConnections | undefined
  const open = async (): Promise<Driver> => {
    const pg = await loadPostgres()
    const config = await clientConfigOf(pg, place, password, postgresTimes)
    const clients = new PostgresConnections(pg)
    connections = clients
    const pool = createPool(pg, { ...config, max: place.connections, Client: clients.Client }, fault => {
      const away = postgresFault(fault)
      if (away instanceof GatewayError) onAway(away)
    })
    const driver = new PostgresDriver({ pool })
    try {
      await driver.init()
      const result = await migrate(over(POSTGRES, driver), { dialect: 'postgres', now, migrations, onMigrating })
      if (result.from !== result.to) onMigrated?.({ ...result, copy: undefined })
    } catch (thrown) {
      await clients.end(() => pool.end())
      throw thrown
    }
    listener = new PostgresListener(clients, config, onSignal)
    listener.start()
    return driver
  }
  return engineOver(POSTGRES, { open, connections: place.connections, faultOf: postgresFault, onAway }, async close => {
    const closeAll = (): Promise<unknown> => Promise.all([listener?.close(), close()])
    await (connections === undefined ? closeAll() : connections.end(closeAll))
  })
}
