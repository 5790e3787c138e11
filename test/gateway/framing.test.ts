/** Section 1.3 of the reference: how bodies are framed on both sides, and what a broken framing becomes. */
import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { startLayers, type Layers } from '../support/layers.ts'
import { chunked, get, head, lastGet } from '../support/message.ts'
import { RawConnection, rawRequest } from '../support/raw-client.ts'
import { valuesOf } from '../support/raw-message.ts'
import { rawResponse, startRawOrigin, type RawOrigin } from '../support/raw-origin.ts'
import { until } from '../support/wait.ts'

const METHODS = ['GET', 'HEAD', 'DELETE', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'QUERY'] as const
const SMUGGLED = get('/smuggled')

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
    socket.write(rawResponse(200, request.method === 'HEAD' ? '' : 'ok'))
  })
})

/** The origin answers every request with exactly these bytes, then ends if told so. */
const answerBytes = (bytes: string, thenEnd = false): void =>
  origin.handle(async (request, socket) => {
    await request.complete
    socket.write(bytes, 'latin1')
    if (thenEnd) socket.end()
  })

const targets = (): string[] => origin.requests.map(request => request.target)

// F1 is the corpus of refusals.test.ts; these are its shapes once more, in pieces as a network delivers them.
describe('F1: what could be framed in two ways is refused, however it arrives', () => {
  test.each([
    ['CL.TE', head('POST / HTTP/1.1', 'Host: a.test', 'Content-Length: 6', 'Transfer-Encoding: chunked') + '0\r\n\r\nG'],
    ['TE.CL', head('POST / HTTP/1.1', 'Host: a.test', 'Transfer-Encoding: chunked', 'Content-Length: 3') + chunked([SMUGGLED])],
    ['TE.TE', head('POST / HTTP/1.1', 'Host: a.test', 'Transfer-Encoding: chunked', 'Transfer-encoding: cow') + chunked([SMUGGLED])],
    [
      'TE in HTTP/1.0',
      head('POST / HTTP/1.0', 'Host: a.test', 'Transfer-Encoding: chunked', 'Connection: keep-alive') + chunked([SMUGGLED]),
    ],
    ['CL.CL', head('POST / HTTP/1.1', 'Host: a.test', 'Content-Length: 0', `Content-Length: ${SMUGGLED.length}`) + SMUGGLED],
  ])('F1: %s byte by byte', async (_name, raw) => {
    const connection = await RawConnection.open(layers.port)
    for (const byte of raw + SMUGGLED) connection.write(byte)
    expect(await connection.read(/^HTTP\/1\.1 \d{3}/)).toMatch(/400$|501$/)
    await connection.closed
    await rawRequest(layers.port, lastGet('/fence'))
    expect(targets()).toEqual(['/fence'])
  })
})

describe('F2: the body of every method reaches the origin framed, as one request', () => {
  test.each(METHODS)('F2: a chunked body on %s', async method => {
    const answer = await rawRequest(
      layers.port,
      head(`${method} /outer HTTP/1.1`, 'Host: a.test', 'Transfer-Encoding: chunked', 'Connection: close') + chunked([SMUGGLED]),
    )
    expect(answer.text).toMatch(/^HTTP\/1\.1 200 /)
    expect(targets()).toEqual(['/outer'])
    expect(origin.last.body.toString()).toBe(SMUGGLED)
    expect(origin.faults).toEqual([])
  })

  test.each(METHODS)('F2: a body with Content-Length on %s', async method => {
    const answer = await rawRequest(
      layers.port,
      head(`${method} /outer HTTP/1.1`, 'Host: a.test', `Content-Length: ${SMUGGLED.length}`, 'Connection: close') + SMUGGLED,
    )
    expect(answer.text).toMatch(/^HTTP\/1\.1 200 /)
    expect(targets()).toEqual(['/outer'])
    expect(origin.last.values('content-length')).toEqual([String(SMUGGLED.length)])
    expect(origin.last.body.toString()).toBe(SMUGGLED)
    expect(origin.faults).toEqual([])
  })

  test.each(METHODS)('F2: a body on %s that arrives in pieces', async method => {
    const connection = await RawConnection.open(layers.port)
    connection.write(head(`${method} /outer HTTP/1.1`, 'Host: a.test', 'Transfer-Encoding: chunked', 'Connection: close'))
    await until(() => origin.hits === 1, { what: 'the head at the origin' })
    for (let i = 0; i < 3; i++) {
      connection.write(`${SMUGGLED.length.toString(16)}\r\n${SMUGGLED}\r\n`)
      await until(() => origin.last.bodyBytes === SMUGGLED.length * (i + 1), { what: 'the chunk at the origin, at once' })
    }
    connection.write('0\r\n\r\n')
    expect((await connection.readResponse(method)).status).toBe(200)
    expect(targets()).toEqual(['/outer'])
    expect(origin.last.values('transfer-encoding')).toEqual(['chunked'])
    expect(origin.faults).toEqual([])
  })

  test('F2: a request through a connection of its own (TE: trailers) is framed as well', async () => {
    for (const method of METHODS) {
      const framing = ['Transfer-Encoding: chunked', 'TE: trailers', 'Connection: close']
      await rawRequest(layers.port, head(`${method} /outer HTTP/1.1`, 'Host: a.test', ...framing) + chunked([SMUGGLED]))
      expect(origin.last.body.toString()).toBe(SMUGGLED)
    }
    expect(targets()).toEqual(METHODS.map(() => '/outer'))
    expect(origin.faults).toEqual([])
  })
})

