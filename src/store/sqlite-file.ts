/** The file of SQLite: who may read it, who writes it, and copies of it. */
import { chmod, mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { GatewayError, messageOf } from '../errors.ts'
import { sqliteFault, unavailable } from './faults.ts'
import { loadLibsql } from './sqlite/libsql-connection.ts'
import { loadNodeSqlite } from './sqlite/node-sqlite-connection.ts'
import type { OpenSqlite, SqliteConnection } from './sqlite/sqlite-connection.ts'

/** A module that speaks SQLite. */
export type SqliteModule = 'node' | 'libsql'

/** No file: gone with the process. */
export const IN_MEMORY = ':memory:'

const OWNER_ONLY = 0o600
const OTHERS = 0o077

// One process writes, and a crash of it loses nothing: with a write-ahead log, NORMAL loses at most the newest transactions when the power fails.
const PRAGMAS = [
  'pragma journal_mode = wal',
  'pragma synchronous = normal',
  'pragma foreign_keys = on',
  'pragma busy_timeout = 2000',
  'pragma trusted_schema = off',
]

/** The module that is asked for, or node:sqlite where it is, else libsql. @throws GatewayError STORE_INVALID where there is none */
export async function loadSqlite(module?: SqliteModule): Promise<OpenSqlite> {
  if (module === 'libsql') return loadLibsql()
  const nodes = await loadNodeSqlite()
  if (nodes !== undefined) return nodes
  if (module === 'node')
    throw new GatewayError('STORE_INVALID', 'this Node.js has no node:sqlite that can be used; it needs 22.16 or later')
  return loadLibsql()
}

/** The open file of a database. */
export interface SqliteFile extends SqliteConnection {
  /** @throws GatewayError STORE_UNAVAILABLE: what would be written now is gone with this process, because the name leads to another file or to none */
  assertThere(): Promise<void>
}

/** Which file a name leads to; undefined: to none. */
async function identityOf(file: string): Promise<string | undefined> {
  const found = await stat(file, { bigint: true }).catch(() => undefined)
  return found === undefined ? undefined : `${found.dev} ${found.ino}`
}

async function thereCheck(file: string): Promise<() => Promise<void>> {
  if (file === IN_MEMORY) return () => Promise.resolve()
  const opened = await identityOf(file)
  return async () => {
    const now = await identityOf(file)
    if (now !== opened)
      throw unavailable(
        `${file} was ${now === undefined ? 'removed' : 'replaced'} while this process had it open, so what it wrote would be lost; ` +
          'put the file back as it was, or a copy of it, and restart the outer layer',
      )
  }
}

/** Makes the file before SQLite would, which lets everybody read it; its companions (-wal, -shm) get the same mode from it. */
async function makePrivate(file: string): Promise<void> {
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 })
    await (await open(file, 'a', OWNER_ONLY)).close()
    const { mode } = await stat(file)
    if ((mode & OTHERS) !== 0) await chmod(file, OWNER_ONLY)
  } catch (cause) {
    throw new GatewayError('STORE_INVALID', `${file}: the database cannot be written: ${messageOf(cause)}`, { cause })
  }
}

/**
 * Takes the right to write, which the kernel takes back from a process that dies: a lock of SQLite on a second, empty file.
 * Two writers would starve each other.
 */
async function lock(openSqlite: OpenSqlite, file: string): Promise<SqliteConnection> {
  const lockFile = `${file}.lock`
  await makePrivate(lockFile)
  const connection = openSqlite(lockFile)
  try {
    execute(connection, 'pragma journal_mode = memory')
    // The one before may still be about to end.
    execute(connection, 'pragma busy_timeout = 2000')
    connection.exec('begin exclusive')
    return {
      ...bind(connection),
      close: () => {
        // Said, because with libsql the file may stay open after this, and with it the lock.
        connection.exec('rollback')
        connection.close()
      },
    }
  } catch (cause) {
    connection.close()
    throw new GatewayError(
      'STORE_INVALID',
      `${file}: another process writes this database; stop it first, or let it do what you want through its API; several outer layers need store: postgres://… (${messageOf(cause)})`,
      { cause },
    )
  }
}

