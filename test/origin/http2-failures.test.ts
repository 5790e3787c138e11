/** HTTP/2 towards origins that break off, refuse, go away or speak something else. */
import { beforeAll, describe, expect, test } from '@jest/globals'
import { constants } from 'node:http2'
import { createServer as createTcpServer } from 'node:net'
import { CODE, data, END_STREAM, H2, headers, reset, startH2Origin, type H2Peer } from '../support/h2-frames.ts'
import { listen } from '../support/ports.ts'
import { until } from '../support/wait.ts'
import { answerOk, startAsking, startHttp2Origin, type Asking } from './asking.ts'

let asking: Asking
let http2: number
beforeAll(async () => {
  asking = await startAsking()
  http2 = asking.announce({ http2: true })
})

describe('the end of a stream', () => {
  /** An origin that sends a head and four bytes, then what `cut` says. */
  const startCutting = (cut: (peer: H2Peer, stream: number) => void): ReturnType<typeof startH2Origin> =>
    startH2Origin(({ type, stream }, peer) => {
      if (type !== H2.HEADERS) return
      peer.socket.write(Buffer.concat([headers(stream, [[':status', '200']]), data(stream, 'part')]))
      setImmediate(() => cut(peer, stream))
    })

  test.each(Object.entries(CODE))('F11: an answer that is cut with %s never looks complete', async (_name, code) => {
    const { port } = await startCutting((peer, stream) => peer.socket.write(reset(stream, code)))
    const ask = await asking.ask({ port, profile: http2 }).over()
    expect(ask.outcome).toMatch(/^ORIGIN_(?:CLOSED|BAD_RESPONSE)$/)
    expect(ask.head.status).toBe(200)
  })

  test.each(['end', 'resetAndDestroy'] as const)('F11: nor one whose connection ends, by %s', async how => {
    const { port } = await startCutting(({ socket }) => void socket[how]())
    expect(await asking.ask({ port, profile: http2 }).over()).toMatchObject({ outcome: 'ORIGIN_CLOSED' })
  })

  test('F4: nor one that is shorter or longer than it says', async () => {
    for (const length of ['2', '9']) {
      const { port } = await startH2Origin(({ type, stream }, { socket }) => {
        if (type !== H2.HEADERS) return
        socket.write(
          Buffer.concat([
            headers(stream, [
              [':status', '200'],
              ['content-length', length],
            ]),
            data(stream, 'part', END_STREAM),
          ]),
        )
      })
      expect((await asking.ask({ port, profile: http2 }).over()).outcome).toMatch(/^ORIGIN_(?:CLOSED|BAD_RESPONSE)$/)
    }
  })

  test('what the origin has sent whole arrives whole, though it closes at once and the reader is slow', async () => {
    const origin = await startHttp2Origin(stream => {
      stream.respond({ ':status': 200 })
      stream.end(Buffer.alloc(120_000, 'x'), () => stream.session?.close())
    })
    const ask = asking.ask({ port: origin.port, profile: http2 }, { consumes: false })
    // Many small pieces are gathered behind those that the reader holds.
    await until(() => ask.body.length >= 32_768)
    await until(() => origin.sessions[0]!.destroyed)
    let consumed = 0
    await until(() => {
      const held = ask.body.length - consumed
      consumed += held
      ask.stream.consumed(held)
      return consumed === 120_000
    })
    expect(await ask.over()).toMatchObject({ outcome: 'end' })
  })

  test('F10: a client that leaves takes its stream along', async () => {
    let code: number | undefined
    const origin = await startHttp2Origin(stream => stream.on('close', () => (code = stream.rstCode)))
    const ask = asking.ask({ port: origin.port, profile: http2 })
    await until(() => origin.streams.length === 1)
    ask.stream.reset('CANCELLED')
    await until(() => code !== undefined)
    expect(code).toBe(constants.NGHTTP2_CANCEL)
    origin.answer = answerOk
    expect(await asking.ask({ port: origin.port, profile: http2 }).over()).toMatchObject({ outcome: 'end' })
    expect(origin.sessions).toHaveLength(1)
  })
})

