/** The databases that the service runs on, each real: both modules of SQLite, and a server of PostgreSQL. */
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { Client } from 'pg'
import type { Row } from '../../src/store/schema.ts'
import { openStore, type Store, type StoreOptions } from '../../src/store/store.ts'
import { onCleanUp } from './cleanup.ts'
import { needs } from './needs.ts'
import { POSTGRES_PROGRAMS, startPostgres } from './postgres.ts'
import { tempDir } from './temp.ts'

/** A kind of database. */
export interface Database {
  readonly name: string
  /** Options of a store over an empty database of its own; the same again for a second process. */
  empty(): Promise<StoreOptions>
}

const sqlite = (module: 'node' | 'libsql'): Database => ({
  name: module === 'node' ? 'node:sqlite' : 'libsql',
  empty: async () => {
    const directory = tempDir()
    return { url: `sqlite:${join(directory, 'service.db')}`, directory, sqlite: module }
  },
})

/** Has this Node an SQLite of its own that can be used? */
export const hasNodeSqlite = async (): Promise<boolean> => {
  const { loadNodeSqlite } = await import('../../src/store/sqlite/node-sqlite-connection.ts')
  return (await loadNodeSqlite()) !== undefined
}

/** A server of PostgreSQL, started when it is first needed. */
export class PostgresServer implements Database {
  readonly name = 'PostgreSQL'
  #port: Promise<number> | undefined

  static get isHere(): boolean {
    return POSTGRES_PROGRAMS.every(needs)
  }

  get port(): Promise<number> {
    return (this.#port ??= startPostgres())
  }

  async empty(): Promise<StoreOptions> {
    const name = `test_${randomUUID().replaceAll('-', '')}`
    await this.run(`create database ${name}`)
    return { url: `postgres://postgres@127.0.0.1:${await this.port}/${name}`, directory: tempDir() }
  }

  /** Runs statements as the superuser. */
  async run(sql: string, database = 'postgres'): Promise<Record<string, unknown>[]> {
    const client = new Client({ host: '127.0.0.1', port: await this.port, user: 'postgres', database })
    await client.connect()
    try {
      return (await client.query(sql)).rows as Record<string, unknown>[]
    } finally {
      await client.end()
    }
  }
}

/** Those that are here. */
export const databases = async (): Promise<readonly Database[]> => [
  sqlite('libsql'),
  ...((await hasNodeSqlite()) ? [sqlite('node')] : []),
  ...(PostgresServer.isHere ? [new PostgresServer()] : []),
]

/** Opens a store that is closed after the test file. */
export const openTestStore = async (options: StoreOptions): Promise<Store> => {
  const store = await openStore(options)
  onCleanUp(() => store.close())
  return store
}

/** Adds an account; returns its id. */
export const addAccount = async (db: Store['db'], values: Partial<Row<'accounts'>> = {}): Promise<string> => {
  const id = randomUUID()
  await db
    .insertInto('accounts')
    .values({
      id,
      email: `${id}@example.com`,
      email_key: `${id}@example.com`,
      name: 'Somebody',
      password_hash: null,
      role: 'user',
      state: 'active',
      created_at: 1_795_000_000_000,
      confirmed_at: null,
      ...values,
    })
    .execute()
  return id
}

/** Adds a socket; returns its id. */
export const addSocket = async (db: Store['db'], accountId: string, values: Partial<Row<'sockets'>> = {}): Promise<string> => {
  const id = randomUUID()
  await db
    .insertInto('sockets')
    .values({
      id,
      account_id: accountId,
      name: 'test',
      type: 'http',
      dns_name: `${id}.example.com`,
      ephemeral_ms: null,
      created_at: 1,
      updated_at: 1,
      idle_since: null,
      ...values,
    })
    .execute()
  return id
}
