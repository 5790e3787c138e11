/** Certificates that the gateway orders itself, from Pebble: the three ways to prove a name, and what happens when that fails. */
import { chmodSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import { Agent, request } from 'node:https'
import { createServer as createTcpServer } from 'node:net'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { expect } from '@jest/globals'
import type { FailedOrders } from '../../src/acme/attempts.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { startDirectoryBefore } from '../support/directory-before.ts'
import { testWith } from '../support/needs.ts'
import { dnsHookScript, PEBBLE_PROGRAMS, startPebble } from '../support/pebble.ts'
import { listen } from '../support/ports.ts'
import { tempDir, tempFile } from '../support/temp.ts'
import { until } from '../support/wait.ts'
import { shownTo, startKeeping, type Keeping } from './keeping.ts'

const target = (...names: string[]): string =>
  `targets:\n${names.map(name => `  "${name}": {protocol: http, hostname: 127.0.0.1, port: {port}}\n`).join('')}`

const eventsOf = ({ events }: Keeping, name: string): readonly { readonly subject: string; readonly message: string }[] =>
  events.book.list({ after: '0', limit: 100 }).items.filter(event => event.name === name)

const YEARS_MS = 365 * 86_400_000

testWith(PEBBLE_PROGRAMS, 'a certificate is ordered by http-01 from nothing, and believed by whoever trusts the authority', async () => {
  const pebble = await startPebble()
  const keeping = await startKeeping(pebble, { targets: target('a.example.com') })
  await keeping.issued('a.example.com')
  await shownTo(pebble.tlsPort, 'a.example.com', await pebble.root())
  await until(() => eventsOf(keeping, 'certificate.issued').length === 1, { what: 'the event' })
  const files = readdirSync(join(keeping.folder, 'certificates')).sort()
  expect(files).toEqual(['a.example.com.crt', 'a.example.com.key'])
  const mode = (...path: string[]): number => statSync(join(keeping.folder, ...path)).mode & 0o777
  expect([mode(), mode('certificates', files[0]!), mode('certificates', files[1]!), mode('account.key')]).toEqual([
    0o700, 0o600, 0o600, 0o600,
  ])
  expect(keeping.logs.some(({ msg, kind }) => msg.startsWith('ordering') && kind === 'http-01')).toBe(true)
  // What nobody asks for is redirected as ever.
  const answer = await fetch(`http://127.0.0.1:${pebble.httpPort}/.well-known/acme-challenge/none`, { redirect: 'manual' })
  expect([answer.status, answer.headers.get('location')]).toEqual([
    308,
    `https://127.0.0.1:${pebble.tlsPort}/.well-known/acme-challenge/none`,
  ])
})

testWith(
  PEBBLE_PROGRAMS,
  'by tls-alpn-01 where there is no port for plain HTTP, also from an authority that refuses half of all nonces',
  async () => {
    const pebble = await startPebble({ nonceReject: 50 })
    const keeping = await startKeeping(pebble, {
      targets: target('a.example.com', 'b.example.com'),
      hasHttp: false,
      // Six refusals in a row are possible: then it is tried again.
      timing: { lookMs: 100, pauseScale: 0.001 },
    })
    await keeping.issued('a.example.com')
    await keeping.issued('b.example.com')
    const root = await pebble.root()
    expect(await shownTo(pebble.tlsPort, 'a.example.com', root)).not.toBe(await shownTo(pebble.tlsPort, 'b.example.com', root))
  },
)

testWith(PEBBLE_PROGRAMS, 'by tls-alpn-01 at a TCP port that ends TLS, which serves the origin meanwhile and afterwards', async () => {
  const pebble = await startPebble()
  // Whoever only looks at the certificate leaves at once.
  const origin = createTcpServer(socket => socket.on('error', () => undefined).end('hello'))
  const originPort = await listen(origin)
  onCleanUp(() => void origin.close())
  const targets = `targets: {}\ntcp:\n  "${pebble.tlsPort}": {tls: true, names: {db.example.com: {hostname: 127.0.0.1, port: ${originPort}}}}\n`
  const keeping = await startKeeping(pebble, { targets, hasHttp: false, appPort: 0 })
  await keeping.issued('db.example.com')
  const root = await pebble.root()
  // The port follows the files by itself.
  await until(() => shownTo(pebble.tlsPort, 'db.example.com', root).then(Boolean, () => false), { what: 'the certificate at the port' })
  const text = await new Promise<string>((resolve, reject) => {
    let read = ''
    const socket = connectTls({ port: pebble.tlsPort, host: '127.0.0.1', servername: 'db.example.com', ca: root })
    socket.setEncoding('utf8').on('data', (piece: string) => (read += piece))
    socket.once('end', () => resolve(read)).on('error', reject)
  })
  expect(text).toBe('hello')
  // Nobody who offers that protocol without being an authority gets past it, whatever the name.
  const refused = new Promise<string>(resolve => {
    const socket = connectTls({ port: pebble.tlsPort, host: '127.0.0.1', servername: 'other.example.com', ALPNProtocols: ['acme-tls/1'] })
    socket.on('error', (error: Error) => resolve(error.message))
  })
  expect(await refused).not.toBe('')
})

testWith(
  [...PEBBLE_PROGRAMS, 'curl'],
  'a wildcard is ordered by dns-01 through a program, which has everything from its environment',
  async () => {
    const pebble = await startPebble()
    const log = join(tempDir(), 'calls')
    const hook = tempFile('hook.sh', dnsHookScript(pebble.dnsManagement, log))
    chmodSync(hook, 0o700)
    const keeping = await startKeeping(pebble, { targets: target('*.example.com', 'a.example.com'), values: { 'acme-dns-hook': hook } })
    await keeping.issued('*.example.com')
    await shownTo(pebble.tlsPort, 'a.example.com', await pebble.root())
    await until(() => readFileSync(log, 'utf8').includes('remove'), { what: 'the record to be removed' })
    expect(readFileSync(log, 'utf8')).toBe('add _acme-challenge.example.com\nremove _acme-challenge.example.com\n')
    // The name below it needs none of its own.
    expect(readdirSync(join(keeping.folder, 'certificates')).sort()).toEqual(['_wildcard.example.com.crt', '_wildcard.example.com.key'])
  },
)

testWith(PEBBLE_PROGRAMS, 'an account is bound to one that the authority has made, and its key is in no log', async () => {
  const secret = 'zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W'
  const pebble = await startPebble({ bindings: { 'kid-1': secret } })
  const keyFile = tempFile('eab.key', `${secret}\n`)
  const values = { 'acme-eab-kid': 'kid-1', 'acme-eab-key': keyFile }
  chmodSync(keyFile, 0o644)
  await expect(startKeeping(pebble, { targets: target('a.example.com'), values })).rejects.toThrow(/other accounts can use this key/)
  chmodSync(keyFile, 0o600)
  const keeping = await startKeeping(pebble, { targets: target('a.example.com'), values })
  await keeping.issued('a.example.com')
  expect(JSON.stringify(keeping.logs)).not.toContain(secret)
})

testWith(
  PEBBLE_PROGRAMS,
  'a stranger who asks for any name makes no order; a socket that exists is ordered for when it is asked for',
  async () => {
    const pebble = await startPebble()
    const keeping = await startKeeping(pebble, {
      targets: target('a.example.com', '*.example.net'),
      sockets: new Set(['own-name-1.edge.example.com']),
    })
    await keeping.issued('a.example.com')
    const ask = (name: string): Promise<string> => shownTo(pebble.tlsPort, name)
    for (const name of ['foreign.example.org', 'any.example.net', 'gone-1.edge.example.com', 'x.own-name-1.edge.example.com'])
      await ask(name)
    await ask('own-name-1.edge.example.com')
    await keeping.issued('own-name-1.edge.example.com')
    expect(keeping.logs.filter(({ msg }) => msg.startsWith('ordering')).map(({ name }) => name)).toEqual([
      'a.example.com',
      'own-name-1.edge.example.com',
    ])
    expect(keeping.logs.filter(({ msg }) => msg.includes('wildcards are proven by the DNS alone')).map(({ names }) => names)).toEqual([
      ['*.example.net'],
    ])
  },
)

testWith(PEBBLE_PROGRAMS, 'a renewal drops no connection: those that are open go on, new ones get the new certificate', async () => {
  const origin = await listen(createServer((req, res) => res.end(req.url)))
  const pebble = await startPebble()
  let offsetMs = 0
  const keeping = await startKeeping(pebble, {
    targets: target('a.example.com'),
    origin,
    timing: { nowMs: () => Date.now() + offsetMs, lookMs: 50 },
  })
  await keeping.issued('a.example.com')
  const ca = await pebble.root()
  const first = await shownTo(pebble.tlsPort, 'a.example.com', ca)
  const agent = new Agent({ keepAlive: true, maxSockets: 1, ca, servername: 'a.example.com' })
  onCleanUp(() => agent.destroy())
  const ports = new Set<number | undefined>()
  const get = (): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const sent = request({ host: '127.0.0.1', port: pebble.tlsPort, agent, headers: { Host: 'a.example.com' } }, response => {
        ports.add(response.socket.localPort)
        response.resume().on('end', () => resolve(response.statusCode))
      })
      sent.on('error', reject)
      sent.end()
    })
  expect(await get()).toBe(200)
  offsetMs = 4 * YEARS_MS
  await until(async () => (await shownTo(pebble.tlsPort, 'a.example.com', ca)) !== first, { what: 'another certificate' })
  expect(await get()).toBe(200)
  expect(ports.size).toBe(1)
  expect(eventsOf(keeping, 'certificate.issued').length).toBeGreaterThan(0)
})

