/** Certificates in the database of the service: who comes later has them, whoever has ordered. */
import { randomBytes } from 'node:crypto'
import { mkdirSync, copyFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from '@jest/globals'
import { answerCertificates } from '../../src/platform/answer-certificates.ts'
import { resealSecrets } from '../../src/service/core/secrets.ts'
import { SealingKey } from '../../src/service/proofs/sealed.ts'
import { SealedCertificates } from '../../src/service/rules/sealed-certificates.ts'
import type { CertificatesAnswer, CertificatesRequest } from '../../src/service-host/kept-certificates.ts'
import type { Store } from '../../src/store/store.ts'
import { run } from '../cli/context.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { testWith } from '../support/needs.ts'
import { PEBBLE_PROGRAMS, startPebble, type Pebble } from '../support/pebble.ts'
import { createPostgres, POSTGRES_PROGRAMS, startPostgres } from '../support/postgres.ts'
import { startProcess, type RunningProcess } from '../support/process.ts'
import { startService, TestClock } from '../support/service.ts'
import { openTestStore } from '../support/stores.ts'
import { tempDir } from '../support/temp.ts'
import { until } from '../support/wait.ts'
import { shownTo, startKeeping, type Keeping } from './keeping.ts'

const PROGRAMS = [...PEBBLE_PROGRAMS, ...POSTGRES_PROGRAMS]
const target = (...names: string[]): string =>
  `targets:\n${names.map(name => `  "${name}": {protocol: http, hostname: 127.0.0.1, port: {port}}\n`).join('')}`
const ordered = ({ logs }: Keeping): readonly unknown[] => logs.filter(({ msg }) => msg.startsWith('ordering')).map(({ name }) => name)
const urlOf = (port: number): string => `postgres://postgres@127.0.0.1:${port}/postgres`

/** The questions of an outer layer, without the process between. */
const askOf =
  (store: Store, key: Buffer): ((request: CertificatesRequest) => Promise<CertificatesAnswer>) =>
  request =>
    answerCertificates({ serverCertificates: new SealedCertificates(store, new SealingKey(key)) }, request)

const rowsOf = (store: Store): Promise<readonly { readonly name: string; readonly sealed: string }[]> =>
  store.db.selectFrom('server_certificates').selectAll().orderBy('name').execute()

testWith(PROGRAMS, 'what one has ordered another one finds in the database, sealed, with an empty folder and no authority', async () => {
  const [pebble, port] = await Promise.all([startPebble(), startPostgres()])
  const store = await openTestStore({ url: urlOf(port), directory: tempDir() })
  const key = randomBytes(32)
  const first = await startKeeping(pebble, { targets: target('a.example.com'), certificates: askOf(store, key) })
  await first.issued('a.example.com')
  const root = await pebble.root()
  const shown = await shownTo(pebble.tlsPort, 'a.example.com', root)
  const [row] = await rowsOf(store)
  const [pem] = readFileSync(join(first.folder, 'certificates', 'a.example.com.key'), 'utf8')
    .split('\n')
    .slice(1)
  expect(row!.name).toBe('a.example.com')
  expect(row!.sealed).not.toContain(pem!.slice(0, 20))
  expect(Buffer.from(row!.sealed.slice(3), 'base64url').includes('BEGIN')).toBe(false)
  await first.close()
  await first.layers.close()
  await pebble.process.stop()

  const second = await startKeeping(pebble, { targets: target('a.example.com'), certificates: askOf(store, key) })
  await second.issued('a.example.com')
  expect([await shownTo(pebble.tlsPort, 'a.example.com', root), ordered(second)]).toEqual([shown, []])

  // One under another name is not what was sealed, and no other key opens any of them.
  await store.db.insertInto('server_certificates').values({ name: 'b.example.com', sealed: row!.sealed, expires_at: 1 }).execute()
  const find = (name: string, by = key): Promise<CertificatesAnswer> => askOf(store, by)({ kind: 'find', name })
  expect(await find('b.example.com')).toMatchObject({ kind: 'away', why: expect.stringContaining('cannot be opened') })
  expect(await find('a.example.com', randomBytes(32))).toMatchObject({ kind: 'away' })
  expect(await find('c.example.com')).toEqual({ kind: 'none' })
  // A new key file takes them along, and drops what nobody can open.
  const fresh = randomBytes(32)
  await resealSecrets(store, Buffer.concat([fresh, key]))
  expect(await find('a.example.com', fresh)).toMatchObject({ kind: 'found', key: expect.stringContaining(pem!) })
  expect(await find('a.example.com')).toMatchObject({ kind: 'away' })
  expect((await rowsOf(store)).map(({ name }) => name)).toEqual(['a.example.com'])
})

testWith(PROGRAMS, 'while the database is away certificates are ordered and renewed, and kept once it is back', async () => {
  const [pebble, postgres] = await Promise.all([startPebble(), createPostgres()])
  await postgres.start()
  const store = await openTestStore({ url: urlOf(postgres.port), directory: tempDir() })
  const certificates = askOf(store, randomBytes(32))
  await certificates({ kind: 'find', name: 'a.example.com' })
  await postgres.stop()
  const keeping = await startKeeping(pebble, { targets: target('a.example.com'), certificates, timing: { lookMs: 100 } })
  await keeping.issued('a.example.com')
  await until(() => keeping.logs.some(({ msg }) => msg.startsWith('certificates are neither found nor kept')), { what: 'the warning' })
  await postgres.start()
  await until(async () => (await certificates({ kind: 'find', name: 'a.example.com' })).kind === 'found', { what: 'the row' })
  expect(ordered(keeping)).toEqual(['a.example.com'])
})

testWith(POSTGRES_PROGRAMS, 'what has expired goes from the database', async () => {
  const clock = new TestClock()
  const { service, store } = await startService({ url: urlOf(await startPostgres()), directory: tempDir() }, { clock })
  const { serverCertificates } = service
  await serverCertificates.keep('old.example.com', { cert: 'c', key: 'k' }, clock.now() + 60_000)
  await serverCertificates.keep('new.example.com', { cert: 'c', key: 'k' }, clock.now() + 86_400_000)
  clock.advance(3_600_000)
  await until(async () => (await rowsOf(store)).length === 1, { what: 'the old one to be taken away' })
  expect(await serverCertificates.find('new.example.com')).toEqual({ cert: 'c', key: 'k' })
})

interface Home {
  readonly pebble: Pebble
  readonly folder: string
  readonly service: string
}

/** Starts an outer layer with the service, as a new machine would be: nothing but the files that its operator gives it. */
const startFresh = async ({ pebble, folder, service }: Home, name: string, args: readonly string[] = []): Promise<RunningProcess> => {
  const home = join(folder, name)
  mkdirSync(join(home, 'state'), { recursive: true })
  copyFileSync(join(folder, 'state', 'service.key'), join(home, 'state', 'service.key'))
  copyFileSync(service, join(home, 'service.yaml'))
  const outer = startProcess(
    [
      ...['outer-layer', '--service', 'service.yaml', '--log-format', 'json', '--app-host', '127.0.0.1'],
      ...['--app-port', String(pebble.tlsPort), '--socket-port', '0', '--admin-port', 'none', ...args],
      ...['--acme', 'ops@example.com', '--acme-directory', pebble.directory, '--acme-directory-ca', pebble.caFile],
    ],
    { cwd: home },
  )
  onCleanUp(() => outer.stop())
  return outer
}

testWith(
  PROGRAMS,
  'as processes: the next one, and workers, have certificates by the service process, without any file of the first',
  async () => {
    const [pebble, port] = await Promise.all([startPebble(), startPostgres()])
    const folder = tempDir()
    const service = join(folder, 'service.yaml')
    await run(['service', 'init', '--zone', 'edge.example.com', '--service', service, '--store', urlOf(port)])
    writeFileSync(service, readFileSync(service, 'utf8').replace(/^ssh:.*\n(?: .*\n)*/m, ''))
    const at: Home = { pebble, folder, service }
    const first = await startFresh(at, 'first')
    await first.waitForLine(/the certificate for api\.edge\.example\.com has come from 127/)
    const root = await pebble.root()
    const shown = await shownTo(pebble.tlsPort, 'api.edge.example.com', root)
    const names = readdirSync(join(folder, 'first', 'outer-layer-state', 'acme', 'certificates'))
    expect(names).toContain('api.edge.example.com.key')
    await first.stop()
    await pebble.process.stop()
    for (const [name, args] of [
      ['second', []],
      ['third', ['--workers', '2']],
    ] as const) {
      const next = await startFresh(at, name, args)
      await next.waitForLine(/the certificate for api\.edge\.example\.com is there already/)
      await until(
        () =>
          shownTo(pebble.tlsPort, 'api.edge.example.com', root).then(
            serial => serial === shown,
            () => false,
          ),
        { what: 'TLS' },
      )
      expect(next.output).not.toContain('BEGIN')
      await next.stop()
    }
  },
)
