/** Names whose TLS ends at an inner layer: the outer layer passes them on and cannot read them, and their policy counts where TLS ends. */
import { X509Certificate } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import { connect as connectHttp2 } from 'node:http2'
import { request } from 'node:https'
import { createConnection, createServer as createTcpServer, Socket } from 'node:net'
import { join } from 'node:path'
import { connect as connectTls, type ConnectionOptions } from 'node:tls'
import { beforeAll, describe, expect, test } from '@jest/globals'
import WebSocket, { WebSocketServer } from 'ws'
import type { ServiceStatus } from '../../src/admin/status.ts'
import type { MuxStream } from '../../src/mux/stream.ts'
import { acceptTls, type TcpOriginContext } from '../../src/origin/tcp-origin.ts'
import { encodeTlsHead } from '../../src/payload/tls-head.ts'
import { begin, run, type Running } from '../cli/context.ts'
import { ask as askAdmin } from '../support/admin.ts'
import { mintAuthority, mintServer, startStore, writePair, type PairFiles } from '../support/certificates.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { startLayers, testKeyPair, type Layers } from '../support/layers.ts'
import { testWith } from '../support/needs.ts'
import { PEBBLE_PROGRAMS, startPebble } from '../support/pebble.ts'
import { listen } from '../support/ports.ts'
import { runProcess } from '../support/process.ts'
import { tempDir, tempFile } from '../support/temp.ts'
import { once, until } from '../support/wait.ts'

const BLIND = 'secret.example.com'
const OPEN = 'open.example.com'

let ca: string
let origin: number
let authorityOf: (names: readonly string[], name: string, folder?: string) => Promise<PairFiles>
let layers: Layers
let own: PairFiles
let inner: Running
let targetsFile: string

const ownTargets = (more = ''): string => `targets:
  ${BLIND}:
    hostname: 127.0.0.1
    port: ${origin}
    protocol: http
    policy: { '/allowed': [GET], '^/up/.*': ['*'], '/ws': [GET] }
    routes:
      - path: /v2
        stripPrefix: true
        policy: { '/v2/only': [GET] }
${more}`

const outerTargets = (): string => `targets:
  '*.example.com': { hostname: 127.0.0.1, port: {port}, protocol: http }
blind:
  ${BLIND}: { identifier: inner-layer }
  '*.lab.example.com': { identifier: [inner-layer, lab] }
`

/** Starts `inner-layer` in this process, as the command line does; resolves when it is connected. */
const startInner = async (to: Layers, argv: readonly string[]): Promise<Running> => {
  const { key } = writePair(await testKeyPair())
  const before = to.outer.registry.size
  const running = begin([
    ...['inner-layer', '--private-key', key, '--identifier', 'inner-layer', '--outer-layer', `ws://127.0.0.1:${to.socketPort}`],
    ...['--connections', '1', '--log-level', 'debug', '--drain-timeout', '60s'],
    ...argv,
  ])
  onCleanUp(() => running.stop())
  await until(() => to.outer.registry.size > before || running.stderr() !== '', { what: 'the inner layer' })
  expect(running.stderr()).toBe('')
  return running
}

beforeAll(async () => {
  const authority = await mintAuthority()
  ca = authority.certificatePem
  authorityOf = async (names, name, folder) => writePair(await mintServer(names, authority), name, folder)
  const server = createServer((req, res) => {
    const chunks: Buffer[] = []
    req.on('data', (chunk: Buffer) => chunks.push(chunk))
    req.on('end', () => {
      const { url, headers, httpVersion } = req
      res.setHeader(
        'X-Seen',
        JSON.stringify({ url, forwarded: headers['x-forwarded-for'], proto: headers['x-forwarded-proto'], httpVersion }),
      )
      res.end(Buffer.concat(chunks))
    })
  })
  const sockets = new WebSocketServer({ server })
  sockets.on('connection', socket => socket.on('message', message => socket.send(message)))
  onCleanUp(() => sockets.close())
  origin = await listen(server)
  const store = await startStore([await authorityOf(['*.example.com'], 'outer')])
  layers = await startLayers({ origin, inners: 0, targets: outerTargets(), outer: { appCertificates: store, admin: { port: 0 } } })
  own = await authorityOf([BLIND], 'own')
  targetsFile = tempFile('own-targets.yaml', ownTargets())
  inner = await startInner(layers, [
    ...['--tls-for', BLIND, '--targets', targetsFile, '--tls-certificate', own.certificate, '--tls-key', own.key],
  ])
})

interface Got {
  readonly status: number | undefined
  readonly body: Buffer
  readonly headers: IncomingMessage['headers']
  readonly fingerprint: string
}

