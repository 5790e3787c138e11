/** Plain requests are read and answered without node:http: nothing that a client sees may tell. */
import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { startLayers, type Layers } from '../support/layers.ts'
import { RawConnection } from '../support/raw-client.ts'
import { rawResponse, startRawOrigin, type RawOrigin } from '../support/raw-origin.ts'
import { until } from '../support/wait.ts'

const TARGETS = 'targets:\n  a.test: {protocol: http, hostname: 127.0.0.1, port: {port}}\n'
let origin: RawOrigin
let layers: Layers

beforeAll(async () => {
  origin = await startRawOrigin()
  layers = await startLayers({ origin: origin.port, targets: TARGETS, logLevel: 'info', outer: { keepAliveMs: 65_000 } })
})
beforeEach(() => {
  origin.clear()
})

const request = (method: string, path: string, ...lines: readonly string[]): string =>
  [`${method} ${path} HTTP/1.1`, 'Host: a.test', ...lines, '', ''].join('\r\n')
const GET = request('GET', '/')
/** An empty line before a request is for node:http to skip. */
const LEFT_TO_NODE = '\r\n'

const BIG = Buffer.alloc(300_000, 'socket-gateway ')
const CHUNKS = `5\r\nhello\r\n4\r\n you\r\n0\r\n`
const head = (...lines: readonly string[]): string => `${lines.join('\r\n')}\r\n\r\n`

