/** Sockets of a service beside, or instead of, the targets file: what serves them, what is refused, and how fast a change is in force. */
import { connect, createServer } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { describe, expect, test } from '@jest/globals'
import type { OuterStatus } from '../../src/admin/status.ts'
import { formatStatus } from '../../src/cli/status/format-status.ts'
import { LiveDirectory } from '../../src/directory/live-directory.ts'
import { hashPassword } from '../../src/identity/password-hash.ts'
import {
  AllowList,
  CertificateStore,
  createInnerLayer,
  createOuterLayer,
  KeyRegistry,
  registeredKey,
  silentLog,
  type InnerLayerOptions,
} from '../../src/index.ts'
import { parseLogNote, type LogLine, type RequestLine } from '../../src/payload/log-note.ts'
import { mintServer, writePair } from '../support/certificates.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { changeOf, grantedKey, idOf, socketOf, startSocketLayers, tunnelOf, ZONE } from '../support/directory.ts'
import { exchange } from '../support/exchange.ts'
import { privateKeyOf, testKeyPair } from '../support/layers.ts'
import { freePort, listen } from '../support/ports.ts'
import { rawResponse, startRawOrigin } from '../support/raw-origin.ts'
import { echoServer, tcpConnect, TcpEnd } from '../support/tcp.ts'
import { until } from '../support/wait.ts'

const host = `s1.${ZONE}`

/** Does anybody take connections there, if only to end them? */
const isListened = (port: number): Promise<boolean> =>
  new Promise(resolve => {
    const socket = connect({ port, host: '127.0.0.1' })
    socket.once('connect', () => resolve(true))
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'ECONNREFUSED'))
    socket.once('connect', () => socket.destroy())
  })

