/** HTTP/2 at the edge, with prior knowledge; the same exchange as HTTP/1, so here is what frames make of it. */
import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { constants } from 'node:http2'
import { H2Client, type H2Answer } from '../support/h2-client.ts'
import { startLayers, type Layers } from '../support/layers.ts'
import { head } from '../support/message.ts'
import { rawRequest } from '../support/raw-client.ts'
import { rawResponse, startRawOrigin, type RawOrigin } from '../support/raw-origin.ts'
import { until } from '../support/wait.ts'

let origin: RawOrigin
let layers: Layers
let client: H2Client

beforeAll(async () => {
  origin = await startRawOrigin()
  layers = await startLayers({ origin: origin.port, outer: { appH2c: true } })
  client = H2Client.open(layers.port)
})
beforeEach(() => {
  origin.clear()
  origin.handle(async (request, socket) => {
    await request.complete
    socket.write(rawResponse(200, request.method === 'HEAD' ? '' : 'ok'))
  })
})

const expectHealthy = async (): Promise<void> => {
  origin.handle((_request, socket) => void socket.write(rawResponse(200, 'healthy')))
  expect((await client.get()).text).toBe('healthy')
  expect([...layers.outerLogs, ...layers.innerLogs].filter(record => record.level === 'error')).toEqual([])
}

describe('requests', () => {
  test('H7: reach the origin as HTTP/1.1, with the fields of any request', async () => {
    const answer = await client.get({ ':path': '/a?b', 'x-a': ['1', '2'], cookie: ['a=1', 'b=2'], te: 'trailers' })
    expect(answer).toMatchObject({ status: 200, code: 0 })
    expect(answer.text).toBe('ok')
    const { last } = origin
    expect(last.startLine).toBe('GET /a?b HTTP/1.1')
    expect(last.values('host')).toEqual([`127.0.0.1:${origin.port}`])
    expect(last.values('x-a')).toEqual(['1', '2'])
    expect(last.values('cookie')).toEqual(['a=1; b=2'])
    expect(last.values('te')).toEqual(['trailers'])
    expect(last.values('x-forwarded-host')).toEqual(['a.test'])
    expect(last.values('x-forwarded-proto')).toEqual(['http'])
    expect(last.values('x-sg-passed')[0]).toMatch(/^sg-/)
    const line = await layers.accessLine(layers.accessLog.length)
    expect(line).toMatchObject({ method: 'GET', path: '/a', host: 'a.test', status: 200, bytesOut: 2, client: '127.0.0.1' })
  })

  test('HTTP/1.1 goes on beside it, on the same port', async () => {
    const answer = await rawRequest(layers.port, 'GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n')
    expect(answer.text).toMatch(/^HTTP\/1\.1 200 /)
    // A method that begins like the preface.
    const other = await rawRequest(layers.port, 'PROPFIND / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n')
    expect(other.text).toMatch(/^HTTP\/1\.1 200 /)
  })

  test('many at a time, each with its own answer', async () => {
    origin.handle(async (request, socket) => {
      await request.complete
      socket.write(rawResponse(200, request.target))
    })
    const answers = await Promise.all(Array.from({ length: 300 }, (_, i) => client.get({ ':path': `/${i}` })))
    expect(answers.map(answer => answer.text)).toEqual(answers.map((_, i) => `/${i}`))
  })

  test.each<readonly [string, Record<string, string>, number]>([
    ['another Host', { host: 'b.test' }, 400],
    ['CONNECT', { ':method': 'CONNECT' }, 405],
    ['TRACE', { ':method': 'TRACE' }, 405],
    ['a long path', { ':path': `/${'x'.repeat(9000)}` }, 414],
    ['an odd expectation', { expect: 'x' }, 417],
    ['a head of 40 KiB', { 'x-large': 'x'.repeat(40_960) }, 431],
  ])('%s gets an answer of ours', async (_name, headers, status) => {
    const answer = await client.get(headers)
    expect(answer).toMatchObject({ status, code: 0 })
    expect(answer.values('proxy-status')[0]).toContain('socket-gateway; error=')
    expect(origin.hits).toBe(0)
    await expectHealthy()
  })

  test('201 fields get 431', async () => {
    const answer = await client.get(Object.fromEntries(Array.from({ length: 201 }, (_, i) => [`x-${i}`, '1'])))
    expect(answer.status).toBe(431)
  })
})

