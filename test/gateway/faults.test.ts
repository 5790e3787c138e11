/** What a client, an origin or a timer makes throw ends one request, never the process. */
import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { mintAuthority, mintServer, startStore, writePair } from '../support/certificates.ts'
import { block, data, END_HEADERS, END_STREAM, frame, H2, H2Connection, headers, request } from '../support/h2-frames.ts'
import { startLayers, testKeyPair, type Layers } from '../support/layers.ts'
import { startProcess } from '../support/process.ts'
import { RawConnection, rawRequest } from '../support/raw-client.ts'
import { rawResponse, startRawOrigin, type RawOrigin } from '../support/raw-origin.ts'
import { tempFile } from '../support/temp.ts'

let origin: RawOrigin
let plain: Layers
let tls: Layers
let ca: string

beforeAll(async () => {
  const authority = await mintAuthority()
  ca = authority.certificatePem
  const appCertificates = await startStore([writePair(await mintServer(['a.test', '127.0.0.1'], authority))])
  origin = await startRawOrigin()
  plain = await startLayers({ origin: origin.port, outer: { appH2c: true } })
  tls = await startLayers({ origin: origin.port, outer: { appCertificates } })
})
beforeEach(() => {
  origin.clear()
  origin.handle(async (one, socket) => {
    await one.complete
    socket.write(rawResponse(200, 'ok'))
  })
})

const TRAILERS = Array.from({ length: 201 }, (): [string, string] => ['a', ''])
const HEAD = 'Host: a.test\r\nTransfer-Encoding: chunked\r\n\r\n'

describe('201 trailer fields', () => {
  test('of HTTP/1 are refused', async () => {
    const text = `GET /status HTTP/1.1\r\n${HEAD}0\r\n${'a:\r\n'.repeat(201)}\r\n`
    for (const client of [{ port: plain.port }, { port: tls.port, tls: { ca, servername: 'a.test' } }]) {
      const { port, ...options } = client
      expect((await rawRequest(port, text, { ...options, until: /\r\n\r\n/ })).text).toMatch(/^HTTP\/1\.1 431 /)
    }
    expect((await rawRequest(plain.port, 'GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n')).text).toMatch(/ok$/)
  })

  test.each(['h2c', 'TLS'])('of HTTP/2 (%s) are refused', async kind => {
    const options = kind === 'TLS' ? { tls: { ca, servername: 'a.test', ALPNProtocols: ['h2'] } } : {}
    const scheme = kind === 'TLS' ? 'https' : 'http'
    const client = await H2Connection.open(kind === 'TLS' ? tls.port : plain.port, options)
    client.write(
      headers(1, request('/status', [], { method: 'POST', scheme }), END_HEADERS),
      data(1, 'x'),
      frame(H2.HEADERS, END_HEADERS | END_STREAM, 1, block(TRAILERS)),
    )
    const { payload } = await client.frame(H2.HEADERS, 1)
    expect(payload.toString('latin1')).toMatch(/431|\x08\x03/)
    client.write(headers(3, request('/', [], { scheme }), END_HEADERS | END_STREAM))
    expect(await client.ended(3)).toBe('end')
    expect(client.body(3).toString()).toBe('ok')
  })
})

test('what nobody caught is logged once, and the service goes on', async () => {
  const certificate = tempFile('lan-a.crt', (await testKeyPair()).certificatePem)
  const targets = tempFile('targets.yaml', 'targets:\n  a.test: {protocol: http, hostname: 127.0.0.1, port: 9}\n')
  const preload = tempFile('preload.mjs', "process.on('SIGUSR2', () => { throw new Error('a hole in the guard') })\n")
  const outer = startProcess(
    ['outer-layer', '--public-key', certificate, '--targets', targets, '--app-port', '0', '--socket-port', '0', '--admin-port', 'none'],
    { nodeArgs: ['--import', preload] },
  )
  const [, port] = await outer.waitForLine(/"appPort":(\d+)/)
  for (let i = 0; i < 3; i++) outer.child.kill('SIGUSR2')
  await outer.waitForLine(/internal fault that nobody caught; the process goes on/)
  const client = await RawConnection.open(Number(port))
  client.write('GET / HTTP/1.1\r\nHost: b.test\r\n\r\n')
  await client.read('HTTP/1.1 404')
  expect(outer.stdout.match(/a hole in the guard/g)?.length).toBeLessThanOrEqual(2) // message and stack, once
  expect(await outer.stop('SIGTERM')).toEqual({ code: 0, signal: null })
})