describe('a socket for HTTP', () => {
  test('is served by its tunnel, which sees the public host, and by nothing before and after', async () => {
    const { layers, directory, connect } = await startSocketLayers()
    const origin = await startRawOrigin()
    const ask = () => exchange(layers.port, { host })
    expect((await ask()).code).toBe('NO_SOCKET')
    await directory.apply(changeOf({ sockets: [socketOf(1)] }))
    expect((await ask()).code).toBe('NO_TUNNEL')
    await connect(1, origin.port)
    expect([(await ask()).status, origin.last.lines]).toEqual([200, expect.arrayContaining([`Host: ${host}`])])
    await directory.apply(changeOf({ removedSockets: [idOf(1)] }))
    expect((await ask()).code).toBe('NO_SOCKET')
    await until(() => layers.outer.registry.size === 0)
  })

  test('shares its visitors among its tunnels as its balance says, and passes one by whose origin is not there', async () => {
    const { layers, directory, connect } = await startSocketLayers()
    const origins = [await startRawOrigin(), await startRawOrigin()] as const
    const socket = socketOf(1, { tunnelIds: [tunnelOf(1), tunnelOf(2)], balance: 'round-robin' })
    await directory.apply(changeOf({ sockets: [socket] }))
    for (const [i, { port }] of origins.entries()) await connect(i + 1, port)
    const statuses: number[] = []
    for (let i = 0; i < 20; i++) statuses.push((await exchange(layers.port, { host })).status)
    expect([new Set(statuses), origins.map(({ hits }) => hits)]).toEqual([new Set([200]), [10, 10]])
    await origins[0].close()
    for (let i = 0; i < 4; i++) expect((await exchange(layers.port, { host })).status).toBe(200)
    expect(layers.outerLogs.filter(({ level }) => level === 'warn')).toEqual([])
  })

  test('of type https is spoken to by HTTPS, whatever certificate its origin has', async () => {
    const { layers, directory, connect } = await startSocketLayers()
    const { certificatePem: cert, privateKeyPem: key } = await mintServer(['any.example'])
    const origin = await startRawOrigin(undefined, { tls: { cert, key } })
    await directory.apply(changeOf({ sockets: [socketOf(1, { type: 'https' })] }))
    await connect(1, origin.port)
    expect((await exchange(layers.port, { host })).status).toBe(200)
  })

  test('without a tunnel says to a browser what its owner has to do, and to programs what they can read', async () => {
    const { layers, directory } = await startSocketLayers()
    await directory.apply(changeOf({ sockets: [socketOf(1)] }))
    const ask = (accept: string) => exchange(layers.port, { host, headers: { accept } })
    const page = await ask('text/html,application/xhtml+xml,*/*;q=0.8')
    expect([page.status, page.headers['content-type']]).toEqual([502, 'text/html; charset=utf-8'])
    expect(page.headers['content-security-policy']).toContain("default-src 'none'")
    expect(page.body.toString()).toContain('<pre>socket-gateway tunnel connect --socket-id NAME --port PORT</pre>')
    expect((await ask('application/json')).headers['content-type']).toBe('application/problem+json; charset=utf-8')
    expect((await ask('*/*')).headers['content-type']).toBe('text/plain; charset=utf-8')
  })

  test('asks for its password, keeps it when a tunnel comes, and lets nobody in where a login is missing', async () => {
    const { layers, directory, connect } = await startSocketLayers()
    const origin = await startRawOrigin()
    const password = { user: 'me', hash: await hashPassword('secret') }
    await directory.apply(changeOf({ sockets: [socketOf(1, { password })] }))
    await connect(1, origin.port)
    const authorization = `Basic ${Buffer.from('me:secret').toString('base64')}`
    expect((await exchange(layers.port, { host })).code).toBe('CREDENTIALS_REQUIRED')
    const login = await exchange(layers.port, { host, headers: { authorization } })
    expect([login.status, origin.last.lines.join()]).toEqual([200, expect.not.stringContaining('uthorization')])
    const cookie = login.headers['set-cookie']![0]!.split(';')[0]!
    await directory.apply(changeOf({ sockets: [socketOf(1, { password, tunnelIds: [tunnelOf(1), tunnelOf(2)] })] }))
    expect((await exchange(layers.port, { host, headers: { cookie } })).status).toBe(200)
    const visitors = { emails: [], domains: ['b.example'] }
    await directory.apply(changeOf({ sockets: [socketOf(1, { visitors })] }))
    expect((await exchange(layers.port, { host })).code).toBe('VISITOR_LOGIN_MISSING')
  })

  test('has the share of the gateway that its limits say, all visitors together', async () => {
    const { layers, directory, connect } = await startSocketLayers()
    const origin = await startRawOrigin()
    const limits = { requestsPerSecond: 0.001, concurrency: 10, maxConnections: 10 }
    await directory.apply(changeOf({ sockets: [socketOf(1, { limits })] }))
    await connect(1, origin.port)
    const from = (address: string) => exchange(layers.port, { host, headers: { 'x-forwarded-for': address } })
    expect((await from('192.0.2.1')).status).toBe(200)
    const second = await from('192.0.2.2')
    expect([second.code, second.headers['retry-after']]).toEqual(['RATE_LIMITED', expect.stringMatching(/^\d+$/)])
  })

  test('is never the host of a target, nor of another socket, and hosts of the service go to the service', async () => {
    const pair = await testKeyPair()
    const serviceKey = registeredKey(pair.certificatePem)
    const api = `api.${ZONE}`
    const { layers, directory, connect } = await startSocketLayers({ directory: { hosts: [api], serviceKey } })
    const [origin, service] = [await startRawOrigin(), await startRawOrigin()]
    await directory.apply(changeOf({ sockets: [socketOf(1), socketOf(2, { dnsName: api })] }))
    await connect(2, origin.port)
    const outerLayers = [`ws://127.0.0.1:${layers.outer.servicePort}`]
    await connect(9, service.port, { privateKey: privateKeyOf(pair), outerLayers, identifier: '@service' })
    expect([(await exchange(layers.port, { host: api })).status, service.hits, origin.hits]).toEqual([200, 1, 0])
    // Any tunnel, too: those of SSH come this way.
    await connect(1, origin.port, { privateKey: privateKeyOf(pair), outerLayers })
    expect([(await exchange(layers.port, { host })).status, origin.hits]).toEqual([200, 1])
    expect(layers.outer.registry.operators).toEqual([])
  })
})

