/** HTTP/2 by ALPN on the port for HTTPS, and all the way to an origin that speaks it. */
import { beforeAll, describe, expect, test } from '@jest/globals'
import { execFile } from 'node:child_process'
import { createSecureServer } from 'node:http2'
import { connect } from 'node:tls'
import { promisify } from 'node:util'
import { issuerOf, mintAuthority, mintServer, startStore, writePair } from '../support/certificates.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { H2Client } from '../support/h2-client.ts'
import { startLayers, type Layers } from '../support/layers.ts'
import { programPath, testWith } from '../support/needs.ts'
import { listen } from '../support/ports.ts'
import { rawRequest } from '../support/raw-client.ts'
import { startRawOrigin, type RawOrigin } from '../support/raw-origin.ts'
import { tempFile } from '../support/temp.ts'
import { once } from '../support/wait.ts'

let ca: string
let origin: RawOrigin
let layers: Layers
let certificates: Awaited<ReturnType<typeof startStore>>
let mint: (name: string) => ReturnType<typeof mintServer>

beforeAll(async () => {
  const authority = await mintAuthority()
  expect(issuerOf(authority)).toBeDefined()
  ca = authority.certificatePem
  mint = name => mintServer([name, '127.0.0.1'], authority)
  certificates = await startStore([writePair(await mintServer(['localhost', 'a.test', '127.0.0.1'], authority))])
  origin = await startRawOrigin()
  layers = await startLayers({ origin: origin.port, outer: { appCertificates: certificates, hstsSeconds: 60 } })
})

const alpnOf = async (port: number, protocols: readonly string[]): Promise<string | false | null> => {
  const socket = connect({ port, host: '127.0.0.1', ca, servername: 'localhost', ALPNProtocols: [...protocols] })
  await once(socket, 'secureConnect')
  const { alpnProtocol } = socket
  socket.destroy()
  return alpnProtocol
}

test('ALPN prefers HTTP/2, and gives HTTP/1.1 to those who know no other', async () => {
  expect(await alpnOf(layers.port, ['h2', 'http/1.1'])).toBe('h2')
  expect(await alpnOf(layers.port, ['http/1.1', 'h2'])).toBe('h2')
  expect(await alpnOf(layers.port, ['http/1.1'])).toBe('http/1.1')
})

test('a client that offers http/1.0 alone is served', async () => {
  expect(await alpnOf(layers.port, ['http/1.0'])).toBe('http/1.0')
  const tls = { ca, servername: 'localhost', ALPNProtocols: ['http/1.0'] }
  const answer = await rawRequest(layers.port, 'GET / HTTP/1.0\r\nHost: localhost\r\n\r\n', { tls })
  expect(answer.text).toMatch(/^HTTP\/1\.1 200 [^]*\r\n\r\nok$/)
})

test.each(['trace', 'Trace', 'connect', 'track', 'debug', 'DEBUG'])('the method %s is refused as it was sent', async method => {
  origin.clear()
  const client = H2Client.open(layers.port, { ca })
  const answer = await client.get({ ':authority': 'localhost', ':method': method, te: 'trailers' })
  expect([answer.status, origin.hits]).toEqual([405, 0])
})

test('a request by HTTPS/2 is one by https, with HSTS', async () => {
  const answer = await H2Client.open(layers.port, { ca }).get({ ':authority': 'localhost' })
  expect(answer).toMatchObject({ status: 200, code: 0 })
  expect(answer.values('strict-transport-security')).toEqual(['max-age=60'])
  expect(origin.last.values('x-forwarded-proto')).toEqual(['https'])
})

test('many connections come and go, and leave nothing', async () => {
  for (let round = 0; round < 5; round++) {
    const clients = Array.from({ length: 8 }, () => H2Client.open(layers.port, { ca }))
    await Promise.all(clients.map(client => client.get({ ':authority': 'localhost' })))
    for (const client of clients) client.session.destroy()
  }
  expect(layers.outerLogs.filter(record => record.level === 'error' || record.level === 'warn')).toEqual([])
})

test('--no-http2: HTTP/1.1 alone', async () => {
  const plain = await startLayers({ origin: origin.port, outer: { appCertificates: certificates, http2: false } })
  expect(await alpnOf(plain.port, ['h2', 'http/1.1'])).toBe('http/1.1')
})

describe('curl', () => {
  const run = promisify(execFile)
  const curl = async (...args: readonly string[]): Promise<string> =>
    (await run(programPath('curl')!, ['-sS', '--max-time', '10', '-w', '%{http_version} %{http_code}', ...args])).stdout

  testWith(['curl'], '--http2 over TLS, and --http1.1', async () => {
    const url = `https://localhost:${layers.port}/`
    const file = tempFile('ca.crt', ca)
    expect(await curl('--cacert', file, '--http2', url)).toBe('ok2 200')
    expect(await curl('--cacert', file, '--http1.1', url)).toBe('ok1.1 200')
    expect(await curl('--cacert', file, '--http2', '-d', 'abc', url)).toBe('ok2 200')
    expect(origin.last.body.toString()).toBe('abc')
  })

  testWith(['curl'], '--http2-prior-knowledge without TLS, and an upgrade to h2c that is ignored', async () => {
    const plain = await startLayers({ origin: origin.port, outer: { appH2c: true } })
    const url = `http://127.0.0.1:${plain.port}/`
    expect(await curl('--http2-prior-knowledge', url)).toBe('ok2 200')
    expect(await curl('--http2', url)).toBe('ok1.1 200')
    expect(origin.last.values('upgrade')).toEqual([])
    expect(await curl('--http1.1', url)).toBe('ok1.1 200')
  })
})

testWith(['h2load'], 'h2load: 2,000 requests on four connections, none of which fails', async () => {
  const { stdout } = await promisify(execFile)(programPath('h2load')!, ['-n2000', '-c4', '-m10', `https://127.0.0.1:${layers.port}/`])
  expect(stdout).toContain('2000 done, 2000 succeeded, 0 failed, 0 errored')
  expect(stdout).toContain('status codes: 2000 2xx')
  expect(stdout).toContain('Application protocol: h2')
})

test('HTTP/2 from end to end, by TLS on both sides', async () => {
  const { certificatePem, privateKeyPem } = await mint('origin.test')
  const server = createSecureServer({ cert: certificatePem, key: privateKeyPem })
  server.on('session', session => onCleanUp(() => session.destroy()))
  server.on('stream', stream => {
    stream.respond({ ':status': 200, 'x-alpn': stream.session?.alpnProtocol ?? '' }, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-end': 'yes' }))
    stream.pipe(stream)
  })
  const port = await listen(server)
  const file = tempFile('origin-ca.crt', ca)
  const whole = await startLayers({
    origin: port,
    targets: `targets:\n  "*": {protocol: https, hostname: 127.0.0.1, port: {port}, http2: true, tls: {ca: ${file}, servername: origin.test}}\n`,
    outer: { appCertificates: certificates },
  })
  const answer = await H2Client.open(whole.port, { ca }).get({ ':method': 'POST', ':authority': 'localhost' }, 'there and back')
  expect(answer).toMatchObject({ status: 200, code: 0, trailers: ['x-end', 'yes'] })
  expect(answer.text).toBe('there and back')
  expect(answer.values('x-alpn')).toEqual(['h2'])
})
