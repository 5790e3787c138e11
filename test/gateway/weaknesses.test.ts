/**
 * What the existing program of this name gets wrong, end to end: none of it may return. W1, W2, W20 and W21 are in abort.test.ts, W13 and
 * W15 in evil-inner.test.ts, W18, W22, W23 and W28 in errors.test.ts; the other files are named in docs/http.md.
 */
import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { writeFileSync } from 'node:fs'
import { startLayers, type Layers } from '../support/layers.ts'
import { chunked, get, head, lastGet } from '../support/message.ts'
import { RawConnection, rawRequest } from '../support/raw-client.ts'
import { rawResponse, startRawOrigin, type RawOrigin } from '../support/raw-origin.ts'
import { until } from '../support/wait.ts'

const TARGETS = `
targets:
  "open.test": {protocol: http, hostname: 127.0.0.1, port: {port}}
  "pol.test":
    protocol: http
    hostname: 127.0.0.1
    port: {port}
    policy:
      "/allowed": ["GET", "HEAD", "DELETE", "OPTIONS"]
      "/v1.0/x": ["GET"]
      "^/a|/b": ["GET"]
      "^/pub/.*": ["GET"]
`

let origin: RawOrigin
let layers: Layers

beforeAll(async () => {
  origin = await startRawOrigin()
  layers = await startLayers({ origin: origin.port, targets: TARGETS })
})
beforeEach(() => origin.clear())

const statusOf = async (target: string, method = 'GET', ...lines: readonly string[]): Promise<number> => {
  const answer = await rawRequest(layers.port, head(`${method} ${target} HTTP/1.1`, 'Host: pol.test', ...lines, 'Connection: close'))
  return Number(answer.text.slice(9, 12))
}

test.each(['GET', 'HEAD', 'DELETE', 'OPTIONS'])('W3: a request inside the body of an allowed %s is a body', async method => {
  const inside = head('GET /forbidden HTTP/1.1', 'Host: pol.test')
  const raw = head(`${method} /allowed HTTP/1.1`, 'Host: pol.test', 'Transfer-Encoding: chunked', 'Connection: close') + chunked([inside])
  expect((await rawRequest(layers.port, raw)).text).toMatch(/^HTTP\/1\.1 200 /)
  expect(origin.requests.map(({ target }) => target)).toEqual(['/allowed'])
  expect(origin.last.body.toString()).toBe(inside)
})

describe('what the policy sees is what the origin gets', () => {
  test.each<readonly [string, string, number]>([
    ['W4', '//open.test/forbidden', 403],
    ['W4', '//open.test/allowed', 403],
    ['W5', '/pub/#/../forbidden', 400],
    ['W5', '/allowed#', 400],
    ['W6', '/v1X0/x', 403],
    ['W6', '/v1.0/x', 200],
    ['W7', '/azzz', 403],
    ['W7', '/allowed/', 403],
    ['W7', '/allowed;x', 403],
    ['W7', '/zzz/b', 403],
    ['W7', '/b', 200],
    ['W8', '/pub/..%2fforbidden', 400],
    ['W8', '/pub/..%5cforbidden', 400],
    ['W8', '/pub/..;/forbidden', 400],
    ['W8', '/pub/../forbidden', 403],
    ['W8', '/pub/%2e%2e/forbidden', 403],
    ['W8', '/forbidden?x=/pub/', 403],
  ])('%s: %s is %d', async (_id, target, status) => {
    expect(await statusOf(target)).toBe(status)
    expect(origin.hits).toBe(status === 200 ? 1 : 0)
  })

  test('W8: what is approved is what is sent', async () => {
    expect(await statusOf('/x/../pub/%7euser/./a?b=%2f..')).toBe(200)
    expect(origin.last.target).toBe('/pub/~user/a?b=%2f..')
  })
})

test('W9: the first of two Hosts does not win', async () => {
  expect(await statusOf('/allowed', 'GET', 'Host: open.test')).toBe(400)
  expect(origin.hits).toBe(0)
})

test('W10: no field hides behind a thousand others, whether it frames or names the host', async () => {
  const many = Array.from({ length: 1_100 }, () => 'a: b')
  const raw = [
    head('POST /allowed HTTP/1.1', 'Host: open.test', ...many, 'Transfer-Encoding: chunked') + chunked([get('/smuggled')]),
    head('GET /allowed HTTP/1.1', 'Host: open.test', ...many, 'Host: pol.test'),
  ]
  for (const bytes of raw) {
    const answer = await rawRequest(layers.port, bytes)
    expect(answer.text).toMatch(/^HTTP\/1\.1 (?:400|431) /)
  }
  await rawRequest(layers.port, head('GET /fence HTTP/1.1', 'Host: open.test', 'Connection: close'))
  expect(origin.requests.map(({ target }) => target)).toEqual(['/fence'])
})

test('W10: a thousand and one fields of an origin are not cut to a thousand', async () => {
  origin.handle(
    (_request, socket) => void socket.write(head('HTTP/1.1 200 OK', ...Array.from({ length: 1_000 }, () => 'a: b'), 'Content-Length: 0')),
  )
  for (const lines of [[], ['TE: trailers']]) expect(await statusOf('/allowed', 'GET', ...lines)).toBe(502)
})