describe('uploads', () => {
  test('of known and of unknown length', async () => {
    await client.get({ ':method': 'POST', 'content-length': '3' }, 'abc')
    expect(origin.last.values('content-length')).toEqual(['3'])
    expect(origin.last.body.toString()).toBe('abc')
    await client.get({ ':method': 'POST' }, 'abcd')
    expect(origin.last.body.toString()).toBe('abcd')
    await client.get({ ':method': 'POST' })
    expect(origin.last.values('transfer-encoding')).toEqual([])
  })

  test('with trailers', async () => {
    const answer = client.session.request({ ':method': 'POST', ':authority': 'a.test', trailer: 'x-sum' }, { waitForTrailers: true })
    answer.on('wantTrailers', () => answer.sendTrailers({ 'x-sum': '7', host: 'evil' }))
    answer.end('abc')
    await until(() => origin.hits === 1)
    await origin.last.complete
    expect(origin.last.trailers).toEqual([['x-sum', '7']])
  })

  test('16 MiB both ways', async () => {
    origin.handle(async (request, socket) => {
      await request.complete
      socket.write(rawResponse(200, request.body, ['Content-Type: x/y']))
    })
    const sent = Buffer.alloc(4 << 20, 'HTTP/2 ')
    const answer = await client.get({ ':method': 'POST' }, sent)
    expect(answer.body.equals(sent)).toBe(true)
  })

  test('F9: an early answer comes at once, and the rest of the upload is not wanted', async () => {
    origin.handle((_request, socket) => void socket.end(rawResponse(413, 'too much', ['Connection: close'])))
    const answer = client.ask({ ':method': 'POST' }, { open: true })
    answer.stream.write(Buffer.alloc(100_000))
    await answer.closed()
    expect(answer).toMatchObject({ status: 413, code: 0 })
    expect(answer.text).toBe('too much')
    await until(() => layers.outer.registry.connections[0]!.session.streamCount === 0)
  })

  test('F7: 100 comes when the origin says so, and a refusal without it', async () => {
    origin.handle(async (request, socket) => {
      socket.write(head('HTTP/1.1 100 Continue'))
      await request.complete
      socket.write(rawResponse(200, 'done'))
    })
    const answer = client.ask({ ':method': 'POST', expect: '100-continue', 'content-length': '3' }, { open: true })
    await until(() => answer.interims.length === 1)
    expect(answer.interims[0]!.status).toBe(100)
    expect(origin.last.bodyBytes).toBe(0)
    answer.stream.end('abc')
    expect((await answer.closed()).text).toBe('done')

    origin.handle((_request, socket) => void socket.write(rawResponse(401, 'no')))
    const refused = client.ask({ ':method': 'POST', expect: '100-continue', 'content-length': '3' }, { open: true })
    await refused.closed()
    expect(refused).toMatchObject({ status: 401, interims: [], code: 0 })
  })

  test.each([
    ['NO_ERROR', constants.NGHTTP2_NO_ERROR],
    ['CANCEL', constants.NGHTTP2_CANCEL],
  ])('F10: an upload that its client resets with %s is cut at the origin, and never complete', async (_name, code) => {
    const answer = client.ask({ ':method': 'POST' }, { open: true })
    // Without its END_STREAM, which Node would send before a reset.
    answer.stream.write('abc')
    await until(() => origin.hits === 1 && origin.last.bodyBytes === 3)
    if (code === constants.NGHTTP2_CANCEL) answer.stream.close(code)
    else client.session.destroy()
    await until(() => origin.last.isCut || origin.last.isComplete)
    if (code === constants.NGHTTP2_NO_ERROR) {
      expect(origin.last.isCut).toBe(true)
      client = H2Client.open(layers.port)
    }
    await expectHealthy()
  })
})

