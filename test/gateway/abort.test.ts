/** Section 1.3, F10 and F11: either side that leaves is seen by the other, and truncated data never looks complete. */
import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { get as httpGet } from 'node:http'
import { startLayers, type AccessLine, type Layers } from '../support/layers.ts'
import { chunked, get, head, lastGet } from '../support/message.ts'
import { RawConnection, rawRequest } from '../support/raw-client.ts'
import { rawResponse, startRawOrigin, type RawOrigin } from '../support/raw-origin.ts'
import { until } from '../support/wait.ts'

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

const lineOf = (path: string): Promise<AccessLine> =>
  until(() => layers.accessLog.find(line => line.path === path), { what: `the access line of ${path}` })

const expectHealthy = async (): Promise<void> => {
  const answer = await rawRequest(layers.port, lastGet('/healthy'))
  expect(answer.text).toMatch(/^HTTP\/1\.1 200 /)
  expect([...layers.outerLogs, ...layers.innerLogs].filter(record => record.level === 'error')).toEqual([])
}

describe('F10: a client that leaves takes its origin request along', () => {
  test.each(['reset', 'end', 'destroy'] as const)('F10: W20: during the upload, by %s', async how => {
    origin.handle(() => undefined)
    const connection = await RawConnection.open(layers.port)
    connection.write(`${head(`POST /upload-${how} HTTP/1.1`, 'Host: a.test', 'Content-Length: 1000')}abc`)
    await until(() => origin.hits === 1 && origin.last.bodyBytes === 3, { what: 'the beginning of the upload' })
    connection[how]()
    await until(() => origin.last.isCut)
    expect(await lineOf(`/upload-${how}`)).toMatchObject({ status: 499, error: 'CANCELLED', bytesIn: 3, bytesOut: 0 })
  })

  test.each(['reset', 'end', 'destroy'] as const)('F10: W20: while it waits for an answer, by %s', async how => {
    origin.handle(() => undefined)
    const connection = await RawConnection.open(layers.port)
    connection.write(get(`/wait-${how}`))
    await until(() => origin.hits === 1)
    connection[how]()
    await until(() => origin.last.connection.closed !== 'no')
    expect(await lineOf(`/wait-${how}`)).toMatchObject({ status: 499, error: 'CANCELLED' })
  })

  test.each(['reset', 'end', 'destroy'] as const)('F10: W20: during the answer, by %s', async how => {
    let written = 0
    origin.handle((_request, socket) => {
      socket.write(head('HTTP/1.1 200 OK', 'Transfer-Encoding: chunked'))
      const timer = setInterval(() => {
        if (socket.write('3\r\nabc\r\n')) written++
      })
      socket.on('close', () => clearInterval(timer))
    })
    const connection = await RawConnection.open(layers.port)
    connection.write(get(`/stream-${how}`))
    await connection.read(/abc/)
    connection[how]()
    await expectGoneFrom(how)
    expect(await lineOf(`/stream-${how}`)).toMatchObject({ status: 200, error: 'CANCELLED' })
    expect(written).toBeGreaterThan(0)
  })

  const expectGoneFrom = async (how: string): Promise<void> => {
    const request = origin.requests.find(({ target }) => target === `/stream-${how}`)!
    await until(() => request.connection.closed !== 'no' || request.connection.socket.destroyed)
    origin.handle((_request, socket) => void socket.write(rawResponse(200, 'ok')))
    await expectHealthy()
  }

  test('F10: the request of an answer that nobody reads is given up when the client leaves', async () => {
    origin.handle((_request, socket) => {
      socket.write(head('HTTP/1.1 200 OK', `Content-Length: ${1 << 30}`))
      const piece = Buffer.alloc(1 << 16)
      const send = (): void => {
        while (!socket.destroyed && socket.write(piece));
      }
      socket.on('drain', send)
      socket.on('error', () => undefined)
      send()
    })
    const connection = await RawConnection.open(layers.port)
    connection.write(get('/frozen'))
    connection.freeze()
    const { connection: toOrigin } = await until(() => origin.requests[0])
    await until(() => toOrigin.socket.writableNeedDrain, { what: 'the origin to be stopped' })
    connection.destroy()
    await until(() => toOrigin.socket.destroyed, { what: 'the origin to see the client leave' })
    origin.handle((_request, socket) => void socket.write(rawResponse(200, 'ok')))
    await expectHealthy()
  })

  test('F10: a client that has left before its turn never reaches the origin', async () => {
    origin.handle(() => undefined)
    const connection = await RawConnection.open(layers.port)
    connection.write(get('/first') + get('/second') + get('/third'))
    await until(() => origin.hits === 1)
    connection.reset()
    await until(() => origin.requests[0]!.connection.closed !== 'no')
    expect(origin.requests.map(({ target }) => target).filter(target => target !== '/healthy')).toEqual(['/first'])
  })
})

