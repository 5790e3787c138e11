/** The app port with TLS: HTTPS, the redirect to it, HSTS, and which host a connection is for (T11, L12, H20). */
import { createHash, randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { Agent, request } from 'node:https'
import { connect as connectPlain, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { connect as connectTls, type ConnectionOptions } from 'node:tls'
import { beforeAll, describe, expect, test } from '@jest/globals'
import WebSocket, { WebSocketServer } from 'ws'
import type { CertificateStore } from '../../src/tls/certificate-store.ts'
import { mintAuthority, mintServer, startStore, writePair, type PairFiles } from '../support/certificates.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { startLayers, type Layers } from '../support/layers.ts'
import { programPath, testWith } from '../support/needs.ts'
import { listen } from '../support/ports.ts'
import { runProcess } from '../support/process.ts'
import { RawConnection, rawRequest } from '../support/raw-client.ts'
import { valueOf } from '../support/raw-message.ts'
import { rawResponse, startRawOrigin, type RawOrigin } from '../support/raw-origin.ts'
import { tempFile } from '../support/temp.ts'
import { once, until, within } from '../support/wait.ts'

const NAMES = ['a.test', '*.shared.test', '127.0.0.1', '::1']
const TARGETS = ['a.test', 'b.test', 'x.shared.test', 'y.shared.test', '127.0.0.1']
const targetsFor = (names: readonly string[]): string =>
  `targets:\n${names.map(name => `  "${name}": {protocol: http, hostname: 127.0.0.1, port: {port}}\n`).join('')}`

let origin: RawOrigin
let ca: string
let files: readonly PairFiles[]
let store: CertificateStore
let layers: Layers

beforeAll(async () => {
  origin = await startRawOrigin()
  const authority = await mintAuthority()
  ca = authority.certificatePem
  files = [writePair(await mintServer(NAMES, authority)), writePair(await mintServer(['b.test'], authority))]
  store = await startStore(files)
  layers = await startLayers({
    origin: origin.port,
    targets: targetsFor(TARGETS),
    outer: { appCertificates: store, appHttpPort: 0, hstsSeconds: 600 },
  })
})

const open = (servername = 'a.test', more: ConnectionOptions = {}): Promise<RawConnection> =>
  RawConnection.open(layers.port, { tls: { servername, ca, ...more } })

const get = (host: string, ...lines: string[]): string => ['GET /x?y=1 HTTP/1.1', `Host: ${host}`, ...lines, '', ''].join('\r\n')

const alpnOf = ({ socket }: RawConnection): unknown => ('alpnProtocol' in socket ? socket.alpnProtocol : undefined)

describe('HTTPS at the app port', () => {
  test('carries requests, several on a connection, and tells the origin so', async () => {
    const client = await open()
    for (let i = 0; i < 3; i++) {
      client.write(get('a.test'))
      expect((await client.readResponse()).status).toBe(200)
    }
    expect(valueOf(origin.last.fields, 'x-forwarded-proto')).toBe('https')
    expect(valueOf(origin.last.fields, 'x-forwarded-port')).toBe('443')
    expect(valueOf(origin.last.fields, 'forwarded')).toMatch(/proto=https/)
    expect(alpnOf(client)).toBe(false)
  })

  test('agrees on http/1.1 with who asks for it', async () => {
    const client = await open('a.test', { ALPNProtocols: ['h3', 'http/1.1'] })
    expect(alpnOf(client)).toBe('http/1.1')
    client.write(get('a.test'))
    expect((await client.readResponse()).status).toBe(200)
  })

  test('carries WebSockets, with what was sent at once, up to the close code', async () => {
    const echo = new WebSocketServer({ port: 0, host: '127.0.0.1' })
    onCleanUp(() => echo.close())
    echo.on('connection', socket => socket.on('message', (data: Buffer) => (socket.send(data), socket.close(4_001, 'enough'))))
    await once(echo, 'listening')
    const upgraded = await startLayers({ origin: (echo.address() as AddressInfo).port, outer: { appCertificates: store } })
    const client = new WebSocket(`wss://127.0.0.1:${upgraded.port}`, { ca })
    client.on('open', () => client.send(Buffer.alloc(300_000, 7)))
    const [message] = (await once(client, 'message')) as [Buffer]
    expect(message.equals(Buffer.alloc(300_000, 7))).toBe(true)
    expect(await once(client, 'close')).toEqual([4_001, Buffer.from('enough')])
  })

  test('carries large bodies both ways', async () => {
    const server = createServer((req, res) => req.pipe(res))
    const big = await startLayers({ origin: await listen(server), outer: { appCertificates: store } })
    const body = randomBytes(8_000_000)
    const hash = createHash('sha256')
    const agent = new Agent({ ca, servername: 'a.test' })
    const answered = new Promise<string>((resolve, reject) => {
      const req = request({ host: '127.0.0.1', port: big.port, method: 'POST', agent, headers: { Host: 'a.test' } }, res => {
        res.on('data', (chunk: Buffer) => hash.update(chunk)).on('end', () => resolve(hash.digest('hex')))
      })
      req.on('error', reject).end(body)
    })
    expect(await within(answered, 'the echo')).toBe(createHash('sha256').update(body).digest('hex'))
    agent.destroy()
  })

  testWith(['curl'], 'is what curl expects, by name and by address, and curl does not trust it without the authority', async () => {
    const file = tempFile('ca.crt', ca)
    const url = (name: string): string => `https://${name}:${layers.port}/x`
    const curl = (...args: string[]): ReturnType<typeof runProcess> =>
      runProcess(['-sS', '--noproxy', '*', ...args], { program: programPath('curl')! })
    const resolve = ['a.test', 'b.test', 'y.shared.test'].flatMap(name => ['--resolve', `${name}:${layers.port}:127.0.0.1`])
    for (const name of ['a.test', 'b.test', 'y.shared.test', '127.0.0.1'])
      for (const version of ['--tlsv1.2', '--tlsv1.3']) {
        const args = ['--cacert', file, ...resolve, version, '-o', '/dev/null', '-w', '%{http_code} %{ssl_verify_result}', url(name)]
        expect([name, await curl(...args)]).toEqual([name, expect.objectContaining({ code: 0, stdout: '200 0' })])
      }
    expect(await curl(...resolve, url('a.test'))).toMatchObject({ code: 60 })
    const followed = await curl(
      '--cacert',
      file,
      '-L',
      '-w',
      '%{http_code} %{url_effective}',
      '-o',
      '/dev/null',
      `http://127.0.0.1:${layers.outer.httpPort}/x`,
    )
    expect(followed.stdout).toBe(`200 https://127.0.0.1:${layers.port}/x`)
  })

  test('cuts an answer that breaks off, so that no client takes it for whole', async () => {
    const broken = await startRawOrigin(
      (_request, socket) => void socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n'),
    )
    const cut = await startLayers({ origin: broken.port, outer: { appCertificates: store } })
    // An HTTP/1.0 client reads up to the end of the connection: in TLS its end is no end without the closing alert.
    for (const version of ['1.0', '1.1']) {
      const client = connectTls({ host: '127.0.0.1', port: cut.port, ca, servername: 'a.test' })
      client.write(`GET / HTTP/${version}\r\nHost: a.test\r\n\r\n`)
      let text = ''
      client.on('data', (bytes: Buffer) => (text += bytes.toString('latin1'))).on('error', () => undefined)
      await new Promise(resolve => client.once('close', resolve))
      expect(text.endsWith('0\r\n\r\n')).toBe(false)
      expect(version === '1.1' ? text.includes('part') : true).toBe(true)
    }
  })

  test('tells plain HTTP to come by https:, and says it in the log', async () => {
    const { text, closed } = await rawRequest(layers.port, get('a.test', 'Accept: */*'))
    expect(text).toMatch(/^HTTP\/1\.1 400 /)
    expect(text).toMatch(/TLS_REQUIRED/)
    expect(text).toMatch(/use https:\/\//)
    expect(text).not.toMatch(/Strict-Transport-Security/)
    expect(closed).toBe('fin')
    await until(() => layers.accessLog.some(line => line.error === 'TLS_REQUIRED' && line.status === 400))
  })

  test('closes what is neither, and what leaves before or in the middle of the handshake, and goes on', async () => {
    // In the middle of a handshake: nobody is told, so there is nothing to wait for.
    const leaver = connectPlain(layers.port, '127.0.0.1')
    leaver.on('error', () => undefined)
    leaver.write(Buffer.from('1603010200010001', 'hex'), () => leaver.destroy())
    for (const bytes of ['\0\0\0\0', '\x16garbage, and much of it'.repeat(50), '']) {
      const socket = connectPlain(layers.port, '127.0.0.1')
      socket.on('error', () => undefined)
      socket.resume()
      socket.end(Buffer.from(bytes, 'latin1'))
      await new Promise(resolve => socket.once('close', resolve))
    }
    const client = await open()
    client.write(get('a.test'))
    expect((await client.readResponse()).status).toBe(200)
  })
})

describe('T11: the name in TLS and the Host', () => {
  const statusFor = async (servername: string, host: string): Promise<number> => {
    const client = await open(servername, { rejectUnauthorized: false })
    client.write(get(host))
    const { status, body } = await client.readResponse()
    if (status === 421) expect(body.toString()).toContain('MISDIRECTED')
    client.destroy()
    return status
  }

  test.each([
    ['b.test', 'a.test', 421],
    ['a.test', 'b.test', 421],
    ['b.test', 'x.shared.test:8443', 421],
    ['A.TEST', 'b.test', 421],
    ['a.test', 'a.test:443', 200],
    ['x.shared.test', 'y.shared.test', 200], // one certificate for both: browsers share the connection
    ['a.test', 'x.shared.test', 200],
    ['a.test', '127.0.0.1', 200],
    ['', 'b.test', 200], // no name in TLS
    ['unknown.test', 'b.test', 200], // of no target
    ['a.test', 'unknown.test', 404],
    ['..', 'b.test', 200],
  ] as const)('TLS for "%s" and Host %s: %i', async (servername, host, status) => {
    const before = origin.hits
    expect(await statusFor(servername, host)).toBe(status)
    expect(origin.hits - before).toBe(status === 200 ? 1 : 0)
  })

  test('are looked at for each request of a connection, which stays usable', async () => {
    const client = await open('b.test')
    for (const [host, status] of [
      ['b.test', 200],
      ['a.test', 421],
      ['b.test', 200],
    ] as const) {
      client.write(get(host))
      expect((await client.readResponse()).status).toBe(status)
    }
  })
})

describe('--hsts', () => {
  test('marks every answer over TLS, of origins and of the gateway, but leaves what the origin says', async () => {
    const client = await open()
    client.write(get('a.test'))
    expect(valueOf((await client.readResponse()).fields, 'strict-transport-security')).toBe('max-age=600')
    client.write(get('unknown.test'))
    expect(valueOf((await client.readResponse()).fields, 'strict-transport-security')).toBe('max-age=600')
    const own = await startRawOrigin(
      (_request, socket) => void socket.write(rawResponse(200, 'ok', ['strict-transport-security: max-age=1; preload'])),
    )
    const other = await startLayers({ origin: own.port, outer: { appCertificates: store, hstsSeconds: 600 } })
    const second = await RawConnection.open(other.port, { tls: { servername: 'a.test', ca } })
    second.write(get('a.test'))
    const { fields } = await second.readResponse()
    expect(fields.filter(([name]) => name.toLowerCase() === 'strict-transport-security').map(([, value]) => value)).toEqual([
      'max-age=1; preload',
    ])
  })
})

describe('--app-http-port', () => {
  const locationOf = async (head: string): Promise<{ status: number; location: string | undefined }> => {
    const client = await RawConnection.open(layers.outer.httpPort)
    client.write(head)
    const { status, fields } = await client.readResponse()
    expect(await client.closed).toBe('fin')
    expect(valueOf(fields, 'strict-transport-security')).toBeUndefined()
    return { status, location: valueOf(fields, 'location') }
  }

  test('redirects to the same path and query, method and body kept', async () => {
    const before = origin.hits
    // Who came by port 80 goes on by 443; who came by another one, to the port that is open.
    for (const [host, url] of [
      ['a.test', 'https://a.test'],
      ['A.Test.:80', 'https://a.test'],
      ['a.test:8080', `https://a.test:${layers.port}`],
      ['[::1]:8080', `https://[::1]:${layers.port}`],
      ['bücher.test', 'https://xn--bcher-kva.test'],
    ] as const) {
      const head = Buffer.from(get(host), 'utf8').toString('latin1')
      expect(await locationOf(head)).toEqual({ status: 308, location: `${url}/x?y=1` })
    }
    expect(await locationOf('GET http://a.test/abs?q HTTP/1.1\r\nHost: a.test\r\n\r\n')).toEqual({
      status: 308,
      location: 'https://a.test/abs?q',
    })
    expect(await locationOf('GET //evil.test/x HTTP/1.1\r\nHost: a.test\r\n\r\n')).toEqual({
      status: 308,
      location: 'https://a.test//evil.test/x',
    })
    const upload = 'POST /up HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3000000\r\n\r\n' + 'x'.repeat(100_000)
    expect(await locationOf(upload)).toEqual({ status: 308, location: 'https://a.test/up' })
    const upgrade = get(
      'a.test',
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
    )
    expect(await locationOf(upgrade)).toMatchObject({ status: 308 })
    expect(origin.hits).toBe(before)
    await until(() => layers.accessLog.some(line => line.status === 308 && line.path === '/up'))
  })

  test.each([
    ['no host', 'GET / HTTP/1.1\r\n\r\n'],
    ['two hosts', 'GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n'],
    ['userinfo', 'GET / HTTP/1.1\r\nHost: a.test@evil.test\r\n\r\n'],
    ['a path in the host', 'GET / HTTP/1.1\r\nHost: evil.test/a.test\r\n\r\n'],
    ['another host in the target', 'GET http://evil.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n'],
    ['an asterisk', 'OPTIONS * HTTP/1.1\r\nHost: a.test\r\n\r\n'],
  ])('refuses %s with 400', async (_what, head) => {
    expect(await locationOf(head)).toEqual({ status: 400, location: undefined })
  })

  test.each([
    ['no HTTP', 'nonsense\r\n\r\n', 400, 'BAD_REQUEST'],
    ['TLS', '\x16\x03\x01\x00\x05hello', 400, 'BAD_REQUEST'],
    ['too long a head', `GET / HTTP/1.1\r\nHost: a.test\r\nX: ${'x'.repeat(200_000)}\r\n\r\n`, 431, 'HEADERS_TOO_LARGE'],
    ['CONNECT', 'CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n', 405, 'METHOD_REFUSED'],
  ])('answers %s as every other port does, and logs it once', async (_what, head, status, error) => {
    const seen = layers.accessLog.length
    expect(await locationOf(head)).toEqual({ status, location: undefined })
    await until(() => layers.accessLog.length > seen)
    expect(layers.accessLog.slice(seen)).toEqual([expect.objectContaining({ status, error, reason: expect.any(String) })])
  })

  test('is not there without being asked for', async () => {
    const plain = await startLayers({ origin: origin.port, inners: 0, outer: { appCertificates: store } })
    expect(plain.outer.httpPort).toBe(0)
  })
})

describe('certificates that change while the layers run', () => {
  test('are in force for new connections, and a fault is told without stopping the layer', async () => {
    const own = writePair(await mintServer(['first.test']))
    const certificates = await startStore([own])
    const running = await startLayers({ origin: origin.port, outer: { appCertificates: certificates } })
    const nameOf = async (): Promise<string> => {
      const socket = connectTls({ host: '127.0.0.1', port: running.port, rejectUnauthorized: false })
      await once(socket, 'secureConnect')
      const { CN } = socket.getPeerCertificate().subject
      socket.destroy()
      return String(CN)
    }
    const before = await RawConnection.open(running.port, { tls: { rejectUnauthorized: false } })
    expect(await nameOf()).toBe('first.test')
    writePair(await mintServer(['second.test']), 'server', join(own.certificate, '..'))
    await until(async () => (await nameOf()) === 'second.test')
    before.write(get('a.test'))
    expect((await before.readResponse()).status).toBe(200)

    const ready = async (): Promise<{ status: number; body: string }> => {
      const answer = await fetch(`http://127.0.0.1:${running.outer.ports.socket}/readyz`)
      return { status: answer.status, body: await answer.text() }
    }
    expect((await ready()).status).toBe(200)
    writeFileSync(own.certificate, 'broken')
    await until(() => certificates.faults.length > 0)
    expect(await ready()).toMatchObject({ status: 200, body: expect.stringMatching(/"degraded":\[.*a TLS certificate is not valid/) })
    expect(await nameOf()).toBe('second.test')
  })
})

describe('stopping', () => {
  test('lets a request over TLS finish, ends idle connections and handshakes, and takes no new ones', async () => {
    let release: () => void = () => undefined
    const released = new Promise<void>(resolve => (release = resolve))
    const slow = await startRawOrigin(async (_request, socket) => {
      await released
      socket.write(rawResponse(200, 'late'))
    })
    const running = await startLayers({
      origin: slow.port,
      targets: targetsFor(['a.test']),
      outer: { appCertificates: store, appHttpPort: 0 },
    })
    const { port } = running
    const options = { tls: { servername: 'a.test', ca } }
    const [busy, idle] = [await RawConnection.open(port, options), await RawConnection.open(port, options)]
    const beginning = await RawConnection.open(port)
    idle.write(get('unknown.test'))
    expect((await idle.readResponse()).status).toBe(404)
    busy.write(get('a.test'))
    await until(() => slow.hits === 1)
    const closing = running.outer.close()
    await beginning.closed
    await idle.closed
    await expect(RawConnection.open(port, options)).rejects.toThrow(/ECONNREFUSED/)
    release()
    expect((await busy.readResponse()).body.toString()).toBe('late')
    await within(closing, 'the end')
  })
})
