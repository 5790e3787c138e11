/** A throw in the middle of an event, forced in each room of the path: it ends that connection, is told in the log, and the next one is served. */
import { connect as connectTls } from 'node:tls'
import { describe, expect, test } from '@jest/globals'
import { hashToken } from '../../src/identity/token.ts'
import { ConnectionLimits } from '../../src/outer/access/connection-limits.ts'
import { TcpConnection } from '../../src/outer/tcp-edge/tcp-connection.ts'
import { TunnelConnection } from '../../src/outer/tunnel-edge/tunnel-connection.ts'
import { SocketIoLink } from '../../src/link/socket-io-link.ts'
import { proxyHeader } from '../../src/net/write-proxy-header.ts'
import { CertificateStore } from '../../src/tls/certificate-store.ts'
import { mintServer, startStore, writePair } from '../support/certificates.ts'
import { exchange } from '../support/exchange.ts'
import { startLayers, type Layers } from '../support/layers.ts'
import { RawConnection } from '../support/raw-client.ts'
import { rawResponse, startRawOrigin } from '../support/raw-origin.ts'
import { echoServer, TcpEnd, tcpConnect } from '../support/tcp.ts'
import { startTcpLayers, toOrigin } from '../support/tcp-layers.ts'
import { ask, bearer, token, tunnelsOf } from '../support/tunnels.ts'
import { until } from '../support/wait.ts'
import { startSpliced } from '../splice/spliced.ts'

/** Lets the next call of a method of the class throw, and only that. */
const throwOnce = (prototype: object, method: string): void => {
  const methods = prototype as Record<string, unknown>
  const original = methods[method]
  methods[method] = () => {
    methods[method] = original
    throw new Error('forced')
  }
}

/** The connection was ended by its peer, in whatever way. */
const over = (end: TcpEnd): Promise<void> => end.when(() => end.hasEnded || end.socket.destroyed, 'the end of the connection')

/** The log has the fault, as one of the gateway itself. */
const told = (layers: Layers): Promise<unknown> =>
  until(() =>
    layers.outerLogs.find(
      ({ level, msg, err }) => level === 'error' && /^internal fault/.test(msg) && JSON.stringify(err).includes('forced'),
    ),
  )

describe('a splice', () => {
  test.each(['write', 'end'] as const)('whose stream throws in %s ends both sides', async method => {
    const { client, origin } = await startSpliced()
    for (const { far } of [client, origin]) far.on('error', () => undefined)
    ;(client.stream as unknown as Record<string, unknown>)[method] = () => {
      throw new Error('forced')
    }
    if (method === 'write') client.far.write('x')
    else client.far.end()
    await until(() => client.ends.length + origin.ends.length === 2)
    expect(client.ends[0]).toMatchObject({ code: 'INTERNAL', thrown: new Error('forced') })
    expect(origin.ends[0]!.code).toBeDefined()
    await until(() => client.far.destroyed)
  })
})

describe('the TCP edge', () => {
  test.each(['none', 'passthrough', 'terminate'] as const)('with tls: %s', async tls => {
    const echo = await echoServer()
    const pair = await mintServer(['localhost'])
    const files = writePair(pair)
    const more = tls === 'none' ? '' : tls === 'passthrough' ? 'tls: passthrough' : 'tls: true'
    const layers = await startTcpLayers(toOrigin(echo.port, more), {
      outer: { tcpCertificates: () => new CertificateStore({ certificates: [files.certificate], keys: [files.key] }) },
    })
    const open = async (): Promise<TcpEnd> => {
      if (tls === 'none') return tcpConnect(layers.tcpPort)
      return new TcpEnd(connectTls({ port: layers.tcpPort, host: '127.0.0.1', servername: 'localhost', ca: pair.certificatePem }))
    }
    throwOnce(TcpConnection.prototype, 'join')
    await over(await open())
    await told(layers)
    const next = await open()
    if (tls === 'passthrough') await until(() => echo.ends.length > 0)
    else {
      next.socket.write('next')
      await next.received('next')
    }
  })
})

describe('a port for clients', () => {
  test.each([
    ['plain', {}, false],
    ['behind the PROXY protocol', { proxyProtocol: true }, false],
    ['with TLS', {}, true],
    ['with TLS behind the PROXY protocol', { proxyProtocol: true }, true],
  ] as const)('%s', async (_, outer, isTls) => {
    const origin = await startRawOrigin((_request, socket) => void socket.write(rawResponse(200, 'ok')))
    const pair = await mintServer(['a.test'])
    const tls = isTls ? { appCertificates: await startStore([writePair(pair)]) } : {}
    const layers = await startLayers({ origin: origin.port, outer: { ...outer, ...tls } })
    const facts = { source: { address: '203.0.113.9', port: 1 }, destination: { address: '192.0.2.1', port: 443 } }
    const open = async (): Promise<TcpEnd> => {
      const end = await tcpConnect(layers.port)
      if ('proxyProtocol' in outer) end.socket.write(proxyHeader(1, facts))
      if (!isTls) return end
      const secured = connectTls({ socket: end.socket, servername: 'a.test', ca: pair.certificatePem })
      // TLS hears nothing of an end that came before it.
      if (end.hasEnded || end.socket.destroyed) secured.destroy()
      return new TcpEnd(secured)
    }
    const request = 'GET / HTTP/1.1\r\nHost: a.test\r\n\r\n'
    throwOnce(ConnectionLimits.prototype, 'admit')
    const first = await open()
    first.socket.write(request)
    await over(first)
    await told(layers)
    const next = await open()
    next.socket.write(request)
    await next.received('ok')
  })

  test('that redirects', async () => {
    const pair = await mintServer(['a.test'])
    const layers = await startLayers({ outer: { appCertificates: await startStore([writePair(pair)]), appHttpPort: 0 } })
    const redirect = layers.outer.httpPort
    throwOnce(ConnectionLimits.prototype, 'admit')
    const first = await RawConnection.open(redirect)
    first.write('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
    await first.closed
    await told(layers)
    const next = await RawConnection.open(redirect)
    next.write('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
    expect((await next.readResponse()).status).toBe(308)
  })
})

test('a tunnel', async () => {
  const echo = await echoServer()
  const layers = await startLayers({ targets: tunnelsOf({ [`127.0.0.1:${echo.port}`]: `{tokens: ["${hashToken(token)}"]}` }) })
  const path = `/tunnel/127.0.0.1:${echo.port}`
  throwOnce(TunnelConnection.prototype, 'start')
  await ask(layers.port, path, bearer(token)).catch(() => undefined)
  await told(layers)
  expect((await ask(layers.port, path, bearer(token))).status).toBe(101)
})

test('a link: it ends, and the inner layer comes back', async () => {
  const origin = await startRawOrigin((_request, socket) => void socket.write(rawResponse(200, 'ok')))
  const layers = await startLayers({ origin: origin.port })
  throwOnce(SocketIoLink.prototype, 'received')
  await exchange(layers.port).catch(() => undefined)
  await until(async () => (await exchange(layers.port)).status === 200)
  await until(() => [...layers.outerLogs, ...layers.innerLogs].find(line => JSON.stringify(line).includes('internal fault: forced')))
})