describe('a socket for connections', () => {
  test('has its port when the change is in force, and no longer than that', async () => {
    const { layers, directory, connect } = await startSocketLayers()
    const [port, origin] = [await freePort(), await echoServer()]
    expect(await directory.apply(changeOf({ sockets: [socketOf(1, { type: 'tcp', port })] }))).toEqual([])
    const early = await tcpConnect(port)
    await early.gone()
    await connect(1, origin.port)
    const client = await tcpConnect(port)
    client.socket.write('over TCP')
    await client.received('over TCP')
    await directory.apply(changeOf({ removedSockets: [idOf(1)] }))
    await client.gone()
    await expect(listen(createServer(), '127.0.0.1', port)).resolves.toBe(port)
    expect(layers.outer.tcpConnections).toBe(0)
    const usage = directory.takeUsage()
    expect(usage).toMatchObject([{ socketId: idOf(1), connections: 2, bytesIn: 8, bytesOut: 8 }])
  })

  test('of type tls has its TLS ended here', async () => {
    const files = writePair(await mintServer([`*.${ZONE}`]))
    const tcpCertificates = (): CertificateStore => new CertificateStore({ certificates: [files.certificate], keys: [files.key] })
    const { directory, connect } = await startSocketLayers({ outer: { tcpCertificates } })
    const [port, origin] = [await freePort(), await echoServer()]
    await directory.apply(changeOf({ sockets: [socketOf(1, { type: 'tls', port })] }))
    await connect(1, origin.port)
    const client = new TcpEnd(connectTls({ port, host: '127.0.0.1', servername: host, ca: files.pair.certificatePem }))
    client.socket.write('over TLS')
    await client.received('over TLS')
  })

  test('whose port is taken says so, and all others are in force', async () => {
    const { directory } = await startSocketLayers()
    const [server, free] = [createServer(), await freePort()]
    const taken = await listen(server)
    const sockets = [socketOf(1, { type: 'tcp', port: taken }), socketOf(2, { type: 'tcp', port: free })]
    expect(await directory.apply(changeOf({ sockets }))).toMatchObject([{ socketId: idOf(1), code: 'LISTEN_FAILED' }])
    await (await tcpConnect(free)).gone()
    // It is tried again, until it is free or wanted no more.
    server.close()
    await until(() => isListened(taken))
  })

  test('that was there before the outer layer has its port, too', async () => {
    const port = await freePort()
    const directory = new LiveDirectory({ zone: ZONE, ports: { from: 1, to: 65_535 } })
    await directory.apply({ type: 'snapshot', seq: 1, sockets: [socketOf(1, { type: 'tcp', port })], keys: [] })
    const outer = createOuterLayer({ directory, appPort: 0, socketPort: 0 }, { log: silentLog })
    await outer.start()
    onCleanUp(() => outer.destroy())
    await (await tcpConnect(port)).gone()
  })
})