describe('the answer is the same, byte for byte', () => {
  test.each([
    ['a length', 'GET', head('HTTP/1.1 200 OK', 'Content-Length: 2', 'Date: now') + 'ok'],
    ['a reason of its own', 'GET', head('HTTP/1.1 299 Quite \xfcber', 'Content-Length: 0', 'X: \xe9\t1', 'Date: now')],
    ['no reason', 'GET', head('HTTP/1.1 200 ', 'Content-Length: 0', 'Date: now')],
    ['no Date', 'GET', head('HTTP/1.1 200 OK', 'Content-Length: 2') + 'ok'],
    [
      'fields that come twice',
      'GET',
      head('HTTP/1.1 200 OK', 'Set-Cookie: a=b', 'set-cookie: c=d', 'Date: now', 'Content-Length: 2') + 'ok',
    ],
    ['chunks', 'GET', `${head('HTTP/1.1 200 OK', 'Transfer-Encoding: chunked', 'Date: now')}${CHUNKS}\r\n`],
    ['trailers', 'GET', `${head('HTTP/1.1 200 OK', 'Transfer-Encoding: chunked', 'Trailer: X-T', 'Date: now')}${CHUNKS}X-T: 1\r\n\r\n`],
    ['no body, in chunks', 'GET', `${head('HTTP/1.1 200 OK', 'Transfer-Encoding: chunked', 'Date: now')}0\r\n\r\n`],
    ['HEAD', 'HEAD', head('HTTP/1.1 200 OK', 'Content-Length: 1234', 'Date: now')],
    ['HEAD without a length', 'HEAD', head('HTTP/1.1 200 OK', 'Transfer-Encoding: chunked', 'Date: now')],
    ['204', 'GET', head('HTTP/1.1 204 No Content', 'Date: now')],
    ['304', 'GET', head('HTTP/1.1 304 Not Modified', 'ETag: "a"', 'Date: now')],
    [
      '103 before it',
      'GET',
      head('HTTP/1.1 103 Early Hints', 'Link: </a>') + head('HTTP/1.1 200 OK', 'Content-Length: 2', 'Date: now') + 'ok',
    ],
    ['a long body', 'GET', Buffer.concat([Buffer.from(head('HTTP/1.1 200 OK', `Content-Length: ${BIG.length}`, 'Date: now')), BIG])],
    ['a fault of the origin', 'GET', 'HTTP/9 nonsense\r\n\r\n'],
  ] as const)('%s', async (_what, method, bytes) => {
    origin.handle((_request, socket) => void socket.write(bytes, 'latin1'))
    const answers: string[] = []
    for (const before of ['', LEFT_TO_NODE]) {
      const client = await RawConnection.open(layers.port)
      client.write(before + request(method, '/'))
      const answer = await client.readResponse(method)
      // A second one says that the first one has ended where it says.
      client.write(before + request(method, '/'))
      await client.readResponse(method)
      answers.push(JSON.stringify([answer.startLine, answer.fields, answer.trailers, answer.body.toString('latin1')]))
    }
    const [quick, nodes] = answers.map(text => text.replace(/"(?:Date|X-Request-Id)","[^"]*"/g, '').replace(/[0-9a-f]{8}-[0-9a-z]+/g, 'ID'))
    expect(quick).toBe(nodes)
  })

  test('chunks and their order on the wire', async () => {
    origin.handle(async (_request, socket) => {
      socket.write(`${head('HTTP/1.1 200 OK', 'Transfer-Encoding: chunked', 'Date: now')}5\r\nhello\r\n`)
      await until(() => client.text.includes('hello'))
      socket.write('4\r\n you\r\n0\r\n\r\n')
    })
    const client = await RawConnection.open(layers.port)
    client.write(GET)
    expect(await client.read('0\r\n\r\n')).toMatch(
      /\r\nConnection: keep-alive\r\nKeep-Alive: timeout=65\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n4\r\n you\r\n0\r\n\r\n$/,
    )
  })
})

describe('whatever is not plain goes to node:http, with its connection', () => {
  const echo = (): void =>
    origin.handle(async (got, socket) => {
      await got.complete
      socket.write(rawResponse(200, `${got.startLine} ${got.body.toString('latin1')}`))
    })
  const answer = async (client: RawConnection): Promise<string> => (await client.readResponse()).body.toString('latin1')

  test('an upload after a plain request, and a plain one after that', async () => {
    echo()
    const client = await RawConnection.open(layers.port)
    for (let i = 0; i < 3; i++) {
      expect(await answer(client.write(request('GET', `/${i}`)))).toBe(`GET /${i} HTTP/1.1 `)
      expect(await answer(client.write(`${request('POST', `/${i}`, 'Content-Length: 5')}hello`))).toBe(`POST /${i} HTTP/1.1 hello`)
      client.write(request('PUT', `/${i}`, 'Transfer-Encoding: chunked')).write('5\r\nhel')
      expect(await answer(client.write('lo\r\n0\r\n\r\n'))).toBe(`PUT /${i} HTTP/1.1 hello`)
    }
  })

  test('a head in pieces, wherever it is cut', async () => {
    echo()
    const text = request('GET', '/a')
    for (let at = 1; at < text.length; at += 7) {
      const client = await RawConnection.open(layers.port)
      expect(await answer(client.write(GET))).toBe('GET / HTTP/1.1 ')
      client.write(text.slice(0, at))
      await new Promise(setImmediate)
      expect(await answer(client.write(text.slice(at)))).toBe('GET /a HTTP/1.1 ')
    }
  })

  test('requests behind one that has no answer yet are answered in order', async () => {
    const waiting: (() => void)[] = []
    origin.handle((got, socket) => void waiting.push(() => void socket.write(rawResponse(200, got.target))))
    const client = await RawConnection.open(layers.port)
    client.write(request('GET', '/0'))
    await until(() => waiting.length === 1)
    for (let i = 1; i < 20; i++) client.write(request('GET', `/${i}`))
    for (let i = 0; i < 20; i++) {
      const next = await until(() => waiting.shift())
      next()
      expect(await answer(client)).toBe(`/${i}`)
    }
  })

  test('nonsense behind an answer is 400, and the end of the connection', async () => {
    echo()
    const client = await RawConnection.open(layers.port)
    await answer(client.write(GET))
    client.write('nonsense\r\n\r\n')
    expect((await client.readResponse()).startLine).toBe('HTTP/1.1 400 Bad Request')
    expect(await client.closed).toBe('fin')
  })

  test('Connection: close is the last request', async () => {
    echo()
    const client = await RawConnection.open(layers.port)
    await answer(client.write(GET))
    client.write(request('GET', '/last', 'Connection: close'))
    expect((await client.readResponse()).fields).toContainEqual(['Connection', 'close'])
    expect(await client.closed).toBe('fin')
  })
})

describe('a connection', () => {
  test('is closed when it is idle for too long, also between plain requests', async () => {
    const own = await startLayers({ origin: origin.port, outer: { keepAliveMs: 100 } })
    origin.handle((_request, socket) => void socket.write(rawResponse(200, 'ok')))
    const client = await RawConnection.open(own.port)
    for (let i = 0; i < 2; i++) {
      client.write(GET)
      expect((await client.readResponse()).fields).toContainEqual(['Keep-Alive', 'timeout=0'])
    }
    expect(await client.closed).toBe('fin')
  })

  test('on which nothing is asked gets 408', async () => {
    const own = await startLayers({ origin: origin.port, outer: { limits: { headerMs: 100 } } })
    const client = await RawConnection.open(own.port)
    expect((await client.readResponse()).startLine).toBe('HTTP/1.1 408 Request Timeout')
    expect(await client.closed).toBe('fin')
  })

  test('whose client leaves takes its request with it, and one that says nothing more has left', async () => {
    for (const leave of ['destroy', 'end'] as const) {
      let hasCome = false
      let isGone = false
      origin.handle((_request, socket) => {
        hasCome = true
        socket.on('close', () => (isGone = true))
      })
      const client = await RawConnection.open(layers.port)
      const path = `/${leave}`
      client.write(request('GET', path))
      await until(() => hasCome)
      client.socket[leave]()
      await until(() => isGone)
      const line = await until(() => layers.accessLog.find(each => each.path === path))
      expect(line).toMatchObject({ error: 'CANCELLED' })
    }
  })

  test('ends with its layer, idle or not', async () => {
    const own = await startLayers({ origin: origin.port, outer: { drainTimeoutMs: 60_000 } })
    let answerIt: (() => void) | undefined
    origin.handle((got, socket) => {
      if (got.target === '/') socket.write(rawResponse(200, 'ok'))
      else answerIt = () => void socket.write(rawResponse(200, 'ok'))
    })
    const [idle, busy] = [await RawConnection.open(own.port), await RawConnection.open(own.port)]
    await idle.write(GET).readResponse()
    busy.write(request('GET', '/slow'))
    const answerNow = await until(() => answerIt)
    const closing = own.outer.close()
    await idle.closed // before the other one has its answer
    answerNow()
    expect((await busy.readResponse()).fields).toContainEqual(['Connection', 'close'])
    expect(await busy.closed).toBe('fin')
    await closing
  })
})
