import type { OpenSqlite, SqliteStatement, SqliteValue } from './sqlite-connection.ts'

interface NodeStatement {
  columns?(): readonly unknown[]
  all(...values: readonly SqliteValue[]): Record<string, unknown>[]
  run(...values: readonly SqliteValue[]): { changes: number | bigint; lastInsertRowid: number | bigint }
  iterate(...values: readonly SqliteValue[]): Iterable<Record<string, unknown>>
}

interface NodeDatabase {
  prepare(sql: string): NodeStatement
  exec(sql: string): void
  close(): void
}

interface NodeSqlite {
  readonly DatabaseSync: new (file: string) => NodeDatabase
}

/** Its rows have no prototype, and bytes in them are plain Uint8Arrays. */
function plain(row: Record<string, unknown>): Record<string, unknown> {
  const copy: Record<string, unknown> = {}
  for (const name in row) {
    const value = row[name]
    copy[name] =
      typeof value === 'object' && value !== null
        ? Buffer.from((value as Uint8Array).buffer, (value as Uint8Array).byteOffset, (value as Uint8Array).byteLength)
        : value
  }
  return copy
}

function* plainRows(rows: Iterable<Record<string, unknown>>): Iterable<Record<string, unknown>> {
  for (const row of rows) yield plain(row)
}

const wrap = (statement: NodeStatement): SqliteStatement => ({
  reader: statement.columns!().length > 0,
  all: values => statement.all(...values).map(plain),
  run: values => statement.run(...values),
  iterate: values => plainRows(statement.iterate(...values)),
})

/** Not a literal: the types of the oldest Node that is supported do not know it. */
const MODULE: string = 'node:sqlite'

/** Loads the SQLite of Node; undefined where this Node has none, or one that cannot say whether a statement returns rows (before 22.16). */
export async function loadNodeSqlite(): Promise<OpenSqlite | undefined> {
  let module: NodeSqlite
  try {
    module = (await import(MODULE)) as NodeSqlite
  } catch {
    return undefined
  }
  const open: OpenSqlite = file => {
    const database = new module.DatabaseSync(file)
    return {
      prepare: sql => wrap(database.prepare(sql)),
      exec: sql => database.exec(sql),
      close: () => database.close(),
    }
  }
  const probe = new module.DatabaseSync(':memory:')
  try {
    return probe.prepare('select 1').columns === undefined ? undefined : open
  } finally {
    probe.close()
  }
}
