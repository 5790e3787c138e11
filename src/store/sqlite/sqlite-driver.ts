/** kysely over one SQLite connection, which only one at a time may have: whoever hands it out sees to that. */
import { setImmediate as immediate } from 'node:timers/promises'
import { CompiledQuery } from './kysely.ts'
import type { DatabaseConnection, Driver, QueryResult, TransactionSettings, CompiledQuery as Query } from 'kysely'
import { sqliteValue, type SqliteConnection, type SqliteStatement } from './sqlite-connection.ts'

// As CommonJS, here and wherever values of it are used: Node.js loads that in two thirds of the time of the ES modules, and one copy is enough.
/** Statements that are kept prepared; the service has some hundred. */
const MAX_STATEMENTS = 300
/** The longest that statements follow each other without a turn of the event loop, milliseconds. They are synchronous, and awaiting them is not enough. */
const MAX_RUN_MS = 5

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

  async executeQuery<R>({ sql, parameters }: Query): Promise<QueryResult<R>> {
    const values = parameters.map(sqliteValue)
    const statement = this.#prepare(sql)
    if (statement.reader) return { rows: statement.all(values) as R[] }
    const { changes, lastInsertRowid } = statement.run(values)
    return { rows: [], numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid) }
  }

  async *streamQuery<R>({ sql, parameters }: Query): AsyncIterableIterator<QueryResult<R>> {
    // One of its own: while it is read, another query may not reset it.
    for (const row of this.#connection.prepare(sql).iterate(parameters.map(sqliteValue))) yield { rows: [row as R] }
  }

  exec(sql: string): void {
    this.#connection.exec(sql)
  }
}

export class SqliteDriver implements Driver {
  readonly #connection: SqliteConnection
  readonly #shared: SqliteDatabaseConnection
  /** A transaction could not be rolled back, so that it may still be open. */
  #isOpen = false
  /** When the event loop was last seen to turn. */
  #turnedAt = 0

  /**
   * @param connection  open, with its pragmas set; closed with the driver
   * @param assertThere  asked before each transaction that may write; throws where nothing should be written
   */
  constructor(
    connection: SqliteConnection,
    private readonly assertThere: () => Promise<void>,
  ) {
    this.#connection = connection
    this.#shared = new SqliteDatabaseConnection(connection)
  }

  async init(): Promise<void> {
    // The connection is open already.
  }

  async acquireConnection(): Promise<DatabaseConnection> {
    if (performance.now() - this.#turnedAt > MAX_RUN_MS) {
      await immediate()
      this.#turnedAt = performance.now()
    }
    return this.#shared
  }

  async releaseConnection(): Promise<void> {
    // There is one, for ever.
  }

  async beginTransaction(_connection: DatabaseConnection, { accessMode }: TransactionSettings): Promise<void> {
    if (this.#isOpen) this.#rollBack()
    if (accessMode !== 'read only') await this.assertThere()
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
