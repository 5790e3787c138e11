/** The list of faults (reference: reliability, 5.4): each is survived, seen by the client for what it is, and leaves nothing behind. */
import { afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { FrameType } from '../../src/wire/frame.ts'
import { exchange } from '../support/exchange.ts'
import { playInner } from '../support/evil-inner.ts'
import { startLayers, type AccessLine, type Layers } from '../support/layers.ts'
import { freePort } from '../support/ports.ts'
import { quiet } from '../support/quiet.ts'
import { RawConnection } from '../support/raw-client.ts'
import { rawResponse, startRawOrigin, type OriginHandler, type RawOrigin } from '../support/raw-origin.ts'
import { until, within } from '../support/wait.ts'

const timeoutMs = 120_000

/** No fault of ours was logged, nothing is under way, and the next request is served. */
const unharmed = async (layers: Layers): Promise<void> => {
  await quiet(layers)
  const errors = [...layers.outerLogs, ...layers.innerLogs].filter(({ level }) => level === 'error')
  expect(errors).toEqual([])
}

const get = 'GET / HTTP/1.1\r\nHost: a.test\r\n\r\n'
const upload = 'POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100000\r\n\r\n'
const chunkedUpload = 'POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n'
const answerOk: OriginHandler = async (request, socket) => {
  await request.complete
  socket.write(rawResponse(200, 'ok'))
}
const silence: OriginHandler = () => undefined

let origin: RawOrigin
let layers: Layers
beforeAll(async () => {
  origin = await startRawOrigin()
  layers = await startLayers({ origin: origin.port, outer: { timeoutMs } })
})
beforeEach(() => {
  origin.handle(answerOk)
  origin.clear()
})
afterEach(async () => {
  origin.handle(answerOk)
  expect((await exchange(layers.port)).status).toBe(200)
  await unharmed(layers)
})

const lastLine = async (before: number): Promise<AccessLine> => layers.accessLine(before + 1)

describe('a client', () => {
  for (const how of ['destroy', 'reset'] as const) {
    const name = how === 'reset' ? 'F08' : undefined

    test(`${name ?? 'F01'} (fault): ${how} at every byte of the head reaches no origin`, async () => {
      for (let length = 1; length < get.length; length += 3) {
        const client = await RawConnection.open(layers.port)
        client.write(get.slice(0, length))
        await within(new Promise(resolve => client.socket.write('', resolve)), 'the bytes to leave')
        client[how]()
      }
      expect(origin.hits).toBe(0)
    })

    for (const request of [upload, chunkedUpload]) {
      test(`${name ?? 'F02'} (fault): ${how} in an upload (${request === upload ? 'length' : 'chunked'}) cuts it at the origin`, async () => {
        origin.handle(silence)
        const before = layers.accessLog.length
        const client = await RawConnection.open(layers.port)
        client.write(request).write(request === upload ? 'x'.repeat(1000) : '3\r\nabc\r\n')
        await until(() => origin.hits === 1 && origin.last.bodyBytes > 0)
        client[how]()
        await until(() => origin.last.connection.closed !== 'no')
        expect(origin.last.isComplete).toBe(false)
        expect(await lastLine(before)).toMatchObject({ status: 499, error: 'CANCELLED' })
      })
    }

    test(`${name ?? 'F03'} (fault): ${how} while waiting cancels the request at the origin`, async () => {
      origin.handle(silence)
      const before = layers.accessLog.length
      const client = await RawConnection.open(layers.port)
      client.write(get)
      await until(() => origin.hits === 1)
      client[how]()
      await until(() => origin.last.connection.closed !== 'no')
      expect(await lastLine(before)).toMatchObject({ status: 499, error: 'CANCELLED' })
    })

    test(`${name ?? 'F04'} (fault): ${how} in the response cancels it at the origin`, async () => {
      origin.handle((_request, socket) => void socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n'))
      const before = layers.accessLog.length
      const client = await RawConnection.open(layers.port)
      client.write(get)
      await client.read('hello')
      client[how]()
      await until(() => origin.last.connection.closed !== 'no')
      expect(await lastLine(before)).toMatchObject({ status: 200, error: 'CANCELLED' })
    })
  }

  test('F05 (fault): a half-close after the request counts as gone, and the origin request is cancelled', async () => {
    origin.handle(silence)
    const client = await RawConnection.open(layers.port)
    client.write(get)
    await until(() => origin.hits === 1)
    client.end()
    await until(() => origin.last.connection.closed !== 'no')
    await client.closed
  })

  test('F06 (fault): a reader that stops holds back its own response alone', async () => {
    origin.handle(
      (request, socket) =>
        void socket.write(request.target === '/bulk' ? rawResponse(200, Buffer.alloc(16 << 20)) : rawResponse(200, 'ok')),
    )
    const client = await RawConnection.open(layers.port)
    client.freeze()
    client.write('GET /bulk HTTP/1.1\r\nHost: a.test\r\n\r\n')
    await until(() => layers.outer.registry.connections[0]!.session.outstandingBytes > 100_000)
    for (let i = 0; i < 20; i++) expect((await exchange(layers.port)).status).toBe(200)
    client.thaw()
    expect((await client.readResponse('GET')).body.length).toBe(16 << 20)
  })

  test('F09 (fault): pipelined requests of a client that has gone are not all executed', async () => {
    origin.handle(silence)
    const client = await RawConnection.open(layers.port)
    client.write(get.repeat(50))
    await until(() => origin.hits === 1)
    client.destroy()
    await until(() => origin.last.connection.closed !== 'no')
    await quiet(layers)
    expect(origin.hits).toBe(1)
  })
})

describe('a link', () => {
  test('F11 (fault): an orderly end in the middle of a request is 502, never a success', async () => {
    const own = await startLayers({ inners: 0, outer: { timeoutMs } })
    const inner = await playInner({ port: own.socketPort, privateKey: own.privateKey })
    const running = exchange(own.port, { method: 'POST' })
    await until(() => inner.frames.some(({ type }) => type === FrameType.OPEN))
    inner.destroy()
    expect(await running).toMatchObject({ status: 502 })
  })

  test('F14, F22 (fault): an inner layer that hears but is not heard is given up, and its requests move', async () => {
    const timing = { pingAfterMs: 100, deadAfterMs: 400 }
    // Its request waits for the next one, however long a busy machine takes to start it.
    const own = await startLayers({ origin: origin.port, inners: 0, outer: { timeoutMs, timing, limits: { holdMs: 60_000 } } })
    await playInner({ port: own.socketPort, privateKey: own.privateKey })
    const running = exchange(own.port)
    await until(() => own.outer.registry.connections[0]!.session.streamCount === 1)
    await own.addInner()
    expect((await running).status).toBe(200)
    await own.connected(1)
  })

  test('F15 (fault): 64 kbit/s is slow, and right', async () => {
    const own = await startLayers({ origin: origin.port, outer: { timeoutMs }, relay: { bytesPerSecond: 8_000 } })
    const body = Buffer.from(Array.from({ length: 8_000 }, (_, i) => i & 0xff))
    origin.handle((_request, socket) => void socket.write(rawResponse(200, body)))
    expect((await exchange(own.port)).body).toEqual(body)
    await unharmed(own)
  })

  test('F16 (fault): a round trip of half a second is slow, and right', async () => {
    const own = await startLayers({ origin: origin.port, outer: { timeoutMs }, relay: { delayMs: 250 } })
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => exchange(own.port)))
    expect(outcomes.map(({ status }) => status)).toEqual(outcomes.map(() => 200))
    await unharmed(own)
  })

  test('F17 (fault): bytes that come one by one, and not evenly, change nothing', async () => {
    const own = await startLayers({ origin: origin.port, outer: { timeoutMs }, relay: { splitAt: 1 } })
    let delayMs = 0
    const jitter = setInterval(() => own.relay.setDelay((delayMs = (delayMs + 7) % 20)), 10)
    const { status, body } = await exchange(own.port, { method: 'POST', body: 'x'.repeat(500) })
    clearInterval(jitter)
    expect([status, body.toString()]).toEqual([200, 'ok'])
    await unharmed(own)
  })

  test('F18, F20, F21 (fault): frames that are corrupt, too long or unknown end their session alone', async () => {
    const bad: readonly (readonly [number, number, number, Buffer?])[] = [
      [99, 0, 0],
      [FrameType.DATA, 0, 1, Buffer.alloc(2 << 20)],
      [FrameType.CREDIT, 0, 1, Buffer.alloc(3)],
      [FrameType.OPEN, 0, 2, Buffer.from('an inner layer opens nothing')],
      [FrameType.READY, 0, 0, Buffer.from('{}')],
      [FrameType.GOAWAY, 0, 0],
      [FrameType.RESET, 0, 0x7fff_ffff, Buffer.alloc(4)],
    ]
    for (const frame of bad) {
      const evil = await playInner({ port: layers.socketPort, privateKey: layers.privateKey })
      evil.send(...frame)
      if (frame[0] === FrameType.OPEN) await until(() => evil.frames.some(({ type }) => type === FrameType.RESET))
      else await until(() => evil.ended !== undefined)
      evil.destroy()
      await layers.connected(1)
    }
  })

  test('F29 (fault): an inner layer that restarts again and again leaves nothing', async () => {
    for (let round = 0; round < 20; round++) {
      const inner = await layers.addInner()
      if (round % 2 === 0) inner.destroy()
      else await inner.close()
      await layers.connected(1)
    }
  })
})