describe('answers', () => {
  test('pass fields, trailers and interim heads', async () => {
    origin.handle((_request, socket) => {
      socket.write(head('HTTP/1.1 103 Early Hints', 'Link: </a>'))
      socket.write(
        head(
          'HTTP/1.1 200 OK',
          'Transfer-Encoding: chunked',
          'Trailer: X-Sum',
          'X-MiXeD: 1',
          'Set-Cookie: a=1',
          'Set-Cookie: b=2',
          'Connection: x-hop',
          'X-Hop: 1',
        ),
      )
      socket.write('2\r\nhi\r\n0\r\nX-Sum: 9\r\nAuthorization: 7\r\n\r\n')
    })
    const answer = await client.get({ te: 'trailers' })
    expect(answer.interims).toEqual([{ status: 103, fields: ['link', '</a>'] }])
    expect(answer).toMatchObject({ status: 200, code: 0, trailers: ['x-sum', '9'] })
    expect(answer.values('x-mixed')).toEqual(['1'])
    expect(answer.values('set-cookie')).toEqual(['a=1', 'b=2'])
    expect(answer.fields).not.toContain('x-hop')
    expect(answer.fields).not.toContain('transfer-encoding')
  })

  test.each<readonly [string, string, number]>([
    ['HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n', 200],
    ['GET', 'HTTP/1.1 204 No Content\r\n\r\n', 204],
    ['GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n', 304],
    ['GET', 'HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n', 205],
    ['GET', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', 200],
  ])('F5, F6: %s: %j has no body', async (method, text, status) => {
    origin.handle((_request, socket) => void socket.write(text))
    const answer = await client.get({ ':method': method })
    expect(answer).toMatchObject({ status, code: 0, hasEnded: true })
    expect(answer.body).toHaveLength(0)
    await until(() => layers.accessLog.at(-1)?.status === status)
    expect(layers.accessLog.at(-1)!.error).toBeUndefined()
  })

  test('an answer of unknown length comes as it is written', async () => {
    let write: (text: string) => void = () => undefined
    origin.handle((_request, socket) => {
      socket.write(head('HTTP/1.1 200 OK', 'Content-Type: text/event-stream'))
      write = text => socket.write(text)
    })
    const answer = client.ask()
    await until(() => answer.status === 200)
    for (const [index, event] of ['a', 'b', 'c'].entries()) {
      write(event)
      await until(() => answer.body.length === index + 1)
    }
    answer.stream.close(constants.NGHTTP2_CANCEL)
    await until(() => origin.last.connection.closed !== 'no')
    await until(() => layers.accessLog.at(-1)?.error === 'CANCELLED')
  })

  test.each([
    ['chunks', 'Transfer-Encoding: chunked', '4\r\npart\r\n'],
    ['a length', 'Content-Length: 9', 'part'],
  ])('F11: an answer in %s that is cut is reset, and never looks complete', async (_name, framing, bytes) => {
    origin.handle((_request, socket) => {
      socket.write(head('HTTP/1.1 200 OK', framing) + bytes)
      socket.end()
    })
    const answer = await client.get()
    expect(answer).toMatchObject({ status: 200, code: constants.NGHTTP2_INTERNAL_ERROR })
    expect(answer.text).toBe('part')
    await until(() => layers.accessLog.at(-1)?.error === 'ORIGIN_CLOSED')
    await expectHealthy()
  })

  test('a reader that stands still stops the origin, and not the other streams', async () => {
    let written = 0
    origin.handle((request, socket) => {
      if (request.target !== '/endless') return void socket.write(rawResponse(200, 'ok'))
      socket.write(head('HTTP/1.1 200 OK', 'Transfer-Encoding: chunked'))
      const fill = (): void => {
        while (written < 64 << 20 && socket.write(`4000\r\n${'x'.repeat(0x4000)}\r\n`)) written += 0x4000
      }
      socket.on('drain', fill)
      fill()
    })
    const slow = client.ask({ ':path': '/endless' })
    slow.stream.pause()
    let before = -1
    await until(async () => {
      await client.get()
      const isStill = before === written && written > 0
      before = written
      return isStill
    })
    expect(written).toBeLessThan(16 << 20)
    expect((await client.get()).text).toBe('ok')
    slow.stream.close(constants.NGHTTP2_CANCEL)
    await until(() => layers.outer.registry.connections[0]!.session.streamCount === 0)
  })
})

test('drain: GOAWAY, what is under way finishes, new streams are refused', async () => {
  const own = await startLayers({ origin: origin.port, outer: { appH2c: true } })
  let finish: () => void = () => undefined
  origin.handle((_request, socket) => {
    finish = () => socket.write(rawResponse(200, 'late'))
  })
  const draining = H2Client.open(own.port)
  const slow: H2Answer = draining.ask()
  await until(() => origin.hits === 1)
  let goAway: number | undefined
  draining.session.on('goaway', (code: number) => (goAway = code))
  const closing = own.outer.close()
  await until(() => goAway !== undefined)
  expect(goAway).toBe(constants.NGHTTP2_NO_ERROR)
  finish()
  expect((await slow.closed()).text).toBe('late')
  await closing
})

test('an idle connection is told to go, and leaves', async () => {
  const own = await startLayers({ origin: origin.port, outer: { appH2c: true, keepAliveMs: 100 } })
  const idle = H2Client.open(own.port)
  expect((await idle.get()).text).toBe('ok')
  await until(() => idle.session.destroyed)
})
