/** Which inner layer gets a request, what makes it the last one that is asked, and what is repeated through another. */
import { writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { createServer as createTcpServer, type AddressInfo } from 'node:net'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { AllowList } from '../../src/origin/allow-list.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { exchange, type ExchangeOptions, type Outcome } from '../support/exchange.ts'
import { startLayers, type Layers } from '../support/layers.ts'
import { freePort, listen } from '../support/ports.ts'
import { until } from '../support/wait.ts'

/** An origin that says which request it got, in the order in which they came. */
const startOrigin = async (): Promise<{ readonly server: Server; readonly port: number; readonly hits: string[] }> => {
  const hits: string[] = []
  const server = createServer((req, res) => {
    hits.push(`${req.method ?? ''} ${req.url ?? ''} ${req.headers.cookie ?? ''}`.trim())
    req.resume()
    res.end('ok')
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onCleanUp(() => {
    server.close()
    server.closeAllConnections()
  })
  return { server, port: (server.address() as AddressInfo).port, hits }
}

/** Which inner layer served each of `count` requests. */
const servedBy = async (layers: Layers, count: number, options: ExchangeOptions | ((i: number) => ExchangeOptions)): Promise<string[]> => {
  const served: string[] = []
  for (let i = 0; i < count; i++) {
    const before = layers.accessLog.length
    await exchange(layers.port, typeof options === 'function' ? options(i) : options)
    served.push((await layers.accessLine(before + 1)).identifier ?? 'none')
  }
  return served
}

const NAMES = ['one', 'two', 'three']
const counts = (served: readonly string[]): Record<string, number> =>
  Object.fromEntries(NAMES.map(name => [name, served.filter(each => each === name).length]))

describe('balance', () => {
  let layers: Layers
  let hits: string[]
  beforeAll(async () => {
    const origin = await startOrigin()
    hits = origin.hits
    const target = '{protocol: http, hostname: 127.0.0.1, port: {port}'
    layers = await startLayers({
      origin: origin.port,
      inners: 0,
      targets: `
targets:
  turn.test: ${target}, balance: round-robin}
  sticky.test: ${target}, balance: sticky}
  cookie.test: ${target}, balance: {cookie: my-inner}}
  header.test: ${target}, balance: {header: X-User}}
  address.test: ${target}, balance: address}
`,
    })
    for (const identifier of NAMES) await layers.addInner({ identifier })
  })

  test('round-robin: each in turn', async () => {
    expect(counts(await servedBy(layers, 9, { host: 'turn.test' }))).toEqual({ one: 3, two: 3, three: 3 })
  })

  test.each([
    ['sticky.test', /^sg-[0-9a-z]+=[\w-]{16}; Path=\/; HttpOnly; SameSite=Lax$/],
    ['cookie.test', /^my-inner=[\w-]{16}; Path=\/; HttpOnly; SameSite=Lax$/],
  ])('%s: a client comes back to the inner layer that its cookie names, and the origin does not see it', async (host, form) => {
    const first = await exchange(layers.port, { host })
    const [set = ''] = first.headers['set-cookie'] ?? []
    expect(set).toMatch(form)
    const cookie = set.slice(0, set.indexOf(';'))
    hits.length = 0
    const served = await servedBy(layers, 10, { host, headers: { cookie: `a=1; ${cookie}; b=2` } })
    expect(new Set(served).size).toBe(1)
    expect(new Set(hits)).toEqual(new Set(['GET / a=1; b=2']))
    const again = await exchange(layers.port, { host, headers: { cookie } })
    expect(again.headers['set-cookie']).toBeUndefined()
    // A name that does not exist is replaced.
    const unknown = await exchange(layers.port, { host, headers: { cookie: `${cookie.slice(0, cookie.indexOf('='))}=nobody` } })
    expect(unknown.headers['set-cookie']?.[0]).toMatch(form)
  })

  test('Secure is said over https alone', async () => {
    const { headers } = await exchange(layers.port, { host: 'sticky.test', headers: { 'x-forwarded-proto': 'https' } })
    expect(headers['set-cookie']?.[0]).toMatch(/; Secure$/)
  })

  test('address: one client, one inner layer, without any cookie; an IPv6 /64 is one client', async () => {
    const addresses = Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? `203.0.113.${i}` : `2001:db8:0:${i}::1`))
    const options = (i: number): ExchangeOptions => ({ host: 'address.test', headers: { 'x-forwarded-for': addresses[i % 40]! } })
    const before = await servedBy(layers, 40, options)
    expect(await servedBy(layers, 40, options)).toEqual(before)
    for (const share of Object.values(counts(before))) expect(share).toBeGreaterThan(3)
    const [other] = await servedBy(layers, 1, { host: 'address.test', headers: { 'x-forwarded-for': '2001:db8:0:1:ffff::2' } })
    expect(other).toBe(before[1])
  })

  test('header: one value, one inner layer; when one leaves, only its values move', async () => {
    const users = Array.from({ length: 60 }, (_, i) => `user-${i}`)
    const options = (i: number): ExchangeOptions => ({ host: 'header.test', headers: { 'x-user': users[i % users.length]! } })
    const before = await servedBy(layers, users.length, options)
    expect(await servedBy(layers, users.length, options)).toEqual(before)
    for (const share of Object.values(counts(before))) expect(share).toBeGreaterThan(5)
    await layers.inners[2]!.close()
    await layers.connected(2)
    const after = await servedBy(layers, users.length, options)
    expect(after).not.toContain('three')
    before.forEach((identifier, i) => {
      if (identifier !== 'three') expect([users[i], after[i]]).toEqual([users[i], identifier])
    })
  })

  test('sticky: when the inner layer has left, the client goes to another and learns its name', async () => {
    const first = await exchange(layers.port, { host: 'cookie.test' })
    const cookie = first.headers['set-cookie']![0]!.split(';')[0]!
    const [identifier = ''] = await servedBy(layers, 1, { host: 'cookie.test', headers: { cookie } })
    const gone = NAMES.indexOf(identifier)
    await layers.inners[gone]!.close()
    await layers.connected(1)
    const second = await exchange(layers.port, { host: 'cookie.test', headers: { cookie } })
    expect(second.status).toBe(200)
    expect(second.headers['set-cookie']?.[0]).toMatch(/^my-inner=/)
    expect(second.headers['set-cookie']?.[0]).not.toContain(cookie)
  })
})

/** Two inner layers, of which only `good` reaches the origin: the other one's allow-list forbids nothing, but its port is closed. */
const startTwo = async (keys: string): Promise<{ layers: Layers; hits: string[]; bad: number }> => {
  const origin = await startOrigin()
  const bad = await freePort()
  const layers = await startLayers({
    origin: origin.port,
    inners: 0,
    targets: `
targets:
  dead.test: {protocol: http, hostname: 127.0.0.1, port: ${bad}${keys}}
  live.test: {protocol: http, hostname: 127.0.0.1, port: {port}${keys}}
`,
  })
  return { layers, hits: origin.hits, bad }
}

test('timeouts.connect: an origin that takes the connection and says nothing of TLS is 504, in time, by either driver', async () => {
  const port = await listen(createTcpServer())
  const layers = await startLayers({
    targets: `targets: {a.test: {hostname: 127.0.0.1, port: ${port}, timeouts: {connect: 200ms}}}`,
  })
  for (const headers of [{}, { te: 'trailers' }]) {
    expect(await exchange(layers.port, { host: 'a.test', headers })).toMatchObject({ status: 504, code: 'ORIGIN_CONNECT_TIMEOUT' })
  }
})

describe('retries', () => {
  const ask = async (layers: Layers, options: ExchangeOptions): Promise<Outcome & { readonly repeats: number }> => {
    const repeats = (): number => layers.outerLogs.filter(({ msg }) => msg === 'moving a request to another inner layer').length
    const [before, lines] = [repeats(), layers.accessLog.length]
    const outcome = await exchange(layers.port, options)
    await layers.accessLine(lines + 1)
    return { ...outcome, repeats: repeats() - before }
  }

  test('without the key, a failure of the origin is not repeated', async () => {
    const { layers } = await startTwo('')
    for (const identifier of ['one', 'two']) await layers.addInner({ identifier })
    expect(await ask(layers, { host: 'dead.test' })).toMatchObject({ status: 502, code: 'ORIGIN_REFUSED', repeats: 0 })
  })

  test('an origin that could not be reached is tried through others, by every method, within attempts and budget', async () => {
    const { layers } = await startTwo(', retries: {attempts: 2, budget: 1}')
    for (const identifier of NAMES) await layers.addInner({ identifier })
    expect(await ask(layers, { host: 'dead.test' })).toMatchObject({ status: 502, code: 'ORIGIN_REFUSED', repeats: 2 })
    expect(await ask(layers, { host: 'dead.test', method: 'POST', body: 'x' })).toMatchObject({ code: 'ORIGIN_REFUSED', repeats: 2 })
    let repeats = 4
    for (let i = 0; i < 10; i++) repeats += (await ask(layers, { host: 'dead.test' })).repeats
    expect(repeats).toBe(10) // what a target has to begin with; 1 % of twelve requests is nothing yet
  })

  test('retries: false repeats nothing', async () => {
    const { layers } = await startTwo(', retries: false')
    for (const identifier of NAMES) await layers.addInner({ identifier })
    expect(await ask(layers, { host: 'dead.test' })).toMatchObject({ status: 502, repeats: 0 })
  })

  test('a request that was executed is repeated for idempotent methods alone', async () => {
    let hits = 0
    const server = createServer((req, res) => {
      hits++
      // The inner layer repeats once by itself, in case the connection was stale.
      if (hits <= 2) req.socket.destroy()
      else res.end('ok')
    })
    const port = await listen(server)
    const layers = await startLayers({
      inners: 2,
      targets: `targets: {a.test: {protocol: http, hostname: 127.0.0.1, port: ${port}, retries: {}}}`,
    })
    expect(await ask(layers, { host: 'a.test', method: 'POST', body: 'x' })).toMatchObject({ status: 502, repeats: 0 })
    hits = 0
    expect(await ask(layers, { host: 'a.test', method: 'PUT', body: 'x' })).toMatchObject({ status: 200, repeats: 1 })
  })
})

describe('health', () => {
  /** `good` may reach the origin; `bad` may not resolve it: it asks a port where nobody is, through its own loopback. */
  test('failures of requests eject an inner layer for a while, and an answer takes it back', async () => {
    const origin = await startOrigin()
    const layers = await startLayers({
      origin: origin.port,
      inners: 0,
      targets:
        'targets: {a.test: {protocol: http, hostname: 127.0.0.1, port: {port}, health: {failures: 3, eject: 300ms}, balance: round-robin}}',
    })
    await layers.addInner({ identifier: 'good' })
    await layers.addInner({ identifier: 'bad' })
    // Both reach it: nobody is avoided.
    expect(new Set(await servedBy(layers, 4, { host: 'a.test' }))).toEqual(new Set(['good', 'bad']))
    origin.server.close()
    origin.server.closeAllConnections()
    for (let i = 0; i < 6; i++) expect((await exchange(layers.port, { host: 'a.test' })).status).toBe(502)
    expect(layers.outerLogs.filter(({ msg }) => msg.includes('is asked last for a.test')).length).toBe(2)
    // Both are ejected, so both are asked all the same.
    expect((await exchange(layers.port, { host: 'a.test' })).status).toBe(502)
    await new Promise<void>(resolve => origin.server.listen(origin.port, '127.0.0.1', resolve))
    expect((await exchange(layers.port, { host: 'a.test' })).status).toBe(200)
    await until(async () => new Set(await servedBy(layers, 4, { host: 'a.test' })).size === 2)
  })

  test('inner layers ask the origin, and one that finds it not healthy is asked last', async () => {
    let isWell = true
    const asked: string[] = []
    const server = createServer((req, res) => {
      if (req.url === '/healthz') {
        asked.push(`${req.headers['user-agent'] ?? ''} ${req.headers.host ?? ''}`)
        res.statusCode = isWell ? 204 : 503
        res.end()
      } else res.end('ok')
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    onCleanUp(() => {
      server.close()
      server.closeAllConnections()
    })
    const { port } = server.address() as AddressInfo
    const layers = await startLayers({
      inners: 0,
      targets: `
targets:
  a.test:
    protocol: http
    hostname: 127.0.0.1
    port: ${port}
    balance: round-robin
    health: {path: /healthz, interval: 250ms, timeout: 2s, unhealthy: 2, healthy: 2}
`,
    })
    await layers.addInner({ identifier: 'good' })
    // An inner layer that may not connect to the origin at all finds it not healthy.
    await layers.addInner({ identifier: 'bad', allowList: new AllowList(['10.9.9.9:80']) })
    const finds = (text: string): boolean => layers.outerLogs.some(({ msg }) => msg.includes(text))
    await until(() => finds('"bad" finds'), { what: 'a report of the bad one' })
    expect(new Set(await servedBy(layers, 8, { host: 'a.test' }))).toEqual(new Set(['good']))
    await until(() => asked.length > 0)
    expect(asked[0]).toBe(`socket-gateway health check 127.0.0.1:${port}`)

    // When nobody is healthy, everybody is asked; who may not connect to the origin leaves it to the other.
    isWell = false
    await until(() => finds('"good" finds'), { what: 'a report of the good one' })
    expect(new Set(await servedBy(layers, 4, { host: 'a.test' }))).toEqual(new Set(['good']))
    expect(finds('the inner layer "bad" at')).toBe(true)
    isWell = true
    await until(() => finds('healthy again'), { what: 'the good one to be healthy again' })
    expect(new Set(await servedBy(layers, 8, { host: 'a.test' }))).toEqual(new Set(['good']))
    // One that leaves takes its word with it.
    await layers.inners[1]!.close()
    await layers.addInner({ identifier: 'bad' })
    await until(async () => new Set(await servedBy(layers, 8, { host: 'a.test' })).size === 2)
  })

  test('a change of the targets file tells inner layers what to ask from now on', async () => {
    const origin = await startOrigin()
    const target = (more: string): string => `targets: {a.test: {protocol: http, hostname: 127.0.0.1, port: ${origin.port}${more}}}\n`
    const layers = await startLayers({ origin: origin.port, targets: target('') })
    const asked = (path: string): number => origin.hits.filter(hit => hit === `GET ${path}`).length
    writeFileSync(layers.targetsFile, target(', health: {path: /one, interval: 250ms}'))
    await until(() => asked('/one') > 1)
    writeFileSync(layers.targetsFile, target(', health: {path: /two, interval: 250ms}'))
    await until(() => asked('/two') > 1)
    const before = asked('/one')
    await until(() => asked('/two') > 4)
    expect(asked('/one')).toBe(before)
  })
})
