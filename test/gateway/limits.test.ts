/** What clients may cost: sizes, times and numbers (L1 to L8, L13 of section 1.5), and that the layer goes on as if nothing had been. */
import { describe, expect, test } from '@jest/globals'
import { startLayers, type Layers } from '../support/layers.ts'
import { RawConnection, rawRequest } from '../support/raw-client.ts'
import { rawResponse, startRawOrigin, type RawOrigin } from '../support/raw-origin.ts'
import { until } from '../support/wait.ts'

type Limits = NonNullable<NonNullable<Parameters<typeof startLayers>[0]>['outer']>['limits']

const start = async (limits: Limits, outer: object = {}): Promise<{ layers: Layers; origin: RawOrigin }> => {
  const origin = await startRawOrigin()
  return { layers: await startLayers({ origin: origin.port, outer: { limits: limits!, ...outer } }), origin }
}

const GET = 'GET / HTTP/1.1\r\nHost: a.example\r\n\r\n'
const CLOSING = 'GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n'

const expectServes = async (layers: Layers): Promise<void> => {
  const { text } = await rawRequest(layers.port, CLOSING)
  expect(text).toMatch(/^HTTP\/1\.1 200 /)
}

describe('the size of a body', () => {
  test('that is announced too large is refused with 413 before the origin hears of it', async () => {
    const { layers, origin } = await start({ bodyBytes: 1_000 })
    const { text } = await rawRequest(layers.port, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n')
    expect(text).toMatch(/^HTTP\/1\.1 413 /)
    expect(origin.hits).toBe(0)
    expect(await layers.accessLine(1)).toMatchObject({ status: 413, error: 'BODY_TOO_LARGE' })
  })

  test('that grows too large on the way is cut off with 413, and the origin sees no whole request', async () => {
    const { layers, origin } = await start({ bodyBytes: 100_000 })
    const client = await RawConnection.open(layers.port)
    client.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n')
    for (let i = 0; i < 20; i++) client.write(`2000\r\n${'x'.repeat(0x2000)}\r\n`)
    await client.read('413 ')
    await until(() => origin.hits === 0 || origin.last.isCut)
    expect(await layers.accessLine(1)).toMatchObject({ status: 413, error: 'BODY_TOO_LARGE' })
    await expectServes(layers)
  })

  test('that is exactly the limit passes', async () => {
    const { layers, origin } = await start({ bodyBytes: 1_000 })
    const body = 'x'.repeat(1_000)
    const { text } = await rawRequest(layers.port, `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\nConnection: close\r\n\r\n${body}`)
    expect(text).toMatch(/^HTTP\/1\.1 200 /)
    expect(origin.last.collected.bytes).toHaveLength(1_000)
  })
})

describe('time', () => {
  test('a header section that does not come ends in 408', async () => {
    const { layers } = await start({ headerMs: 1_000 })
    const client = await RawConnection.open(layers.port)
    client.write('GET / HTTP/1.1\r\nHost:')
    await client.read('408 ')
    await expectServes(layers)
  })

  test('an upload of known length that only drips ends in 408, and one without a length may', async () => {
    const { layers, origin } = await start({ uploadBytesPerSecond: 10_000, uploadGraceMs: 0 }, { timeoutMs: 3_000 })
    const drip = async (head: string, piece: string): Promise<RawConnection> => {
      const client = await RawConnection.open(layers.port)
      client.write(`POST / HTTP/1.1\r\nHost: a\r\n${head}\r\n\r\n`)
      const timer = setInterval(() => client.write(piece), 20)
      void client.closed.then(() => clearInterval(timer))
      return client
    }
    const known = await drip('Content-Length: 1000000', 'x')
    const stream = await drip('Transfer-Encoding: chunked', '1\r\nx\r\n')
    await known.read('408 ')
    expect(await layers.accessLine(1)).toMatchObject({ status: 408, error: 'REQUEST_TIMEOUT' })
    await until(() => origin.requests.some(({ collected, isCut }) => !isCut && collected.bytes.length > 40))
    expect(stream.text).toBe('')
  })

  test('a client that does not read is cut, and the request at the origin with it', async () => {
    const { layers, origin } = await start({ writeStallMs: 200 })
    origin.handle((_request, socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 30000000\r\n\r\n')
      socket.write(Buffer.alloc(30_000_000))
    })
    const client = await RawConnection.open(layers.port)
    client.socket.pause()
    client.write(GET)
    expect(await layers.accessLine(1)).toMatchObject({ status: 200, error: 'CLIENT_STALLED' })
    await until(() => origin.open === 0)
  })

  test('an origin that falls silent within its answer has it cut, if that is wanted', async () => {
    const { layers, origin } = await start({ idleMs: 100 })
    origin.handle((_request, socket) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf'))
    const { text } = await rawRequest(layers.port, GET)
    expect(text).toMatch(/half$/)
    expect(await layers.accessLine(1)).toMatchObject({ status: 200, error: 'ORIGIN_TIMEOUT' })
  })

  test('one that reads slowly, but reads, is left alone', async () => {
    const { layers, origin } = await start({ writeStallMs: 400 })
    const bytes = 12_000_000
    origin.handle((_request, socket) => void socket.write(rawResponse(200, Buffer.alloc(bytes))))
    const client = await RawConnection.open(layers.port)
    client.socket.pause()
    client.write(CLOSING)
    const timer = setInterval(() => void client.socket.read(500_000), 20)
    await until(() => client.bytes.length > bytes)
    clearInterval(timer)
    expect(await layers.accessLine(1)).not.toHaveProperty('error')
  })
})

describe('numbers', () => {
  test('connections of one address beyond the limit get 503 with Retry-After, others none the less', async () => {
    const { layers } = await start({ connectionsPerAddress: 2 }, { trustProxy: [] })
    const first = await RawConnection.open(layers.port)
    const second = await RawConnection.open(layers.port)
    for (const client of [first, second]) {
      client.write(GET)
      await client.read('ok')
    }
    const third = await RawConnection.open(layers.port)
    expect(await third.read(/code: OVERLOADED/)).toMatch(/^HTTP\/1\.1 503 .*\r\nRetry-After: 1\r\n/s)
    await third.closed
    const other = await RawConnection.open(layers.port, { localAddress: '127.0.0.2' })
    other.write(GET)
    await other.read('ok')
    first.destroy()
    await until(async () => (await rawRequest(layers.port, CLOSING)).text.startsWith('HTTP/1.1 200 '))
  })

  test('a proxy that is trusted may have any number', async () => {
    const { layers } = await start({ connectionsPerAddress: 1 })
    const clients = await Promise.all([1, 2, 3].map(() => RawConnection.open(layers.port)))
    for (const client of clients) {
      client.write(GET)
      await client.read('ok')
    }
  })

  test('connections in all have a limit, and there is room again when one leaves', async () => {
    const { layers } = await start({ connections: 1 })
    const client = await RawConnection.open(layers.port)
    client.write(GET)
    await client.read('ok')
    const { text } = await rawRequest(layers.port, CLOSING)
    expect(text).toMatch(/^HTTP\/1\.1 503 /)
    client.destroy()
    await until(async () => (await rawRequest(layers.port, CLOSING)).text.startsWith('HTTP/1.1 200 '))
  })

  test('requests of one address have a rate: 429 with Retry-After, and another address goes on', async () => {
    const { layers, origin } = await start({ rate: { perSecond: 0.01, burst: 2 } }, { trustProxy: [] })
    const client = await RawConnection.open(layers.port)
    for (let i = 0; i < 2; i++) {
      client.write(GET)
      await client.read('ok')
    }
    client.write(GET)
    expect(await client.read(/code: RATE_LIMITED/)).toMatch(/^HTTP\/1\.1 429 .*\r\nRetry-After: (?:9\d|100)\r\n/s)
    expect(origin.hits).toBe(2)
    const other = await RawConnection.open(layers.port, { localAddress: '127.0.0.2' })
    other.write(GET)
    await other.read('ok')
  })

  test('requests at a time have a limit: 503 with Retry-After, and the connection goes on', async () => {
    const { layers, origin } = await start({ requests: 1 })
    let answer = (): void => undefined
    origin.handle((_request, socket) => {
      answer = () => void socket.write(rawResponse(200, 'ok'))
    })
    const slow = await RawConnection.open(layers.port)
    slow.write(GET)
    await until(() => origin.hits === 1)
    const client = await RawConnection.open(layers.port)
    client.write(GET)
    expect(await client.read(/code: OVERLOADED\nrequest id: .*\n/)).toContain('Retry-After: 1')
    answer()
    await slow.read('ok')
    origin.handle((_request, socket) => void socket.write(rawResponse(200, 'again')))
    client.write(GET)
    await client.read('again')
  })
})

describe('an inner layer that is away', () => {
  test('is waited for with --hold, and the request is answered when it comes back', async () => {
    const { layers } = await start({ holdMs: 10_000 })
    await layers.inner.close()
    await layers.connected(0)
    const client = await RawConnection.open(layers.port)
    client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi')
    await layers.addInner()
    expect(await client.read('ok')).toMatch(/^HTTP\/1\.1 200 /)
  })

  test('is not waited for for ever', async () => {
    const { layers } = await start({ holdMs: 100 })
    await layers.inner.close()
    await layers.connected(0)
    const { text } = await rawRequest(layers.port, CLOSING)
    expect(text).toMatch(/^HTTP\/1\.1 502 .*NO_INNER_LAYER/s)
  })

  test('nobody waits when the client has left', async () => {
    const { layers, origin } = await start({ holdMs: 10_000 })
    await layers.inner.close()
    await layers.connected(0)
    const client = await RawConnection.open(layers.port)
    client.write(GET)
    await until(() => layers.outer.registry.connections.length === 0)
    client.destroy()
    expect(await layers.accessLine(1)).toMatchObject({ error: 'CANCELLED' })
    await layers.addInner()
    expect(origin.hits).toBe(0)
  })
})
