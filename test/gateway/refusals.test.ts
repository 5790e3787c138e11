/** Section 1.0 of the reference: what node:http rejects must stay rejected, and what it accepts is decided here. */
import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { startLayers, type Layers } from '../support/layers.ts'
import { chunked, get, head, lastGet } from '../support/message.ts'
import { RawConnection, rawRequest } from '../support/raw-client.ts'
import { startRawOrigin, type RawOrigin } from '../support/raw-origin.ts'

let origin: RawOrigin
let layers: Layers

beforeAll(async () => {
  origin = await startRawOrigin()
  layers = await startLayers({ origin: origin.port })
})
beforeEach(() => origin.clear())

const post = (fields: readonly string[], body: string): string => head('POST /first HTTP/1.1', 'Host: a.test', ...fields) + body
const CHUNKED = 'Transfer-Encoding: chunked'

/** Sends `raw` with another request behind it: neither may reach the origin, and the connection has to end. */
const expectRefusal = async (raw: string, status: number): Promise<void> => {
  const answer = await rawRequest(layers.port, raw + get('/smuggled'))
  await rawRequest(layers.port, lastGet('/fence')) // whatever got through before it has arrived when this is answered
  expect(answer.text).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
  expect(answer.text.match(/HTTP\/1\.1 \d{3} /g)).toHaveLength(1)
  expect(answer.text).toMatch(/\r\nConnection: close\r\n/i)
  expect(answer.text).toMatch(/\r\nX-Request-Id: \S+\r\n/)
  expect(origin.requests.map(request => request.target)).toEqual(['/fence'])
  expect(origin.faults).toEqual([])
}

describe('1.0: what node:http rejects is answered by us and closes the connection, and the origin sees nothing of it', () => {
  test.each<readonly [string, string, number]>([
    ['Content-Length twice, the same', post(['Content-Length: 5', 'Content-Length: 5'], 'abcde'), 400],
    ['Content-Length twice, different', post(['Content-Length: 5', 'Content-Length: 6'], 'abcde'), 400],
    ['a list of Content-Lengths', post(['Content-Length: 5, 5'], 'abcde'), 400],
    ['a Content-Length with a plus sign', post(['Content-Length: +5'], 'abcde'), 400],
    ['a Content-Length with a minus sign', post(['Content-Length: -5'], 'abcde'), 400],
    ['a Content-Length in hex', post(['Content-Length: 0x5'], 'abcde'), 400],
    ['a Content-Length beyond 64 bits', post(['Content-Length: 99999999999999999999'], 'abcde'), 400],
    ['an empty Content-Length', post(['Content-Length:'], ''), 400],
    ['Content-Length before Transfer-Encoding', post(['Content-Length: 5', CHUNKED], chunked(['abcde'])), 400],
    ['Transfer-Encoding before Content-Length', post([CHUNKED, 'Content-Length: 5'], chunked(['abcde'])), 400],
    ['Transfer-Encoding: chunked, identity', post(['Transfer-Encoding: chunked, identity'], chunked(['abcde'])), 400],
    ['Transfer-Encoding: identity', post(['Transfer-Encoding: identity'], chunked(['abcde'])), 501],
    ['Transfer-Encoding: xchunked', post(['Transfer-Encoding: xchunked'], chunked(['abcde'])), 501],
    ['Transfer-Encoding: chunked, chunked', post(['Transfer-Encoding: chunked, chunked'], chunked(['abcde'])), 400],
    ['two lines Transfer-Encoding: chunked', post([CHUNKED, CHUNKED], chunked(['abcde'])), 400],
    ['a space before the colon', get('/first', 'X-A : b'), 400],
    ['a space before the colon of Content-Length', post(['Content-Length : 5'], 'abcde'), 400],
    ['a vertical tab before the value', post(['Transfer-Encoding:\x0bchunked'], chunked(['abcde'])), 400],
    ['obs-fold', get('/first', 'X-A: b', ' c'), 400],
    ['a folded Transfer-Encoding', post(['Transfer-Encoding:', ' chunked'], chunked(['abcde'])), 400],
    ['bare LF between lines', 'GET /first HTTP/1.1\nHost: a.test\n\n', 400],
    ['a bare LF after one field', 'GET /first HTTP/1.1\r\nX-A: b\nHost: a.test\r\n\r\n', 400],
    ['a bare CR in a value', get('/first', 'X-A: b\rc'), 400],
    ['NUL in a value', get('/first', 'X-A: b\0c'), 400],
    ['a control character in a value', get('/first', 'X-A: b\x01c'), 400],
    ['a space in a field name', get('/first', 'X A: b'), 400],
    ['an empty field name', get('/first', ': b'), 400],
    ['a line without a colon', get('/first', 'X-A'), 400],
    ['no Host on HTTP/1.1', head('GET /first HTTP/1.1'), 400],
    ['a target without a slash', head('GET first HTTP/1.1', 'Host: a.test'), 400],
    ['a space in the target', head('GET /fir st HTTP/1.1', 'Host: a.test'), 400],
    ['a tab in the target', head('GET /fir\tst HTTP/1.1', 'Host: a.test'), 400],
    ['a control character in the target', head('GET /fir\x01st HTTP/1.1', 'Host: a.test'), 400],
    ['a byte beyond ASCII in the target', head('GET /fir\xe9st HTTP/1.1', 'Host: a.test'), 400],
    ['HTTP/1.2', head('GET /first HTTP/1.2', 'Host: a.test'), 400],
    ['a method in lower case', head('get /first HTTP/1.1', 'Host: a.test'), 400],
    ['a method that nobody knows', head('FROBNICATE /first HTTP/1.1', 'Host: a.test'), 400],
    ['a chunk size with a space before it', post([CHUNKED], ' 5\r\nabcde\r\n0\r\n\r\n'), 400],
    ['a chunk size with a space behind it', post([CHUNKED], '5 \r\nabcde\r\n0\r\n\r\n'), 400],
    ['a chunk size with a sign', post([CHUNKED], '+5\r\nabcde\r\n0\r\n\r\n'), 400],
    ['a chunk size with 0x', post([CHUNKED], '0x5\r\nabcde\r\n0\r\n\r\n'), 400],
    ['a chunk size beyond 64 bits', post([CHUNKED], '10000000000000005\r\nabcde\r\n0\r\n\r\n'), 400],
    ['a bare LF behind a chunk size', post([CHUNKED], '5\nabcde\r\n0\r\n\r\n'), 400],
    ['a bare LF in a chunk extension', post([CHUNKED], '5;a=b\nabcde\r\n0\r\n\r\n'), 400],
    ['no CRLF behind a chunk', post([CHUNKED], '5\r\nabcde0\r\n\r\n'), 400],
    ['a chunk longer than its size', post([CHUNKED], '5\r\nabcdef\r\n0\r\n\r\n'), 400],
    ['Content-Length as a trailer', post([CHUNKED], chunked(['abcde'], 'Content-Length: 5')), 400],
    ['Expect: 200-ok', post(['Content-Length: 5', 'Expect: 200-ok'], 'abcde'), 417],
    ['no HTTP at all', 'hello\r\n\r\n', 400],
    ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400],
  ])('1.0: %s', async (_name, raw, status) => expectRefusal(raw, status))
})

