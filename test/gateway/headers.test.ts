/** Section 1.1 of the reference: header fields on their way through both layers. */
import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { gzipSync } from 'node:zlib'
import { startLayers, type Layers } from '../support/layers.ts'
import { chunked, get, head, lastGet } from '../support/message.ts'
import { RawConnection, rawRequest, type RawAnswer } from '../support/raw-client.ts'
import { valuesOf } from '../support/raw-message.ts'
import { rawResponse, startRawOrigin, type RawOrigin } from '../support/raw-origin.ts'

let origin: RawOrigin
let layers: Layers

beforeAll(async () => {
  origin = await startRawOrigin()
  layers = await startLayers({ origin: origin.port })
})
beforeEach(() => {
  origin.clear()
  origin.handle(async (request, socket) => {
    await request.complete
    socket.write(rawResponse(200, 'ok'))
  })
})

const answerWith = (...fields: readonly string[]): void =>
  origin.handle(async (request, socket) => {
    await request.complete
    socket.write(rawResponse(200, request.method === 'HEAD' ? '' : 'ok', fields))
  })

const send = async (...fields: readonly string[]): Promise<RawAnswer> => {
  const answer = await rawRequest(layers.port, lastGet('/', ...fields))
  expect(answer.text).toMatch(/^HTTP\/1\.1 200 /)
  expect(origin.faults).toEqual([])
  return answer
}

/** Field lines of the answer's head. */
const linesOf = (answer: RawAnswer): string[] => answer.text.slice(0, answer.text.indexOf('\r\n\r\n')).split('\r\n').slice(1)
const namesOf = (lines: readonly string[]): string[] => lines.map(line => line.slice(0, line.indexOf(':')).toLowerCase())

const HOP_BY_HOP = [
  'Keep-Alive',
  'Proxy-Connection',
  'TE',
  'Trailer',
  'Upgrade',
  'Proxy-Authenticate',
  'Proxy-Authorization',
  'HTTP2-Settings',
]

describe('H1: hop-by-hop fields end at this hop', () => {
  test.each(HOP_BY_HOP)('H1: %s of the client never reaches the origin', async name => {
    await send(`${name}: gzip`)
    expect(origin.last.values(name)).toEqual([])
  })

  test.each(HOP_BY_HOP)('H1: %s of the origin never reaches the client', async name => {
    answerWith(`${name}: x=1`)
    const lines = linesOf(await send())
    expect(namesOf(lines)).not.toContain(name.toLowerCase())
  })

  test('H1: Connection is our own on each side', async () => {
    answerWith('Connection: keep-alive, X-Other')
    const lines = linesOf(await send('Connection: X-Hop'))
    expect(lines.filter(line => /^connection:/i.test(line))).toEqual(['Connection: close'])
    expect(origin.last.values('connection')).toEqual(['keep-alive'])
  })
})

describe('H2: fields that Connection nominates', () => {
  test('H2: they go, in both directions, from every Connection line', async () => {
    answerWith('Connection: X-Hop', 'X-Hop: 1', 'X-Stay: 1')
    const lines = linesOf(await send('X-One: 1', 'Connection: x-one', 'X-Two: 2', 'Connection: close, X-TWO', 'X-Three: 3'))
    expect(origin.last.values('x-one')).toEqual([])
    expect(origin.last.values('x-two')).toEqual([])
    expect(origin.last.values('x-three')).toEqual(['3'])
    expect(namesOf(lines)).not.toContain('x-hop')
    expect(namesOf(lines)).toContain('x-stay')
  })

  test('H2: a nomination cannot remove what we add, nor who asks for what', async () => {
    await send(
      'Connection: close, X-Forwarded-For, X-Real-IP, Forwarded, Via, Host, Authorization, Cookie, Content-Type',
      'Authorization: Basic eDp5',
      'Cookie: a=b',
      'Content-Type: text/plain',
    )
    expect(origin.last.values('x-forwarded-for')).toEqual(['127.0.0.1'])
    expect(origin.last.values('x-real-ip')).toEqual(['127.0.0.1'])
    expect(origin.last.values('forwarded')).toHaveLength(1)
    expect(origin.last.values('x-sg-passed')).toHaveLength(1)
    expect(origin.last.values('host')).toEqual([`127.0.0.1:${origin.port}`])
    expect(origin.last.values('authorization')).toEqual(['Basic eDp5'])
    expect(origin.last.values('cookie')).toEqual(['a=b'])
    expect(origin.last.values('content-type')).toEqual(['text/plain'])
  })

  test('H2: an origin cannot nominate cookies or the content away', async () => {
    answerWith('Connection: Set-Cookie, Content-Type, Content-Encoding', 'Set-Cookie: a=b', 'Content-Type: text/plain')
    expect(namesOf(linesOf(await send()))).toEqual(expect.arrayContaining(['set-cookie', 'content-type', 'content-length']))
  })
})