/**
 * Opens the file to be written by this process alone.
 * @throws GatewayError STORE_INVALID: it cannot be written, is no database, or another process writes it
 */
export async function openSqliteFile(file: string, module?: SqliteModule): Promise<SqliteFile> {
  const openSqlite = await loadSqlite(module)
  const isFile = file !== IN_MEMORY
  if (isFile) await makePrivate(file)
  const held = isFile ? await lock(openSqlite, file) : undefined
  let connection: SqliteConnection | undefined
  try {
    connection = openSqlite(file)
    for (const pragma of PRAGMAS) execute(connection, pragma)
    return { ...bind(connection), assertThere: await thereCheck(file), close: () => closeBoth(connection!, held) }
  } catch (cause) {
    connection?.close()
    held?.close()
    throw new GatewayError('STORE_INVALID', `${file}: ${messageOf(sqliteFault(cause))}`, { cause })
  }
}

const bind = (connection: SqliteConnection): Omit<SqliteConnection, 'close'> => ({
  prepare: sql => connection.prepare(sql),
  exec: sql => connection.exec(sql),
})

/** Some pragmas answer with a row. */
function execute(connection: SqliteConnection, sql: string): void {
  const statement = connection.prepare(sql)
  if (statement.reader) statement.all([])
  else statement.run([])
}

function closeBoth(connection: SqliteConnection, held: SqliteConnection | undefined): void {
  try {
    // With libsql, a file stays open until the last of its statements is collected; what is in the log has to be in the file before that.
    execute(connection, 'pragma wal_checkpoint(truncate)')
  } catch {
    // The log is read by whoever opens the file next.
  }
  try {
    connection.close()
  } finally {
    held?.close()
  }
}

/**
 * Copies a file that another process may be writing.
 * @throws GatewayError FILE_EXISTS or FILE_UNREADABLE
 */
export async function copySqliteFile(file: string, to: string, module?: SqliteModule): Promise<void> {
  try {
    await stat(file)
  } catch (cause) {
    throw new GatewayError('FILE_UNREADABLE', `${file}: ${messageOf(cause)}`, { cause })
  }
  const connection = (await loadSqlite(module))(file)
  try {
    await copySqlite(async partial => void connection.prepare('vacuum into ?').run([partial]), to)
  } finally {
    connection.close()
  }
}

/**
 * Writes a whole, consistent copy while others read and write. It has its name only when it is complete, and nobody else may read it.
 * @throws GatewayError FILE_EXISTS or FILE_UNREADABLE
 */
export async function copySqlite(vacuumInto: (partial: string) => Promise<unknown>, to: string): Promise<void> {
  const partial = `${to}.partial`
  try {
    await mkdir(dirname(to), { recursive: true, mode: 0o700 })
    await rm(partial, { force: true })
    // Taking the name first keeps a copy that is there already.
    await (await open(to, 'wx', OWNER_ONLY)).close()
  } catch (cause) {
    const { code, syscall } = cause as { code?: unknown; syscall?: unknown }
    if (code === 'EEXIST' && syscall === 'open')
      throw new GatewayError('FILE_EXISTS', `${to}: there is a file already; give another name, a copy overwrites nothing`, { cause })
    throw new GatewayError('FILE_UNREADABLE', `${to}: the copy cannot be written: ${messageOf(cause)}`, { cause })
  }
  try {
    // An empty file is taken by VACUUM INTO as it is, with its mode.
    await (await open(partial, 'wx', OWNER_ONLY)).close()
    await vacuumInto(partial)
    const written = await open(partial, 'r+')
    await written.sync()
    await written.close()
    await rename(partial, to)
  } catch (cause) {
    await rm(partial, { force: true })
    await rm(to, { force: true })
    throw new GatewayError('FILE_UNREADABLE', `${to}: the copy could not be made: ${messageOf(cause)}`, { cause })
  }
}
