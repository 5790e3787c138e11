import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import { GatewayError } from '../../src/errors.ts'
import { constraintOf } from '../../src/store/faults.ts'
import { migrate, SCHEMA_VERSION } from '../../src/store/migrate.ts'
import { MIGRATIONS } from '../../src/store/migrations.ts'
import type { Change } from '../../src/store/change-feed.ts'
import { openStore, type Store } from '../../src/store/store.ts'
import { addAccount, addSocket, databases, openTestStore, type Database } from '../support/stores.ts'
import { until } from '../support/wait.ts'

const faultOf = async (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )

const all: readonly Database[] = await databases()

describe.each(all.map(database => [database.name, database] as const))('on %s', (_, database) => {
  let store: Store

  beforeAll(async () => {
    store = await openTestStore(await database.empty())
  })

  test('rows come back as they were put in: numbers, text, bytes and null', async () => {
    const createdAt = Number.MAX_SAFE_INTEGER
    const id = await addAccount(store.db, { name: 'Zoë 🦊 "x"; --', created_at: createdAt, limits: '{"http":3}' })
    const row = await store.db.selectFrom('accounts').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
    expect(row).toMatchObject({ name: 'Zoë 🦊 "x"; --', created_at: createdAt, limits: '{"http":3}', confirmed_at: null, token_epoch: 0 })
    expect(Object.getPrototypeOf(row)).not.toBeNull()
    const blob = Buffer.from([0, 1, 255, 10])
    await store.db
      .insertInto('ssh_keys')
      .values({ id: randomUUID(), account_id: id, fingerprint: 'f', algorithm: 'a', blob, comment: '', created_at: 1 })
      .execute()
    const key = await store.db.selectFrom('ssh_keys').select('blob').where('account_id', '=', id).executeTakeFirstOrThrow()
    expect(Buffer.isBuffer(key.blob)).toBe(true)
    expect(key.blob.equals(blob)).toBe(true)
  })

  test('an update says how many rows it has changed', async () => {
    const id = await addAccount(store.db)
    const change = await store.db.updateTable('accounts').set({ name: 'y' }).where('id', '=', id).executeTakeFirst()
    const none = await store.db.updateTable('accounts').set({ name: 'y' }).where('id', '=', 'nobody').executeTakeFirst()
    expect([change.numUpdatedRows, none.numUpdatedRows]).toEqual([1n, 0n])
  })

  test('counts and sums are numbers', async () => {
    const id = randomUUID()
    for (const day of ['2026-11-27', '2026-11-28'])
      await store.db
        .insertInto('usage')
        .values({ account_id: id, socket_id: id, day, requests: 2, bytes_in: 2 ** 40 })
        .execute()
    const sums = await store.db
      .selectFrom('usage')
      .select(({ fn }) => [fn.countAll<number>().as('days'), fn.sum<number>('bytes_in').as('bytes')])
      .where('account_id', '=', id)
      .executeTakeFirstOrThrow()
    expect(sums).toEqual({ days: 2, bytes: 2 ** 41 })
  })

  test('a number that would not be exact is refused, not rounded', async () => {
    await expect(sql`select ${sql.raw('9007199254740993')} + 0 as x`.execute(store.db)).rejects.toThrow(/exact|number/i)
    if (store.dialect === 'sqlite') {
      await expect(addAccount(store.db, { created_at: 2 ** 53 })).rejects.toThrow('not an exact integer')
      await expect(addAccount(store.db, { created_at: 1.5 })).rejects.toThrow('not an exact integer')
    }
  })

  test('a value that no column can hold is an error of the call and nothing else', async () => {
    for (const value of [true, Symbol('x'), () => 1, { a: 1 }])
      if (store.dialect === 'sqlite') await expect(addAccount(store.db, { name: value as never })).rejects.toThrow(TypeError)
    await expect(addAccount(store.db, { created_at: 'yesterday' as never })).rejects.toThrow()
    await addAccount(store.db)
  })

  test('names the kind of rule that a statement would have broken', async () => {
    const id = await addAccount(store.db)
    const socket = await addSocket(store.db, id)
    const { dns_name: dnsName } = await store.db.selectFrom('sockets').select('dns_name').where('id', '=', socket).executeTakeFirstOrThrow()
    const port = (number: number): Promise<unknown> =>
      store.db.insertInto('ports').values({ port: number, socket_id: null, changed_at: 1 }).execute()
    await port(40_000)
    const faults = await Promise.all([
      faultOf(addSocket(store.db, id, { dns_name: dnsName })),
      faultOf(addAccount(store.db, { id })),
      faultOf(port(40_000)),
      faultOf(addSocket(store.db, 'nobody')),
      faultOf(port(80)),
      faultOf(addAccount(store.db, { name: null as never })),
      faultOf(sql`select * from nothing`.execute(store.db)),
    ])
    expect(faults.map(constraintOf)).toEqual(['unique', 'primary-key', 'primary-key', 'foreign-key', 'check', 'not-null', undefined])
  })

  test('a socket takes its tunnels, keys and domains along, and frees its port', async () => {
    const id = await addAccount(store.db)
    const socket = await addSocket(store.db, id)
    const tunnel = randomUUID()
    await store.db.insertInto('ports').values({ port: 41_000, socket_id: socket, changed_at: 1 }).execute()
    await store.db
      .insertInto('custom_domains')
      .values({ domain: `${socket}.example.org`, socket_id: socket })
      .execute()
    await store.db
      .insertInto('tunnels')
      .values({
        id: tunnel,
        socket_id: socket,
        account_id: id,
        relay_port: 6_000,
        last_node: null,
        last_address: null,
        last_connected_at: null,
        created_at: 1,
      })
      .execute()
    const key = { jwk: '{}', created_at: 1, expires_at: null, revoked_at: null, seen_at: null, account_id: id }
    await store.db
      .insertInto('inner_keys')
      .values({ ...key, kid: randomUUID(), tunnel_id: tunnel, identifiers: null })
      .execute()
    // Neither of a tunnel nor enrolled.
    expect(
      constraintOf(
        await faultOf(
          store.db
            .insertInto('inner_keys')
            .values({ ...key, kid: 'x', tunnel_id: null, identifiers: null })
            .execute(),
        ),
      ),
    ).toBe('check')
    expect(constraintOf(await faultOf(store.db.deleteFrom('accounts').where('id', '=', id).execute()))).toBe('foreign-key')
    await store.db.deleteFrom('sockets').where('id', '=', socket).execute()
    const left = await Promise.all([
      store.db.selectFrom('tunnels').select('id').where('id', '=', tunnel).execute(),
      store.db.selectFrom('inner_keys').select('kid').where('tunnel_id', '=', tunnel).execute(),
      store.db.selectFrom('custom_domains').select('domain').where('socket_id', '=', socket).execute(),
      store.db.selectFrom('ports').select('socket_id').where('port', '=', 41_000).execute(),
    ])
    expect(left).toEqual([[], [], [], [{ socket_id: null }]])
  })

  test('text is ordered by bytes, whatever the locale', async () => {
    const id = randomUUID()
    for (const key of ['b', 'B', 'a', 'Z', 'ä', '_', '1'])
      await store.db
        .insertInto('nodes')
        .values({ id: `${id}${key}`, url: key, public_key: '', seen_at: 1 })
        .execute()
    const rows = await store.db
      .selectFrom('nodes')
      .select('url')
      .where('id', '>=', id)
      .where('id', '<', `${id}\u{10ffff}`)
      .orderBy('url')
      .execute()
    expect(rows.map(row => row.url)).toEqual(['1', 'B', 'Z', '_', 'a', 'b', 'ä'])
  })

  test('a transaction that fails leaves nothing', async () => {
    const id = randomUUID()
    await expect(
      store.transaction(async transaction => {
        await addAccount(transaction.db, { id })
        transaction.change('account', id)
        throw new Error('no')
      }),
    ).rejects.toThrow('no')
    expect(await store.db.selectFrom('accounts').select('id').where('id', '=', id).execute()).toEqual([])
    expect(await store.db.selectFrom('changes').select('seq').where('object_id', '=', id).execute()).toEqual([])
  })

  // As many as the queue of the store takes in its time on a busy machine: PostgreSQL makes ten times fewer.
  const count = database.name === 'PostgreSQL' ? 50 : 500

  test(`${2 * count} that want the same ${count} names get each name once`, async () => {
    const id = await addAccount(store.db)
    const names = Array.from({ length: count }, () => `${randomUUID()}.example.com`)
    const make = async (dnsName: string): Promise<unknown> => {
      try {
        return await store.transaction(async ({ db, change }) => {
          const socket = await addSocket(db, id, { dns_name: dnsName })
          change('socket', socket)
          return socket
        })
      } catch (thrown) {
        // It has waited too long for a connection, on a busy machine: nothing was done, and the answer is to come again.
        return thrown instanceof GatewayError && thrown.code === 'STORE_UNAVAILABLE' ? make(dnsName) : constraintOf(thrown)
      }
    }
    const results = await Promise.all([...names, ...names].map(make))
    expect(results.filter(result => result === 'unique')).toHaveLength(count)
    expect(new Set(results).size).toBe(count + 1)
    const rows = await store.db.selectFrom('sockets').select('dns_name').where('account_id', '=', id).execute()
    expect(new Set(rows.map(row => row.dns_name))).toEqual(new Set(names))
    // Nothing is left over either: a change for each that was made, none for the others.
    const made = await store.db
      .selectFrom('changes')
      .innerJoin('sockets', 'sockets.id', 'changes.object_id')
      .select(({ fn }) => fn.countAll<number>().as('count'))
      .where('account_id', '=', id)
      .executeTakeFirstOrThrow()
    expect(made.count).toBe(count)
  })

  test('a state that is read has the number of the last change in it', async () => {
    const id = await addAccount(store.db)
    const { seq } = await store.changing(async ({ db, change }) => {
      await db.updateTable('accounts').set({ name: 'new' }).where('id', '=', id).execute()
      change('account', id)
    })
    const state = await store.read(db => db.selectFrom('accounts').select('name').where('id', '=', id).executeTakeFirstOrThrow())
    expect(state).toEqual({ value: { name: 'new' }, seq })
  })

  test('a follower gets each change once and in order, and those that it could not take again', async () => {
    const { seq: since } = await store.read(async () => undefined)
    const seen: Change[] = []
    let refusals = 0
    let told = 0
    const stop = store.follow({
      since,
      onChanges: changes => {
        refusals += 1
        if (refusals <= 2) throw new Error('not yet')
        seen.push(...changes)
      },
      onFault: () => {
        told += 1
        throw new Error('not this one either')
      },
    })
    const ids = Array.from({ length: 700 }, () => randomUUID())
    for (let i = 0; i < ids.length; i += 100)
      await Promise.all(ids.slice(i, i + 100).map(id => store.transaction(async transaction => transaction.change('thing', id))))
    await until(() => seen.length >= ids.length)
    await stop()
    expect(told).toBe(1)
    expect(seen.map(change => change.object_id).sort()).toEqual([...ids].sort())
    expect(seen.map(change => change.seq)).toEqual(seen.map(change => change.seq).sort((a, b) => a - b))
  })

  test('pruning keeps the last change, so that numbers never go back', async () => {
    const { seq } = await store.changing(async transaction => transaction.change('thing', 'last'))
    await store.pruneChanges(Date.now() + 60_000)
    expect(await store.db.selectFrom('changes').select('seq').execute()).toEqual([{ seq }])
    expect((await store.read(async () => undefined)).seq).toBe(seq)
    await store.db.deleteFrom('changes').execute()
    expect((await store.changing(async transaction => transaction.change('thing', 'next'))).seq).toBeGreaterThan(seq)
  })

  test('rows can be streamed', async () => {
    let count = 0
    if (store.dialect === 'postgres') return // needs a package that nobody else needs
    for await (const row of store.db.selectFrom('accounts').select('id').stream()) if (row.id !== '') count += 1
    const all = await store.db.selectFrom('accounts').select('id').execute()
    expect(count).toBe(all.length)
  })

  test('a database of a later release is refused, and both versions are named', async () => {
    const options = await database.empty()
    const first = await openStore(options)
    await sql`update schema_version set version = ${SCHEMA_VERSION + 6}`.execute(first.db)
    await first.close()
    const fault = await faultOf(openStore(options))
    expect(fault).toBeInstanceOf(GatewayError)
    expect(fault).toMatchObject({ code: 'STORE_INVALID' })
    expect((fault as Error).message).toContain(`version ${SCHEMA_VERSION + 6}, and this release knows versions up to ${SCHEMA_VERSION}`)
  })

  test('a step of the schema has happened whole, or not at all', async () => {
    const options = await database.empty()
    const versions: unknown[] = []
    const later = await openStore({ ...options, onMigrated: result => versions.push(result) })
    expect(versions).toEqual([{ from: 0, to: SCHEMA_VERSION, copy: undefined }])
    const broken = [...MIGRATIONS, () => ['create table extra (id integer)', 'create table accounts (id integer)']]
    const db = later.db as never
    await expect(migrate(db, { dialect: later.dialect, now: Date.now, migrations: broken })).rejects.toThrow('accounts')
    await expect(sql`select * from extra`.execute(later.db)).rejects.toThrow('extra')
    const good = [...MIGRATIONS, () => ['create table extra (id integer)']]
    const results = await Promise.all([1, 2, 3].map(() => migrate(db, { dialect: later.dialect, now: Date.now, migrations: good })))
    expect(results.map(({ from, to }) => to - from).sort()).toEqual([0, 0, 1])
    await sql`select * from extra`.execute(later.db)
    await later.close()
  })
})
