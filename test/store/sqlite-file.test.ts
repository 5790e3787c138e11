import { copyFileSync, existsSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { sql } from 'kysely'
import { MIGRATIONS } from '../../src/store/migrations.ts'
import { createEngine } from '../../src/store/engine.ts'
import { backUpStore, openStore, type StoreOptions } from '../../src/store/store.ts'
import type { SqliteModule } from '../../src/store/sqlite-file.ts'
import { builtModule } from '../support/built-module.ts'
import { startProcess } from '../support/process.ts'
import { addAccount, hasNodeSqlite, openTestStore } from '../support/stores.ts'
import { tempDir, tempFile } from '../support/temp.ts'
import { until } from '../support/wait.ts'

const modules: SqliteModule[] = (await hasNodeSqlite()) ? ['libsql', 'node'] : ['libsql']

const STORE = await builtModule('store/store.ts')

const place = (sqlite: SqliteModule): StoreOptions & { file: string } => {
  const directory = tempDir()
  return { url: 'sqlite:state/service.db', directory, sqlite, file: join(directory, 'state', 'service.db') }
}

const mode = (file: string): string => (statSync(file).mode & 0o777).toString(8)

/** A process that adds accounts one after the other and says so after each; ends only by a signal. */
const startWriter = ({ file, sqlite }: { file: string; sqlite?: SqliteModule | undefined }) => {
  const script = `
    import { openStore } from ${JSON.stringify(STORE)}
    const store = await openStore({ url: ${JSON.stringify(`sqlite:${file}`)}, directory: '/', sqlite: ${JSON.stringify(sqlite)} })
    for (let i = 0; ; i += 1) {
      const id = String(i).padStart(8, '0')
      await store.transaction(async ({ db, change }) => {
        await db.insertInto('accounts').values({ id, email: id, email_key: id, name: 'x'.repeat(500), password_hash: null, role: 'user',
          state: 'active', created_at: 1, confirmed_at: null }).execute()
        change('account', id)
      })
      process.stdout.write(id + '\\n')
    }`
  return startProcess(['--input-type=module', '--disable-warning=ExperimentalWarning', '-e', script], { program: process.execPath })
}

describe.each(modules)('a file of SQLite, by %s', sqlite => {
  test('is readable by its owner only, as are its companions and its folder', async () => {
    const { file, ...options } = place(sqlite)
    const store = await openTestStore(options)
    await addAccount(store.db)
    const names = readdirSync(join(file, '..')).sort()
    expect(names).toEqual(['service.db', 'service.db-shm', 'service.db-wal', 'service.db.lock'])
    expect(names.map(name => mode(join(file, '..', name)))).toEqual(names.map(() => '600'))
    expect(mode(join(file, '..'))).toBe('700')
  })

  test('is written by one process alone, and is free again when that one was killed in the middle of it', async () => {
    const { file, ...options } = place(sqlite)
    const writer = startWriter({ file, sqlite })
    await writer.waitForLine(/^00000020$/m)
    const away: unknown[] = []
    await expect(openStore({ ...options, mayBeAway: true, onAway: fault => away.push(fault) })).rejects.toMatchObject({
      code: 'STORE_INVALID',
      message: expect.stringMatching(/another process .* several outer layers need store: postgres/) as string,
    })
    expect(away).toEqual([]) // said once, by whoever wanted to open it
    writer.child.kill('SIGKILL')
    await writer.exit
    const told = writer.stdout.split('\n').filter(line => line.length === 8)
    const store = await openTestStore(options)
    const accounts = (await store.db.selectFrom('accounts').select('id').orderBy('id').execute()).map(row => row.id)
    const changes = (await store.db.selectFrom('changes').select('object_id').orderBy('seq').execute()).map(row => row.object_id)
    expect(accounts.slice(0, told.length)).toEqual(told)
    // It may have been killed between a commit and its word about it, never in the middle of one.
    expect(accounts.length - told.length).toBeLessThanOrEqual(1)
    expect(changes).toEqual(accounts)
    expect((await sql<Record<string, string>>`pragma integrity_check`.execute(store.db)).rows).toEqual([{ integrity_check: 'ok' }])
  })

  test('is copied while it is in use, whole, for its owner only, and never over another file', async () => {
    const { file, ...options } = place(sqlite)
    const store = await openTestStore(options)
    const copy = join(options.directory, 'copies', 'copy.db')
    let isDone = false
    const writing = (async () => {
      for (let i = 0; !isDone; i += 1)
        await store.transaction(async ({ db, change }) => {
          await addAccount(db, { name: 'x'.repeat(2_000) })
          change('account', String(i))
        })
    })()
    await until(async () => (await store.db.selectFrom('changes').select('seq').execute()).length > 20)
    await store.backup(copy)
    isDone = true
    await writing
    expect(mode(copy)).toBe('600')
    await expect(store.backup(copy)).rejects.toMatchObject({ code: 'FILE_EXISTS' })
    await expect(store.backup(join(file, 'x.db'))).rejects.toMatchObject({ code: 'FILE_UNREADABLE' })
    expect(readdirSync(join(options.directory, 'copies'))).toEqual(['copy.db'])
    const copied = await openTestStore({ ...options, url: `sqlite:${copy}` })
    const count = async (table: 'accounts' | 'changes'): Promise<number> =>
      (
        await copied.db
          .selectFrom(table)
          .select(({ fn }) => fn.countAll<number>().as('count'))
          .executeTakeFirstOrThrow()
      ).count
    expect(await count('accounts')).toBeGreaterThan(20)
    expect(await count('accounts')).toBe(await count('changes'))
  })

  test('is copied by another process than the one that writes it', async () => {
    const { file, ...options } = place(sqlite)
    const writer = startWriter({ file, sqlite })
    await writer.waitForLine(/^00000020$/m)
    const copy = join(options.directory, 'copy.db')
    await backUpStore(options, copy)
    const before = writer.stdout.length
    await until(() => writer.stdout.length > before) // it has gone on
    await writer.stop('SIGKILL')
    expect(mode(copy)).toBe('600')
    const copied = await openTestStore({ ...options, url: `sqlite:${copy}` })
    const accounts = await copied.db.selectFrom('accounts').select('id').orderBy('id').execute()
    const changes = await copied.db.selectFrom('changes').select('object_id as id').orderBy('seq').execute()
    expect(accounts.length).toBeGreaterThan(20)
    expect(changes).toEqual(accounts)
    const absent = { url: 'sqlite:nothing.db', directory: options.directory, sqlite }
    await expect(backUpStore(absent, `${copy}2`)).rejects.toMatchObject({ code: 'FILE_UNREADABLE' })
    expect(existsSync(join(options.directory, 'nothing.db'))).toBe(false)
  })

  test('that is removed or replaced while it is open takes no writes, and takes them again when it is back', async () => {
    const { file, ...options } = place(sqlite)
    const [away, back]: string[][] = [[], []]
    const store = await openTestStore({ ...options, onAway: ({ message }) => away!.push(message), onBack: () => back!.push('back') })
    const write = () => store.transaction(async ({ db }) => addAccount(db))
    await write()
    renameSync(file, `${file}.moved`)
    await expect(write()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE', message: expect.stringContaining('was removed') as string })
    writeFileSync(file, '')
    await expect(write()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE', message: expect.stringContaining('was replaced') as string })
    expect(store.isHealthy()).toBe(false)
    expect(away).toHaveLength(1)
    renameSync(`${file}.moved`, file)
    await until(() => back!.length === 1, { what: 'the store to be back' })
    await write()
  })

  test('of an earlier release is copied before it is changed, under a name with date and version', async () => {
    const { file: _, ...options } = place(sqlite)
    const id = await addAccount((await openTestStore(options)).db)
    const made: unknown[] = []
    const migrations = [...MIGRATIONS, () => ['alter table accounts add column extra text']]
    // The store above holds the file: what follows is on a copy of it.
    const old = join(options.directory, 'old.db')
    await backUpStore(options, old)
    const engine = createEngine(
      { kind: 'sqlite', file: old },
      {
        sqlite,
        migrations,
        now: () => Date.UTC(2026, 10, 28, 2, 30, 15, 123),
        onAway: () => undefined,
        onSignal: () => undefined,
        // Told before the copy is made, which may take long.
        onMigrating: steps => made.push({ ...steps, isCopied: readdirSync(options.directory).some(name => name.includes('.version-')) }),
        onMigrated: result => made.push(result),
      },
    )
    await sql`select extra from accounts`.execute(engine.db)
    await engine.close()
    const copy = `${old}.version-${MIGRATIONS.length}.20261128T023015Z`
    const steps = { from: MIGRATIONS.length, to: MIGRATIONS.length + 1 }
    expect(made).toEqual([
      { ...steps, isCopied: false },
      { ...steps, copy },
    ])
    expect(mode(copy)).toBe('600')
    // This release refuses what the later one has made of it, and takes the copy.
    await expect(openStore({ ...options, url: `sqlite:${old}` })).rejects.toMatchObject({ code: 'STORE_INVALID' })
    const before = await openTestStore({ ...options, url: `sqlite:${copy}` })
    expect(await before.db.selectFrom('accounts').select('id').execute()).toEqual([{ id }])
  })

  test('that is no database, cannot be written, or lies in a file, is refused with its name', async () => {
    const directory = tempDir()
    const refused = (file: string): Promise<unknown> =>
      openStore({ url: `sqlite:${file}`, directory, sqlite }).then(
        () => 'taken',
        (fault: unknown) => fault,
      )
    const text = tempFile('notes.txt', 'not a database, but long enough to be looked at\n'.repeat(100))
    expect(await refused(text)).toMatchObject({ code: 'STORE_INVALID', message: expect.stringContaining(text) as string })
    expect(readFileSync(text, 'utf8')).toMatch(/^not a database/)
    expect(await refused(join(text, 'x.db'))).toMatchObject({ code: 'STORE_INVALID', message: expect.stringContaining('x.db') as string })
    expect(await refused(directory)).toMatchObject({ code: 'STORE_INVALID' })
  })

  test('that is damaged while it is in use makes calls fail, and nothing else', async () => {
    const { file, ...options } = place(sqlite)
    const first = await openStore(options)
    for (let i = 0; i < 50; i += 1) await addAccount(first.db, { name: 'x'.repeat(3_000) })
    await first.close()
    const bytes = readFileSync(file)
    bytes.fill(0xff, 20_000)
    const broken = join(options.directory, 'broken.db')
    writeFileSync(broken, bytes)
    const result = await openStore({ ...options, url: `sqlite:${broken}` }).then(
      async store => {
        const fault = await store.db
          .selectFrom('accounts')
          .selectAll()
          .execute()
          .catch((thrown: unknown) => thrown)
        await store.close()
        return fault
      },
      (thrown: unknown) => thrown,
    )
    expect(result).toMatchObject({ message: expect.stringMatching(/damaged|malformed|disk image/) as string })
  })

  test('on a full disk refuses what is written, goes on reading, and recovers by itself', async () => {
    const { file: _, ...options } = place(sqlite)
    const told: string[] = []
    const store = await openTestStore({ ...options, onAway: fault => told.push(fault.message), onBack: () => told.push('back') })
    const pages = (await sql<{ page_count: number }>`pragma page_count`.execute(store.db)).rows[0]!.page_count
    await sql`pragma max_page_count = ${sql.raw(String(pages + 2))}`.execute(store.db)
    const id = await addAccount(store.db)
    const fill = async (): Promise<unknown> => {
      try {
        for (;;)
          await store.transaction(async ({ db }) => {
            await addAccount(db, { name: 'x'.repeat(10_000) })
            await addAccount(db, { name: 'x'.repeat(10_000) })
          })
      } catch (thrown) {
        return thrown
      }
    }
    const fault = await fill()
    expect(fault).toMatchObject({
      code: 'STORE_UNAVAILABLE',
      fields: ['Retry-After', '5'],
      message: expect.stringContaining('full') as string,
    })
    expect(told[0]).toContain('full')
    // Nothing of the failed transaction is there, and the next one is possible.
    const count = (await store.db.selectFrom('accounts').select('id').execute()).length
    expect(count % 2).toBe(1)
    await sql`pragma max_page_count = 1000000`.execute(store.db)
    await store.transaction(({ db }) => addAccount(db, { name: 'x'.repeat(10_000) }))
    await until(() => store.isHealthy())
    expect(told).toHaveLength(2)
    expect(await store.db.selectFrom('accounts').select('id').where('id', '=', id).execute()).toEqual([{ id }])
  })

  test('that has become read-only refuses writes, says so once, and recovers by itself', async () => {
    const { file: _, ...options } = place(sqlite)
    const told: string[] = []
    const store = await openTestStore({ ...options, onAway: fault => told.push(fault.message), onBack: () => told.push('back') })
    expect(store.isHealthy()).toBe(true)
    await sql`pragma query_only = 1`.execute(store.db)
    for (let i = 0; i < 3; i += 1) await expect(addAccount(store.db)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    expect(store.isHealthy()).toBe(false)
    expect(told).toEqual([expect.stringContaining('read-only')])
    await sql`pragma query_only = 0`.execute(store.db)
    await until(() => store.isHealthy())
    expect(told).toHaveLength(2)
    await addAccount(store.db)
  })

  test('two transactions at once take turns, and one that throws gives its turn back', async () => {
    const { file: _, ...options } = place(sqlite)
    const store = await openTestStore(options)
    const order: string[] = []
    const one = store.transaction(async ({ db }) => {
      order.push('one begins')
      await addAccount(db)
      await new Promise(resolve => setImmediate(resolve))
      order.push('one ends')
      throw new Error('no')
    })
    const two = store.transaction(async ({ db }) => {
      order.push('two begins')
      await addAccount(db)
    })
    await Promise.allSettled([one, two])
    expect(order).toEqual(['one begins', 'one ends', 'two begins'])
    expect(await store.db.selectFrom('accounts').select('id').execute()).toHaveLength(1)
  })
})

test('many transactions one after the other let the event loop turn', async () => {
  const store = await openTestStore({ url: 'sqlite::memory:', directory: '/nowhere' })
  let turns = 0
  for (let i = 0; turns < 5; i += 1) {
    await store.transaction(({ db }) => addAccount(db))
    if (i % 10 === 0) setImmediate(() => (turns += 1))
    if (i > 100_000) throw new Error('it does not turn')
  }
})

test('a file of one module is taken by the other', async () => {
  if (modules.length < 2) return
  const { file, ...options } = place('libsql')
  const first = await openStore(options)
  const id = await addAccount(first.db)
  await first.close()
  const copy = `${file}.copy`
  copyFileSync(file, copy)
  const second = await openTestStore({ ...options, url: `sqlite:${copy}`, sqlite: 'node' })
  expect(await second.db.selectFrom('accounts').select('id').execute()).toEqual([{ id }])
})

test('a database in memory is one', async () => {
  const store = await openTestStore({ url: 'sqlite::memory:', directory: '/nowhere' })
  await addAccount(store.db)
  expect((await store.read(db => db.selectFrom('accounts').selectAll().execute())).value).toHaveLength(1)
})
