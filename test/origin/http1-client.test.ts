/** The own HTTP/1.1 client towards origins: connections, framing, back-pressure, faults. */
import { createServer, type Socket } from 'node:net'
import { connect } from 'node:net'
import { describe, expect, test } from '@jest/globals'
import type { Dialer } from '../../src/origin/dial.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { mintServer } from '../support/certificates.ts'
import { head } from '../support/message.ts'
import { listen } from '../support/ports.ts'
import { rawResponse, startRawOrigin } from '../support/raw-origin.ts'
import { until } from '../support/wait.ts'
import { answerOk, startHttp2Origin } from './asking.ts'
import { startOrigins, Told } from './origins.ts'

/** An origin that plays bytes to whoever connects and says something, then does what it is told. */
const startPlayer = async (bytes: string | Buffer, then: (socket: Socket) => void = () => undefined): Promise<number> => {
  const server = createServer(socket => {
    socket.on('error', () => undefined)
    socket.once('data', () => socket.write(bytes, 'latin1' as never, () => then(socket)))
  })
  return listen(server)
}

const { ask } = startOrigins()

describe('a connection', () => {
  test('is kept, and used again', async () => {
    const origin = await startRawOrigin()
    for (let i = 0; i < 5; i++) expect(await ask({ port: origin.port }).over()).toMatchObject({ status: 200, body: 'ok' })
    expect(origin.connections).toHaveLength(1)
  })

  test.each([
    ['Connection: close', 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok'],
    ['Connection: x, Close', 'HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 2\r\n\r\nok'],
    ['HTTP/1.0', 'HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok'],
    ['HTTP/1.0 with chunks', 'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n'],
    ['more than its answer', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad'],
    ['Keep-Alive: timeout=1', 'HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 2\r\n\r\nok'],
    ['204 with a body', 'HTTP/1.1 204 No\r\nContent-Length: 2\r\n\r\n'],
  ])('is not used again after %s', async (_name, text) => {
    const origin = await startRawOrigin((_request, socket) => void socket.write(text))
    for (let i = 0; i < 3; i++) expect((await ask({ port: origin.port }).over()).failure).toBeUndefined()
    expect(origin.connections).toHaveLength(3)
  })

  test('of HTTP/1.0 is kept when the origin says so', async () => {
    const origin = await startRawOrigin(
      (_request, socket) => void socket.write('HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok'),
    )
    for (let i = 0; i < 3; i++) expect((await ask({ port: origin.port }).over()).body).toBe('ok')
    expect(origin.connections).toHaveLength(1)
  })

  test('that says something while nobody asks is ended, and poisons nothing', async () => {
    const origin = await startRawOrigin()
    await ask({ port: origin.port }).over()
    origin.connections[0]!.socket.write(rawResponse(200, 'poison'))
    await until(() => origin.connections[0]!.closed !== 'no')
    expect((await ask({ port: origin.port }).over()).body).toBe('ok')
  })

  test.each([
    ['an answer', rawResponse(200, 'poison'), 3],
    ['408, as servers do that give up an idle one', rawResponse(408, 'late'), 2],
  ])('to an origin that has said %s while nobody asked is used as often as it is trusted', async (_what, unasked, connections) => {
    const origin = await startRawOrigin()
    await ask({ port: origin.port }).over()
    origin.connections[0]!.socket.write(unasked)
    await until(() => origin.connections[0]!.closed !== 'no')
    for (let i = 0; i < 2; i++) expect((await ask({ port: origin.port }).over()).body).toBe('ok')
    expect(origin.connections).toHaveLength(connections)
  })

  test('of a request that was given up is ended, and no other one is made for it', async () => {
    const origin = await startRawOrigin(() => undefined)
    for (let i = 1; i <= 5; i++) {
      const told = ask({ port: origin.port })
      await until(() => origin.requests.length === i)
      told.call!.abort()
      await until(() => origin.connections.at(-1)!.closed !== 'no')
    }
    origin.handle((_request, socket) => void socket.write(rawResponse(200, 'ok')))
    await ask({ port: origin.port }).over()
    expect(origin.connections).toHaveLength(6)
  })

  test('gets no new request after a minute; what is under way on it goes on', async () => {
    let nowMs = 0
    let finish: () => void = () => undefined
    const origin = await startRawOrigin((request, socket) => {
      if (request.target !== '/slow') return void socket.write(rawResponse(200, 'ok', ['Keep-Alive: timeout=600']))
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab')
      finish = () => void socket.write('cd')
    })
    const own = startOrigins({ clock: () => nowMs })
    const slow = own.ask({ port: origin.port, path: '/slow' })
    await until(() => slow.body === 'ab')
    for (nowMs = 0; nowMs < 59_000; nowMs += 3_000) await own.ask({ port: origin.port }).over()
    expect(origin.connections).toHaveLength(2)
    nowMs = 61_000
    await own.ask({ port: origin.port }).over()
    expect(origin.connections).toHaveLength(3)
    finish()
    expect((await slow.over()).body).toBe('abcd')
  })

  test('of HTTP/2 gets no new stream after a minute; its streams go on', async () => {
    let nowMs = 0
    const origin = await startHttp2Origin(answerOk)
    const own = startOrigins({ clock: () => nowMs })
    const answer = origin.answer
    origin.answer = stream => stream.respond({ ':status': 200 })
    const slow = own.ask({ port: origin.port }, { driver: 'http2' })
    await until(() => slow.status === 200)
    origin.answer = answer
    nowMs = 59_000
    await own.ask({ port: origin.port }, { driver: 'http2' }).over()
    expect(origin.sessions).toHaveLength(1)
    nowMs = 61_000
    await own.ask({ port: origin.port }, { driver: 'http2' }).over()
    expect(origin.sessions).toHaveLength(2)
    origin.streams[0]!.end('late')
    expect((await slow.over()).body).toBe('late')
  })

  test('may be made by another dialer: plain, with TLS over it, and for HTTP/2', async () => {
    const { certificatePem: cert, privateKeyPem: key } = await mintServer(['origin.test'])
    const plain = await startRawOrigin()
    const secure = await startRawOrigin(undefined, { tls: { cert, key } })
    const http2 = await startHttp2Origin(answerOk)
    const dialled: string[] = []
    const dialer: Dialer = {
      dial: (hostname, port, signal) =>
        new Promise((resolve, reject) => {
          dialled.push(hostname)
          const socket = connect({ port, host: '127.0.0.1', signal })
          socket.once('connect', () => resolve(socket))
          socket.once('error', reject)
        }),
    }
    const own = startOrigins({ dialer })
    const hostname = 'origin.test' // nobody resolves it
    expect(await own.ask({ hostname, port: plain.port }).over()).toMatchObject({ body: 'ok' })
    const profile = { tls: { ca: cert } }
    for (let i = 0; i < 2; i++)
      expect(await own.ask({ protocol: 'https', hostname, port: secure.port }, { profile }).over()).toMatchObject({
        failure: undefined,
        body: 'ok',
      })
    expect(await own.ask({ hostname, port: http2.port }, { driver: 'http2' }).over()).toMatchObject({ body: 'ok' })
    expect(dialled).toEqual([hostname, hostname, hostname])
    const given = own.ask({ hostname, port: plain.port, method: 'PUT' })
    given.call!.abort()
    await own.ask({ hostname, port: 1 }).over()
    expect(given.seen).not.toContain('failed')
  })
})

describe('a message', () => {
  test.each(['http1', 'http2'] as const)('without a body has none, whatever its method and fields: %s', async driver => {
    const origin = await startRawOrigin()
    const http2 = await startHttp2Origin((stream, _headers, raw) => {
      stream.respond({ ':status': 200 })
      stream.end(JSON.stringify([raw, stream.readableEnded || stream.endAfterHeaders]))
    })
    for (const method of ['MKCOL', 'PROPFIND', 'COPY', 'GET', 'DELETE', 'get', 'Custom']) {
      const told = await ask({ method, port: driver === 'http1' ? origin.port : http2.port, fields: ['TE', 'trailers'] }, { driver }).over()
      expect(told.status).toBe(200)
      if (driver === 'http1') {
        expect(origin.last.method).toBe(method)
        expect(origin.last.values('transfer-encoding')).toEqual([])
        expect(origin.last.values('content-length')).toEqual([])
        expect(origin.last.values('connection')).toEqual(['keep-alive, TE'])
      } else {
        const [raw, isEnded] = JSON.parse(told.body) as [string[], boolean]
        expect(raw[raw.indexOf(':method') + 1]).toBe(method)
        expect(raw).not.toContain('content-length')
        expect(isEnded).toBe(true)
      }
    }
    expect(origin.connections.length + http2.sessions.length).toBe(1)
  })

  test.each(['http1', 'http2'] as const)('with a method that opens, echoes or debugs is refused in any case: %s', async driver => {
    const origin = await startRawOrigin()
    for (const method of ['TRACE', 'trace', 'TrAcE', 'CONNECT', 'connect', 'TRACK', 'track', 'DEBUG', 'debug', '', 'G ET', 'GET\r\nX: y']) {
      expect(() => ask({ method, port: origin.port }, { driver })).toThrow(expect.objectContaining({ code: 'ORIGIN_BAD_REQUEST' }))
    }
    expect(origin.connections).toHaveLength(0)
  })

  test.each([
    ['path', { path: '/a b' }],
    ['path', { path: '/a\r\nX: y' }],
    ['host', { host: 'a\r\nX: y' }],
    ['name', { fields: ['X y', 'z'] }],
    ['name', { fields: ['', 'z'] }],
    ['value', { fields: ['X', 'a\r\nY: b'] }],
    ['value', { fields: ['X', 'a\nb'] }],
    ['value', { fields: ['X', 'a\0b'] }],
  ])('that would be another one on the wire is refused: a %s', async (_what, parts) => {
    expect(() => ask({ port: 1, ...parts })).toThrow(expect.objectContaining({ code: 'ORIGIN_BAD_REQUEST' }))
  })

  test('keeps the bytes of reason, fields and trailers, announced or not', async () => {
    const port = await startPlayer(
      'HTTP/1.1 200 \xfcber\xff\r\nX: \xe9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-T: \xe8\r\n\r\n',
    )
    const told = await ask({ port }).over()
    expect(told).toMatchObject({ status: 200, reason: '\xfcber\xff', body: 'ok', trailers: ['X-T', '\xe8'] })
    expect(told.fields).toContain('\xe9')
  })

  test('whose head has a bad chunk behind it in one piece is refused as a whole; in two pieces it is cut', async () => {
    const text = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'
    const whole = await ask({ port: await startPlayer(`${text}5\r\nhello\r\nzz\r\n`) }).over()
    expect(whole).toMatchObject({ status: 0, failure: { code: 'ORIGIN_BAD_RESPONSE' } })
    const told = new Told()
    const port = await startPlayer(`${text}5\r\nhello\r\n`, socket => {
      until(() => told.body === 'hello').then(
        () => socket.write('zz\r\n'),
        () => undefined,
      )
    })
    await ask({ port }, { told }).over()
    expect(told).toMatchObject({ status: 200, body: 'hello', trailers: undefined, failure: { code: 'ORIGIN_BAD_RESPONSE' } })
  })
})

describe('back-pressure', () => {
  const BYTES = 5_000_000
  const body = 'x'.repeat(BYTES)

  test.each([
    ['Content-Length', `HTTP/1.1 200 OK\r\nContent-Length: ${BYTES}\r\n\r\n${body}`],
    ['Connection: close', `HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n${body}`],
    ['HTTP/1.0', `HTTP/1.0 200 OK\r\n\r\n${body}`],
    ['chunks', `HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n${BYTES.toString(16)}\r\n${body}\r\n0\r\n\r\n`],
  ])('a reader that stands still stops the origin, and gets all of it in the end: %s', async (_name, text) => {
    const port = await startPlayer(text, socket => socket.end())
    const told = new Told()
    told.wants = false
    ask({ port }, { told })
    await until(() => told.bytes > 0)
    for (let resumed = 0; resumed < 20; resumed++) {
      const before = told.bytes
      // Nothing comes of itself: what was read is what was asked for.
      await new Promise(resolve => setImmediate(resolve))
      expect(told.bytes).toBe(before)
      told.call!.resume()
      await until(() => told.bytes > before)
      expect(told.bytes - before).toBeLessThanOrEqual(262_144)
    }
    told.wants = true
    told.call!.resume()
    await told.over()
    expect(told.failure).toBeUndefined()
    expect(told.bytes).toBe(BYTES)
  })

  test('a connection that ends while its reader stands still loses nothing, a hundred times', async () => {
    const text = `HTTP/1.0 200 OK\r\n\r\n${'y'.repeat(100_000)}`
    const port = await startPlayer(text, socket => socket.end())
    await Promise.all(
      Array.from({ length: 100 }, async () => {
        const told = new Told()
        told.wants = false
        ask({ port }, { told })
        while (told.trailers === undefined && told.failure === undefined) {
          await new Promise(resolve => setImmediate(resolve))
          told.call!.resume()
        }
        expect(told).toMatchObject({ failure: undefined, bytes: 100_000 })
      }),
    )
  })
})

describe('what fails', () => {
  const codeOf = async (told: Told): Promise<string> => (await told.over()).failure?.code ?? String(told.status)

  test.each(['http1', 'http2'] as const)('before a connection stands has the code that says so: %s', async driver => {
    const free = await startRawOrigin()
    await free.close()
    const { certificatePem: cert, privateKeyPem: key } = await mintServer(['origin.test'])
    const secure = await startRawOrigin(undefined, { tls: { cert, key } })
    const closing = createServer(socket => {
      socket.on('error', () => undefined)
      socket.once('data', () => socket.destroy())
    })
    const closingPort = await listen(closing)
    const silent = createServer(socket => socket.on('error', () => undefined))
    const silentPort = await listen(silent)
    onCleanUp(() => {
      closing.close()
      silent.close()
    })
    expect(await codeOf(ask({ port: free.port }, { driver }))).toBe('ORIGIN_REFUSED')
    expect(await codeOf(ask({ hostname: 'no-such-host.invalid', port: 80 }, { driver }))).toBe('ORIGIN_DNS')
    expect(await codeOf(ask({ protocol: 'https', port: secure.port }, { driver }))).toBe('ORIGIN_TLS')
    const closed = ask({ protocol: 'https', port: closingPort }, { driver })
    expect(await codeOf(closed)).toBe('ORIGIN_TLS')
    expect(closed.failure!.message).toContain('does it speak TLS?')
    const plain = ask({ port: closingPort, method: 'POST' }, { driver })
    expect(await codeOf(plain)).toBe('ORIGIN_CLOSED')
    if (driver === 'http1') expect(plain.failure!.message).toContain('if it speaks TLS, give its target "protocol: https"')
    const profile = { timeouts: { connectMs: 200 } }
    expect(await codeOf(ask({ protocol: 'https', port: silentPort }, { driver, profile }))).toBe('ORIGIN_CONNECT_TIMEOUT')
    const talking = await startPlayer('HTTP/1.1 400 Bad Request\r\n\r\n')
    const noTls = ask({ protocol: 'https', port: talking }, { driver })
    expect(await codeOf(noTls)).toBe('ORIGIN_TLS')
    expect(noTls.failure!.message).toContain('"protocol: http"')
  })

  test.each([
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok', 'ORIGIN_BAD_RESPONSE'],
    ['length and chunked', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 'ORIGIN_BAD_RESPONSE'],
    ['no HTTP', 'SSH-2.0-OpenSSH_9.6\r\n', 'ORIGIN_BAD_RESPONSE'],
    ['a line that is none, and nothing behind it', 'HTTP/1.1 200 OK\nServer: x\n\n', 'ORIGIN_BAD_RESPONSE'],
    ['TLS', '\x15\x03\x01\x00\x02\x02\x46', 'ORIGIN_BAD_RESPONSE'],
    [
      'a switch that nobody asked for',
      head('HTTP/1.1 101 Switching Protocols', 'Upgrade: x', 'Connection: upgrade'),
      'ORIGIN_BAD_RESPONSE',
    ],
    ['a head that is too large', `HTTP/1.1 200 OK\r\nX: ${'y'.repeat(70_000)}\r\n\r\n`, 'ORIGIN_BAD_RESPONSE'],
    ['a head without end', `HTTP/1.1 200 OK\r\nX: ${'y'.repeat(70_000)}`, 'ORIGIN_BAD_RESPONSE'],
    ['201 fields', `HTTP/1.1 200 OK\r\n${'a: b\r\n'.repeat(201)}\r\n`, 'ORIGIN_BAD_RESPONSE'],
    ['201 trailers', `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n${'a: b\r\n'.repeat(201)}\r\n`, 'ORIGIN_BAD_RESPONSE'],
  ])('because of %s has the code that says so, without waiting for more', async (_name, text, code) => {
    expect(await codeOf(ask({ port: await startPlayer(text) }))).toBe(code)
  })

  test('the protocol of an origin that answers in TLS is named', async () => {
    const told = await ask({ port: await startPlayer('\x15\x03\x01\x00\x02\x02\x46') }).over()
    expect(told.failure!.message).toContain('https')
  })

  test.each(['end', 'destroy', 'resetAndDestroy'] as const)('in the middle of an answer is closed: %s', async how => {
    for (const text of ['HTTP/1.1 200 OK\r\nContent-', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel']) {
      expect(await codeOf(ask({ port: await startPlayer(text, socket => socket[how]()), method: 'POST' }))).toBe('ORIGIN_CLOSED')
    }
  })

  test('a body that ends with its connection is cut when that is reset', async () => {
    const told = new Told()
    const port = await startPlayer('HTTP/1.1 200 OK\r\n\r\nhello', socket => {
      until(() => told.body === 'hello').then(
        () => socket.resetAndDestroy(),
        () => undefined,
      )
    })
    await ask({ port }, { told }).over()
    expect(told).toMatchObject({ body: 'hello', trailers: undefined, failure: { code: 'ORIGIN_CLOSED' } })
  })
})

describe('a throw in what an origin causes is the failure of that exchange', () => {
  const answer = `${head('HTTP/1.1 103 Early Hints')}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok`

  test.each([
    ['http1', 'connected'],
    ['http1', 'interim'],
    ['http1', 'head'],
    ['http1', 'data'],
    ['http2', 'head'],
    ['http2', 'data'],
  ] as const)('%s, %s', async (driver, throwsAt) => {
    const origin = await startRawOrigin((_request, socket) => void socket.write(answer))
    const http2 = await startHttp2Origin(answerOk)
    const told = new Told()
    told.throwsAt = throwsAt
    ask({ port: driver === 'http1' ? origin.port : http2.port }, { driver, told })
    await until(() => told.failure !== undefined)
    expect(told.failure).toMatchObject({ code: 'INTERNAL', message: `a fault in ${throwsAt}` })
    expect(told.seen.filter(event => event === 'failed')).toHaveLength(1)
    if (driver === 'http1') await until(() => origin.connections[0]!.closed !== 'no')
  })

  test.each(['end', 'failed'])('%s: nobody is told any more, and the next one is served', async throwsAt => {
    const origin = await startRawOrigin((request, socket) => {
      if (request.method === 'POST') socket.destroy()
      else socket.write(answer)
    })
    const told = new Told()
    told.throwsAt = throwsAt
    ask({ port: origin.port, method: throwsAt === 'failed' ? 'POST' : 'GET' }, { told })
    await until(() => told.seen.includes(throwsAt))
    expect((await ask({ port: origin.port }).over()).body).toBe('ok')
  })
})