describe('an origin', () => {
  const targetOf = (hostname: string, port: number): string => `targets:\n  "*": {protocol: http, hostname: "${hostname}", port: ${port}}\n`

  test('F30 (fault): that refuses is 502', async () => {
    const own = await startLayers({ origin: await freePort() })
    expect(await exchange(own.port)).toMatchObject({ status: 502, code: 'ORIGIN_REFUSED' })
    expect(await exchange(own.port, { method: 'POST', body: 'x' })).toMatchObject({ status: 502, code: 'ORIGIN_REFUSED' })
    await unharmed(own)
  })

  for (const [name, text] of Object.entries({
    nothing: '',
    'half a status line': 'HTTP/1.1 2',
    'half a head': 'HTTP/1.1 200 OK\r\nX: y\r\n',
  })) {
    test(`F33 (fault): that dies after ${name} is 502, and no POST is executed twice`, async () => {
      origin.handle(async (request, socket) => {
        await request.complete
        socket.write(text, () => socket.destroy())
      })
      expect(await exchange(layers.port)).toMatchObject({ status: 502, code: 'ORIGIN_CLOSED' })
      origin.clear()
      expect(await exchange(layers.port, { method: 'POST', body: 'x' })).toMatchObject({ status: 502, code: 'ORIGIN_CLOSED' })
      expect(origin.hits).toBe(1)
    })
  }

  const halves: Readonly<Record<string, string>> = {
    'a counted body': 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello',
    'a chunk': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nhello',
    'chunks without the last one': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n',
  }
  for (const [name, text] of Object.entries(halves)) {
    for (const how of ['end', 'resetAndDestroy'] as const) {
      test(`F34 (fault): that dies in ${name} (${how}) is a cut, never a clean end`, async () => {
        origin.handle((_request, socket) => void socket.write(text, () => socket[how]()))
        const { status, isComplete } = await exchange(layers.port)
        expect(isComplete).toBe(false)
        expect([200, 502]).toContain(status)
      })
    }
  }

  const garbage: Readonly<Record<string, string | Buffer>> = {
    'no HTTP': 'SSH-2.0-OpenSSH_9.6\r\n',
    zeros: Buffer.alloc(4096),
    'a head of 80 KiB': `HTTP/1.1 200 OK\r\nX: ${'y'.repeat(80_000)}\r\n\r\n`,
    'two lengths': 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx',
    'a bad chunk size': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
  }
  for (const [name, bytes] of Object.entries(garbage)) {
    test(`F35 (fault): that answers ${name} is 502 or a cut`, async () => {
      origin.handle((_request, socket) => void socket.write(bytes))
      const { status, isComplete } = await exchange(layers.port, { method: 'POST' })
      if (status !== 502) expect(isComplete).toBe(false)
      expect([200, 502]).toContain(status)
    })
  }

  test('F36 (fault): that answers early and closes is heard, and the upload stops', async () => {
    origin.handle((_request, socket) => void socket.end(rawResponse(413, 'too large', ['Connection: close'])))
    const client = await RawConnection.open(layers.port)
    client.write('POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 50000000\r\n\r\n').write(Buffer.alloc(100_000))
    const response = await client.readResponse('POST')
    expect([response.status, response.body.toString()]).toEqual([413, 'too large'])
    await client.closed
  })

  test('F37 (fault): that says more than it was asked poisons no later answer', async () => {
    origin.handle(async (request, socket) => {
      await request.complete
      socket.write(Buffer.concat([rawResponse(200, request.target), rawResponse(200, 'poison')]))
    })
    for (let i = 0; i < 20; i++) {
      const { status, body } = await exchange(layers.port, { path: `/${i}` })
      if (status === 200) expect(body.toString()).toBe(`/${i}`)
      else expect(status).toBe(502)
    }
    // Also when it says so later, on a connection that is idle.
    origin.handle(
      (request, socket) =>
        void socket.write(rawResponse(200, request.target), () => setImmediate(() => socket.write(rawResponse(200, 'poison')))),
    )
    for (let i = 0; i < 20; i++) {
      const { status, body } = await exchange(layers.port, { path: `/${i}` })
      if (status === 200) expect(body.toString()).toBe(`/${i}`)
      else expect(status).toBe(502)
    }
  })

  test('F38 (fault): whose name does not resolve is 502', async () => {
    const own = await startLayers({ targets: targetOf('nothing.invalid', 80) })
    expect(await exchange(own.port)).toMatchObject({ status: 502, code: 'ORIGIN_DNS' })
    await unharmed(own)
  })

  test('keeps no connection of ours once nobody needs it', async () => {
    await Promise.all(Array.from({ length: 10 }, () => exchange(layers.port)))
    await until(() => origin.open === 0)
  })
})