const get = (path: string, more: Parameters<typeof request>[1] & { readonly body?: Buffer } = {}): Promise<Got> =>
  new Promise((resolve, reject) => {
    const { body, ...options } = more
    const place = { host: '127.0.0.1', port: layers.port, servername: BLIND, ca, agent: false as const, path }
    const sent = request({ ...place, headers: { Host: BLIND }, ...options }, response => {
      const { fingerprint256: fingerprint } = (
        response.socket as unknown as { getPeerX509Certificate(): X509Certificate }
      ).getPeerX509Certificate()
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () =>
        resolve({ status: response.statusCode, body: Buffer.concat(chunks), headers: response.headers, fingerprint }),
      )
    })
    sent.on('error', reject)
    sent.end(body)
  })

/** `servername` is what ws hands on to TLS. */
const openSocket = (port: number): WebSocket => {
  const options: WebSocket.ClientOptions & ConnectionOptions = { ca, servername: BLIND, headers: { Host: BLIND } }
  return new WebSocket(`wss://127.0.0.1:${port}/ws`, [], options)
}

const fingerprintOf = ({ pair }: PairFiles): string => new X509Certificate(pair.certificatePem).fingerprint256

describe('a name that is blind', () => {
  test('is served with the certificate of the inner layer, and the outer layer has no line for its requests', async () => {
    const got = await get('/allowed')
    expect([got.status, got.fingerprint]).toEqual([200, fingerprintOf(own)])
    expect(JSON.parse(String(got.headers['x-seen']))).toEqual({
      url: '/allowed',
      forwarded: '127.0.0.1',
      proto: 'https',
      httpVersion: '1.1',
    })
    expect(layers.accessLog.filter(({ host }) => host === BLIND)).toEqual([])
    const line = (): object | undefined => layers.outerLogs.find(({ msg, name }) => msg === 'connection' && name === BLIND)
    await until(() => line() !== undefined, { what: 'the line of the connection' })
    expect(line()).toMatchObject({ client: '127.0.0.1', identifier: 'inner-layer', target: `${BLIND}:443` })
    expect(JSON.stringify(layers.outerLogs)).not.toContain('/allowed')
    await until(() => inner.stdout().includes('"path":"/allowed"'), { what: 'the line of the request' })
  })

  test('has its policy and its routes where TLS ends', async () => {
    const statuses = await Promise.all(['/allowed', '/other', '/v2/only', '/v2/more'].map(async path => (await get(path)).status))
    expect(statuses).toEqual([200, 403, 200, 403])
    expect((await get('/allowed', { method: 'POST' })).status).toBe(403)
    expect(JSON.parse(String((await get('/v2/only')).headers['x-seen']))).toMatchObject({ url: '/only' })
  })

  test('carries bytes as they are, both ways', async () => {
    const body = Buffer.alloc(3_000_000, Array.from({ length: 251 }, (_, i) => String.fromCharCode(i)).join(''), 'latin1')
    const got = await get('/up/load', { method: 'PUT', body, headers: { Host: BLIND, 'Content-Length': body.length } })
    expect(got.status).toBe(200)
    expect(got.body.equals(body)).toBe(true)
  })

  test('speaks HTTP/2 by ALPN, and WebSocket', async () => {
    const session = connectHttp2(`https://${BLIND}:${layers.port}`, {
      ca,
      lookup: (_host, _options, done) => done(null, [{ address: '127.0.0.1', family: 4 }]),
    })
    onCleanUp(() => session.destroy())
    const stream = session.request({ ':path': '/allowed' })
    const [headers] = (await once(stream, 'response')) as [Record<string, unknown>]
    expect([session.alpnProtocol, headers[':status']]).toEqual(['h2', 200])
    stream.close()
    session.close()
    const socket = openSocket(layers.port)
    onCleanUp(() => socket.terminate())
    await once(socket, 'open')
    socket.send('through two layers')
    const [message] = (await once(socket, 'message')) as [Buffer]
    expect(message.toString()).toBe('through two layers')
    socket.close()
    await once(socket, 'close')
  })

  test('is not served by a connection whose TLS the outer layer has ended', async () => {
    const got = await get('/allowed', { servername: OPEN })
    expect([got.status, got.body.toString().includes('MISDIRECTED')]).toEqual([421, true])
    // Nor the other way round.
    const other = await get('/allowed', { headers: { Host: OPEN } })
    expect(other.status).toBe(404)
  })

  test('stands beside names that end at the outer layer', async () => {
    const got = await get('/anything', { servername: OPEN, headers: { Host: OPEN } })
    expect(got.status).toBe(200)
    expect(got.fingerprint).not.toBe(fingerprintOf(own))
    await until(() => layers.accessLog.some(({ host, path }) => host === OPEN && path === '/anything'), { what: 'its line' })
  })

  test('stands in the status, with the inner layers that may have it and its connections', async () => {
    await get('/allowed')
    type Status = { readonly tcp: { readonly services: readonly ServiceStatus[] } }
    const status = async () => JSON.parse((await askAdmin(layers.outer.adminPort, '/status')).text) as Status
    const row = async () => (await status()).tcp.services.find(({ name }) => name === `blind ${BLIND}`)
    await until(async () => ((await row())?.ended ?? 0) > 0, { what: 'the count of its connections' })
    expect(await row()).toMatchObject({ origin: `${BLIND}:443`, identifiers: ['inner-layer'], innerLayers: 1 })
  })

  test('is taken only by an inner layer that says it ends its TLS', async () => {
    const socket = connectTls({ host: '127.0.0.1', port: layers.port, servername: 'x.lab.example.com', ca })
    await once(socket, 'error')
    const refused = (): object | undefined => layers.outerLogs.find(({ msg, name }) => msg === 'connection' && name === 'x.lab.example.com')
    await until(() => refused() !== undefined, { what: 'the line of the connection' })
    expect(refused()).toMatchObject({ error: 'REFUSED_STREAM', reason: expect.stringContaining('--tls-for') })
  })
})

