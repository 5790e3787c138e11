/** kysely over one SQLite connection: whoever wants it waits in order, for a bounded time. */
import { CompiledQuery, type DatabaseConnection, type Driver, type QueryResult, type TransactionSettings } from 'kysely'
import { unavailable } from './faults.ts'
import { sqliteValue, type SqliteConnection, type SqliteStatement } from './sqlite-connection.ts'

/** Statements that are kept prepared; the service has some hundred. */
const MAX_STATEMENTS = 300
/** The longest that somebody waits for the connection, milliseconds: so a transaction that waits for itself ends, and says so. */
const MAX_WAIT_MS = 15_000

interface Waiter {
  readonly take: () => void
}

/** Turns at the one connection, first come, first served. */
class Turns {
  readonly #waiters = new Set<Waiter>()
  #isTaken = false

  /** @throws GatewayError STORE_UNAVAILABLE after MAX_WAIT_MS */
  async take(): Promise<void> {
    if (!this.#isTaken) {
      this.#isTaken = true
      return
    }
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiters.delete(waiter)
        reject(unavailable(`its one connection was not free for ${MAX_WAIT_MS / 1_000} s; a transaction holds it, or waits for itself`))
      }, MAX_WAIT_MS)
      const waiter: Waiter = {
        take: () => {
          clearTimeout(timer)
          resolve()
        },
      }
      this.#waiters.add(waiter)
    })
  }

  give(): void {
    for (const waiter of this.#waiters) {
      this.#waiters.delete(waiter)
      waiter.take()
      return
    }
    this.#isTaken = false
  }
}

class SqliteDatabaseConnection implements DatabaseConnection {
  readonly #connection: SqliteConnection
  /** By SQL, the one that was used last at the end. */
  readonly #statements = new Map<string, SqliteStatement>()

  constructor(connection: SqliteConnection) {
    this.#connection = connection
  }

  #prepare(sql: string): SqliteStatement {
    const statement = this.#statements.get(sql) ?? this.#connection.prepare(sql)
    this.#statements.delete(sql)
    this.#statements.set(sql, statement)
    if (this.#statements.size > MAX_STATEMENTS) {
      const [oldest] = this.#statements.keys()
      this.#statements.delete(oldest!)
    }
    return statement
  }

  async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    const values = parameters.map(sqliteValue)
    const statement = this.#prepare(sql)
    if (statement.reader) return { rows: statement.all(values) as R[] }
    const { changes, lastInsertRowid } = statement.run(values)
    return { rows: [], numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid) }
  }

  async *streamQuery<R>({ sql, parameters }: CompiledQuery): AsyncIterableIterator<QueryResult<R>> {
    // One of its own: while it is read, another query may not reset it.
    for (const row of this.#connection.prepare(sql).iterate(parameters.map(sqliteValue))) yield { rows: [row as R] }
  }

  exec(sql: string): void {
    this.#connection.exec(sql)
  }
}

/** @param connection  open, with its pragmas set; closed with the driver */
export class SqliteDriver implements Driver {
  readonly #connection: SqliteConnection
  readonly #shared: SqliteDatabaseConnection
  readonly #turns = new Turns()
  /** A transaction could not be rolled back, so that it may still be open. */
  #isOpen = false

  constructor(connection: SqliteConnection) {
    this.#connection = connection
    this.#shared = new SqliteDatabaseConnection(connection)
  }

  async init(): Promise<void> {
    // The connection is open already.
  }

  async acquireConnection(): Promise<DatabaseConnection> {
    await this.#turns.take()
    return this.#shared
  }

  async releaseConnection(): Promise<void> {
    this.#turns.give()
  }

  async beginTransaction(_connection: DatabaseConnection, { accessMode }: TransactionSettings): Promise<void> {
    if (this.#isOpen) this.#rollBack()
    // A writer says so at once: one that became it later would fail where another one was faster.
    this.#shared.exec(accessMode === 'read only' ? 'begin' : 'begin immediate')
  }

  async commitTransaction(): Promise<void> {
    this.#shared.exec('commit')
  }

  async rollbackTransaction(): Promise<void> {
    this.#rollBack()
  }

  /** SQLite has rolled back by itself after a full disk or an I/O error; saying it again fails, and must not hide that error. */
  #rollBack(): void {
    this.#isOpen = true
    try {
      this.#shared.exec('rollback')
      this.#isOpen = false
    } catch (thrown) {
      this.#isOpen = !(thrown as Error).message.includes('no transaction is active')
    }
  }

  async savepoint(connection: DatabaseConnection, name: string): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw(`savepoint "${name}"`))
  }

  async rollbackToSavepoint(connection: DatabaseConnection, name: string): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw(`rollback to "${name}"`))
  }

  async releaseSavepoint(connection: DatabaseConnection, name: string): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw(`release "${name}"`))
  }

  async destroy(): Promise<void> {
    this.#connection.close()
  }
}