test.each(['trailers', 'gzip, trailers', 'gzip;q=0.5, trailers'])(
  'H3: TE: %s arrives as trailers alone, nominated by Connection',
  async value => {
    await send(`TE: ${value}`)
    expect(origin.last.values('te')).toEqual(['trailers'])
    expect(origin.last.values('connection').join()).toMatch(/\bTE\b/i)
  },
)

test('H3: TE without trailers is dropped', async () => {
  await send('TE: gzip, deflate')
  expect(origin.last.values('te')).toEqual([])
})

describe('H4: trailers', () => {
  const BAD = [
    'Host: x',
    'Authorization: x',
    'Set-Cookie: a=b',
    'X-Forwarded-For: 1.1.1.1',
    'Content-Type: x',
    'Connection: X-T',
    'Transfer-Encoding: chunked',
  ]

  const answerWithTrailers = (...trailers: readonly string[]): void =>
    origin.handle(async (request, socket) => {
      await request.complete
      socket.write(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n${chunked(['hello'], ...trailers)}`, 'latin1')
    })

  test('H4: those of the origin reach the client, in order, case kept, twice where sent twice', async () => {
    answerWithTrailers('X-T: one', 'x-t: two', 'X-Latin: \xe9', ...BAD)
    const connection = await RawConnection.open(layers.port)
    const response = await connection.write(get('/', 'TE: trailers')).readResponse()
    expect(response.body.toString()).toBe('hello')
    expect(response.trailers).toEqual([
      ['X-T', 'one'],
      ['x-t', 'two'],
      ['X-Latin', '\xe9'],
    ])
    expect(valuesOf(response.fields, 'trailer')).toEqual(['X-T'])
  })

  test('H4: those of the client reach the origin, without what frames, routes or authenticates', async () => {
    const connection = await RawConnection.open(layers.port)
    connection.write(
      head('POST / HTTP/1.1', 'Host: a.test', 'Transfer-Encoding: chunked', 'Trailer: X-T') +
        chunked(['hello'], 'X-T: one', 'X-Latin: \xe9', 'Host: x', 'Authorization: x'),
    )
    expect((await connection.readResponse()).status).toBe(200)
    expect(origin.last.body.toString()).toBe('hello')
    expect(origin.last.trailers).toEqual([
      ['X-T', 'one'],
      ['X-Latin', '\xe9'],
    ])
    expect(origin.faults).toEqual([])
  })

  test('H4: small bodies bring trailers along that nobody announced', async () => {
    const connection = await RawConnection.open(layers.port)
    connection.write(head('PUT / HTTP/1.1', 'Host: a.test', 'Transfer-Encoding: chunked') + chunked(['hello'], 'X-T: one'))
    expect((await connection.readResponse()).status).toBe(200)
    expect(origin.last.body.toString()).toBe('hello')
    expect(origin.last.trailers).toEqual([['X-T', 'one']])
  })

  test('H4: Content-Length as a trailer of the origin is no valid end: the client sees a cut', async () => {
    answerWithTrailers('Content-Length: 3')
    const answer = await rawRequest(layers.port, lastGet('/'))
    expect(answer.text).toMatch(/^HTTP\/1\.1 (?:200|502) /)
    expect(answer.text).not.toMatch(/\r\n0\r\n/)
  })

  test('H4: a client of HTTP/1.0 gets the body without them', async () => {
    answerWithTrailers('X-T: one')
    const answer = await rawRequest(layers.port, head('GET / HTTP/1.0', 'Host: a.test'))
    expect(answer.text).toMatch(/\r\n\r\nhello$/)
    expect(answer.text).not.toMatch(/x-t|chunked/i)
  })
})

describe('H5: fields are a list', () => {
  test('H5: duplicates keep their order and their lines, both ways', async () => {
    answerWith('X-Dup: c', 'X-Other: y', 'X-Dup: d', 'x-dup: c')
    const lines = linesOf(
      await send('X-Dup: a', 'X-Other: x', 'X-Dup: b', 'x-dup: a', 'Accept: one', 'Accept: two', 'User-Agent: a', 'User-Agent: b'),
    )
    expect(origin.last.values('x-dup')).toEqual(['a', 'b', 'a'])
    expect(origin.last.values('accept')).toEqual(['one', 'two'])
    expect(origin.last.values('user-agent')).toEqual(['a', 'b'])
    expect(lines.filter(line => /^x-/i.test(line))).toEqual(['X-Dup: c', 'X-Other: y', 'X-Dup: d', 'x-dup: c'])
  })

  test('H5: two hundred fields pass in order, more are 431, and of the origin 502', async () => {
    const many = (count: number): string[] => Array.from({ length: count }, (_, i) => `X-${i}: ${i}`)
    await send(...many(190))
    expect(origin.last.lines.filter(line => /^X-\d+:/.test(line))).toEqual(many(190))
    const refused = await rawRequest(layers.port, lastGet('/', ...many(300)))
    expect(refused.text).toMatch(/^HTTP\/1\.1 431 /)
    answerWith(...many(300))
    const broken = await rawRequest(layers.port, lastGet('/'))
    expect(broken.text).toMatch(/^HTTP\/1\.1 502 /)
    expect(broken.text).toContain('ORIGIN_BAD_RESPONSE')
  })
})

test('H6: Set-Cookie lines are never joined', async () => {
  const cookies = ['Set-Cookie: a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT', 'set-cookie: b=2, 3', 'Set-Cookie: a=1; Path=/x']
  answerWith(...cookies)
  expect(linesOf(await send()).filter(line => /^set-cookie/i.test(line))).toEqual(cookies)
})

test('H8: case and order are the ones that were sent, both ways', async () => {
  answerWith('x-Z: 1', 'X-MiXeD: 2', 'x-a: 3')
  const lines = linesOf(await send('x-Z: 1', 'X-MiXeD: 2', 'x-a: 3', 'ACCEPT: x'))
  expect(lines.filter(line => /^x-.:|^x-mixed/i.test(line))).toEqual(['x-Z: 1', 'X-MiXeD: 2', 'x-a: 3'])
  expect(origin.last.lines.filter(line => /^x-.:|^x-mixed|^accept/i.test(line))).toEqual(['x-Z: 1', 'X-MiXeD: 2', 'x-a: 3', 'ACCEPT: x'])
})

test('H9: names such as __proto__ are names like any other, in heads and trailers of both sides', async () => {
  const odd = ['__proto__: 1', 'constructor: 2', 'toString: 3', 'hasOwnProperty: 4', 'prototype: 5']
  origin.handle(async (request, socket) => {
    await request.complete
    socket.write(head('HTTP/1.1 200 OK', ...odd, 'Trailer: __proto__', 'Transfer-Encoding: chunked') + chunked(['ok'], ...odd))
  })
  const connection = await RawConnection.open(layers.port)
  connection.write(
    head('POST / HTTP/1.1', 'Host: a.test', ...odd, 'Transfer-Encoding: chunked', 'Trailer: __proto__') + chunked(['x'], ...odd),
  )
  const response = await connection.readResponse()
  const pairs = odd.map(line => line.split(': '))
  expect(origin.last.lines).toEqual(expect.arrayContaining(odd))
  expect(origin.last.trailers).toEqual(pairs)
  expect(response.fields).toEqual(expect.arrayContaining(pairs))
  expect(response.trailers).toEqual(pairs)
})

test.each([
  'X_Forwarded_For',
  'X-Forwarded_For',
  'x_real_ip',
  'X_Forwarded_User',
  'Content_Length',
  'Transfer_Encoding',
  'X_Auth_Request_User',
  'Host_',
  'X_SG_Id',
])('H10: %s, which some origins read with a hyphen, is judged as if it had one', async name => {
  await send(`${name}: 6.6.6.6`)
  const isTwin = name !== 'Host_'
  expect(origin.last.values(name)).toEqual(isTwin ? [] : ['6.6.6.6'])
})

test('H11: empty values stay empty values, both ways', async () => {
  answerWith('X-Empty:', 'X-Blank:   ')
  const lines = linesOf(await send('X-Empty:', 'X-Blank:   '))
  expect(origin.last.values('x-empty')).toEqual([''])
  expect(origin.last.values('x-blank')).toEqual([''])
  expect(lines.filter(line => /^x-/i.test(line)).map(line => line.trimEnd())).toEqual(['X-Empty:', 'X-Blank:'])
})

test('H12: bytes beyond ASCII pass as they are, both ways', async () => {
  const value = Array.from({ length: 128 }, (_, i) => String.fromCharCode(128 + i)).join('')
  answerWith(`X-Latin: ${value}`, 'X-Utf: \xc3\xa9')
  const lines = linesOf(await send(`X-Latin: ${value}`, 'X-Utf: \xc3\xa9'))
  expect(origin.last.values('x-latin')).toEqual([value])
  expect(origin.last.values('x-utf')).toEqual(['\xc3\xa9'])
  expect(lines.filter(line => /^x-/i.test(line))).toEqual([`X-Latin: ${value}`, 'X-Utf: \xc3\xa9'])
})

test.each([
  ['latin-1', 'Tr\xe8s bien'],
  ['UTF-8', 'Tr\xc3\xa8s bien'],
  ['UTF-8 whose code points end in 0x0a', 'OK \xc4\x8a\xc4\x8d'],
  ['nothing', ''],
])('H12: a reason phrase of %s is the same answer', async (kind, reason) => {
  origin.handle((_request, socket) => void socket.write(head(`HTTP/1.1 200 ${reason}`, 'Content-Length: 0'), 'latin1'))
  const answer = await rawRequest(layers.port, lastGet('/'))
  expect(answer.text).toMatch(/^HTTP\/1\.1 200 /)
  expect(linesOf(answer).length).toBe(3) // Content-Length, Date, Connection
  if (kind.startsWith('UTF-8')) expect(answer.text.split('\r\n')[0]).toBe(`HTTP/1.1 200 ${reason}`)
})

describe('H14: Via and circles', () => {
  test('H14: the origin is told of other proxies, and of us where the target says so', async () => {
    await send()
    expect(origin.last.values('via')).toEqual([])
    expect(origin.last.values('x-sg-passed')).toEqual([expect.stringMatching(/^sg-[0-9a-f]{8}$/)])
    await send('Via: 1.0 a, 1.1 b', 'Via: 1.1 c')
    expect(origin.last.values('via')).toEqual(['1.0 a, 1.1 b, 1.1 c'])
    const told = await startLayers({
      targets: `targets: { a.test: { protocol: http, hostname: 127.0.0.1, port: ${origin.port}, via: true } }`,
    })
    await rawRequest(told.port, head('GET / HTTP/1.1', 'Host: a.test', 'Via: 1.0 a', 'Connection: close'))
    expect(origin.last.values('via')).toEqual([expect.stringMatching(/^1\.0 a, 1\.1 sg-[0-9a-f]{8}$/)])
  })

  test('H14: a circle through two gateways is found as well', async () => {
    const first = await startLayers({ origin: origin.port })
    const second = await startLayers({ origin: first.port })
    origin.handle(async (request, socket) => {
      const own = request.lines.filter(line => !/^(?:connection|host):/i.test(line))
      socket.write((await rawRequest(second.port, head('GET /again HTTP/1.1', 'Host: a.test', ...own, 'Connection: close'))).bytes)
    })
    expect((await rawRequest(second.port, lastGet('/'))).text).toMatch(/^HTTP\/1\.1 508 /)
    expect(origin.hits).toBe(1)
  })

  test('H14: a request that comes back to us is refused after one round, not sent for ever', async () => {
    origin.handle(async (request, socket) => {
      const own = request.lines.filter(line => !/^(?:connection|host):/i.test(line))
      const answer = await rawRequest(layers.port, head('GET /again HTTP/1.1', 'Host: a.test', ...own, 'Connection: close'))
      socket.write(answer.bytes)
    })
    const answer = await rawRequest(layers.port, lastGet('/'))
    expect(answer.text).toMatch(/^HTTP\/1\.1 508 /)
    expect(origin.hits).toBe(1)
  })
})

test('H15: Date and Server of the origin pass; a Date is added only where there is none', async () => {
  answerWith('Date: Tue, 15 Nov 1994 08:12:31 GMT', 'Server: box/1')
  const lines = linesOf(await send())
  expect(lines.filter(line => /^(date|server):/i.test(line))).toEqual(['Date: Tue, 15 Nov 1994 08:12:31 GMT', 'Server: box/1'])
  answerWith()
  const others = linesOf(await send())
  expect(namesOf(others).filter(name => name === 'date')).toHaveLength(1)
  expect(namesOf(others)).not.toContain('server')
})

describe('H16: Max-Forwards', () => {
  test('H16: OPTIONS with 0 is answered here, with 2 it goes on with 1', async () => {
    const zero = await rawRequest(layers.port, head('OPTIONS /x HTTP/1.1', 'Host: a.test', 'Max-Forwards: 0', 'Connection: close'))
    expect(zero.text).toMatch(/^HTTP\/1\.1 204 /)
    expect(origin.hits).toBe(0)
    await rawRequest(layers.port, head('OPTIONS /x HTTP/1.1', 'Host: a.test', 'Max-Forwards: 2', 'Connection: close'))
    expect(origin.last.values('max-forwards')).toEqual(['1'])
  })

  test('H16: with another method it passes as it is', async () => {
    await send('Max-Forwards: 0')
    expect(origin.last.values('max-forwards')).toEqual(['0'])
  })
})

test('H17: an error of ours says so in Proxy-Status, and one of the origin does not', async () => {
  const refused = await rawRequest(layers.port, head('TRACE / HTTP/1.1', 'Host: a.test'))
  expect(refused.text).toMatch(/\r\nProxy-Status: socket-gateway; error=\w+\r\n/)
  expect(namesOf(linesOf(await send()))).not.toContain('proxy-status')
})

test('H18: content codings, validators and no-transform pass untouched, the bytes too', async () => {
  const body = gzipSync('hello '.repeat(1_000))
  const fields = ['Content-Encoding: gzip', 'ETag: "a-b"', 'Cache-Control: no-transform', 'Digest: sha-256=abc', 'Vary: Accept-Encoding']
  origin.handle((_request, socket) => void socket.write(rawResponse(200, body, [...fields, `Content-Length: ${body.length}`])))
  const connection = await RawConnection.open(layers.port)
  const response = await connection.write(get('/', 'Accept-Encoding: br, gzip, zstd', 'If-None-Match: "x"')).readResponse()
  expect(response.body.equals(body)).toBe(true)
  expect(response.lines).toEqual(expect.arrayContaining(fields))
  expect(origin.last.lines).toEqual(expect.arrayContaining(['Accept-Encoding: br, gzip, zstd', 'If-None-Match: "x"']))
})

test('H19: Alt-Svc of the origin is dropped; HSTS, Clear-Site-Data and Service-Worker-Allowed pass', async () => {
  answerWith('Alt-Svc: h3=":443"', 'Strict-Transport-Security: max-age=1', 'Clear-Site-Data: "cache"', 'Service-Worker-Allowed: /')
  const lines = linesOf(await send())
  expect(namesOf(lines)).not.toContain('alt-svc')
  expect(lines).toEqual(
    expect.arrayContaining(['Strict-Transport-Security: max-age=1', 'Clear-Site-Data: "cache"', 'Service-Worker-Allowed: /']),
  )
})