testWith(['openssl', 'curl'], 'openssl and curl see the certificate of the inner layer, without a name that of the outer one', async () => {
  const caFile = tempFile('ca.crt', ca)
  const subjectOf = async (...name: string[]): Promise<string> => {
    const { stdout } = await runProcess(['s_client', '-connect', `127.0.0.1:${layers.port}`, '-CAfile', caFile, '-showcerts', ...name], {
      program: 'openssl',
    })
    return new X509Certificate(/-----BEGIN[^]*?-----END CERTIFICATE-----/.exec(stdout)?.[0] ?? '').subjectAltName ?? ''
  }
  expect(await subjectOf('-servername', BLIND)).toContain(`DNS:${BLIND}`)
  expect(await subjectOf('-noservername')).toBe('DNS:*.example.com')
  const { stdout } = await runProcess(
    [
      '-sS',
      '--cacert',
      caFile,
      '--resolve',
      `${BLIND}:${layers.port}:127.0.0.1`,
      '-w',
      ' %{http_version} %{http_code}',
      `https://${BLIND}:${layers.port}/allowed`,
    ],
    { program: 'curl' },
  )
  expect(stdout.trim()).toBe('2 200')
})

test('strangers of this machine who find the port where TLS ends are sent away', async () => {
  const { 1: port } = /"appPort":(\d+)/.exec(inner.stdout()) ?? []
  expect(port).toBeUndefined() // it is said nowhere
  const { HandedConnections } = await import('../../src/cli/blind/handed-connections.ts')
  const handed = new HandedConnections()
  const clients: string[] = []
  const server = (await import('node:net')).createServer(socket =>
    handed.accept(socket, address => clients.push(address) && socket.end(address)),
  )
  const place = await listen(server)
  const stranger = createConnection({ port: place, host: '127.0.0.1' })
  onCleanUp(() => stranger.destroy())
  await once(stranger, 'connect')
  const known = await handed.connect(place, '192.0.2.7', new AbortController().signal)
  const [chunk] = (await once(known, 'data')) as [Buffer]
  expect([chunk.toString(), clients]).toEqual(['192.0.2.7', ['192.0.2.7']])
  known.destroy()
})

test('strangers of this machine, however many wait there, keep no client out that is not known yet', async () => {
  const { HandedConnections } = await import('../../src/cli/blind/handed-connections.ts')
  const handed = new HandedConnections()
  const ends: string[] = []
  const socketOf = (remotePort: number): Socket => {
    const socket = new Socket()
    Object.defineProperty(socket, 'remotePort', { value: remotePort })
    onCleanUp(() => socket.destroy())
    return socket
  }
  const strangers = Array.from({ length: 256 }, (_, i) => socketOf(i + 1))
  for (const stranger of strangers) handed.accept(stranger, () => ends.push('a stranger'))
  const server = createTcpServer({ pauseOnConnect: true })
  const place = await listen(server)
  const accepted = once(server, 'connection')
  // One of ours that the port has accepted before its own end knows that it is connected.
  const late = handed.connect(place, '192.0.2.7', new AbortController().signal)
  const [near] = (await accepted) as [Socket]
  handed.accept(near, address => ends.push(address))
  await late
  expect(near.destroyed).toBe(false)
  await until(() => ends.length === 1)
  expect(ends).toEqual(['192.0.2.7'])
  near.destroy()
})

