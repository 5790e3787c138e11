import { GatewayError, messageOf } from '../../errors.ts'
import type { OpenSqlite, SqliteStatement, SqliteValue } from './sqlite-connection.ts'

interface LibsqlStatement {
  readonly reader: boolean
  all(values: readonly SqliteValue[]): Record<string, unknown>[]
  run(values: readonly SqliteValue[]): { changes: number; lastInsertRowid: number }
  iterate(values: readonly SqliteValue[]): Iterable<Record<string, unknown>>
  safeIntegers(on: boolean): unknown
}

interface LibsqlDatabase {
  prepare(sql: string): LibsqlStatement
  exec(sql: string): void
  close(): void
}

type Libsql = new (file: string) => LibsqlDatabase

/**
 * Values as the other drivers give them. It gives bytes as an ArrayBuffer. It would round integers above 2^53, so it is asked for bigints,
 * which are made numbers here.
 */
function plain(row: Record<string, unknown>): Record<string, unknown> {
  for (const name in row) {
    const value = row[name]
    if (typeof value === 'bigint') {
      const number = Number(value)
      if (!Number.isSafeInteger(number)) throw new RangeError(`${name}: ${value} is more than a number can hold`)
      row[name] = number
    } else if (typeof value === 'object' && value !== null) row[name] = Buffer.from(value as ArrayBuffer)
  }
  return row
}

function* plainRows(rows: Iterable<Record<string, unknown>>): Iterable<Record<string, unknown>> {
  for (const row of rows) yield plain(row)
}

function wrap(statement: LibsqlStatement): SqliteStatement {
  const { reader } = statement
  if (reader) statement.safeIntegers(true)
  return {
    reader,
    all: values => statement.all(values).map(plain),
    run: values => statement.run(values),
    iterate: values => plainRows(statement.iterate(values)),
  }
}

/** Loads libsql. @throws GatewayError STORE_INVALID where it is not installed */
export async function loadLibsql(): Promise<OpenSqlite> {
  let Database: Libsql
  try {
    Database = ((await import('libsql')) as unknown as { default: Libsql }).default
  } catch (cause) {
    throw new GatewayError(
      'STORE_INVALID',
      `no SQLite is here: install the package libsql (npm install libsql), run Node.js 22.16 or later, or use PostgreSQL: ${messageOf(cause)}`,
      { cause },
    )
  }
  return file => {
    const database = new Database(file)
    return {
      prepare: sql => wrap(database.prepare(sql)),
      exec: sql => database.exec(sql),
      close: () => database.close(),
    }
  }
}
