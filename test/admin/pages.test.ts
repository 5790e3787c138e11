/** What operators see: the pages of the admin port of both layers. */
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { beforeAll, describe, expect, test } from '@jest/globals'
import type { InnerStatus, OuterStatus } from '../../src/admin/status.ts'
import { ask, basic, parseMetrics } from '../support/admin.ts'
import { exchange } from '../support/exchange.ts'
import { startLayers, type Layers } from '../support/layers.ts'
import { freePort, listen } from '../support/ports.ts'
import { RawConnection } from '../support/raw-client.ts'
import { startRawOrigin } from '../support/raw-origin.ts'
import { until, within } from '../support/wait.ts'

const outerStatus = async (layers: Layers): Promise<OuterStatus> =>
  JSON.parse((await ask(layers.outer.adminPort, '/status')).text) as OuterStatus
const innerStatus = async (layers: Layers): Promise<InnerStatus> =>
  JSON.parse((await ask(layers.inner.adminPort, '/status')).text) as InnerStatus

describe('the admin port of an outer layer', () => {
  let layers: Layers
  let port: number
  beforeAll(async () => {
    const origin = await startRawOrigin()
    const targets = `targets:
  a.test: {protocol: http, hostname: 127.0.0.1, port: ${origin.port}}
  b.test: {protocol: http, hostname: 127.0.0.1, port: ${await freePort()}, identifier: inner-layer}
  c.test: {protocol: http, hostname: 127.0.0.1, port: 9, identifier: elsewhere}
`
    layers = await startLayers({ targets, outer: { admin: { port: 0 } }, inner: { admin: { port: 0 } } })
    port = layers.outer.adminPort
    for (let i = 0; i < 3; i++) await exchange(layers.port, { host: 'a.test', method: 'POST', body: 'hello' })
    await exchange(layers.port, { host: 'b.test' })
    await exchange(layers.port, { host: 'nobody.test', method: 'BREW' })
    await layers.accessLine(5)
  })

  test('is on loopback', async () => {
    expect((await ask(port, '/healthz')).text).toBe('{"status":"ok"}')
    expect(layers.outerLogs.find(({ adminPort }) => adminPort === port)?.msg).toContain(`operators on port ${port}`)
  })

  test('says whether the layer is ready, as the socket port does', async () => {
    const answer = await ask(port, '/readyz')
    const degraded = ['1 target wants an inner layer that is not connected'] // c.test
    expect(answer).toMatchObject({ status: 200, text: JSON.stringify({ status: 'ready', reasons: [], degraded }) })
    expect((await ask(layers.socketPort, '/readyz')).text).toBe(answer.text)
  })

  test('has the status as JSON: inner layers, targets, the last reload', async () => {
    const status = await outerStatus(layers)
    expect(status).toMatchObject({
      layer: 'outer',
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      ready: true,
      reasons: [],
      ports: { app: layers.port, socket: layers.socketPort },
      keys: { inForce: 1, faults: [] },
      reload: { file: layers.targetsFile, fault: null },
      requests: { inFlight: 0, repeats: 0 },
      tcp: { ports: [], connections: 0, faults: [] },
      certificates: { inForce: [], faults: [] },
    })
    expect(status.innerLayers).toEqual([
      expect.objectContaining({
        identifier: 'inner-layer',
        address: '127.0.0.1',
        agent: expect.stringMatching(/^socket-gateway\//),
        streams: 0,
      }),
    ])
    expect(
      status.targets.map(({ host, innerLayers, requests, errors, lastError }) => [host, innerLayers, requests, errors, lastError?.code]),
    ).toEqual([
      ['a.test', 1, 3, 0, undefined],
      ['b.test', 1, 1, 1, 'ORIGIN_REFUSED'],
      ['c.test', 0, 0, 0, undefined],
    ])
  })

  test('says of each target where it stands in the file, what it lets through, and which check its origin has', async () => {
    const { targets } = await outerStatus(layers)
    const everything = { pattern: '*', methods: ['*'] }
    expect(
      targets.map(({ host, line, policy, policyOmitted, healthCheck }) => ({ host, line, policy, policyOmitted, healthCheck })),
    ).toEqual(
      ['a.test', 'b.test', 'c.test'].map((host, i) => ({
        host,
        line: i + 2,
        policy: [{ ...everything, line: i + 2 }],
        policyOmitted: 0,
        healthCheck: null,
      })),
    )
    const paths = Array.from({ length: 30 }, (_, i) => `/p${i}: [GET, HEAD]`).join(', ')
    const others = `targets:
  a.test: {protocol: http, hostname: 127.0.0.1, port: 9, policy: {${paths}}, health: {path: /up, interval: 60s}}
  b.test: {protocol: http, hostname: 127.0.0.1, port: 9, policy: {}}
`
    const [a, b] = (await outerStatus(await startLayers({ targets: others, inners: 0, outer: { admin: { port: 0 } } }))).targets
    expect(a).toMatchObject({ policyOmitted: 10, healthCheck: { path: '/up', intervalMs: 60_000 } })
    expect([a!.policy.length, a!.policy[0]]).toEqual([20, { pattern: '/p0', methods: ['GET', 'HEAD'], line: 2 }])
    expect(b!.policy).toEqual([])
  })

  test('counts requests by target, method and class of the status, and never by what a client made up', async () => {
    const metrics = parseMetrics((await ask(port, '/metrics')).text)
    expect(metrics.get('socket_gateway_requests_total{target="a.test",method="POST",status="2xx"}')).toBe(3)
    expect(metrics.get('socket_gateway_requests_total{target="b.test",method="GET",status="5xx"}')).toBe(1)
    expect(metrics.get('socket_gateway_requests_total{target="",method="other",status="4xx"}')).toBe(1)
    expect(metrics.get('socket_gateway_errors_total{target="b.test",code="ORIGIN_REFUSED"}')).toBe(1)
    expect(metrics.get('socket_gateway_request_duration_seconds_bucket{target="a.test",le="+Inf"}')).toBe(3)
    expect(metrics.get('socket_gateway_first_byte_seconds_count{target="a.test"}')).toBe(3)
    expect(metrics.get('socket_gateway_received_bytes_total{target="a.test"}')).toBe(15)
    expect(metrics.get('socket_gateway_sent_bytes_total{target="a.test"}')).toBe(6)
    expect(metrics.get('socket_gateway_inner_layer_requests_total{identifier="inner-layer"}')).toBe(4)
    expect(metrics.get('socket_gateway_link_sessions{peer="inner-layer"}')).toBe(1)
    expect(metrics.get('socket_gateway_link_streams_total')).toBe(4)
    expect([...metrics.keys()].filter(name => /nobody|BREW/.test(name))).toEqual([])
    expect(metrics.has('process_resident_memory_bytes')).toBe(true)
  })

  test('counts credit stalls of a reader that is slower than its writer', async () => {
    const origin = await startRawOrigin((_request, socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 33554432\r\n\r\n')
      socket.write(Buffer.alloc(33_554_432))
    })
    const slow = await startLayers({ origin: origin.port, outer: { admin: { port: 0 } }, inner: { admin: { port: 0 } } })
    const seen = async (): Promise<ReadonlyMap<string, number>> => parseMetrics((await ask(slow.inner.adminPort, '/metrics')).text)
    const client = await RawConnection.open(slow.port)
    client.freeze()
    client.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
    await until(async () => (await seen()).get('socket_gateway_link_credit_stalls_total')! > 0, { what: 'a stall' })
    client.thaw()
    await within(client.closed, 'the whole answer')
    const metrics = await seen()
    expect(metrics.get('socket_gateway_link_sent_bytes_total')).toBeGreaterThan(8_388_608)
  })

  test('has a page that loads nothing from elsewhere and runs nothing inline', async () => {
    const page = await ask(port, '/')
    expect(page.headers['content-security-policy']).toMatch(/^default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'/)
    expect(page.headers['content-security-policy']).not.toMatch(/unsafe/)
    expect(page.text).toContain('content="{&#34;role&#34;:&#34;operator&#34;')
    expect(page.text).not.toMatch(/<script(?![^>]* src="\.\/assets\/)|<style|\sstyle=|\son\w+=|https?:/)
    for (const [extension, type] of [
      ['js', /javascript/],
      ['css', /css/],
    ] as const) {
      const path = new RegExp(`"\\.(/assets/[^"]+\\.${extension})"`).exec(page.text)![1]!
      const file = await ask(port, path)
      expect(file.headers).toMatchObject({
        'content-type': expect.stringMatching(type),
        'cache-control': expect.stringContaining('immutable'),
      })
      expect(file.text).not.toMatch(/insertAdjacentHTML|document\.write\(|[^.\w]eval\(/)
      const packed = await ask(port, path, { 'accept-encoding': 'gzip' })
      expect(packed.headers['content-encoding']).toBe('gzip')
    }
    expect((await ask(port, '/assets/../index.html')).status).toBe(404)
  })

  test('answers to names of this machine alone, so that a rebound name reads nothing', async () => {
    for (const host of ['localhost', 'LOCALHOST:1', '127.0.0.1', `[::1]:${port}`, 'gateway.localhost']) {
      expect((await ask(port, '/status', { host })).status).toBe(200)
    }
    for (const host of ['evil.example', '127.0.0.1.evil.example', 'localhost.evil.example:3002', '0.0.0.0', '[::2]', '-']) {
      for (const path of ['/', '/status', '/metrics', '/readyz']) expect((await ask(port, path, { host })).status).toBe(421)
    }
  })

  test('says what is wrong with the targets file, and that no inner layer is there', async () => {
    writeFileSync(layers.targetsFile, 'targets: 7\n')
    await until(async () => (await outerStatus(layers)).reload.fault !== null)
    const { ready, reasons, degraded, reload } = await outerStatus(layers)
    const faults = ['1 target wants an inner layer that is not connected', 'the targets file is not valid; the last good one is in force']
    expect({ ready, reasons, degraded }).toEqual({ ready: true, reasons: [], degraded: faults })
    const text = (status: string): string => JSON.stringify({ status, reasons: [], degraded: faults })
    expect(await ask(port, '/readyz')).toMatchObject({ status: 200, text: text('ready') })
    for (const query of ['?strict', '?strict=1', '?a&strict'])
      expect(await ask(port, `/readyz${query}`)).toMatchObject({ status: 503, text: text('not ready') })
    expect(reload.fault).toMatch(/targets\.yaml:1:\d+: targets: expected a map/)
    await layers.inner.close()
    await layers.connected(0)
    expect(await ask(port, '/readyz')).toMatchObject({ status: 503, text: expect.stringContaining('no inner layer is connected') })
    expect((await ask(port, '/healthz')).status).toBe(200)
  })
})

describe('the admin port of an inner layer', () => {
  test('tells its connections and the last failure of an origin', async () => {
    const closed = await freePort()
    const layers = await startLayers({ origin: closed, inner: { admin: { port: 0 }, connections: 2 } })
    await exchange(layers.port)
    const status = await until(async () => {
      const current = await innerStatus(layers)
      return current.requests.failed > 0 && current.connections.every(({ isUp }) => isUp) ? current : undefined
    })
    expect(status).toMatchObject({ layer: 'inner', identifier: 'inner-layer', ready: true })
    expect(status.connections).toHaveLength(2)
    expect(status.connections[0]).toMatchObject({
      outerLayer: `ws://127.0.0.1:${layers.socketPort}`,
      agent: expect.stringMatching(/^socket-gateway\//),
    })
    expect(status.lastFailure).toMatchObject({ origin: `127.0.0.1:${closed}`, code: 'ORIGIN_REFUSED' })
    const metrics = parseMetrics((await ask(layers.inner.adminPort, '/metrics')).text)
    expect(metrics.get('socket_gateway_origin_failures_total{code="ORIGIN_REFUSED"}')).toBe(1)
    expect(metrics.get(`socket_gateway_outer_layer_connected{outer_layer="ws://127.0.0.1:${layers.socketPort}"}`)).toBe(2)
    layers.outer.destroy()
    await until(async () => (await ask(layers.inner.adminPort, '/readyz')).status === 503)
    expect((await innerStatus(layers)).reasons).toEqual(['not connected to any outer layer'])
  })
})

describe('a password', () => {
  const password = 'correct horse battery staple'

  test('guards everything but the health pages', async () => {
    const { outer } = await startLayers({ outer: { admin: { port: 0, password } } })
    for (const path of ['/', '/assets/x.js', '/api/minutes', '/status', '/metrics', '/nothing']) {
      expect(await ask(outer.adminPort, path)).toMatchObject({
        status: 401,
        headers: { 'www-authenticate': expect.stringMatching(/^Basic /) },
      })
    }
    for (const path of ['/healthz', '/readyz']) expect((await ask(outer.adminPort, path)).status).toBe(200)
    expect((await ask(outer.adminPort, '/status', basic(password))).status).toBe(200)
    expect((await ask(outer.adminPort, '/status', basic(`${password} `))).status).toBe(401)
    // Behind a proxy it has the name of that; the password is what counts then.
    expect((await ask(outer.adminPort, '/status', { ...basic(password), host: 'admin.example' })).status).toBe(200)
  })

  test('cannot be guessed fast', async () => {
    const { outer } = await startLayers({ outer: { admin: { port: 0, password } } })
    const statuses: number[] = []
    for (let i = 0; i < 7; i++) statuses.push((await ask(outer.adminPort, '/status', basic(`guess ${i}`))).status)
    expect(statuses).toEqual([401, 401, 401, 401, 401, 429, 429])
    const refused = await ask(outer.adminPort, '/status', basic(password))
    expect(refused).toMatchObject({ status: 429, headers: { 'retry-after': expect.stringMatching(/^[1-9]/) } })
  })

  test('is demanded where others can reach the port', async () => {
    await expect(startLayers({ outer: { admin: { port: 0, host: '0.0.0.0' } } })).rejects.toMatchObject({
      code: 'USAGE',
      message: '--admin-host 0.0.0.0: others can reach this address, so it needs a password; add --admin-password-file',
    })
    const { outer } = await startLayers({ outer: { admin: { port: 0, host: '0.0.0.0', password } } })
    expect((await ask(outer.adminPort, '/status', { ...basic(password), host: 'gateway.example' })).status).toBe(200)
  })
})

describe('an admin port that is taken', () => {
  test('is an error with the way out, and leaves nothing open', async () => {
    const taken = await listen(createServer())
    const appPort = await freePort()
    await expect(startLayers({ outer: { appPort, admin: { port: taken } } })).rejects.toMatchObject({
      code: 'LISTEN_FAILED',
      message: expect.stringMatching(
        /^cannot open the admin port 127\.0\.0\.1:\d+: .*EADDRINUSE.*; another layer .*--admin-port with another port, 0 for a free one, or none$/,
      ),
    })
    await listen(createServer(), '127.0.0.1', appPort)
  })

  test('and a socket port that is taken closes the admin port again', async () => {
    const taken = await listen(createServer())
    const adminPort = await freePort()
    await expect(startLayers({ outer: { socketPort: taken, admin: { port: adminPort } } })).rejects.toMatchObject({ code: 'LISTEN_FAILED' })
    await listen(createServer(), '127.0.0.1', adminPort)
  })
})

test('without an admin port nothing listens and nothing is counted', async () => {
  const layers = await startLayers()
  expect([layers.outer.adminPort, layers.inner.adminPort]).toEqual([0, 0])
})