describe('what may be sent again', () => {
  test('a stream that the origin refuses goes out once more, whatever its method', async () => {
    const origin = await startHttp2Origin(stream => {
      if (origin.streams.length === 1) stream.close(constants.NGHTTP2_REFUSED_STREAM)
      else answerOk(stream)
    })
    const ask = await asking.ask({ port: origin.port, profile: http2, method: 'PATCH' }).over()
    expect(ask).toMatchObject({ outcome: 'end', body: Buffer.from('ok') })
    expect(origin.streams).toHaveLength(2)
  })

  test('and no more than once', async () => {
    const origin = await startHttp2Origin(stream => stream.close(constants.NGHTTP2_REFUSED_STREAM))
    expect(await asking.ask({ port: origin.port, profile: http2 }).over()).toMatchObject({ outcome: 'ORIGIN_CLOSED' })
    expect(origin.streams).toHaveLength(2)
  })

  test.each([
    ['GET', 'end', 3],
    ['POST', 'ORIGIN_CLOSED', 2],
  ])('K1: a kept connection that breaks: %s', async (method, outcome, streams) => {
    const origin = await startHttp2Origin(stream => {
      if (origin.streams.length === 2) origin.sockets[0]!.destroy()
      else answerOk(stream)
    })
    await asking.ask({ port: origin.port, profile: http2 }).over()
    expect(await asking.ask({ port: origin.port, profile: http2, method }).over()).toMatchObject({ outcome })
    expect(origin.streams).toHaveLength(streams)
  })

  test('after GOAWAY requests go out on a new connection, and those under way finish', async () => {
    const origin = await startHttp2Origin(() => undefined)
    const slow = asking.ask({ port: origin.port, profile: http2 })
    await until(() => origin.streams.length === 1)
    origin.sessions[0]!.close()
    origin.answer = answerOk
    await until(async () => {
      await asking.ask({ port: origin.port, profile: http2 }).over()
      return origin.sessions.length === 2
    })
    answerOk(origin.streams[0]!)
    expect(await slow.over()).toMatchObject({ outcome: 'end' })
  })
})

describe('an origin that cannot be used', () => {
  test.each([
    ['closes the connection', 'ORIGIN_CLOSED', ''],
    ['answers 400', 'ORIGIN_BAD_RESPONSE', 'HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n'],
  ])('speaks HTTP/1.1 alone, and %s', async (_name, outcome, answer) => {
    const port = await listen(createTcpServer(socket => socket.once('data', () => socket.end(answer)).on('error', () => undefined)))
    const ask = await asking.ask({ port, profile: http2 }).over()
    expect(ask).toMatchObject({ outcome, reason: expect.stringContaining('does the origin speak it?') as unknown })
  })

  test('is not there', async () => {
    const server = createTcpServer()
    const port = await listen(server)
    await new Promise(resolve => server.close(resolve))
    expect(await asking.ask({ port, profile: http2 }).over()).toMatchObject({ outcome: 'ORIGIN_REFUSED' })
  })

  test('accepts and says nothing', async () => {
    const port = await listen(createTcpServer())
    const profile = asking.announce({ http2: true, timeouts: { connectMs: 200 }, tls: { verify: false } })
    expect(await asking.ask({ protocol: 'https', port, profile }).over()).toMatchObject({ outcome: 'ORIGIN_CONNECT_TIMEOUT' })
  })

  test('is not allowed', async () => {
    const profile = http2
    expect(await asking.ask({ hostname: '169.254.169.254', port: 80, profile }).over()).toMatchObject({ outcome: 'ORIGIN_FORBIDDEN' })
  })

  test('sends a head that is too large', async () => {
    const origin = await startHttp2Origin(stream => stream.respond({ ':status': 200, 'x-large': 'x'.repeat(100_000) }))
    expect(await asking.ask({ port: origin.port, profile: http2 }).over()).toMatchObject({ outcome: 'ORIGIN_BAD_RESPONSE' })
  })
})