test('an outer layer that makes up what is no address of a client is refused', () => {
  const connections: unknown[] = []
  const context = { names: { connect: (head: unknown) => new Promise<never>(() => connections.push(head)) } } as unknown as TcpOriginContext
  const accept = (address: string): unknown =>
    acceptTls(encodeTlsHead({ name: BLIND, isChallenge: false, client: { address, port: 1 } }), undefined as unknown as MuxStream, context)
  for (const address of ['', 'localhost', '1.2.3.4\r\nX-Evil: 1', '1.2.3.4, 5.6.7.8']) expect(() => accept(address)).toThrow(/is none/)
  expect(connections).toEqual([])
})

test('a renewed certificate is in force for new connections, and open ones go on', async () => {
  const folder = tempDir()
  const first = await authorityOf([BLIND], 'renewed', folder)
  const more = await startLayers({
    origin,
    inners: 0,
    targets: outerTargets(),
    outer: { appCertificates: await startStore([await authorityOf(['*.example.com'], 'other')]) },
  })
  await startInner(more, ['--tls-for', BLIND, '--targets', targetsFile, '--tls-certificate', first.certificate, '--tls-key', first.key])
  const socket = openSocket(more.port)
  onCleanUp(() => socket.terminate())
  await once(socket, 'open')
  const second = await authorityOf([BLIND], 'renewed', folder)
  await until(async () => (await get('/allowed', { port: more.port })).fingerprint === fingerprintOf(second), {
    what: 'the new certificate',
  })
  socket.send('still open')
  const [message] = (await once(socket, 'message')) as [Buffer]
  expect(message.toString()).toBe('still open')
})

testWith(PEBBLE_PROGRAMS, 'the inner layer orders its certificate itself, asked through an outer layer that cannot answer', async () => {
  const pebble = await startPebble()
  const store = await startStore([await authorityOf(['*.example.com'], 'outer')])
  const more = await startLayers({ origin, inners: 0, targets: outerTargets(), outer: { appCertificates: store, appPort: pebble.tlsPort } })
  const folder = join(tempDir(), 'acme')
  // Another one that may have the name, and has ordered nothing: the question goes on to the one that has.
  await more.addInner()
  const running = await startInner(more, [
    ...['--tls-for', BLIND, '--targets', targetsFile, '--acme', 'ops@example.com', '--acme-path', folder],
    ...['--acme-directory', pebble.directory, '--acme-directory-ca', pebble.caFile],
  ])
  await until(() => running.stdout().includes('has come from 127.0.0.1'), { what: 'the certificate' })
  const root = await pebble.root()
  await until(async () => (await get('/allowed', { port: more.port, ca: root })).status === 200, { what: 'an answer under it' })
  expect(readdirSync(join(folder, 'certificates')).sort()).toEqual([`${BLIND}.crt`, `${BLIND}.key`])
})

describe('what an inner layer could not keep to is refused at the start', () => {
  const attempt = async (targets: string, ...more: string[]): Promise<string> => {
    const { key } = writePair(await testKeyPair())
    const argv = [
      'inner-layer',
      '--private-key',
      key,
      '--identifier',
      'inner-layer',
      '--outer-layer',
      'ws://127.0.0.1:9',
      '--tls-for',
      BLIND,
    ]
    const outcome = await run([
      ...argv,
      '--targets',
      tempFile('targets.yaml', targets),
      '--tls-certificate',
      own.certificate,
      '--tls-key',
      own.key,
      ...more,
    ])
    expect(outcome.status).toBe(2)
    return outcome.stderr
  }
  const host = (keys: string): string => `targets:\n  ${BLIND}: { hostname: 127.0.0.1, port: 9, protocol: http${keys} }\n`

  test.each([
    ['a login without visitors', () => attempt(host(', access: { tokens: true }')), /has access, which is asked for here/],
    ['another inner layer', () => attempt(host(', identifier: elsewhere')), /names other inner layers/],
    ['a port', () => attempt(`${host('')}tcp:\n  '5432': { hostname: db }\n`), /the section tcp is for the targets file of an outer layer/],
    [
      'a host that nobody comes to',
      () => attempt(`${host('')}  other.example.com: { hostname: a, port: 9, protocol: http }\n`),
      /is no name of --tls-for/,
    ],
    ['a name without a target', () => attempt(host(''), '--tls-for', 'more.example.com'), /no certificate of --tls-certificate is for it/],
  ])('%s', async (_what, outcome, message) => {
    expect(await outcome()).toMatch(message)
  })

  test('and so are options for names where there are none', async () => {
    const { key } = writePair(await testKeyPair())
    const { stderr } = await run([
      'inner-layer',
      '--private-key',
      key,
      '--outer-layer',
      'ws://127.0.0.1:9',
      '--target',
      'a.example.com=http://b',
    ])
    expect(stderr).toMatch(/--target: for names whose TLS ends at this inner layer/)
  })
})
