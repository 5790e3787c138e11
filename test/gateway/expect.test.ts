/** Section 1.3, F7 to F9: interim answers, and final ones that come before the upload is over. */
import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { startLayers, type Layers } from '../support/layers.ts'
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
beforeEach(() => origin.clear())

const expecting = (...lines: readonly string[]): string => head('POST / HTTP/1.1', 'Host: a.test', 'Expect: 100-continue', ...lines)

describe('F7: Expect: 100-continue', () => {
  test('F7: the origin sees the expectation before any body, its 100 goes to the client, then the body to the origin', async () => {
    let bytesAtContinue = -1
    origin.handle(async (request, socket) => {
      bytesAtContinue = request.bodyBytes
      socket.write(head('HTTP/1.1 100 Continue'))
      await request.complete
      socket.write(rawResponse(201, 'made'))
    })
    const connection = await RawConnection.open(layers.port)
    connection.write(expecting('Content-Length: 5'))
    expect(await connection.read('\r\n\r\n')).toBe('HTTP/1.1 100 Continue\r\n\r\n')
    expect(origin.last.values('expect')).toEqual(['100-continue'])
    const response = await connection.write('hello').readResponse()
    expect(response.status).toBe(201)
    expect(bytesAtContinue).toBe(0)
    expect(origin.last.body.toString()).toBe('hello')
    expect((await connection.write(get('/next')).readResponse()).status).toBe(201) // the connection is kept
  })

  test.each([401, 413, 417, 302])('F7: an upload that the origin refuses with %d is never sent: zero bytes', async status => {
    origin.handle((_request, socket) => void socket.write(rawResponse(status, 'no')))
    const connection = await RawConnection.open(layers.port)
    connection.write(expecting('Content-Length: 1000000'))
    const response = await connection.readResponse()
    expect(response.status).toBe(status)
    expect(response.informational).toEqual([])
    expect(await connection.closed).toBe('fin') // whether the body follows is not known, so nothing may
    await until(() => origin.last.connection.closed !== 'no', { what: 'the origin to see the end' })
    expect(origin.last.bodyBytes).toBe(0)
  })

  test('F7: the client that sends its body anyway gets the refusal, and the origin none of it', async () => {
    origin.handle((_request, socket) => void socket.write(rawResponse(401, 'no')))
    const connection = await RawConnection.open(layers.port)
    connection.write(expecting('Content-Length: 100000') + 'x'.repeat(100_000) + get('/smuggled'))
    expect((await connection.readResponse()).status).toBe(401)
    await connection.closed
    await rawRequest(layers.port, lastGet('/fence'))
    expect(origin.requests.map(request => request.target)).toEqual(['/', '/fence'])
    expect(origin.requests[0]!.bodyBytes).toBe(0)
  })

  test('F7: a refusal of ours comes without 100 and closes', async () => {
    const answer = await rawRequest(
      layers.port,
      head('POST http://b/ HTTP/1.1', 'Host: a.test', 'Expect: 100-continue', 'Content-Length: 5'),
    )
    expect(answer.text).toMatch(/^HTTP\/1\.1 400 /)
    expect(origin.hits).toBe(0)
  })

  test('F7: an origin that knows nothing of it gets the body after a second', async () => {
    origin.handle(async (request, socket) => {
      await request.complete
      socket.write(rawResponse(200, request.body))
    })
    const connection = await RawConnection.open(layers.port)
    connection.write(expecting('Transfer-Encoding: chunked'))
    expect(await connection.read('\r\n\r\n')).toBe('HTTP/1.1 100 Continue\r\n\r\n')
    const response = await connection.write(chunked(['hello'])).readResponse()
    expect(response.body.toString()).toBe('hello')
    expect(origin.last.values('transfer-encoding')).toEqual(['chunked'])
  })

  test('F7: on HTTP/1.0 it is ignored', async () => {
    origin.handle(async (request, socket) => {
      await request.complete
      socket.write(rawResponse(200, 'ok'))
    })
    const answer = await rawRequest(
      layers.port,
      `${head('POST / HTTP/1.0', 'Host: a.test', 'Expect: 100-continue', 'Content-Length: 5')}hello`,
    )
    expect(answer.text).toMatch(/^HTTP\/1\.1 200 /)
    expect(origin.last.values('expect')).toEqual([])
  })

  test('F7: without a body there is nothing to wait for', async () => {
    origin.handle((_request, socket) => void socket.write(rawResponse(200, 'ok')))
    const answer = await rawRequest(layers.port, lastGet('/', 'Expect: 100-continue'))
    expect(answer.text).toMatch(/^HTTP\/1\.1 200 /)
    expect(origin.last.values('expect')).toEqual([])
  })

  test('F7: any other expectation is 417', async () => {
    const answer = await rawRequest(layers.port, head('POST / HTTP/1.1', 'Host: a.test', 'Expect: 200-maybe', 'Content-Length: 5'))
    expect(answer.text).toMatch(/^HTTP\/1\.1 417 [^]*EXPECTATION_FAILED/)
    expect(origin.hits).toBe(0)
  })

  test('F7: a 100 of the origin that nobody asked for is swallowed, and nothing is executed twice', async () => {
    origin.handle(async (request, socket) => {
      await request.complete
      socket.write(head('HTTP/1.1 100 Continue') + rawResponse(200, 'ok').toString())
    })
    const own = await startLayers({ origin: origin.port })
    const send = async (method: string, body: string): Promise<number> => {
      const connection = await RawConnection.open(own.port)
      connection.write(head(`${method} / HTTP/1.1`, 'Host: a.test', ...(body === '' ? [] : [`Content-Length: ${body.length}`])) + body)
      const { status, informational } = await connection.readResponse()
      expect(informational).toEqual([])
      return status
    }
    for (const [method, body] of [
      ['POST', 'hello'],
      ['GET', ''],
      ['POST', 'x'.repeat(100_000)],
      ['PUT', 'hello'],
    ] as const) {
      expect(await send(method, body)).toBe(200)
    }
    expect(origin.hits).toBe(4)
  })
})