describe('1.0: what node:http accepts but two readers could take in two ways is refused', () => {
  test.each<readonly [string, string, number]>([
    ['two Host fields', head('GET /first HTTP/1.1', 'Host: a.test', 'Host: b.test'), 400],
    ['the same Host twice', head('GET /first HTTP/1.1', 'Host: a.test', 'host: a.test'), 400],
    ['a list of hosts', head('GET /first HTTP/1.1', 'Host: a.test, b.test'), 400],
    ['a Host with userinfo', head('GET /first HTTP/1.1', 'Host: a@b.test'), 400],
    ['a Host with a path', head('GET /first HTTP/1.1', 'Host: a.test/b'), 400],
    ['a Host with a space', head('GET /first HTTP/1.1', 'Host: a.test b'), 400],
    ['a Host with a bad port', head('GET /first HTTP/1.1', 'Host: a.test:8o'), 400],
    ['a Host with port 65536', head('GET /first HTTP/1.1', 'Host: a.test:65536'), 400],
    ['an empty Host', head('GET /first HTTP/1.1', 'Host:'), 400],
    ['an absolute-form target of another host', head('GET http://b.test/first HTTP/1.1', 'Host: a.test'), 400],
    ['an absolute-form target of another port', head('GET http://a.test:81/first HTTP/1.1', 'Host: a.test'), 400],
    ['an absolute-form target with userinfo', head('GET http://u@a.test/first HTTP/1.1', 'Host: u@a.test'), 400],
    ['an absolute-form target without a host', head('GET http:///first HTTP/1.0'), 400],
    ['an absolute-form target with an empty Host', head('GET http://a.test/first HTTP/1.1', 'Host:'), 400],
    ['the scheme ftp', head('GET ftp://a.test/first HTTP/1.1', 'Host: a.test'), 400],
    ['GET *', head('GET * HTTP/1.1', 'Host: a.test'), 400],
    ['# in the target', head('GET /first#x HTTP/1.1', 'Host: a.test'), 400],
    ['# in the query', head('GET /first?a#x HTTP/1.1', 'Host: a.test'), 400],
    ['Transfer-Encoding: gzip, chunked', post(['Transfer-Encoding: gzip, chunked'], chunked(['abcde'])), 501],
    ['Transfer-Encoding with HTTP/1.0', head('POST /first HTTP/1.0', 'Host: a.test', CHUNKED) + chunked(['abcde']), 400],
    [
      'Transfer-Encoding with HTTP/1.0 that asks to be kept',
      head('POST /first HTTP/1.0', 'Host: a.test', 'Connection: keep-alive', CHUNKED) + chunked(['abcde']),
      400,
    ],
    ['HTTP/2.0 as a version', head('GET /first HTTP/2.0', 'Host: a.test'), 400],
    ['HTTP/0.9 as a version', head('GET /first HTTP/0.9', 'Host: a.test'), 400],
    ['TRACE', head('TRACE /first HTTP/1.1', 'Host: a.test'), 405],
  ])('1.0: %s', async (_name, raw, status) => expectRefusal(raw, status))
})

