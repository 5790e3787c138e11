import { randomUUID } from 'node:crypto'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { sql } from 'kysely'
import type { Change } from '../../src/store/change-feed.ts'
import { openStore, type Store, type StoreOptions } from '../../src/store/store.ts'
import { mintAuthority, mintServer } from '../support/certificates.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { POSTGRES_PROGRAMS } from '../support/postgres.ts'
import { testWith } from '../support/needs.ts'
import { addAccount, openTestStore, PostgresServer } from '../support/stores.ts'
import { tempFile } from '../support/temp.ts'
import { until } from '../support/wait.ts'

const server = new PostgresServer()
const pgTest = (name: string, body: () => Promise<void>): void => testWith(POSTGRES_PROGRAMS, name, body)

const databaseOf = (options: StoreOptions): string => new URL(options.url).pathname.slice(1)

/** A way to the server that can be cut, and refuse or swallow what comes. */
class Way {
  state: 'open' | 'refuses' | 'silent' = 'open'
  readonly #sockets = new Set<Socket>()
  readonly #server = createServer(client => {
    this.#sockets.add(client)
    client.on('error', () => undefined).on('close', () => this.#sockets.delete(client))
    if (this.state === 'refuses') client.destroy()
    if (this.state !== 'open') return
    const far = connect(this.to, '127.0.0.1')
    this.#sockets.add(far)
    far.on('error', () => client.destroy()).on('close', () => client.destroy())
    client.on('close', () => far.destroy())
    client.pipe(far).pipe(client)
  })

  constructor(private readonly to: number) {}

  async listen(): Promise<number> {
    await new Promise<void>(resolve => this.#server.listen(0, '127.0.0.1', resolve))
    onCleanUp(() => {
      this.cut()
      this.#server.close()
    })
    return (this.#server.address() as { port: number }).port
  }

  /** Lets no byte through any more on the connections that there are, and does not end them: a firewall that has forgotten them. */
  mute(): void {
    for (const socket of this.#sockets) socket.unpipe().pause()
  }

  /** Cuts every connection there is. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }
}

/** A store whose way to the server can be cut. */
const storeOnWay = async (more: Partial<StoreOptions> = {}): Promise<{ store: Store; way: Way; told: string[]; options: StoreOptions }> => {
  const options = await server.empty()
  const way = new Way(await server.port)
  const url = new URL(options.url)
  url.port = String(await way.listen())
  const told: string[] = []
  const all = {
    ...options,
    url: url.href,
    onAway: () => told.push('away'),
    onBack: () => told.push('back'),
    postgresTimes: { connectMs: 1_000, statementMs: 60_000 },
    ...more,
  }
  return { store: await openTestStore(all), way, told, options: all }
}

pgTest('a follower in another process loses no change of writers at the same time', async () => {
  const options = await server.empty()
  const [reader, ...writers] = await Promise.all([openTestStore(options), openTestStore(options), openTestStore(options)])
  const seen: Change[] = []
  const stop = reader.follow({ since: 0, onChanges: changes => void seen.push(...changes) })
  const accounts = await Promise.all([1, 2, 3, 4].map(() => addAccount(reader.db)))
  const ids = Array.from({ length: 400 }, () => randomUUID())
  await Promise.all(
    ids.map((id, i) =>
      writers[i % 2]!.transaction(async ({ db, change }) => {
        // The number is taken at the end, but transactions are held up at different places, so they overlap in every way.
        change('thing', id)
        await db
          .updateTable('accounts')
          .set({ name: id })
          .where('id', '=', accounts[i % 4]!)
          .execute()
        if (i % 3 === 0) await sql`select pg_sleep(0.002)`.execute(db)
      }),
    ),
  )
  await until(() => seen.length >= ids.length)
  await stop()
  expect(new Set(seen.map(change => change.object_id))).toEqual(new Set(ids))
  expect(seen).toHaveLength(ids.length)
})

pgTest('transactions that block each other are tried again', async () => {
  const options = await server.empty()
  const store = await openTestStore(options)
  const [a, b] = await Promise.all([addAccount(store.db), addAccount(store.db)])
  let attempts = 0
  let arrived = 0
  let ended = 0
  const cross = async (first: string, second: string): Promise<void> => {
    await store.transaction(async ({ db, change }) => {
      attempts += 1
      // The one that was given up comes back when the other has ended: PostgreSQL lets it have the row before the one that waits for it has woken up.
      if (attempts > 2) await until(() => ended > 0)
      await db.updateTable('accounts').set({ name: first }).where('id', '=', first).execute()
      arrived += 1
      await until(() => arrived >= 2)
      await db.updateTable('accounts').set({ name: first }).where('id', '=', second).execute()
      change('account', first)
    })
    ended += 1
  }
  await Promise.all([cross(a, b), cross(b, a)])
  expect(attempts).toBe(3)
  expect(await store.db.selectFrom('changes').select('seq').execute()).toHaveLength(2)
})

pgTest('a connection that breaks in a transaction, between two statements, fails that call alone', async () => {
  const { store, way, options } = await storeOnWay()
  const id = randomUUID()
  const broken = store.transaction(async ({ db }) => {
    await addAccount(db, { id })
    way.cut()
    // Until it is known, which is an event at the client for which nobody waits.
    const database = databaseOf(options)
    await until(
      async () =>
        (await server.run(`select pid from pg_stat_activity where datname = '${database}' and state like 'idle in%'`)).length === 0,
    )
    await addAccount(db)
  })
  await expect(broken).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE', fields: ['Retry-After', '5'] })
  await until(
    async () =>
      (
        await store.db
          .selectFrom('accounts')
          .select('id')
          .execute()
          .catch(() => [1, 2])
      ).length === 0,
  )
})

pgTest('a server that is away for a while makes calls fail with a code, and is used again when it is back', async () => {
  const { store, way, told } = await storeOnWay()
  const seen: string[] = []
  const stop = store.follow({ since: 0, onChanges: changes => void seen.push(...changes.map(change => change.object_id)) })
  await store.transaction(async transaction => transaction.change('thing', 'before'))
  await until(() => seen.length === 1)
  way.state = 'refuses'
  way.cut()
  await until(() => !store.isHealthy())
  for (let i = 0; i < 3; i += 1) await expect(addAccount(store.db)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
  way.state = 'open'
  await until(() => store.isHealthy())
  await store.transaction(async transaction => transaction.change('thing', 'after'))
  await until(() => seen.length === 2)
  expect(seen).toEqual(['before', 'after'])
  expect(told).toEqual(['away', 'back'])
  await stop()
})

pgTest('a server that takes connections and says nothing is given up after the limit', async () => {
  const { store, way } = await storeOnWay()
  way.state = 'silent'
  way.cut()
  await until(() => !store.isHealthy())
  await expect(addAccount(store.db)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
  way.cut()
  way.state = 'open'
  await until(() => store.isHealthy())
})

pgTest('connections that have gone dead without a word are given up, not used again', async () => {
  const { store, way } = await storeOnWay({ postgresTimes: { connectMs: 2_000, statementMs: 500 } })
  await Promise.all([1, 2, 3].map(() => sql`select pg_sleep(0.05)`.execute(store.db)))
  way.mute()
  const results = await Promise.allSettled([1, 2, 3].map(() => addAccount(store.db)))
  expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
  await addAccount(store.db)
  await until(() => store.isHealthy())
  // Nor does the end wait for them.
  way.mute()
  await store.close()
})

pgTest('a store may be opened while the server is away, and takes part when it is there', async () => {
  const { way, options } = await storeOnWay()
  way.state = 'refuses'
  way.cut()
  await expect(openStore(options)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
  const fresh = await server.empty()
  const url = new URL(options.url)
  url.pathname = `/${databaseOf(fresh)}`
  const late = await openTestStore({ ...options, url: url.href, mayBeAway: true })
  expect(late.isHealthy()).toBe(false)
  await expect(addAccount(late.db)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
  way.state = 'open'
  await until(() => late.isHealthy())
  await addAccount(late.db)
})

pgTest('a database that turns out to be of a later release when it comes back is said to be so, and stays shut', async () => {
  const { store, way, options } = await storeOnWay()
  await sql`update schema_version set version = 99`.execute(store.db)
  way.state = 'refuses'
  way.cut()
  const told: string[] = []
  const late = await openTestStore({ ...options, mayBeAway: true, onAway: fault => told.push(fault.message) })
  way.state = 'open'
  await until(() => told.length >= 2)
  expect(told.slice(1)).toEqual([expect.stringContaining('version 99, and this release knows')])
  await expect(addAccount(late.db)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
  await late.close()
  await expect(addAccount(late.db)).rejects.toThrow()
})

pgTest('a statement that takes too long is ended', async () => {
  const options = await server.empty()
  const store = await openTestStore({ ...options, postgresTimes: { connectMs: 60_000, statementMs: 50 } })
  await expect(sql`select pg_sleep(600)`.execute(store.db)).rejects.toMatchObject({
    code: 'STORE_UNAVAILABLE',
    message: expect.stringContaining('statement timeout') as string,
  })
  await until(() => store.isHealthy())
})

pgTest('a database that takes no writes makes writes fail, reads go on, and it recovers by itself', async () => {
  const options = await server.empty()
  const store = await openTestStore(options)
  const id = await addAccount(store.db)
  const close = async (): Promise<unknown> =>
    server.run(`select pg_terminate_backend(pid) from pg_stat_activity where datname = '${databaseOf(options)}'`)
  await server.run(`alter database ${databaseOf(options)} set default_transaction_read_only = on`)
  await close()
  await until(async () => {
    const fault: unknown = await addAccount(store.db).catch((thrown: unknown) => thrown)
    return fault instanceof Error && fault.message.includes('read-only')
  })
  expect(store.isHealthy()).toBe(false)
  const rows = await until(() =>
    store.db
      .selectFrom('accounts')
      .select('id')
      .execute()
      .catch(() => undefined),
  )
  expect(rows.map(row => row.id)).toContain(id)
  await server.run(`alter database ${databaseOf(options)} set default_transaction_read_only = off`)
  await close()
  await until(() => store.isHealthy())
})

pgTest('a change is known to a second process by its NOTIFY, and without it by looking', async () => {
  const options = await server.empty()
  const [one, two] = await Promise.all([openTestStore(options), openTestStore(options)])
  const seen: string[] = []
  two.follow({ since: 0, onChanges: changes => void seen.push(...changes.map(change => change.object_id)) })
  await one.transaction(async transaction => transaction.change('thing', 'told'))
  await until(() => seen.length === 1)
  await one.db.insertInto('changes').values({ at: 1, kind: 'thing', object_id: 'untold' }).execute()
  await until(() => seen.length === 2)
  expect(seen).toEqual(['told', 'untold'])
  const listening = await server.run(`select count(*)::int as n from pg_stat_activity where query = 'listen socket_gateway_changes'`)
  expect(listening[0]!['n']).toBeGreaterThanOrEqual(2)
})

pgTest('a wrong password and an unknown database say so, without the password', async () => {
  const options = await server.empty()
  const url = new URL(options.url)
  url.pathname = '/nowhere'
  url.password = 'very-secret'
  const fault: unknown = await openStore({ ...options, url: url.href }).catch((thrown: unknown) => thrown)
  expect(fault).toMatchObject({ code: 'STORE_UNAVAILABLE', message: expect.stringContaining('"nowhere" does not exist') as string })
  expect(JSON.stringify(fault, Object.getOwnPropertyNames(fault))).not.toContain('very-secret')
})

/** Writes a file as the user of the server, readable by that alone. */
const writeOnServer = (file: string, lines: readonly string[]): Promise<unknown> =>
  server.run(
    `copy (select unnest(array[${lines.map(line => `'${line}'`).join(',')}])) to program 'umask 077; cat > ${file.replaceAll("'", "''")}'`,
  )

pgTest('over TLS the certificate is verified, and the password goes to nobody else', async () => {
  const options = await server.empty()
  const [{ data_directory: data }] = (await server.run('show data_directory')) as [{ data_directory: string }]
  const [authority, other] = await Promise.all([mintAuthority(), mintAuthority()])
  const pair = await mintServer(['localhost'], authority)
  await writeOnServer(join(data, 'server.crt'), pair.certificatePem.trim().split('\n'))
  await writeOnServer(join(data, 'server.key'), pair.privateKeyPem.trim().split('\n'))
  await writeOnServer(join(data, 'pg_hba.conf'), ['hostssl all careful all scram-sha-256', 'host all postgres all trust'])
  await server.run(`create user careful superuser password 'p:s/w'`)
  await server.run('alter system set ssl = on')
  await server.run('select pg_reload_conf()')
  await until(async () => (await server.run('show ssl'))[0]!['ssl'] === 'on')
  const url = new URL(options.url)
  url.username = 'careful'
  url.hostname = 'localhost'
  const open = (query: string, password?: string): Promise<string> =>
    openStore({ ...options, url: `${url.href}?${query}`, ...(password !== undefined && { password }) }).then(
      async store => {
        const { rows } = await sql<{ ssl: boolean }>`select ssl from pg_stat_ssl where pid = pg_backend_pid()`.execute(store.db)
        await store.close()
        return `opened, ${rows[0]?.ssl === true ? 'encrypted' : 'plain'}`
      },
      (fault: unknown) => (fault as Error).message,
    )
  const caFile = tempFile('ca.pem', authority.certificatePem)
  expect(await open(`sslmode=verify-full&sslrootcert=${caFile}`, 'p:s/w')).toBe('opened, encrypted')
  expect(await open('sslmode=require', 'p:s/w')).toBe('opened, encrypted')
  expect(await open(`sslmode=verify-full&sslrootcert=${tempFile('ca.pem', other.certificatePem)}`, 'p:s/w')).toMatch(
    /certificate|signature/,
  )
  expect(await open('sslmode=verify-full', 'p:s/w')).toMatch(/certificate|self-signed/)
  expect(await open('sslmode=disable', 'p:s/w')).toMatch(/pg_hba\.conf/)
  expect(await open(`sslmode=verify-full&sslrootcert=${caFile}`, 'another')).toMatch(/password authentication failed/)
  expect(await open(`sslmode=verify-full&sslrootcert=${caFile}`)).toMatch(/password/)
  expect(await open('sslmode=verify-full&sslrootcert=/nowhere/ca.pem', 'p:s/w')).toContain('/nowhere/ca.pem')
})

pgTest('copies are left to pg_dump', async () => {
  const store = await openTestStore(await server.empty())
  await expect(store.backup('/nowhere/x')).rejects.toMatchObject({ code: 'USAGE', message: expect.stringContaining('pg_dump') as string })
})