describe('the key of a tunnel', () => {
  test('that is revoked ends its session at once, and is refused from then on; the others go on', async () => {
    const { layers, directory, connect } = await startSocketLayers()
    await directory.apply(changeOf({ sockets: [socketOf(1), socketOf(2)] }))
    const { privateKey, granted } = grantedKey({ tunnelId: tunnelOf(1) })
    await directory.apply(changeOf({ keys: [granted] }))
    await connect(1, 1, { privateKey })
    await connect(2, 1)
    await directory.apply(changeOf({ removedKeys: [granted.kid] }))
    expect(layers.outer.registry.tunnels.map(({ identifier }) => identifier)).toEqual([tunnelOf(2)])
    await until(() => layers.outerLogs.some(({ reason }) => String(reason).includes(`kid "${granted.kid}" is not registered`)))
  })

  test('has what it began finished when a newer login takes its place, and cut when its tunnel is removed', async () => {
    const { layers, directory, connect } = await startSocketLayers()
    await directory.apply(changeOf({ sockets: [socketOf(1)] }))
    const answers: (() => void)[] = []
    const slow = await startRawOrigin((_request, socket) => void answers.push(() => socket.write(rawResponse(200, 'slow'))))
    const fast = await startRawOrigin()
    const ask = () => exchange(layers.port, { host })
    await connect(1, slow.port)
    const begun = ask()
    await until(() => answers.length === 1)
    await connect(1, fast.port)
    expect((await ask()).body.toString()).toBe('ok')
    answers[0]!()
    expect((await begun).body.toString()).toBe('slow')
    await until(() => layers.outer.registry.size === 1)
    await connect(1, slow.port)
    const cut = ask()
    await until(() => answers.length === 2)
    await directory.apply(changeOf({ sockets: [socketOf(1, { tunnelIds: [] })] }))
    expect((await cut).status).toBe(502)
    expect((await ask()).code).toBe('NO_TUNNEL')
  })

  test('serves no tunnel that is ended, and who comes and goes is told', async () => {
    const { layers, directory, events, connect } = await startSocketLayers()
    await directory.apply(changeOf({ sockets: [socketOf(1)] }))
    await connect(1, 1)
    await connect(1, 1)
    await until(() => layers.outer.registry.size === 1)
    expect(events).toEqual({ up: Array(2).fill([tunnelOf(1), '127.0.0.1']), down: [] })
    await directory.apply(changeOf({ endedTunnels: [tunnelOf(1)] }))
    expect(events.down).toEqual([tunnelOf(1)])
  })

  test('of an enrolled inner layer serves targets of the file by its identifiers, and none that names nobody', async () => {
    const origin = await startRawOrigin()
    const target = (more: string): string => `{ protocol: http, hostname: 127.0.0.1, port: ${origin.port}, policy: '*'${more} }`
    const targets = `targets: { a.example: ${target(', identifier: lan')}, anybody.example: ${target('')} }`
    const seen: string[] = []
    const { layers, directory } = await startSocketLayers({
      targets,
      directory: { onKeyUp: (kid, address) => seen.push(`${kid} ${address}`), onKeyDown: kid => seen.push(kid) },
    })
    const { privateKey, granted } = grantedKey({ identifiers: ['lan'] })
    await directory.apply(changeOf({ keys: [granted] }))
    await layers.addInner({ privateKey, identifier: 'lan' })
    expect((await exchange(layers.port, { host: 'a.example' })).status).toBe(200)
    // Whoever has the service could enrol a key: what names nobody is the operator's alone.
    expect((await exchange(layers.port, { host: 'anybody.example' })).code).toBe('NO_INNER_LAYER')
    expect(await layers.accessLine(2)).toMatchObject({
      reason: expect.stringContaining('anybody.example names no inner layer, and those that are'),
    })
    const { registry } = layers.outer
    expect([registry.serves({ identifiers: undefined }), registry.serves({ identifiers: ['lan'] }), registry.operatorCount]).toEqual([
      false,
      true,
      1,
    ])
    await directory.apply(changeOf({ removedKeys: [granted.kid] }))
    expect((await exchange(layers.port, { host: 'a.example' })).code).toBe('NO_INNER_LAYER')
    expect(seen).toEqual([`${granted.kid} 127.0.0.1`, granted.kid])
  })
})

test('the port for links of the service process takes its key alone, which is none at the public port', async () => {
  const pair = await testKeyPair()
  const { layers, directory } = await startSocketLayers({
    directory: { serviceKey: registeredKey(pair.certificatePem) },
    outer: { keys: { registry: new KeyRegistry() } },
  })
  const { privateKey, granted } = grantedKey({ tunnelId: tunnelOf(1) })
  await directory.apply(changeOf({ sockets: [socketOf(1)], keys: [granted] }))
  const refusals = (): number => layers.outerLogs.filter(({ msg }) => msg.startsWith('refused an inner layer')).length
  const tryWith = async (options: Partial<InnerLayerOptions>): Promise<void> => {
    const before = refusals()
    const inner = createInnerLayer(
      {
        privateKey,
        outerLayers: [`ws://127.0.0.1:${layers.socketPort}`],
        identifier: tunnelOf(1),
        connections: 1,
        allowList: new AllowList([]),
        drainTimeoutMs: 0,
        ...options,
      },
      { log: silentLog },
    )
    onCleanUp(() => inner.destroy())
    await inner.start()
    await until(() => refusals() > before)
  }
  await tryWith({ outerLayers: [`ws://127.0.0.1:${layers.outer.servicePort}`] })
  await tryWith({ privateKey: privateKeyOf(pair) })
  expect(layers.outer.registry.size).toBe(0)
})

