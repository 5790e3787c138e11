/** Answers of origins that end in a hurry, break off, or bring bytes that other clients lose. */
import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { connect } from 'node:net'
import { startLayers, type Layers } from '../support/layers.ts'
import { chunked, head, lastGet } from '../support/message.ts'
import { RawConnection, rawRequest } from '../support/raw-client.ts'
import { rawResponse, startRawOrigin, type RawOrigin } from '../support/raw-origin.ts'

let origin: RawOrigin
let layers: Layers
beforeAll(async () => {
  origin = await startRawOrigin()
  layers = await startLayers({ origin: origin.port })
})
beforeEach(() => origin.clear())

/** Reads an answer up to the end of its connection, a few kilobytes each turn, so that whoever sends has to wait. */
const readSlowly = (port: number, request: string): Promise<string> =>
  new Promise((resolve, reject) => {
    let text = ''
    const socket = connect({ port, host: '127.0.0.1' }, () => socket.write(request))
    socket.setEncoding('latin1')
    socket.on('data', (part: string) => {
      text += part
      socket.pause()
      setTimeout(() => socket.resume(), 1)
    })
    socket.on('end', () => resolve(text))
    socket.on('error', reject)
  })

describe('an origin that closes while its readers are slow', () => {
  const BYTES = 1_000_000
  const body = 'z'.repeat(BYTES)

  test.each([
    ['HTTP/1.0', 'HTTP/1.0 200 OK\r\n\r\n'],
    ['HTTP/1.0 with a length', `HTTP/1.0 200 OK\r\nContent-Length: ${BYTES}\r\n\r\n`],
    ['Connection: close', 'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n'],
    ['Connection: close with a length', `HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: ${BYTES}\r\n\r\n`],
  ])('%s: twelve at once get all of it', async (_name, start) => {
    origin.handle((_request, socket) => void socket.end(start + body))
    const answers = await Promise.all(Array.from({ length: 12 }, () => readSlowly(layers.port, lastGet('/'))))
    for (const answer of answers) {
      expect(answer).toMatch(/^HTTP\/1\.1 200 /)
      expect(answer.split('z').length - 1).toBe(BYTES)
    }
  })
})

describe('an answer that breaks off is 502, or its head and a cut, and never nothing', () => {
  const text = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'

  test.each([
    ['a bad chunk size in the segment of the head', `${text}zz\r\n`, 502],
    ['a chunk and a bad one in the segment of the head', `${text}5\r\nhello\r\nzz\r\n`, 502],
    ['a chunk longer than its size', `${text}5\r\nhello!\r\n`, 502],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok', 502],
  ])('%s', async (_name, bytes, status) => {
    origin.handle((_request, socket) => void socket.write(bytes))
    for (let i = 0; i < 20; i++) {
      const answer = await rawRequest(layers.port, lastGet('/'))
      expect(answer.text).toMatch(new RegExp(`^HTTP/1\\.1 ${status} [^]*ORIGIN_BAD_RESPONSE`))
    }
  })

  test.each(['end', 'resetAndDestroy'] as const)('in the middle of a body: %s', async how => {
    for (const bytes of [`${text}5\r\nhello\r\n`, 'HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello']) {
      origin.handle((_request, socket) => void socket.write(bytes, () => socket[how]()))
      for (let i = 0; i < 10; i++) {
        const answer = await rawRequest(layers.port, lastGet('/'))
        expect(answer.text).toMatch(/^HTTP\/1\.1 (?:200|502) /)
        if (answer.text.startsWith('HTTP/1.1 200')) expect(answer.text).not.toMatch(/\r\n0\r\n\r\n$/)
      }
    }
  })
})

test('a reason phrase and fields keep their bytes', async () => {
  origin.handle((_request, socket) => void socket.write('HTTP/1.1 200 Gr\xfc\xdfe\r\nX-A: \xe9\r\nContent-Length: 0\r\n\r\n', 'latin1'))
  const answer = await rawRequest(layers.port, lastGet('/'))
  expect(answer.text).toMatch(/^HTTP\/1\.1 200 Gr\xfc\xdfe\r\n/)
  expect(answer.text).toContain('X-A: \xe9\r\n')
})

test('trailers of a large upload reach the origin, also when nobody has announced them', async () => {
  origin.handle(async (request, socket) => {
    await request.complete
    socket.write(rawResponse(200, 'ok'))
  })
  const connection = await RawConnection.open(layers.port)
  connection.write(head('PUT / HTTP/1.1', 'Host: a.test', 'Transfer-Encoding: chunked'))
  connection.write(
    chunked(
      Array.from({ length: 20 }, () => 'x'.repeat(50_000)),
      'X-Sum: abc',
    ),
  )
  expect((await connection.readResponse()).status).toBe(200)
  expect(origin.last.bodyBytes).toBe(1_000_000)
  expect(origin.last.trailers).toEqual([['X-Sum', 'abc']])
})
