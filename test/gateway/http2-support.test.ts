/** HTTP/2 is not offered on a Node.js that a client can end by way of it; elsewhere the same bytes do no harm. */
import { connect } from 'node:tls'
import { expect, test } from '@jest/globals'
import { faultOfHttp2 } from '../../src/outer/http-edge/http2-support.ts'
import { createOuterLayer, KeyRegistry, parseTargets } from '../../src/index.ts'
import { mintAuthority, mintServer, startStore, writePair } from '../support/certificates.ts'
import { END_HEADERS, END_STREAM, frame, goAway, H2, H2Connection, headers, request } from '../support/h2-frames.ts'
import { startLayers, testKeyPair } from '../support/layers.ts'
import { runProcess, startProcess } from '../support/process.ts'
import { RawConnection } from '../support/raw-client.ts'
import { tempFile } from '../support/temp.ts'
import { once, until } from '../support/wait.ts'

const isSafe = faultOfHttp2(process.versions['nghttp2']!) === undefined

test.each([
  ['1.61.0', false],
  ['1.68.0', false],
  ['1.68.1', true],
  ['1.69.0', true],
  ['1.70.0', true],
  ['2.0.0', true],
  ['0.99.9', false],
])('nghttp2 %s will do: %s', (version, isGood) => {
  expect(faultOfHttp2(version) === undefined).toBe(isGood)
})

test('without TLS it is refused in words', async () => {
  await expect(startLayers({ outer: { appH2c: true, nghttp2: '1.61.0' }, inners: 0 })).rejects.toMatchObject({
    code: 'USAGE',
    message: expect.stringMatching(/--app-h2c .* nghttp2 1\.61\.0, .* Node\.js 24/) as unknown,
  })
})

test('with TLS, HTTP/1.1 alone is offered, and a line of the log says why', async () => {
  const authority = await mintAuthority()
  const appCertificates = await startStore([writePair(await mintServer(['127.0.0.1'], authority))])
  const layers = await startLayers({ outer: { appCertificates, nghttp2: '1.61.0' }, inners: 0 })
  const socket = connect({ port: layers.port, host: '127.0.0.1', ca: authority.certificatePem, ALPNProtocols: ['h2', 'http/1.1'] })
  await once(socket, 'secureConnect')
  expect(socket.alpnProtocol).toBe('http/1.1')
  socket.destroy()
  expect(layers.outerLogs.filter(({ level }) => level === 'warn').map(({ msg }) => msg)).toEqual([
    expect.stringMatching(/HTTP\/2 is off, clients get HTTP\/1\.1: .*CVE-2026-27135/),
  ])
})

test('the library looks by itself which nghttp2 there is', () => {
  const made = (more: { readonly nghttp2?: string } = {}): void => {
    const table = parseTargets('targets: { a.test: { redirect: https://b.test } }', 'by hand')
    createOuterLayer({ keys: { registry: new KeyRegistry([]) }, targets: { table }, appH2c: true, ...more }).destroy()
  }
  if (isSafe) made()
  else expect(made).toThrow(/--app-h2c cannot be had: .*CVE-2026-27135/)
  expect(() => made({ nghttp2: '1.61.0' })).toThrow(/CVE-2026-27135/)
  made({ nghttp2: '1.70.0' })
})

test('the bytes that abort an older nghttp2 do nothing to a process that speaks HTTP/2 without TLS', async () => {
  const certificate = tempFile('lan-a.crt', (await testKeyPair()).certificatePem)
  const targets = tempFile('targets.yaml', 'targets:\n  a.test: {protocol: http, hostname: 127.0.0.1, port: 9}\n')
  const args = ['outer-layer', '--public-key', certificate, '--targets', targets, '--app-port', '0', '--socket-port', '0', '--app-h2c']
  if (!isSafe) {
    const { code, stderr } = await runProcess([...args, '--admin-port', 'none'])
    expect([code, stderr]).toEqual([2, expect.stringMatching(/--app-h2c cannot be had: .*CVE-2026-27135/)])
    return
  }
  const outer = startProcess([...args, '--admin-port', 'none'])
  const [, port] = await outer.waitForLine(/"appPort":(\d+)/)
  const client = await H2Connection.open(Number(port))
  await until(() => client.of(H2.SETTINGS)[0])
  client.write(goAway(0, 0), headers(1, request(), END_HEADERS | END_STREAM), frame(H2.WINDOW_UPDATE, 0, 0, Buffer.alloc(36)))
  await client.connection.closed
  const other = await RawConnection.open(Number(port))
  other.write('GET / HTTP/1.1\r\nHost: b.test\r\n\r\n')
  await other.read('HTTP/1.1 404')
  expect(await outer.stop('SIGTERM')).toEqual({ code: 0, signal: null })
})
