/**
 * Faults of three drivers, told apart in one place. Errors of native modules come from another realm in tests, so nothing here asks for a class.
 */
import { GatewayError, messageOf } from '../errors.ts'

/** A rule of the database that a statement would have broken. */
export type Constraint = 'unique' | 'primary-key' | 'foreign-key' | 'check' | 'not-null'

/** Extended result codes of SQLite: node:sqlite gives the number (errcode), libsql the name (code). */
const SQLITE: ReadonlyMap<string, Constraint> = new Map<string, Constraint>([
  ['SQLITE_CONSTRAINT_UNIQUE', 'unique'],
  ['2067', 'unique'],
  ['SQLITE_CONSTRAINT_PRIMARYKEY', 'primary-key'],
  ['1555', 'primary-key'],
  ['SQLITE_CONSTRAINT_ROWID', 'primary-key'],
  ['2579', 'primary-key'],
  ['SQLITE_CONSTRAINT_FOREIGNKEY', 'foreign-key'],
  ['787', 'foreign-key'],
  ['SQLITE_CONSTRAINT_CHECK', 'check'],
  ['275', 'check'],
  ['SQLITE_CONSTRAINT_NOTNULL', 'not-null'],
  ['1299', 'not-null'],
])

/** SQLSTATEs of PostgreSQL; it does not tell a primary key from another unique one, but by the name that it gives it. */
const POSTGRES: ReadonlyMap<string, Constraint> = new Map<string, Constraint>([
  ['23503', 'foreign-key'],
  ['23505', 'unique'],
  ['23514', 'check'],
  ['23502', 'not-null'],
])

/** Result codes of SQLite, in their lowest byte, with which the database is not to be had: busy, locked, read-only, I/O, full, no file, broken. */
const SQLITE_AWAY: Readonly<Record<number, string>> = {
  5: 'another process holds it',
  6: 'another statement holds it',
  8: 'it is read-only',
  10: 'reading or writing its file failed',
  11: 'its file is damaged; restore a copy',
  13: 'the disk is full',
  14: 'its file cannot be opened',
  26: 'its file is not a database',
}

const SQLITE_BUSY = 5
const SQLSTATE = /^[0-9A-Z]{5}$/
/** Connection; resources, among them a full disk and too many connections; limits of time; shutdown; I/O; authorization; no such database; read-only. */
const POSTGRES_AWAY = /^(?:08|53|57|58|28|3D|25006|55P03)/
/** The statement can be tried once more as it was: serialization failure and deadlock. */
const POSTGRES_AGAIN = new Set(['40001', '40P01'])

interface Fault {
  readonly code?: unknown
  readonly errcode?: unknown
  readonly rawCode?: unknown
  readonly severity?: unknown
  readonly constraint?: unknown
  readonly message?: unknown
}

const faultOf = (thrown: unknown): Fault => (typeof thrown === 'object' && thrown !== null ? thrown : {})

/** The SQLSTATE of an error that the server has sent. */
const sqlStateOf = ({ code, severity }: Fault): string | undefined =>
  severity !== undefined && typeof code === 'string' && SQLSTATE.test(code) ? code : undefined

/** Did a server of PostgreSQL say so? Anything else is about the connection. */
export const isFromServer = (thrown: unknown): boolean => sqlStateOf(faultOf(thrown)) !== undefined

/** The result code of SQLite, extended. */
const resultCodeOf = ({ code, errcode, rawCode }: Fault): number | undefined => {
  if (typeof errcode === 'number') return errcode
  return typeof rawCode === 'number' && typeof code === 'string' && code.startsWith('SQLITE') ? rawCode : undefined
}

/** The rule that a failed statement would have broken; undefined where it failed of something else. */
export function constraintOf(thrown: unknown): Constraint | undefined {
  const fault = faultOf(thrown)
  const state = sqlStateOf(fault)
  if (state === undefined) return SQLITE.get(String(fault.errcode ?? fault.code))
  return state === '23505' && typeof fault.constraint === 'string' && fault.constraint.endsWith('_pkey')
    ? 'primary-key'
    : POSTGRES.get(state)
}

/** Is it a conflict with another transaction, so that the same one may succeed when it is run again? */
export function isConflict(thrown: unknown): boolean {
  const fault = faultOf(thrown instanceof GatewayError && thrown.cause !== undefined ? thrown.cause : thrown)
  const state = sqlStateOf(fault)
  if (state !== undefined) return POSTGRES_AGAIN.has(state)
  const code = resultCodeOf(fault)
  return code !== undefined && (code & 0xff) === SQLITE_BUSY
}

/** STORE_UNAVAILABLE, for an answer with Retry-After. */
export const unavailable = (why: string, cause?: unknown): GatewayError =>
  new GatewayError('STORE_UNAVAILABLE', `the database of the service is not to be had: ${why}`, {
    fields: ['Retry-After', '5'],
    cause: cause instanceof GatewayError ? cause : withoutStack(faultOf(cause)),
  })

/** The message of a driver's fault. Its stack is that of this room, and would fill the log for as long as the database is away. */
const withoutStack = ({ code, errcode, rawCode, severity, message }: Fault): Fault => ({
  message,
  ...(code !== undefined && { code }),
  ...(errcode !== undefined && { errcode }),
  ...(rawCode !== undefined && { rawCode }),
  ...(severity !== undefined && { severity }),
})

/** STORE_UNAVAILABLE where SQLite cannot go on, else the fault itself. */
export function sqliteFault(thrown: unknown): unknown {
  const code = resultCodeOf(faultOf(thrown))
  const why = code === undefined ? undefined : SQLITE_AWAY[code & 0xff]
  return why === undefined ? thrown : unavailable(`${why} (${messageOf(thrown)})`, thrown)
}

/** STORE_UNAVAILABLE where PostgreSQL is away or refuses, else the fault itself. What has no SQLSTATE did not come from the server: the connection failed. */
export function postgresFault(thrown: unknown): unknown {
  if (thrown instanceof GatewayError) return thrown
  const state = sqlStateOf(faultOf(thrown))
  if (state !== undefined && !POSTGRES_AWAY.test(state)) return thrown
  const { code } = faultOf(thrown)
  // The message of an AggregateError of several addresses is empty.
  return unavailable(messageOf(thrown) || String(code), thrown)
}
