/** The seam between the store and whoever speaks SQLite: one connection, synchronous. Two modules implement it. */

/** A value that SQLite stores. Others are refused before a driver sees them: libsql ends the process at a boolean. */
export type SqliteValue = null | string | number | bigint | Uint8Array

/** A prepared statement. Rows are plain objects, bytes in them Buffers. */
export interface SqliteStatement {
  /** Does it return rows? */
  readonly reader: boolean
  all(values: readonly SqliteValue[]): readonly Record<string, unknown>[]
  run(values: readonly SqliteValue[]): { readonly changes: number | bigint; readonly lastInsertRowid: number | bigint }
  iterate(values: readonly SqliteValue[]): Iterable<Record<string, unknown>>
}

export interface SqliteConnection {
  prepare(sql: string): SqliteStatement
  /** Runs statements that take no values and return no rows. */
  exec(sql: string): void
  close(): void
}

/** Opens a file, or `:memory:`, which is made where it is not there. */
export type OpenSqlite = (file: string) => SqliteConnection

/**
 * `value` as SQLite stores it.
 * @throws TypeError for what no column can hold, and for a number that is no exact integer
 */
export function sqliteValue(value: unknown): SqliteValue {
  if (value === null || typeof value === 'string' || typeof value === 'bigint') return value
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value)) throw new TypeError(`not an exact integer: ${value}`)
    return value
  }
  if (value instanceof Uint8Array || ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
  throw new TypeError(`a value of the type ${typeof value} cannot be stored`)
}
