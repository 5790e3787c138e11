/** Section 1.2 of the reference: which target a request is for, and what its request target may look like. */
import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { parseTargets } from '../../src/config/targets.ts'
import { AllowList } from '../../src/origin/allow-list.ts'
import { startLayers, type Layers } from '../support/layers.ts'
import { head } from '../support/message.ts'
import { rawRequest } from '../support/raw-client.ts'
import { startRawOrigin, type RawOrigin } from '../support/raw-origin.ts'
import { freePort } from '../support/ports.ts'

const TARGETS = `
targets:
  "example.com": {protocol: http, hostname: 127.0.0.1, port: {port}}
  "[::1]": {protocol: http, hostname: 127.0.0.1, port: {port}}
  "xn--bcher-kva.example": {protocol: http, hostname: 127.0.0.1, port: {port}}
  "*.wild.test": {protocol: http, hostname: 127.0.0.1, port: {port}}
  "policy.test":
    protocol: http
    hostname: 127.0.0.1
    port: {port}
    policy:
      "/get": ["GET"]
      "/any": "*"
      "/v1.0/x": ["GET"]
      "^/pub/.*": ["GET", "POST"]
  "default.test": {protocol: http, hostname: 127.0.0.2}
`

let origin: RawOrigin
let layers: Layers

beforeAll(async () => {
  origin = await startRawOrigin()
  layers = await startLayers({ origin: origin.port, targets: TARGETS })
})
beforeEach(() => origin.clear())

const ask = async (requestLine: string, ...fields: readonly string[]): Promise<number> => {
  const answer = await rawRequest(layers.port, head(requestLine, ...fields, 'Connection: close'))
  expect(origin.faults).toEqual([])
  return Number(answer.text.slice(9, 12))
}

describe('T1: exactly one valid Host on HTTP/1.1', () => {
  test.each([
    [[]],
    [['Host: example.com', 'Host: example.com']],
    [['Host: example.com, policy.test']],
    [['Host: user@example.com']],
    [['Host: example.com/path']],
    [['Host: exam ple.com']],
    [['Host: example.com:http']],
    [['Host: example.com:0']],
    [['Host: example.com:99999']],
    [['Host:']],
    [['Host: [::1']],
    [['Host: [fe80::1%25eth0]']],
  ])('T1: %j is 400 and the origin sees nothing', async fields => {
    expect(await ask('GET / HTTP/1.1', ...fields)).toBe(400)
    expect(origin.hits).toBe(0)
  })
})

describe('T2: hosts are matched in canonical form, whole', () => {
  test.each([
    'EXAMPLE.com.',
    'example.com:8443',
    'example.com',
    '[::1]:80',
    '[0:0::1]',
    'xn--bcher-kva.example',
    'b\xc3\xbccher.example',
    'a.wild.test',
  ])('T2: %s finds its target', async host => {
    expect(await ask('GET / HTTP/1.1', `Host: ${host}`)).toBe(200)
  })

  test.each(['evilexample.com', 'example.com.evil', 'example', 'com', 'a.b.wild.test', 'wild.test', '127.0.0.1', 'localhost'])(
    'T2: %s is 404',
    async host => {
      expect(await ask('GET / HTTP/1.1', `Host: ${host}`)).toBe(404)
      expect(origin.hits).toBe(0)
    },
  )
})

test('T3: an absolute-form target goes on in origin-form, to the host that it names', async () => {
  expect(await ask('GET HTTP://example.com/x?y HTTP/1.1', 'Host: example.com')).toBe(200)
  expect(origin.last.target).toBe('/x?y')
  expect(await ask('GET https://example.com?y HTTP/1.1', 'Host: EXAMPLE.com')).toBe(200)
  expect(origin.last.target).toBe('/?y')
  expect(await ask('GET http://policy.test/get HTTP/1.1', 'Host: example.com')).toBe(400)
  expect(await ask('GET ftp://example.com/ HTTP/1.1', 'Host: example.com')).toBe(400)
  expect(await ask('GET file:///etc/passwd HTTP/1.1', 'Host: example.com')).toBe(400)
})