testWith(
  PEBBLE_PROGRAMS,
  'the old certificate stays in force while a new one fails, which is told, and is tried again ever later',
  async () => {
    const pebble = await startPebble()
    const limit = { type: 'urn:ietf:params:acme:error:rateLimited', detail: 'too many certificates already issued' }
    const failing = await startDirectoryBefore(pebble, ['newOrder'], () => ({
      status: 429,
      fields: { 'Retry-After': '86400' },
      body: limit,
    }))
    let offsetMs = 0
    const path = join(tempDir(), 'acme')
    const options = {
      targets: target('a.example.com'),
      values: { 'acme-path': path },
      timing: { nowMs: () => Date.now() + offsetMs, lookMs: 20 },
    }
    const before = await startKeeping(pebble, options)
    await before.issued('a.example.com')
    const ca = await pebble.root()
    const first = await shownTo(pebble.tlsPort, 'a.example.com', ca)
    await before.close()
    await before.layers.close()
    await before.store.close()
    offsetMs = 4 * YEARS_MS
    const again = await startKeeping(failing.pebble, options)
    await until(() => eventsOf(again, 'certificate.failing').length === 1, { what: 'the event' })
    expect(eventsOf(again, 'certificate.failing')[0]!.message).toContain('too many certificates already issued')
    expect(await shownTo(pebble.tlsPort, 'a.example.com', ca)).toBe(first)
    const { failed } = JSON.parse(readFileSync(join(path, 'orders.json'), 'utf8')) as { failed: Record<string, FailedOrders> }
    const { count, atMs, nextMs } = failed['a.example.com']!
    // As long as it wants to be left alone, it is, whatever else is looked at.
    expect([count, nextMs - atMs, failing.asked]).toEqual([1, 86_400_000, ['/newOrder']])
  },
)