describe('W16: the socket port shows nothing', () => {
  test.each(['/', '/admin', '/challenge', '/socket.io/?EIO=4&transport=polling', '/metrics', '/healthz/../admin'])(
    'W16: W31: %s',
    async path => {
      const answer = await rawRequest(layers.socketPort, head(`GET ${path} HTTP/1.1`, 'Host: a.test', 'Connection: close'))
      expect(answer.text).toMatch(/^HTTP\/1\.1 4\d\d /)
      expect(answer.text).not.toMatch(/127\.0\.0\.1|inner-layer"|"sid"|x-powered-by/i)
    },
  )

  test('W16: but whether the gateway is alive and ready', async () => {
    const healthy = await rawRequest(layers.socketPort, head('GET /healthz HTTP/1.1', 'Host: a.test', 'Connection: close'))
    expect(healthy.text).toMatch(/^HTTP\/1\.1 200 [^]*\{"status":"ok"\}$/)
    const ready = await rawRequest(layers.socketPort, head('GET /readyz HTTP/1.1', 'Host: a.test', 'Connection: close'))
    expect(ready.text).toMatch(/^HTTP\/1\.1 200 [^]*"ready"/)
  })
})

test('W24: hints, trailers, empty values pass; nominated and proxy fields do not; all in one exchange', async () => {
  origin.handle(async (request, socket) => {
    await request.complete
    socket.write(head('HTTP/1.1 103 Early Hints', 'Link: </a>'))
    socket.write(
      head(
        'HTTP/1.1 200 OK',
        'X-Empty:',
        'Connection: X-Hop',
        'X-Hop: 1',
        'Proxy-Authenticate: Basic',
        'Trailer: X-T',
        'Transfer-Encoding: chunked',
      ) + chunked(['ok'], 'X-T: 1'),
    )
  })
  const connection = await RawConnection.open(layers.port)
  const response = await connection
    .write(head('GET /allowed HTTP/1.1', 'Host: pol.test', 'X-Empty:', 'Connection: X-Hop', 'X-Hop: 1'))
    .readResponse()
  expect(response.informational.map(({ startLine }) => startLine)).toEqual(['HTTP/1.1 103 Early Hints'])
  expect(response.trailers).toEqual([['X-T', '1']])
  expect(response.fields.map(([name]) => name)).toEqual(expect.arrayContaining(['X-Empty']))
  expect(response.lines.join()).not.toMatch(/x-hop|proxy-authenticate/i)
  expect(origin.last.values('x-empty')).toEqual([''])
  expect(origin.last.values('x-hop')).toEqual([])
})

test('W26: the name of the origin is rewritten where a URL names it, not wherever its letters stand', async () => {
  const name = `127.0.0.1:${origin.port}`
  const lines = [
    `ETag: "${name}"`,
    `X-Note: http://${name}/`,
    `X-${name.replace(/[.:]/g, '-')}: 1`,
    `Location: https://evil.test/?u=http://${name}/`,
  ]
  origin.handle((_request, socket) => void socket.write(rawResponse(302, '', [...lines, `Content-Location: http://${name}/x`])))
  const answer = await rawRequest(layers.port, head('GET /allowed HTTP/1.1', 'Host: pol.test', 'Connection: close'))
  for (const line of lines) expect(answer.text).toContain(`${line}\r\n`)
  expect(answer.text).toContain('Content-Location: http://pol.test/x\r\n')
})

test('W29: a targets file that breaks leaves the last good one in force', async () => {
  const own = await startLayers({ origin: origin.port, targets: TARGETS })
  const send = (): Promise<{ readonly text: string }> =>
    rawRequest(own.port, head('GET /allowed HTTP/1.1', 'Host: pol.test', 'Connection: close'))
  writeFileSync(own.targetsFile, 'targets: {{{')
  const ready = async (): Promise<string> =>
    (await rawRequest(own.socketPort, head('GET /readyz HTTP/1.1', 'Host: a', 'Connection: close'))).text
  await until(async () => (await ready()).includes('targets file'), { what: 'readiness to say so' })
  origin.handle((_request, socket) => void socket.write(rawResponse(200, 'ok')))
  expect((await send()).text).toMatch(/^HTTP\/1\.1 200 /)
  writeFileSync(own.targetsFile, TARGETS.replaceAll('{port}', String(origin.port)).replaceAll('pol.test', 'new.test'))
  await until(async () => (await send()).text.startsWith('HTTP/1.1 404 '), { what: 'the new file to be in force' })
})

test('W30: what a stranger says of the client does not pass, and Forwarded is sent', async () => {
  const strict = await startLayers({ origin: origin.port, outer: { trustProxy: [] } })
  origin.handle((_request, socket) => void socket.write(rawResponse(200, 'ok')))
  const spoofed = [
    'X-Real-IP: 6.6.6.6',
    'X-Forwarded-For: 6.6.6.6',
    'Forwarded: for=6.6.6.6',
    'X-Forwarded-Prefix: /x',
    'X-Original-URL: /admin',
    'X-Rewrite-URL: /admin',
  ]
  await rawRequest(strict.port, lastGet('/', ...spoofed))
  expect(origin.last.connection.text).not.toMatch(/6\.6\.6\.6|\/admin|prefix/i)
  expect(origin.last.values('forwarded')).toEqual(['for=127.0.0.1;host=a.test;proto=http'])
  expect(origin.last.values('x-real-ip')).toEqual(['127.0.0.1'])
})