describe('T4: a path is never read as an authority', () => {
  test('T4: W4: //example.com/x is a path at the host of Host, and its policy decides', async () => {
    expect(await ask('GET //example.com/forbidden HTTP/1.1', 'Host: policy.test')).toBe(403)
    expect(await ask('GET //pub/../example.com HTTP/1.1', 'Host: policy.test')).toBe(403)
    expect(origin.hits).toBe(0)
  })

  test('T4: with the policy * it goes on as the path that it is', async () => {
    expect(await ask('GET //policy.test/x HTTP/1.1', 'Host: example.com')).toBe(200)
    expect(origin.last.target).toBe('//policy.test/x')
    expect(origin.last.values('host')).toEqual([`127.0.0.1:${origin.port}`])
  })
})

test('T5: only OPTIONS may have the target *, and is answered here', async () => {
  expect(await ask('OPTIONS * HTTP/1.1', 'Host: example.com')).toBe(204)
  expect(await ask('GET * HTTP/1.1', 'Host: example.com')).toBe(400)
  expect(await ask('OPTIONS * HTTP/1.1', 'Host: unknown.test')).toBe(404)
  expect(origin.hits).toBe(0)
})

test.each(['169.254.169.254:80', 'example.com:443', '127.0.0.1:22', '/'])('T6: CONNECT %s is 405 and nothing is dialled', async target => {
  const answer = await rawRequest(layers.port, head(`CONNECT ${target} HTTP/1.1`, 'Host: example.com'))
  expect(answer.text).toMatch(/^HTTP\/1\.1 (?:405|400) /)
  expect(answer.text.match(/HTTP\/1/g)).toHaveLength(1)
  expect(origin.connections).toHaveLength(0)
})

test.each(['TRACE', 'TRACK', 'DEBUG'])('T7: %s is refused, whatever the policy says', async method => {
  expect(await ask(`${method} /any HTTP/1.1`, 'Host: policy.test')).toBe(method === 'TRACE' ? 405 : 400) // the others are no method to node:http
  expect(await ask(`${method} / HTTP/1.1`, 'Host: example.com')).toBe(method === 'TRACE' ? 405 : 400)
  expect(origin.hits).toBe(0)
})

test.each([
  ['GET', 200],
  ['HEAD', 403],
  ['OPTIONS', 403],
  ['QUERY', 403],
  ['POST', 403],
] as const)('T8: a rule for GET alone answers %s with %d', async (method, status) => {
  expect(await ask(`${method} /get HTTP/1.1`, 'Host: policy.test')).toBe(status)
  expect(origin.hits).toBe(status === 200 ? 1 : 0)
})

test.each(['GET', 'HEAD', 'OPTIONS', 'QUERY', 'DELETE', 'PROPFIND'])('T8: a rule for * lets %s pass', async method => {
  expect(await ask(`${method} /any HTTP/1.1`, 'Host: policy.test')).toBe(200)
})

test('T9: a method alone is no list of methods, and the file is refused', () => {
  const load = (): unknown => parseTargets('targets: {"a.test": {hostname: b, policy: {"/": "GET"}}}', 'targets.yaml')
  expect(load).toThrow(/expected a list of methods/)
})

test('T10: the origin gets its own Host, the default port left out', async () => {
  expect(await ask('GET / HTTP/1.1', 'Host: example.com:8443')).toBe(200)
  expect(origin.last.values('host')).toEqual([`127.0.0.1:${origin.port}`])
  const table = parseTargets('targets: {"a.test": {hostname: b.test, protocol: http, port: 80}}', 'targets.yaml')
  const { authorityOf } = await import('../../src/route/table.ts')
  expect(authorityOf(table.match('a.test')!)).toBe('b.test')
})