describe('F3: how the client learns the end of a body', () => {
  const LENGTH = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello'
  const CHUNKED = `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunked(['hel', 'lo'])}`
  const CLOSE = 'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello'
  const OLD = 'HTTP/1.0 200 OK\r\n\r\nhello'

  test.each([
    ['Content-Length', LENGTH, false, 'length'],
    ['chunks', CHUNKED, false, 'chunked'],
    ['the end of the connection', CLOSE, true, 'chunked'],
    ['the end of an HTTP/1.0 connection', OLD, true, 'chunked'],
  ])('F3: %s of the origin, on HTTP/1.1', async (_name, bytes, thenEnd, framing) => {
    answerBytes(bytes, thenEnd)
    const connection = await RawConnection.open(layers.port)
    const response = await connection.write(get('/')).readResponse()
    expect(response.body.toString()).toBe('hello')
    expect(valuesOf(response.fields, 'content-length')).toEqual(framing === 'length' ? ['5'] : [])
    expect(valuesOf(response.fields, 'transfer-encoding')).toEqual(framing === 'chunked' ? ['chunked'] : [])
    expect((await connection.write(get('/')).readResponse()).body.toString()).toBe('hello') // the connection is kept
  })

  test.each([
    ['Content-Length', LENGTH, false],
    ['chunks', CHUNKED, false],
    ['the end of the connection', CLOSE, true],
  ])('F3: %s of the origin, on HTTP/1.0', async (name, bytes, thenEnd) => {
    answerBytes(bytes, thenEnd)
    const answer = await rawRequest(layers.port, head('GET / HTTP/1.0', 'Host: a.test'))
    expect(answer.text).toMatch(/\r\n\r\nhello$/)
    expect(answer.text).not.toMatch(/chunked/)
    expect(/content-length: 5/i.test(answer.text)).toBe(name === 'Content-Length')
    expect(answer.closed).toBe('fin')
  })
})

describe('F4: an origin that miscounts', () => {
  test('F4: more bytes than Content-Length: the client gets as many as announced, the rest goes nowhere', async () => {
    answerBytes('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad')
    const connection = await RawConnection.open(layers.port)
    expect((await connection.write(get('/')).readResponse()).body.toString()).toBe('hello')
    answerBytes('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood')
    expect((await connection.write(get('/')).readResponse()).body.toString()).toBe('good')
    expect(origin.requests[1]!.connection).not.toBe(origin.requests[0]!.connection) // it was not used again
  })

  test('F4: fewer bytes than Content-Length are a cut', async () => {
    answerBytes('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello', true)
    const answer = await rawRequest(layers.port, get('/short'))
    expect(answer.text).toMatch(/Content-Length: 10\r\n[^]*\r\n\r\nhello$/)
    const line = await until(() => layers.accessLog.find(({ path }) => path === '/short'))
    expect(line).toMatchObject({ status: 200, error: 'ORIGIN_CLOSED', bytesOut: 5 })
  })
})