describe('F8: interim answers', () => {
  const early = (count: number): string =>
    head('HTTP/1.1 103 Early Hints', 'Link: </a.css>; rel=preload', 'X-Latin: \xe9', 'Connection: X-Hop', 'X-Hop: 1').repeat(count)

  test('F8: 103 and others are relayed at once, in order, with their fields', async () => {
    let proceed: () => void = () => undefined
    origin.handle((_request, socket) => {
      socket.write(early(1) + head('HTTP/1.1 102 Processing') + early(1), 'latin1')
      proceed = () => void socket.write(rawResponse(200, 'ok'))
    })
    const connection = await RawConnection.open(layers.port)
    connection.write(get('/'))
    await connection
      .read(text => text.match(/HTTP\/1\.1 10[23]/g)?.length === 3 && text.endsWith('\r\n\r\n'))
      .then(text => {
        expect(text).toContain('Link: </a.css>; rel=preload\r\nX-Latin: \xe9\r\n')
        expect(text).not.toMatch(/x-hop|connection/i)
        expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 103', 'HTTP/1.1 102', 'HTTP/1.1 103'])
      })
    proceed()
    expect((await connection.readResponse()).body.toString()).toBe('ok')
    expect((await connection.write(get('/')).read(/HTTP\/1\.1 103/)).length).toBeGreaterThan(0)
  })

  test('F8: they pass on a connection of its own as well (TE: trailers)', async () => {
    origin.handle((_request, socket) => void socket.write(`${early(3)}HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n`, 'latin1'))
    const connection = await RawConnection.open(layers.port)
    const response = await connection.write(get('/', 'TE: trailers')).readResponse()
    expect(response.informational.map(({ startLine }) => startLine)).toEqual(Array.from({ length: 3 }, () => 'HTTP/1.1 103 Early Hints'))
  })

  test('F8: a client of HTTP/1.0 gets none', async () => {
    origin.handle((_request, socket) => void socket.write(`${early(2)}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok`, 'latin1'))
    const answer = await rawRequest(layers.port, head('GET / HTTP/1.0', 'Host: a.test'))
    expect(answer.text).toMatch(/^HTTP\/1\.1 200 /)
  })

  test('F8: a thousand of them are 502', async () => {
    origin.handle((_request, socket) => void socket.write(`${early(1_000)}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok`, 'latin1'))
    const answer = await rawRequest(layers.port, lastGet('/'))
    expect((answer.text.match(/HTTP\/1\.1 103/g) ?? []).length).toBeLessThanOrEqual(8)
    expect(answer.text).toMatch(/HTTP\/1\.1 502 [^]*ORIGIN_BAD_RESPONSE/)
  })

  test('F8: an unasked 101 is 502', async () => {
    origin.handle((_request, socket) => void socket.write(head('HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade', 'Upgrade: x')))
    for (const lines of [[], ['TE: trailers']]) {
      const answer = await rawRequest(layers.port, lastGet('/', ...lines))
      expect(answer.text).toMatch(/^HTTP\/1\.1 502 [^]*ORIGIN_BAD_RESPONSE/)
    }
  })
})

