/** HTTP/2 towards origins: what Node's own server receives and sends. */
import { beforeAll, describe, expect, test } from '@jest/globals'
import { encodeFields } from '../../src/payload/byte-codec.ts'
import { STREAM_BODY, type RequestHead } from '../../src/http/message.ts'
import { DEFAULT_LIMITS } from '../../src/mux/limits.ts'
import { creditToRead } from '../../src/mux/read-limit.ts'
import { until } from '../support/wait.ts'
import { answerOk, startAsking, startHttp2Origin, type Asking } from './asking.ts'

const WINDOW_BYTES = DEFAULT_LIMITS.windowBytes

let asking: Asking
let http2: number
beforeAll(async () => {
  asking = await startAsking()
  http2 = asking.announce({ http2: true })
})

describe('a request over HTTP/2 with prior knowledge', () => {
  test('has its pseudo-header fields, its fields in order and no field of a connection', async () => {
    let seen: readonly string[] = []
    const origin = await startHttp2Origin((stream, headers, raw) => {
      seen = raw
      answerOk(stream)
    })
    const ask = await asking
      .ask({
        port: origin.port,
        profile: http2,
        path: '/a?b',
        host: 'origin.test:8080',
        fields: [
          'X-Dup',
          '1',
          'X-dup',
          '2',
          'TE',
          'trailers',
          'Connection',
          'close',
          'Keep-Alive',
          '5',
          'Cookie',
          'a=1; b=2',
          '__proto__',
          'p',
          'X-E',
          '',
        ],
      })
      .over()
    expect(ask).toMatchObject({ outcome: 'end', body: Buffer.from('ok') })
    expect(ask.head).toMatchObject({ status: 200, reason: '' })
    expect(seen).toEqual([
      ...[':method', 'GET', ':scheme', 'http', ':authority', 'origin.test:8080', ':path', '/a?b'],
      ...['x-dup', '1', 'x-dup', '2', 'te', 'trailers', 'cookie', 'a=1; b=2', '__proto__', 'p', 'x-e', ''],
    ])
  })

  test('bytes beyond ASCII pass unchanged, both ways', async () => {
    let seen = ''
    const origin = await startHttp2Origin((stream, headers) => {
      seen = String(headers['x-latin'])
      stream.respond({ ':status': 200, 'x-latin': '\xe9\xc3\xa9' })
      stream.end()
    })
    const ask = await asking.ask({ port: origin.port, profile: http2, fields: ['X-Latin', '\xe9\xc3\xa9'] }).over()
    expect(seen).toBe('\xe9\xc3\xa9')
    expect(ask.head.fields).toEqual(expect.arrayContaining(['x-latin', '\xe9\xc3\xa9']))
  })

  test('shares one connection with others', async () => {
    const origin = await startHttp2Origin(answerOk)
    await Promise.all(Array.from({ length: 20 }, () => asking.ask({ port: origin.port, profile: http2 }).over()))
    expect(origin.sessions).toHaveLength(1)
    expect(origin.streams).toHaveLength(20)
  })

  test('opens another connection when one has as many streams as the origin takes', async () => {
    const origin = await startHttp2Origin(() => undefined, { maxConcurrentStreams: 2 })
    const first = asking.ask({ port: origin.port, profile: http2 })
    await until(() => origin.streams.length === 1)
    const more = Array.from({ length: 3 }, () => asking.ask({ port: origin.port, profile: http2 }))
    await until(() => origin.streams.length === 4)
    expect(origin.sessions).toHaveLength(2)
    for (const stream of origin.streams) answerOk(stream)
    for (const ask of [first, ...more]) expect(await ask.over()).toMatchObject({ outcome: 'end' })
  })

  test('an answer without a body says so in its head', async () => {
    const origin = await startHttp2Origin(stream => stream.respond({ ':status': 200, 'grpc-status': '5' }, { endStream: true }))
    const ask = await asking.ask({ port: origin.port, profile: http2 }).over()
    expect(ask).toMatchObject({ outcome: 'end', trailers: undefined })
    expect(ask.head).toMatchObject({ body: { kind: 'none' } })
    expect(ask.head.fields).toEqual(expect.arrayContaining(['grpc-status', '5']))
  })

  test('trailers pass both ways', async () => {
    let seen: unknown
    const origin = await startHttp2Origin(stream => {
      stream.on('trailers', trailers => (seen = trailers))
      stream.respond({ ':status': 200 }, { waitForTrailers: true })
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0', 'x-two': ['a', 'b'] }))
      stream.resume()
      stream.on('end', () => stream.end('body'))
    })
    const ask = asking.ask({ port: origin.port, profile: http2, method: 'POST', body: STREAM_BODY }, { end: false })
    ask.stream.write(Buffer.from('up'))
    ask.stream.end(encodeFields(['X-Sum', '9']))
    await ask.over()
    expect(ask).toMatchObject({ outcome: 'end', trailers: ['grpc-status', '0', 'x-two', 'a', 'x-two', 'b'], body: Buffer.from('body') })
    expect(seen).toMatchObject({ 'x-sum': '9' })
  })

  test('both directions flow at the same time, before either has ended', async () => {
    const origin = await startHttp2Origin(stream => {
      stream.respond({ ':status': 200 })
      stream.on('data', (chunk: Buffer) => stream.write(`<${chunk.toString()}>`))
      stream.on('end', () => stream.end('.'))
    })
    const ask = asking.ask({ port: origin.port, profile: http2, method: 'POST', body: STREAM_BODY }, { end: false })
    await until(() => ask.heads.length === 1)
    for (const [index, word] of ['a', 'b', 'c'].entries()) {
      ask.stream.write(Buffer.from(word))
      await until(() => ask.body.length === 3 * (index + 1))
    }
    ask.stream.end()
    expect((await ask.over()).body.toString()).toBe('<a><b><c>.')
  })

  test('an early answer is delivered, and the upload is given up', async () => {
    let code: number | undefined
    const origin = await startHttp2Origin(stream => {
      stream.on('close', () => (code = stream.rstCode))
      stream.respond({ ':status': 413 })
      stream.end('too much')
    })
    const ask = asking.ask({ port: origin.port, profile: http2, method: 'POST', body: STREAM_BODY }, { end: false })
    ask.stream.write(Buffer.alloc(100_000))
    await until(() => ask.body.length === 8)
    expect(ask.head.status).toBe(413)
    ask.stream.end()
    await until(() => code !== undefined)
    expect(await ask.over()).toMatchObject({ outcome: 'end' })
  })

  test('interim answers pass, and 100 comes only when the origin says so', async () => {
    const origin = await startHttp2Origin(stream => {
      stream.additionalHeaders({ ':status': 103, link: '</a>' })
      stream.additionalHeaders({ ':status': 100 })
      stream.on('data', () => undefined)
      stream.on('end', () => answerOk(stream))
    })
    const ask = asking.ask(
      { port: origin.port, profile: http2, method: 'POST', body: { kind: 'length', length: 3 }, expectsContinue: true },
      { end: false },
    )
    await until(() => ask.interims.length === 2)
    expect(ask.interims).toMatchObject([{ status: 103, fields: ['link', '</a>'] }, { status: 100 }])
    ask.stream.write(Buffer.from('abc'))
    ask.stream.end()
    expect(await ask.over()).toMatchObject({ outcome: 'end' })
  })

  test('8 MiB pass both ways, byte for byte', async () => {
    const origin = await startHttp2Origin(stream => {
      stream.respond({ ':status': 200 })
      stream.pipe(stream)
    })
    const ask = asking.ask({ port: origin.port, profile: http2, method: 'POST', body: STREAM_BODY }, { end: false })
    const sent = Buffer.alloc(8 << 20, 'socket-gateway')
    for (let at = 0; at < sent.length; at += 65_536) ask.stream.write(sent.subarray(at, at + 65_536))
    ask.stream.end()
    expect((await ask.over()).body.equals(sent)).toBe(true)
  })

  test('a reader that stands still stops the origin', async () => {
    let written = 0
    const origin = await startHttp2Origin(stream => {
      stream.respond({ ':status': 200 })
      const fill = (): void => {
        while (written < 64 << 20 && stream.write(Buffer.alloc(16_384))) written += 16_384
      }
      stream.on('drain', fill)
      fill()
    })
    const ask = asking.ask({ port: origin.port, profile: http2 }, { consumes: false })
    // With less credit than this a stream reads no more; how much of it is left hangs on the pieces in which Node.js hands them on.
    await until(() => ask.body.length > WINDOW_BYTES - creditToRead(WINDOW_BYTES))
    let before = -1
    await until(() => {
      const isStill = before === written
      before = written
      return isStill
    })
    expect(written).toBeLessThan(1 << 20)
    ask.stream.reset('CANCELLED')
    await until(() => origin.streams[0]!.destroyed)
  })
})

test.each<Partial<RequestHead>>([
  { method: 'CONNECT' },
  { method: 'GET\0:path\0/x' },
  { path: '/a\0\0x-evil\x001' },
  { path: '/a b' },
  { host: 'a\r\nb' },
  { fields: ['X', 'a\0\0x-evil\x001'] },
  { fields: ['X\0', 'a'] },
  { fields: [':path', '/other'] },
  { fields: ['X Y', 'a'] },
])('nothing of an evil outer layer gets into the fields: %j', async parts => {
  const origin = await startHttp2Origin(answerOk)
  expect(await asking.ask({ port: origin.port, profile: http2, ...parts }).over()).toMatchObject({ outcome: 'ORIGIN_BAD_REQUEST' })
  expect(origin.streams).toHaveLength(0)
  expect(await asking.ask({ port: origin.port, profile: http2 }).over()).toMatchObject({ outcome: 'end' })
  expect(asking.logs.filter(record => record.level === 'error')).toEqual([])
})