describe('F5: HEAD', () => {
  test.each(['Content-Length: 1000', 'Transfer-Encoding: chunked', 'X-None: 1'])(
    'F5: has no body, and keeps what %s says of GET',
    async line => {
      answerBytes(`HTTP/1.1 200 OK\r\n${line}\r\n\r\n`)
      const connection = await RawConnection.open(layers.port)
      const response = await connection.write(head('HEAD / HTTP/1.1', 'Host: a.test')).readResponse('HEAD')
      expect(valuesOf(response.fields, 'content-length')).toEqual(line.startsWith('Content-Length') ? ['1000'] : [])
      answerBytes('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext')
      expect((await connection.write(get('/')).readResponse()).body.toString()).toBe('next')
    },
  )

  test('F5: a body that the origin sends anyway reaches nobody, neither now nor as the next answer', async () => {
    answerBytes('HTTP/1.1 200 OK\r\nContent-Length: 38\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
    const connection = await RawConnection.open(layers.port)
    expect((await connection.write(head('HEAD / HTTP/1.1', 'Host: a.test')).readResponse('HEAD')).status).toBe(200)
    answerBytes('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext')
    expect((await connection.write(get('/')).readResponse()).body.toString()).toBe('next')
  })
})

describe('F6: answers that have no body', () => {
  test.each([
    ['204', 'HTTP/1.1 204 No Content\r\n\r\n', []],
    ['204 with Content-Length', 'HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n', []],
    ['304', 'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n', []],
    ['304 with the length of the 200', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n', ['1000']],
    ['205', 'HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n', ['0']],
  ])('F6: %s', async (_name, bytes, lengths) => {
    answerBytes(bytes)
    const connection = await RawConnection.open(layers.port)
    const response = await connection.write(get('/')).readResponse()
    expect(response.startLine).toBe(bytes.slice(0, bytes.indexOf('\r\n')))
    expect(valuesOf(response.fields, 'content-length')).toEqual(lengths)
    expect(valuesOf(response.fields, 'transfer-encoding')).toEqual([])
    answerBytes('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext')
    expect((await connection.write(get('/')).readResponse()).body.toString()).toBe('next')
  })

  test.each(['204 No Content', '304 Not Modified'])('F6: bytes behind %s reach nobody', async status => {
    answerBytes(`HTTP/1.1 ${status}\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad`)
    const connection = await RawConnection.open(layers.port)
    expect((await connection.write(get('/')).readResponse()).startLine).toBe(`HTTP/1.1 ${status}`)
    answerBytes('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood')
    expect((await connection.write(get('/')).readResponse()).body.toString()).toBe('good')
  })
})

describe('F12: chunk extensions', () => {
  test('F12: short ones are dropped', async () => {
    const raw = head('POST / HTTP/1.1', 'Host: a.test', 'Transfer-Encoding: chunked', 'Connection: close')
    const answer = await rawRequest(layers.port, `${raw}5;a=b;c="d"\r\nhello\r\n0;x\r\n\r\n`)
    expect(answer.text).toMatch(/^HTTP\/1\.1 200 /)
    expect(origin.last.body.toString()).toBe('hello')
    expect(origin.last.connection.text).not.toContain('a=b')
  })

  test('F12: a megabyte of them is refused', async () => {
    const connection = await RawConnection.open(layers.port)
    connection.write(`${head('POST / HTTP/1.1', 'Host: a.test', 'Transfer-Encoding: chunked')}5${';a=b'.repeat(262_144)}`)
    expect(await connection.read(/^HTTP\/1\.1 \d{3}/)).toMatch(/ 4\d\d$/)
    await connection.closed
  })
})

test('F13: tiny chunks are gathered on the link: a hundred thousand of one byte arrive, in far fewer messages', async () => {
  const relayed = await startLayers({ origin: origin.port, relay: {} })
  const count = 100_000
  const before = relayed.relay.bytes.up + relayed.relay.bytes.down
  const connection = await RawConnection.open(relayed.port)
  connection.write(head('POST / HTTP/1.1', 'Host: a.test', 'Transfer-Encoding: chunked') + '1\r\nx\r\n'.repeat(count) + '0\r\n\r\n')
  expect((await connection.readResponse('POST')).status).toBe(200)
  expect(origin.last.bodyBytes).toBe(count)
  // A frame has eight bytes of head or more, a message of the websocket four or more: one each would be over a megabyte.
  expect(relayed.relay.bytes.up + relayed.relay.bytes.down - before).toBeLessThan(count * 4)
})

describe('F14: pipelining', () => {
  test('F14: five hundred pipelined requests are answered in order, one at a time at the origin', async () => {
    let open = 0
    let most = 0
    origin.handle(async (request, socket) => {
      most = Math.max(most, ++open)
      await request.complete
      setImmediate(() => {
        open--
        socket.write(rawResponse(200, request.target))
      })
    })
    const connection = await RawConnection.open(layers.port)
    connection.write(Array.from({ length: 500 }, (_, i) => get(`/${i}`)).join(''))
    for (let i = 0; i < 500; i++) expect((await connection.readResponse()).body.toString()).toBe(`/${i}`)
    expect(most).toBe(1)
    expect(targets()).toEqual(Array.from({ length: 500 }, (_, i) => `/${i}`))
  })

  test('F14: pipelined uploads keep their bodies apart', async () => {
    origin.handle(async (request, socket) => {
      await request.complete
      socket.write(rawResponse(200, request.body))
    })
    const connection = await RawConnection.open(layers.port)
    const bodies = Array.from({ length: 30 }, (_, i) => `body ${i} `.repeat(i * 97))
    connection.write(
      bodies
        .map((body, i) =>
          i % 2 === 0
            ? head('POST / HTTP/1.1', 'Host: a.test', `Content-Length: ${body.length}`) + body
            : head('PUT / HTTP/1.1', 'Host: a.test', 'Transfer-Encoding: chunked') + chunked([body]),
        )
        .join(''),
    )
    for (const body of bodies) expect((await connection.readResponse()).body.toString()).toBe(body)
  })
})

describe('F15: HTTP/1.0', () => {
  test('F15: the connection is closed unless the client asks to keep it', async () => {
    const answer = await rawRequest(layers.port, head('GET / HTTP/1.0', 'Host: a.test'))
    expect(answer.text).toMatch(/^HTTP\/1\.1 200 [^]*\r\nConnection: close\r\n\r\nok$/)
    const connection = await RawConnection.open(layers.port)
    for (let i = 0; i < 2; i++) {
      const kept = await connection.write(head('GET / HTTP/1.0', 'Host: a.test', 'Connection: keep-alive')).readResponse()
      expect(valuesOf(kept.fields, 'connection')).toEqual(['keep-alive'])
      expect(kept.body.toString()).toBe('ok')
    }
  })

  test('F15: without Host it goes to the target *', async () => {
    expect((await rawRequest(layers.port, head('GET /old HTTP/1.0'))).text).toMatch(/^HTTP\/1\.1 200 /)
    expect(targets()).toEqual(['/old'])
    expect(origin.last.version).toBe('HTTP/1.1')
  })

  test('F15: a kept connection whose answer only ends with it is closed, and takes no further request', async () => {
    answerBytes(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunked(['hello'])}`)
    const one = head('GET /1 HTTP/1.0', 'Host: a.test', 'Connection: keep-alive')
    const answer = await rawRequest(layers.port, one + one)
    expect(answer.text).toMatch(/\r\n\r\nhello$/)
    await rawRequest(layers.port, lastGet('/fence'))
    expect(targets()).toEqual(['/1', '/fence'])
  })
})

describe('F16: an empty body and no body', () => {
  test('F16: Content-Length: 0 stays', async () => {
    await rawRequest(layers.port, head('POST / HTTP/1.1', 'Host: a.test', 'Content-Length: 0', 'Connection: close'))
    expect(origin.last.values('content-length')).toEqual(['0'])
    expect(origin.last.values('transfer-encoding')).toEqual([])
  })

  test('F16: a POST without framing goes on with Content-Length: 0, a GET or DELETE without any', async () => {
    for (const [method, lengths] of [
      ['POST', ['0']],
      ['PUT', ['0']],
      ['GET', []],
      ['DELETE', []],
    ] as const) {
      await rawRequest(layers.port, head(`${method} / HTTP/1.1`, 'Host: a.test', 'Connection: close'))
      expect(origin.last.values('content-length')).toEqual(lengths)
      expect(origin.last.values('transfer-encoding')).toEqual([])
    }
  })

  test('F16: an empty chunked body is an empty body', async () => {
    await rawRequest(layers.port, head('POST / HTTP/1.1', 'Host: a.test', 'Transfer-Encoding: chunked', 'Connection: close') + '0\r\n\r\n')
    expect(origin.last.isComplete).toBe(true)
    expect(origin.last.bodyBytes).toBe(0)
    expect(origin.faults).toEqual([])
  })
})

test('F17: an answer that nobody asked for is not the answer to the next request', async () => {
  const connection = await RawConnection.open(layers.port)
  expect((await connection.write(get('/')).readResponse()).body.toString()).toBe('ok')
  const kept = origin.last.connection
  kept.socket.write(rawResponse(200, 'forged'))
  await until(() => kept.closed !== 'no', { what: 'the connection of the forged answer to be dropped' })
  expect((await connection.write(get('/')).readResponse()).body.toString()).toBe('ok')
  expect(origin.last.connection === kept).toBe(false)
})