describe('F9: a final answer before the end of the upload', () => {
  const TOTAL = 100 * 1_048_576

  /** Uploads 100 MB as fast as they are taken, reading meanwhile; resolves with the answer and how much was taken. */
  const upload = async (): Promise<{ readonly status: number; readonly sent: number }> => {
    const connection = await RawConnection.open(layers.port)
    connection.write(head('POST /big HTTP/1.1', 'Host: a.test', `Content-Length: ${TOTAL}`))
    const piece = Buffer.alloc(65_536, 'x')
    let sent = 0
    const send = (): void => {
      while (sent < TOTAL && !connection.socket.destroyed) {
        sent += piece.length
        if (!connection.socket.write(piece)) return
      }
    }
    connection.socket.on('drain', send)
    connection.socket.on('error', () => undefined)
    send()
    const { status } = await connection.readResponse('POST')
    await connection.closed
    return { status, sent: sent - connection.socket.writableLength }
  }

  test('F9: 413 right after the head: the client reads it although it goes on sending, and the upload stops', async () => {
    origin.handle((_request, socket) => void socket.write(rawResponse(413, 'too much')))
    const { status, sent } = await upload()
    expect(status).toBe(413)
    expect(sent).toBeLessThan(TOTAL / 2)
    await until(() => origin.last.connection.closed !== 'no', { what: 'the connection to the origin to end' })
    expect(origin.last.bodyBytes).toBeLessThan(TOTAL / 10)
  })

  test('F9: 413 and a close in the middle: the client reads it', async () => {
    origin.handle(async (request, socket) => {
      await until(() => request.bodyBytes > 1_000_000)
      socket.end(rawResponse(413, 'too much', ['Connection: close']))
    })
    const { status, sent } = await upload()
    expect(status).toBe(413)
    expect(sent).toBeLessThan(TOTAL)
  })

  test('F9: a refusal of ours is read as well', async () => {
    const refusing = await startLayers({
      origin: origin.port,
      targets: 'targets:\n  "a.test": {protocol: http, hostname: 127.0.0.1, port: {port}, policy: {"/": ["GET"]}}\n',
    })
    const connection = await RawConnection.open(refusing.port)
    connection.write(head('POST / HTTP/1.1', 'Host: a.test', `Content-Length: ${TOTAL}`))
    connection.socket.on('error', () => undefined)
    for (let i = 0; i < 64; i++) connection.write(Buffer.alloc(65_536))
    expect((await connection.readResponse()).status).toBe(403)
    expect(origin.hits).toBe(0)
  })

  test('F9: an origin that answers while it reads is no refusal: both go on to the end', async () => {
    origin.handle(async (request, socket) => {
      socket.write(head('HTTP/1.1 200 OK', 'Transfer-Encoding: chunked') + '5\r\nbegin\r\n')
      await request.complete
      socket.write('3\r\nend\r\n0\r\n\r\n')
    })
    const connection = await RawConnection.open(layers.port)
    connection.write(head('POST / HTTP/1.1', 'Host: a.test', 'Transfer-Encoding: chunked'))
    await connection.read(/begin\r\n/)
    connection.write(chunked(['hello']))
    expect(await connection.read(/end\r\n0\r\n\r\n/)).toContain('end')
    expect(origin.last.body.toString()).toBe('hello')
  })
})