describe('1.0: what node:http accepts and can be read in one way only goes on, cleaned', () => {
  const sent = async (raw: string): Promise<void> => {
    const answer = await rawRequest(layers.port, raw)
    expect(answer.text).toMatch(/^HTTP\/1\.1 200 /)
    expect(origin.hits).toBe(1)
    expect(origin.faults).toEqual([])
  }

  test('1.0: characters that no path may hold are percent-encoded', async () => {
    await sent(lastGet('/"<>^`{}|'))
    expect(origin.last.target).toBe('/%22%3C%3E%5E%60%7B%7D%7C')
  })

  test('1.0: several spaces in the request line become one', async () => {
    await sent(head('GET   /first   HTTP/1.1', 'Host: a.test', 'Connection: close'))
    expect(origin.last.startLine).toBe('GET /first HTTP/1.1')
  })

  test('1.0: empty lines before a request are skipped', async () => {
    await sent(`\r\n\r\n${lastGet('/first')}`)
  })

  test.each(['PURGE', 'LINK', 'UNLINK', 'PROPFIND', 'MKCOL', 'REPORT', 'M-SEARCH', 'QUERY'])(
    '1.0: the method %s is for the policy to judge, and reaches the origin',
    async method => {
      await sent(head(`${method} /first HTTP/1.1`, 'Host: a.test', 'Connection: close'))
      expect(origin.last.method).toBe(method)
    },
  )

  test('1.0: Upgrade with a body goes on as HTTP, the body framed and not read as another request', async () => {
    const body = get('/smuggled')
    await sent(
      head('POST /first HTTP/1.1', 'Host: a.test', 'Connection: Upgrade, close', 'Upgrade: websocket', `Content-Length: ${body.length}`) +
        body,
    )
    expect(origin.last.body.toString()).toBe(body)
    expect(origin.last.values('upgrade')).toEqual([])
  })

  test('1.0: Upgrade: h2c never reaches the origin, and the next request on the connection is answered', async () => {
    const connection = await RawConnection.open(layers.port)
    connection.write(get('/first', 'Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA'))
    expect((await connection.readResponse()).status).toBe(200)
    expect(origin.last.fields.map(([name]) => name.toLowerCase())).not.toEqual(expect.arrayContaining(['upgrade']))
    expect(origin.last.fields.map(([name]) => name.toLowerCase())).not.toEqual(expect.arrayContaining(['http2-settings']))
    connection.write(get('/second'))
    expect((await connection.readResponse()).status).toBe(200)
    expect(origin.last.target).toBe('/second')
  })
})

test('1.0: a good request before a bad one on the same connection gets its own answer first', async () => {
  origin.handle(async (request, socket) => {
    await request.complete
    setTimeout(() => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'), 30)
  })
  const connection = await RawConnection.open(layers.port)
  connection.write(`${get('/first')}GET /bad path HTTP/1.1\r\n\r\n${get('/smuggled')}`)
  expect((await connection.readResponse()).status).toBe(200)
  expect((await connection.readResponse()).status).toBe(400)
  expect(await connection.closed).toBe('fin')
  expect(origin.requests.map(request => request.target)).toEqual(['/first'])
})

test('1.0: bytes behind a request that closes the connection do not spoil its answer', async () => {
  const answer = await rawRequest(layers.port, `${lastGet('/first')}${get('/smuggled')}`)
  expect(answer.text).toMatch(/^HTTP\/1\.1 200 /)
  expect(answer.text.match(/HTTP\/1\.1/g)).toHaveLength(1)
  expect(origin.requests.map(request => request.target)).toEqual(['/first'])
})
