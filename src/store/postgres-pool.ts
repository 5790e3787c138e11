/** Connections to PostgreSQL: what their values become, how long anything may take, and faults that nobody waits for. */
import { readFile } from 'node:fs/promises'
import type * as Pg from 'pg'
import type { ClientConfig, CustomTypesConfig, Pool, PoolConfig } from 'pg'
import { GatewayError, messageOf } from '../errors.ts'
import type { StorePlace } from './store-url.ts'

/** Limits, milliseconds. */
export interface PostgresTimes {
  readonly connectMs: number
  readonly statementMs: number
}

export const POSTGRES_TIMES: PostgresTimes = { connectMs: 5_000, statementMs: 10_000 }

/** Milliseconds that a transaction may wait for its own program, which may have died without a word. */
const IDLE_IN_TRANSACTION_MS = 60_000

/** The part of pg that is used here. */
export type PostgresModule = Pick<typeof Pg, 'Pool' | 'Client' | 'types'>

/** Loads pg. @throws GatewayError STORE_INVALID where it is not installed */
export async function loadPostgres(): Promise<PostgresModule> {
  try {
    return (await import('pg')).default
  } catch (cause) {
    throw new GatewayError('STORE_INVALID', `PostgreSQL needs the package pg: npm install pg: ${messageOf(cause)}`, { cause })
  }
}

/** Types of PostgreSQL by number: int8 and numeric (which is what a sum of int8 is) come as text. */
const EXACT: ReadonlySet<number> = new Set([20, 1_700])

/** @throws RangeError for an integer that would not be exact */
function exactNumber(text: string): number {
  const number = Number(text)
  if (text.includes('.')) return number
  if (!Number.isSafeInteger(number)) throw new RangeError(`${text} is more than a number can hold exactly`)
  return number
}

/** Parsers of these connections alone; pg would let us change those of the whole process. */
const typesOf = (pg: PostgresModule): CustomTypesConfig => ({
  getTypeParser: (id: Parameters<typeof Pg.types.getTypeParser>[0], format?: string): unknown =>
    EXACT.has(id) && format !== 'binary' ? exactNumber : pg.types.getTypeParser(id, format as 'text'),
})

/** @throws GatewayError STORE_INVALID where the file of certificates cannot be read */
export async function clientConfigOf(
  pg: PostgresModule,
  place: Extract<StorePlace, { kind: 'postgres' }>,
  password: string | undefined,
  { connectMs, statementMs }: PostgresTimes,
): Promise<ClientConfig> {
  const ca = place.caFile === undefined ? undefined : await readCertificates(place.caFile)
  return {
    host: place.host,
    port: place.port,
    database: place.database,
    user: place.user,
    // Never from the environment of the process or ~/.pgpass, which pg would look at.
    password: place.password ?? password ?? '',
    ssl: place.tls === 'off' ? false : { rejectUnauthorized: place.tls === 'verified', ...(ca !== undefined && { ca }) },
    types: typesOf(pg),
    application_name: 'socket-gateway',
    connectionTimeoutMillis: connectMs,
    statement_timeout: statementMs,
    // Of the client: for a server that has gone without a word.
    query_timeout: statementMs + connectMs,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS,
    keepAlive: true,
  }
}

async function readCertificates(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    throw new GatewayError('STORE_INVALID', `${file}: the certificates cannot be read: ${messageOf(cause)}`, { cause })
  }
}

/** @param onFault  of a connection that failed while nobody used it */
export function createPool(pg: PostgresModule, config: PoolConfig, onFault: (fault: Error) => void): Pool {
  const pool = new pg.Pool(config)
  pool.on('error', onFault)
  return pool
}