describe('T12: limits of the head', () => {
  test('T12: a request target of 8192 characters passes, one more is 414', async () => {
    expect(await ask(`GET /${'a'.repeat(8_191)} HTTP/1.1`, 'Host: example.com')).toBe(200)
    expect(origin.last.target).toHaveLength(8_192)
    expect(await ask(`GET /${'a'.repeat(8_192)} HTTP/1.1`, 'Host: example.com')).toBe(414)
    expect(origin.hits).toBe(1)
  })

  test('T12: a header section under 32 KiB passes, above it is 431', async () => {
    expect(await ask('GET / HTTP/1.1', 'Host: example.com', `X-Long: ${'a'.repeat(32_000)}`)).toBe(200)
    expect(origin.last.values('x-long')[0]).toHaveLength(32_000)
    expect(await ask('GET / HTTP/1.1', 'Host: example.com', `X-Long: ${'a'.repeat(33_000)}`)).toBe(431)
    expect(origin.hits).toBe(1)
  })

  test('T12: an answer with 48 KiB of fields still passes', async () => {
    origin.handle((_request, socket) => {
      const fields = Array.from({ length: 12 }, (_, i) => `Set-Cookie: c${i}=${'x'.repeat(4_000)}`)
      socket.write(head('HTTP/1.1 200 OK', ...fields, 'Content-Length: 0'))
    })
    const answer = await rawRequest(layers.port, head('GET / HTTP/1.1', 'Host: example.com', 'Connection: close'))
    expect(answer.text).toMatch(/^HTTP\/1\.1 200 /)
    expect(answer.text.match(/Set-Cookie: /g)).toHaveLength(12)
  })
})

describe('T13: an inner layer dials what it allows, whatever a target says', () => {
  test('T13: link-local and cloud-metadata addresses are refused by default, as addresses and as names', async () => {
    const guarded = await startLayers({
      targets: ['169.254.169.254', 'metadata.google.internal', 'fd00:ec2::254', '100.100.100.200']
        .map((hostname, i) => `  "h${i}.test": {protocol: http, hostname: "${hostname}", port: 80}\n`)
        .reduce((all, line) => all + line, 'targets:\n'),
    })
    for (const i of [0, 1, 2, 3]) {
      const answer = await rawRequest(guarded.port, head('GET / HTTP/1.1', `Host: h${i}.test`, 'Connection: close'))
      expect(answer.text).toMatch(/^HTTP\/1\.1 403 /)
      expect(answer.text).toContain('ORIGIN_FORBIDDEN')
      expect(answer.text).not.toMatch(/169\.254|metadata|fd00|100\.100/)
    }
  })

  test('T13: with --allow nothing else is dialled, neither on a fresh connection nor on a kept one', async () => {
    const other = await startRawOrigin()
    const narrow = await startLayers({
      origin: origin.port,
      targets: `targets:\n  "a.test": {protocol: http, hostname: 127.0.0.1, port: {port}}\n  "b.test": {protocol: http, hostname: 127.0.0.1, port: ${other.port}}\n`,
      inner: { allowList: new AllowList([`127.0.0.1:${origin.port}`]) },
    })
    for (const extra of [[], ['TE: trailers']]) {
      const allowed = await rawRequest(narrow.port, head('GET / HTTP/1.1', 'Host: a.test', 'Connection: close', ...extra))
      expect(allowed.text).toMatch(/^HTTP\/1\.1 200 /)
      const refused = await rawRequest(narrow.port, head('GET / HTTP/1.1', 'Host: b.test', 'Connection: close', ...extra))
      expect(refused.text).toMatch(/^HTTP\/1\.1 403 /)
    }
    expect(other.connections).toHaveLength(0)
  })

  test('T13: a name that resolves to a forbidden address is not dialled', async () => {
    const narrow = await startLayers({
      targets: `targets:\n  "a.test": {protocol: http, hostname: localhost, port: ${await freePort()}}\n`,
      inner: { allowList: new AllowList(['10.0.0.0/8:*']) },
    })
    const refused = await rawRequest(narrow.port, head('GET / HTTP/1.1', 'Host: a.test', 'Connection: close'))
    expect(refused.text).toMatch(/^HTTP\/1\.1 403 /)
    expect(refused.text).toContain('ORIGIN_FORBIDDEN')
    expect(refused.text).not.toContain('localhost')
  })
})
