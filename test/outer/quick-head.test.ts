/** What is read without node:http is never read otherwise than by it. */
import { createServer, type IncomingMessage } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { MAX_QUICK_BYTES, quickHead } from '../../src/outer/quick-edge/quick-head.ts'
import { SEED } from '../support/seed.ts'

const quick = (text: string): ReturnType<typeof quickHead> => quickHead(Buffer.from(text, 'latin1'), 32_768)
const GET = 'GET /a?b=c HTTP/1.1\r\n'
const PLAIN = `${GET}Host: a.test\r\nX-Empty:\r\nx-twice:1\r\nX-Twice: 2 and 3\r\nConnection: Keep-Alive\r\n\r\n`

test('a plain head is read: names, values and their order as they came', () => {
  expect(quick(PLAIN)).toEqual({
    method: 'GET',
    target: '/a?b=c',
    httpVersion: '1.1',
    fields: ['Host', 'a.test', 'X-Empty', '', 'x-twice', '1', 'X-Twice', '2 and 3', 'Connection', 'Keep-Alive'],
  })
  expect(quick('HEAD / HTTP/1.1\r\n\r\n')).toMatchObject({ method: 'HEAD', fields: [] })
})

test.each([
  '',
  'GET / HTTP/1.1\r\n',
  `\r\n${PLAIN}`,
  `${PLAIN}${PLAIN}`,
  `${PLAIN}x`,
  'GET / HTTP/1.0\r\n\r\n',
  'GET / HTTP/1.1\n\n',
  'POST / HTTP/1.1\r\n\r\n',
  'get / HTTP/1.1\r\n\r\n',
  'GET  / HTTP/1.1\r\n\r\n',
  'GET * HTTP/1.1\r\n\r\n',
  'GET http://a.test/ HTTP/1.1\r\n\r\n',
  'GET /# HTTP/1.1\r\n\r\n',
  'GET /" HTTP/1.1\r\n\r\n',
  'GET /\xe9 HTTP/1.1\r\n\r\n',
  ...[
    'Content-Length: 0',
    'content-length: 5',
    'Transfer-Encoding: chunked',
    'Expect: 100-continue',
    'Upgrade: websocket',
    'HTTP2-Settings: AAAA',
    'Connection: close',
    'Connection: keep-alive, x-a',
    'Proxy-Connection: close',
    'A : b',
    'A:  b',
    'A: b ',
    'A:\tb',
    'A: b\tc',
    'A: \xe9',
    'A: b\x7f',
    'A: b\0',
    ': b',
    ' folded: b',
    'no colon',
    'A: b\rB: c',
    'A: b\nB: c',
  ].map(line => `${GET}${line}\r\n\r\n`),
  `${GET}${'A: b\r\n'.repeat(65)}\r\n`,
  `${GET}A: ${'b'.repeat(MAX_QUICK_BYTES)}\r\n\r\n`,
])('%j is left to node:http', text => {
  expect(quick(text)).toBeUndefined()
})

test('a head longer than the edge takes is left to node:http', () => {
  expect(quickHead(Buffer.from(PLAIN), PLAIN.length)).toBeDefined()
  expect(quickHead(Buffer.from(PLAIN), PLAIN.length - 1)).toBeUndefined()
})

describe('beside the parser of node:http', () => {
  let seen: { readonly request: IncomingMessage; readonly count: number } | undefined
  let count = 0
  const server = createServer({ requireHostHeader: false, keepAliveTimeout: 0 }, (request, response) => {
    seen = { request, count: ++count }
    request.resume().on('end', () => response.end())
  })
  beforeAll(() => new Promise<void>(resolve => void server.listen(0, '127.0.0.1', resolve)))
  afterAll(() => new Promise<void>(resolve => void server.close(() => resolve())))

  /** The answer to one head, or how the connection ended; then it is closed. */
  const ask = (text: string): Promise<string> =>
    new Promise(resolve => {
      seen = undefined
      count = 0
      let answer = ''
      const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
      socket.on('data', (bytes: Buffer) => {
        answer += bytes.toString('latin1')
        socket.destroy()
      })
      socket.on('error', () => undefined).on('close', () => resolve(answer))
      socket.write(text, 'latin1')
    })

  const TOKENS = [
    '\r\n',
    '\n',
    '\r',
    ' ',
    '\t',
    ':',
    ';',
    ',',
    '\0',
    '\x7f',
    '\xff',
    '#',
    '"',
    '|',
    '^',
    '%',
    '%0a',
    '\\',
    '{',
    '<',
    '\x0b',
  ]
  const LINES = [
    'Host: a.test\r\n',
    'Connection: keep-alive\r\n',
    'CONNECTION: Keep-Alive\r\n',
    'Keep-Alive: 300\r\n',
    'Accept: */*\r\n',
    'Cookie: a=b; c="d"\r\n',
    'X:\r\n',
    'X-a_b.c~d: (e) [f] {g}\r\n',
    'Content-Length: 0\r\n',
    'TE: trailers\r\n',
    'Trailer: x\r\n',
    'Te:gzip\r\n',
  ]

  test('whatever is taken, node:http takes as well, as the same request, whole and on a connection that stays', async () => {
    let taken = 0
    const piece = fc.constantFrom(...TOKENS, ...LINES, 'a', '/', '?', '=', '&')
    const property = fc.asyncProperty(
      fc.constantFrom('GET', 'GET', 'GET', 'HEAD', 'HEAD', 'POST'),
      fc.array(fc.constantFrom('/', 'a', '?', '=', '&', '%2f', '..', ';', ':', '@', ...TOKENS.slice(6)), { maxLength: 5 }),
      fc.array(fc.constantFrom(...LINES), { maxLength: 6 }),
      fc.option(fc.tuple(fc.nat(), piece), { freq: 2 }),
      async (method, path, lines, mutation) => {
        let text = `${method} /${path.join('')} HTTP/1.1\r\n${lines.join('')}\r\n`
        if (mutation !== null) {
          const at = mutation[0] % text.length
          text = text.slice(0, at) + mutation[1] + text.slice(at)
        }
        const head = quick(text)
        if (head === undefined) return
        taken++
        expect(await ask(text)).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
        expect(seen?.count).toBe(1)
        const { request } = seen!
        expect({ method: request.method, target: request.url, httpVersion: request.httpVersion, fields: request.rawHeaders }).toEqual(head)
        expect(request.complete).toBe(true)
      },
    )
    await fc.assert(property, { seed: SEED, numRuns: 2_000 })
    expect(taken).toBeGreaterThan(100)
  })
})
