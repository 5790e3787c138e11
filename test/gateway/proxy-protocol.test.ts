/** A balancer in front that speaks the PROXY protocol (P3): who the client is comes before everything else, and only from who is trusted. */
import { execFile } from 'node:child_process'
import { connect as connectPlain } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { promisify } from 'node:util'
import { describe, expect, test } from '@jest/globals'
import { proxyHeader } from '../../src/net/write-proxy-header.ts'
import { mintAuthority, mintServer, startStore, writePair } from '../support/certificates.ts'
import { startLayers, type Layers } from '../support/layers.ts'
import { testWith } from '../support/needs.ts'
import { RawConnection } from '../support/raw-client.ts'
import { valueOf } from '../support/raw-message.ts'
import { startRawOrigin, type RawOrigin } from '../support/raw-origin.ts'
import { once, until } from '../support/wait.ts'

const GET = 'GET / HTTP/1.1\r\nHost: a.test\r\n\r\n'
const CLIENT = '203.0.113.9'
const facts = { source: { address: CLIENT, port: 4711 }, destination: { address: '192.0.2.1', port: 443 } }

const start = async (outer: object = {}): Promise<{ layers: Layers; origin: RawOrigin }> => {
  const origin = await startRawOrigin()
  return { origin, layers: await startLayers({ origin: origin.port, outer: { proxyProtocol: true, ...outer } }) }
}

describe('behind a balancer that speaks the PROXY protocol', () => {
  test.each([1, 2] as const)('version %i: the origin and the log are told of the client, not of the balancer', async version => {
    const { layers, origin } = await start()
    const client = await RawConnection.open(layers.port)
    client.write(Buffer.concat([proxyHeader(version, facts), Buffer.from(GET)]))
    await client.read('ok')
    expect(valueOf(origin.last.fields, 'x-forwarded-for')).toBe(CLIENT)
    expect(await layers.accessLine(1)).toMatchObject({ client: CLIENT, status: 200 })
    client.write(GET)
    await client.read('ok')
    expect(await layers.accessLine(2)).toMatchObject({ client: CLIENT, status: 200 })
  })

  test('a header that comes byte by byte is the same header', async () => {
    const { layers } = await start()
    const client = await RawConnection.open(layers.port)
    for (const byte of Buffer.concat([proxyHeader(2, facts), Buffer.from(GET)])) client.write(Buffer.from([byte]))
    await client.read('ok')
    expect(await layers.accessLine(1)).toMatchObject({ client: CLIENT })
  })

  test('what the client says of itself is not believed', async () => {
    const { layers, origin } = await start()
    const client = await RawConnection.open(layers.port)
    const request = 'GET / HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-For: 198.51.100.1\r\n\r\n'
    client.write(Buffer.concat([proxyHeader(1, facts), Buffer.from(request)]))
    await client.read('ok')
    expect(valueOf(origin.last.fields, 'x-forwarded-for')).toBe(CLIENT)
  })

  test('the balancer speaks for itself, as in its health checks', async () => {
    const { layers } = await start()
    const client = await RawConnection.open(layers.port)
    client.write(`PROXY UNKNOWN\r\n${GET}`)
    await client.read('ok')
    expect(await layers.accessLine(1)).toMatchObject({ client: '127.0.0.1' })
  })

  test('connections count for the client', async () => {
    const { layers } = await start({ limits: { connectionsPerAddress: 1 } })
    const first = await RawConnection.open(layers.port)
    first.write(Buffer.concat([proxyHeader(1, facts), Buffer.from(GET)]))
    await first.read('ok')
    const second = await RawConnection.open(layers.port)
    second.write(Buffer.concat([proxyHeader(1, facts), Buffer.from(GET)]))
    await second.closed
    expect(second.text).toBe('')
    const other = await RawConnection.open(layers.port)
    const otherFacts = { ...facts, source: { address: '203.0.113.10', port: 1 } }
    other.write(Buffer.concat([proxyHeader(1, otherFacts), Buffer.from(GET)]))
    await other.read('ok')
  })

  test.each([
    ['no header', GET],
    ['a broken header', 'PROXY TCP4 x y 1 2\r\n'],
    ['TLS', '\x16\x03\x01\x02\x00'],
  ])('%s: the connection is closed, and the log says why, once', async (_name, bytes) => {
    const { layers, origin } = await start()
    for (let i = 0; i < 3; i++) {
      const client = await RawConnection.open(layers.port)
      client.write(bytes)
      await client.closed
      expect(client.text).toBe('')
    }
    await until(() => layers.outerLogs.some(({ msg }) => msg.includes('PROXY protocol')))
    expect(layers.outerLogs.filter(({ msg }) => msg.includes('PROXY protocol'))).toHaveLength(1)
    expect(origin.hits).toBe(0)
  })

  test('who is not trusted may not say who the client is, nor come in', async () => {
    const { layers, origin } = await start({ trustProxy: [] })
    const client = await RawConnection.open(layers.port)
    client.write(Buffer.concat([proxyHeader(1, facts), Buffer.from(GET)]))
    await client.closed
    expect(origin.hits).toBe(0)
    expect(layers.outerLogs.map(({ msg }) => msg).join('\n')).toContain('--trust-proxy')
  })

  test('TLS begins behind the header, and so does the redirect to it', async () => {
    const authority = await mintAuthority()
    const appCertificates = await startStore([writePair(await mintServer(['a.test'], authority))])
    const { layers } = await start({ appCertificates, appHttpPort: 0 })
    const socket = connectPlain(layers.port, '127.0.0.1')
    socket.write(proxyHeader(2, facts))
    const tls = connectTls({ socket, servername: 'a.test', ca: authority.certificatePem })
    await once(tls, 'secureConnect')
    tls.write(GET)
    await once(tls, 'data')
    tls.destroy()
    expect(await layers.accessLine(1)).toMatchObject({ client: CLIENT, status: 200 })

    const plain = await RawConnection.open(layers.outer.httpPort)
    plain.write(Buffer.concat([proxyHeader(1, facts), Buffer.from(GET)]))
    expect(await plain.read('\r\n\r\n')).toMatch(/^HTTP\/1\.1 308 .*Location: https:\/\/a\.test/s)
    expect(await layers.accessLine(2)).toMatchObject({ client: CLIENT, status: 308 })
  })

  testWith(['curl'], 'curl with --haproxy-protocol gets its answer, over HTTP/1.1 and HTTP/2', async () => {
    const { layers } = await start({ appH2c: true })
    for (const version of ['--http1.1', '--http2-prior-knowledge']) {
      const url = `http://127.0.0.1:${layers.port}/`
      const { stdout } = await promisify(execFile)('curl', [
        '-sS',
        '--haproxy-protocol',
        version,
        '-w',
        ' %{http_version} %{http_code}',
        url,
      ])
      expect(stdout).toMatch(version === '--http1.1' ? /^ok 1\.1 200$/ : /^ok 2 200$/)
    }
  })
})