testWith(PEBBLE_PROGRAMS, 'an authority that says when to renew is asked, and followed', async () => {
  const real = await startPebble()
  const windowOf = (start: number, end: number): { start: string; end: string } => ({
    start: new Date(start).toISOString(),
    end: new Date(end).toISOString(),
  })
  const later = windowOf(Date.now() + YEARS_MS, Date.now() + 2 * YEARS_MS)
  let ofFirst = later
  const { pebble, asked } = await startDirectoryBefore(real, ['renewalInfo'], path => ({
    status: 200,
    body: { suggestedWindow: path === asked[0] ? ofFirst : later },
  }))
  let offsetMs = 0
  const keeping = await startKeeping(pebble, {
    targets: target('a.example.com'),
    timing: { nowMs: () => Date.now() + offsetMs, lookMs: 20 },
  })
  await keeping.issued('a.example.com')
  await until(() => asked.length > 0, { what: 'the question when to renew' })
  expect(asked[0]).toMatch(/^\/renewalInfo\/[\w-]+\.[\w-]+$/)
  const first = await shownTo(real.tlsPort, 'a.example.com')
  // It has found out that it should not have signed it, and says so when it is asked the next time.
  ofFirst = windowOf(Date.now() - 2_000, Date.now() - 1_000)
  offsetMs = 86_400_000
  await until(async () => (await shownTo(real.tlsPort, 'a.example.com')) !== first, { what: 'another certificate' })
})