describe('F11: W21: an origin that dies in the middle of its answer is seen as a cut', () => {
  const LENGTH = head('HTTP/1.1 200 OK', 'Content-Length: 100')
  const CHUNKED = head('HTTP/1.1 200 OK', 'Transfer-Encoding: chunked')

  const dieAfter = (bytes: string, how: 'end' | 'resetAndDestroy'): void =>
    origin.handle((_request, socket) => {
      socket.write(bytes)
      // The reset must not overtake what came before it.
      setTimeout(() => socket[how](), 20)
    })

  test.each([
    ['Content-Length', 'end', `${LENGTH}part`],
    ['Content-Length', 'resetAndDestroy', `${LENGTH}part`],
    ['chunks', 'end', `${CHUNKED}4\r\npart\r\n`],
    ['chunks', 'resetAndDestroy', `${CHUNKED}4\r\npart\r\n`],
    ['a chunk', 'end', `${CHUNKED}64\r\npart`],
    ['a chunk', 'resetAndDestroy', `${CHUNKED}64\r\npart`],
    ['the end of the connection', 'resetAndDestroy', `${head('HTTP/1.1 200 OK', 'Connection: close')}part`],
  ] as const)('F11: after a part of a body framed by %s, by %s', async (_framing, how, bytes) => {
    for (const lines of [[], ['TE: trailers']]) {
      dieAfter(bytes, how)
      const answer = await rawRequest(layers.port, get('/', ...lines))
      expect(answer.text).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
      expect(answer.text).toMatch(/part(?:\r\n)?$/) // what came is delivered, without a last chunk
    }
  })

  test('F11: HTTP/1.0, where only the end of the connection tells, gets a reset', async () => {
    dieAfter(`${CHUNKED}4\r\npart\r\n`, 'end')
    const answer = await rawRequest(layers.port, head('GET / HTTP/1.0', 'Host: a.test'))
    expect(answer.closed).toBe('rst')
  })

  test('F11: node:http, as a client, calls it aborted', async () => {
    dieAfter(`${CHUNKED}4\r\npart\r\n`, 'end')
    const outcome = await new Promise(resolve => {
      const request = httpGet({ port: layers.port, host: '127.0.0.1', headers: { host: 'a.test' } }, response => {
        response.resume()
        response.on('error', (error: Error & { code?: string }) => resolve(error.code))
        response.on('end', () => resolve('end'))
      })
      request.on('error', reason => resolve(reason))
    })
    expect(outcome).toBe('ECONNRESET')
  })

  test('F11: before the head it is 502, at once', async () => {
    for (const how of ['end', 'resetAndDestroy'] as const) {
      for (const bytes of ['', 'HTTP/1.1 200 OK\r\nContent-Le']) {
        dieAfter(bytes, how)
        const answer = await rawRequest(
          layers.port,
          `${head('POST / HTTP/1.1', 'Host: a.test', 'Content-Length: 2', 'Connection: close')}ab`,
        )
        expect(answer.text).toMatch(/^HTTP\/1\.1 502 [^]*ORIGIN_/)
      }
    }
  })

  test('W2: an origin that dies in every phase leaves both layers alive', async () => {
    const whole = `${CHUNKED}${chunked(['hello', 'world'], 'X-T: 1')}`
    for (let length = 0; length < whole.length; length++) {
      origin.handle((_request, socket) => void socket.end(whole.slice(0, length)))
      const answer = await rawRequest(layers.port, lastGet('/'))
      expect(answer.text).not.toMatch(/^HTTP\/1\.1 200 [^]*\r\n0\r\n(?:X-T: 1\r\n)?\r\n$/)
    }
    origin.handle((_request, socket) => void socket.write(whole))
    await expectHealthy()
  })
})

describe('W1: a client that leaves at any byte of its request', () => {
  const REQUESTS = {
    'with Content-Length': `${head('POST /p HTTP/1.1', 'Host: a.test', 'Content-Length: 11', 'X-A: b')}hello world`,
    chunked: head('PUT /p HTTP/1.1', 'Host: a.test', 'Transfer-Encoding: chunked', 'Trailer: X-T') + chunked(['hello', 'world'], 'X-T: 1'),
    'with Expect': `${head('POST /p HTTP/1.1', 'Host: a.test', 'Content-Length: 5', 'Expect: 100-continue')}hello`,
    pipelined: get('/1') + get('/2'),
  }

  test.each(Object.entries(REQUESTS))('W1: %s, leaves both layers alive and nothing open', async (_name, raw) => {
    const offsets = Array.from({ length: raw.length }, (_, i) => i)
    for (const how of ['reset', 'end'] as const) {
      // A hundred at a time: the point is the offsets, not the number of sockets.
      for (let first = 0; first < offsets.length; first += 100) {
        await Promise.all(
          offsets.slice(first, first + 100).map(async offset => {
            const connection = await RawConnection.open(layers.port)
            connection.socket.write(raw.slice(0, offset), 'latin1', () => connection[how]())
            await connection.closed
          }),
        )
      }
    }
    await until(() => layers.outer.registry.connections[0]!.session.streamCount === 0, { what: 'every stream to end' })
    await expectHealthy()
  })
})