describe('who watches a socket', () => {
  test('sees its visitors, with what they said of themselves, and connections likewise', async () => {
    const { layers, directory, connect } = await startSocketLayers()
    const [origin, echo, port] = [await startRawOrigin(), await echoServer(), await freePort()]
    origin.handle((_request, socket) => void socket.write(rawResponse(404, 'gone')))
    await directory.apply(changeOf({ sockets: [socketOf(1), socketOf(2, { type: 'tcp', port })] }))
    const [lines, connections]: [LogLine[], LogLine[]] = [[], []]
    await connect(1, origin.port, { onLog: note => void lines.push(...parseLogNote(note)) })
    await connect(2, echo.port, { onLog: note => void connections.push(...parseLogNote(note)) })
    await until(() => [1, 2].every(number => directory.ownerOf(tunnelOf(number))?.isWatched === true))
    await exchange(layers.port, {
      host,
      path: '/a?secret',
      headers: { 'user-agent': 'a test', referer: 'https://b/c?token=secret#d?e', 'x-forwarded-for': '192.0.2.7' },
    })
    await until(() => lines.length > 0)
    expect(lines).toEqual([
      {
        kind: 'request',
        at: expect.any(Number),
        client: '192.0.2.7',
        method: 'GET',
        path: '/a',
        version: '1.1',
        status: 404,
        bytes: 4,
        referer: 'https://b/c',
        agent: 'a test',
        durationMs: expect.any(Number),
      },
    ])
    const client = await tcpConnect(port)
    client.socket.end('hello')
    await client.ended()
    await until(() => connections.length > 0)
    expect(connections).toMatchObject([{ kind: 'connection', client: '127.0.0.1', status: 200, bytesIn: 5, bytesOut: 5 }])
    expect(directory.takeUsage()).toMatchObject([
      { socketId: idOf(1), requests: 1, connections: 0, bytesOut: 4 },
      { socketId: idOf(2), requests: 0, connections: 1 },
    ])
  })

  test('of a flood sees some, and how many were left out', async () => {
    const { layers, directory, connect } = await startSocketLayers()
    const origin = await startRawOrigin()
    await directory.apply(changeOf({ sockets: [socketOf(1)] }))
    const lines: LogLine[] = []
    await connect(1, origin.port, { onLog: note => void lines.push(...parseLogNote(note)) })
    await until(() => directory.ownerOf(tunnelOf(1))?.isWatched === true)
    const owner = directory.ownerOf(tunnelOf(1))!
    const told: RequestLine[] = []
    const leave = directory.watch(idOf(1), line => {
      if (line.kind === 'request') told.push(line)
    })!
    for (let i = 0; i < 1_000; i++) owner.tell({ kind: 'omitted', at: i, count: 1 })
    await exchange(layers.port, { host })
    await until(() => lines.some(line => line.kind === 'omitted' && line.count > 900))
    expect(lines.length).toBeLessThan(100)
    expect(told).toHaveLength(1)
    leave()
    await exchange(layers.port, { host })
    expect(told).toHaveLength(1)
  })
})

test('operators see how much there is of it, and one label for all', async () => {
  const service: { fault?: string } = {}
  const { layers, directory, connect } = await startSocketLayers({
    outer: { admin: { port: 0 } },
    directory: { fault: () => service.fault },
  })
  const origin = await startRawOrigin()
  await directory.apply(changeOf({ sockets: [socketOf(1), socketOf(2)] }))
  await connect(1, origin.port)
  await exchange(layers.port, { host })
  const admin = `http://127.0.0.1:${layers.outer.adminPort}`
  const status = (await (await fetch(`${admin}/status`)).json()) as OuterStatus
  expect(status).toMatchObject({ innerLayers: [], service: { sockets: 2, tunnels: 1, firstTunnels: [{ identifier: tunnelOf(1) }] } })
  const shown = formatStatus(status, Date.now())
  expect(shown).toContain('2 sockets of the service, 1 tunnel connected\n')
  expect(shown).toMatch(new RegExp(`TUNNEL OF A SOCKET.*\\n${tunnelOf(1)} `))
  expect(directory.tunnels).toEqual([{ id: tunnelOf(1), address: '127.0.0.1' }])
  const metrics = await (await fetch(`${admin}/metrics`)).text()
  expect(metrics).toContain('socket_gateway_requests_total{target="(sockets)",method="GET",status="2xx"} 1')
  expect(metrics).toContain('socket_gateway_inner_layer_requests_total{identifier="(tunnels)"} 1')
  expect(metrics).not.toContain(ZONE)
  const ready = async (): Promise<unknown> => [(await fetch(`${admin}/readyz`)).status, await (await fetch(`${admin}/readyz`)).text()]
  // A loop that stood still on a busy machine is told for some seconds.
  await until(async () => (await fetch(`${admin}/readyz`)).status === 200, { what: 'readiness' })
  expect(await ready()).toEqual([200, expect.not.stringContaining('starting')])
  service.fault = 'the service process is starting'
  expect(await ready()).toEqual([200, expect.stringContaining('the service process is starting')])
})
