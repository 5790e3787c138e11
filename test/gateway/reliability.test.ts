/** Several inner layers: who gets a stream, and what becomes of streams whose inner layer is lost. */
import { beforeAll, describe, expect, test } from '@jest/globals'
import type { Socket } from 'node:net'
import { exchange, type Outcome } from '../support/exchange.ts'
import { startLayers, type Layers } from '../support/layers.ts'
import { quiet } from '../support/quiet.ts'
import { RawConnection } from '../support/raw-client.ts'
import { rawResponse, startRawOrigin, type RawOrigin, type RawRequest } from '../support/raw-origin.ts'
import { startRelay, type Relay } from '../support/relay.ts'
import { until } from '../support/wait.ts'

/** Far beyond every deadline here: whatever waits for it fails its test. */
const timeoutMs = 120_000

/** Two inner layers of these identifiers, each behind a relay of its own. */
const startPair = async (origin: RawOrigin, identifiers = ['a', 'b'], targets?: string): Promise<{ layers: Layers; relays: Relay[] }> => {
  const layers = await startLayers({ origin: origin.port, inners: 0, outer: { timeoutMs }, ...(targets === undefined ? {} : { targets }) })
  const relays: Relay[] = []
  for (const identifier of identifiers) {
    const relay = await startRelay({ target: { host: '127.0.0.1', port: layers.socketPort } })
    await layers.addInner({ identifier, outerLayers: [`ws://127.0.0.1:${relay.port}`] })
    relays.push(relay)
  }
  return { layers, relays }
}

/** The index of the inner layer that has streams. */
const busy = (layers: Layers): number => layers.inners.findIndex(inner => inner.streamCount > 0)

const target = (host: string, identifier: string): string =>
  `  "${host}": {protocol: http, hostname: 127.0.0.1, port: {port}${identifier === '' ? '' : `, identifier: ${identifier}`}}\n`

describe('several inner layers', () => {
  let origin: RawOrigin
  let layers: Layers
  const targets = `targets:\n${target('any.test', '')}${target('a.test', 'a')}${target('ab.test', '[a, b]')}${target('none.test', 'nobody')}`
  beforeAll(async () => {
    origin = await startRawOrigin()
    ;({ layers } = await startPair(origin, ['a', 'b', 'c'], targets))
  })

  const identifiersOf = async (host: string, count: number): Promise<Set<unknown>> => {
    const before = layers.accessLog.length
    const outcomes = await Promise.all(Array.from({ length: count }, () => exchange(layers.port, { host })))
    expect(new Set(outcomes.map(({ status }) => status))).toEqual(new Set([200]))
    await layers.accessLine(before + count)
    return new Set(layers.accessLog.slice(before).map(({ identifier }) => identifier))
  }

  test('a target without identifier goes to all of them', async () => {
    expect(await identifiersOf('any.test', 12)).toEqual(new Set(['a', 'b', 'c']))
  })

  test('a target with one identifier goes to that one alone', async () => {
    expect(await identifiersOf('a.test', 12)).toEqual(new Set(['a']))
  })

  test('a target with a list of identifiers goes to those alone', async () => {
    expect(await identifiersOf('ab.test', 12)).toEqual(new Set(['a', 'b']))
  })

  test('a target whose inner layer is not connected is 502 at once, and the origin hears nothing', async () => {
    origin.clear()
    const { status, code } = await exchange(layers.port, { host: 'none.test' })
    expect({ status, code }).toEqual({ status: 502, code: 'NO_INNER_LAYER' })
    expect(origin.hits).toBe(0)
  })

  test('streams go to the inner layer with the least outstanding bytes', async () => {
    origin.handle((request, socket) => {
      if (request.target === '/bulk') socket.write(rawResponse(200, Buffer.alloc(32 << 20)))
      else socket.write(rawResponse(200, 'ok'))
    })
    // A reader that stops leaves its bytes outstanding at one of two.
    const stalled = await RawConnection.open(layers.port)
    stalled.freeze()
    stalled.write('GET /bulk HTTP/1.1\r\nHost: ab.test\r\n\r\n')
    // Kernels take megabytes first; until they are full the bytes are outstanding for moments only.
    let seen = { bytes: 0, times: 0 }
    const loaded = await until(() => {
      const busiest = layers.outer.registry.connections.find(({ session }) => session.outstandingBytes > 0)
      const bytes = busiest?.session.outstandingBytes ?? 0
      seen = bytes > 0 && bytes === seen.bytes ? { bytes, times: seen.times + 1 } : { bytes, times: 0 }
      return seen.times >= 20 ? busiest : undefined
    })
    const other = loaded.identifier === 'a' ? 'b' : 'a'
    // One after another, so that a request of this test is no load for the next one.
    for (let i = 0; i < 10; i++) {
      expect(await identifiersOf('ab.test', 1)).toEqual(new Set([other]))
    }
    stalled.destroy()
    await quiet(layers)
  })
})

describe('replicas', () => {
  test('the same identifier twice is two replicas: both serve, and one may leave', async () => {
    const origin = await startRawOrigin()
    const { layers } = await startPair(origin, ['same', 'same'], `targets:\n${target('x.test', 'same')}`)
    const served = (): number[] => layers.outer.registry.connections.map(({ session }) => session.streamCount)
    const held: Socket[] = []
    origin.handle((_request, socket) => void held.push(socket))
    const waiting = [1, 2, 3, 4].map(() => exchange(layers.port, { host: 'x.test' }))
    await until(() => held.length === 4)
    expect(served()).toEqual([2, 2])
    for (const socket of held) socket.write(rawResponse(200, 'ok'))
    expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual([200, 200, 200, 200])
    await layers.inners[0]!.close()
    await layers.connected(1)
    origin.handle((_request, socket) => void socket.write(rawResponse(200, 'ok')))
    expect((await exchange(layers.port, { host: 'x.test' })).status).toBe(200)
  })

  test('an inner layer keeps two connections; when one is lost the other serves, and it comes back', async () => {
    const origin = await startRawOrigin()
    const layers = await startLayers({ origin: origin.port, inner: { connections: 2 }, outer: { timeoutMs } })
    await layers.connected(2)
    layers.outer.registry.connections[0]!.session.destroy('LINK_DEAD', 'the test ends one of two')
    expect((await exchange(layers.port)).status).toBe(200)
    await layers.connected(2)
    expect((await exchange(layers.port)).status).toBe(200)
  })

  test('an inner layer serves several outer layers, and the loss of one does not touch the other', async () => {
    const origin = await startRawOrigin()
    const first = await startLayers({ origin: origin.port, inners: 0, outer: { timeoutMs } })
    const second = await startLayers({ origin: origin.port, inners: 0, outer: { timeoutMs } })
    await first.addInner({ outerLayers: [`ws://127.0.0.1:${first.socketPort}`, `ws://127.0.0.1:${second.socketPort}`] })
    await second.connected(1)
    expect((await exchange(first.port)).status).toBe(200)
    expect((await exchange(second.port)).status).toBe(200)
    first.outer.destroy()
    await first.connected(0)
    expect((await exchange(second.port)).status).toBe(200)
  })

  test('inner layers come back with a growing, jittered pause after their outer layer was away', async () => {
    const origin = await startRawOrigin()
    const layers = await startLayers({ origin: origin.port, relay: {} })
    const port = layers.relay.port
    await layers.relay.close()
    const pauses = await until(() => {
      const found = layers.innerLogs.map(({ retryMs }) => retryMs).filter((ms): ms is number => typeof ms === 'number')
      return found.length >= 3 ? found : undefined
    })
    for (const [attempt, ms] of pauses.entries()) expect(ms).toBeLessThanOrEqual(500 * 2 ** attempt)
    await startRelay({ target: { host: '127.0.0.1', port: layers.outer.ports.socket }, listen: { port } })
    await layers.connected(1)
    expect((await exchange(layers.port)).status).toBe(200)
  })
})

describe('an inner layer that dies with requests in flight', () => {
  /** Sends requests, waits until the origin has them all, cuts the inner layer that serves the first of them. */
  const die = async (
    requests: readonly Parameters<typeof exchange>[1][],
    how: 'cut' | 'session',
  ): Promise<{ outcomes: Outcome[]; origin: RawOrigin; layers: Layers }> => {
    const origin = await startRawOrigin()
    const { layers, relays } = await startPair(origin)
    let isDead = false
    const seen: RawRequest[] = []
    origin.handle(async (request, socket) => {
      seen.push(request)
      await request.complete
      if (isDead) socket.write(rawResponse(200, request.method === 'HEAD' ? '' : `${request.method} ${request.bodyBytes}`))
    })
    const running = requests.map(options => exchange(layers.port, options))
    await until(() => seen.length === requests.length && seen.every(({ isComplete }) => isComplete))
    isDead = true
    const index = busy(layers)
    if (how === 'cut') relays[index]!.cut()
    else
      layers.outer.registry.connections
        .find(({ identifier }) => identifier === 'ab'[index])!
        .session.destroy('LINK_DEAD', 'the test ends it')
    const outcomes = await Promise.all(running)
    await quiet(layers)
    return { outcomes, origin, layers }
  }

  for (const how of ['cut', 'session'] as const) {
    for (const method of ['GET', 'HEAD', 'OPTIONS', 'DELETE']) {
      test(`${how}: an unanswered ${method} moves to another one at once`, async () => {
        const { outcomes, origin } = await die([{ method }], how)
        expect(outcomes[0]).toMatchObject({ status: 200, isComplete: true })
        expect(origin.hits).toBe(2)
      })
    }

    test(`${how}: a PUT with a small body moves with its body`, async () => {
      const { outcomes } = await die([{ method: 'PUT', body: Buffer.alloc(50_000, 1) }], how)
      expect(outcomes[0]).toMatchObject({ status: 200, body: Buffer.from('PUT 50000') })
    })

    test(`${how}: a PUT whose body is no longer known gets 502 at once`, async () => {
      const { outcomes, origin } = await die([{ method: 'PUT', body: Buffer.alloc(100_000, 1) }], how)
      expect(outcomes[0]!.status).toBe(502)
      expect(origin.hits).toBe(1)
    })

    for (const method of ['POST', 'PATCH']) {
      test(`${how}: a ${method} gets 502 at once and is executed once`, async () => {
        const { outcomes, origin } = await die([{ method, body: 'x' }], how)
        expect(outcomes[0]).toMatchObject({ status: 502, code: how === 'cut' ? 'INNER_LAYER_LOST' : 'LINK_DEAD' })
        expect(origin.hits).toBe(1)
      })
    }
  }

  test('requests do not move from one connection of the dead inner layer to the next', async () => {
    const origin = await startRawOrigin()
    const layers = await startLayers({ origin: origin.port, inners: 0, outer: { timeoutMs } })
    const relay = await startRelay({ target: { host: '127.0.0.1', port: layers.socketPort } })
    await layers.addInner({ identifier: 'a', connections: 5, outerLayers: [`ws://127.0.0.1:${relay.port}`] })
    let isDead = false
    origin.handle((_request, socket) => {
      if (isDead) socket.write(rawResponse(200, 'ok'))
    })
    const running = Array.from({ length: 40 }, () => exchange(layers.port))
    await until(() => origin.hits === 40)
    await layers.addInner({ identifier: 'b' })
    isDead = true
    relay.cut()
    expect((await Promise.all(running)).map(({ status }) => status)).toEqual(running.map(() => 200))
    expect(origin.hits).toBe(80)
  })

  test('a POST without a body is not repeated either', async () => {
    const { outcomes, origin } = await die([{ method: 'POST' }], 'cut')
    expect(outcomes[0]!.status).toBe(502)
    expect(origin.hits).toBe(1)
  })

  for (const framing of ['Content-Length: 1000', 'Transfer-Encoding: chunked']) {
    test(`a response in progress is cut, never ended cleanly (${framing})`, async () => {
      const origin = await startRawOrigin((_request, socket) => {
        socket.write(`HTTP/1.1 200 OK\r\n${framing}\r\n\r\n${framing.startsWith('T') ? '5\r\nhello\r\n' : 'hello'}`)
      })
      const { layers, relays } = await startPair(origin)
      let received = 0
      const running = exchange(layers.port, { onData: chunk => (received += chunk.length) })
      await until(() => received === 5)
      relays[busy(layers)]!.cut()
      expect(await running).toMatchObject({ status: 200, isComplete: false, body: Buffer.from('hello') })
      expect(origin.hits).toBe(1)
      await quiet(layers)
    })
  }

  test('with no other inner layer even a GET gets 502 at once, and so does the next one', async () => {
    const origin = await startRawOrigin(() => undefined)
    const layers = await startLayers({ origin: origin.port, relay: {}, outer: { timeoutMs } })
    const running = exchange(layers.port)
    await until(() => origin.hits === 1)
    await layers.relay.close()
    expect(await running).toMatchObject({ status: 502, code: 'INNER_LAYER_LOST' })
    expect(await exchange(layers.port)).toMatchObject({ status: 502, code: 'NO_INNER_LAYER' })
  })

  test('an upload in progress gets 502 at once, though its client goes on sending', async () => {
    const origin = await startRawOrigin(() => undefined)
    const { layers, relays } = await startPair(origin)
    const client = await RawConnection.open(layers.port)
    client.write('POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1000000\r\n\r\n').write(Buffer.alloc(1000))
    await until(() => origin.hits === 1 && origin.last.bodyBytes === 1000)
    relays[busy(layers)]!.cut()
    client.write(Buffer.alloc(1000))
    expect((await client.readResponse('POST')).status).toBe(502)
    await quiet(layers)
  })
})

describe('a link that goes silent', () => {
  test('is given up, and its requests move', async () => {
    const origin = await startRawOrigin()
    const timing = { pingAfterMs: 100, deadAfterMs: 400 }
    const layers = await startLayers({ origin: origin.port, inners: 0, outer: { timeoutMs, timing } })
    const relay = await startRelay({ target: { host: '127.0.0.1', port: layers.socketPort } })
    await layers.addInner({ identifier: 'a', outerLayers: [`ws://127.0.0.1:${relay.port}`] })
    relay.pause()
    const running = exchange(layers.port)
    await until(() => layers.outer.registry.connections[0]!.session.streamCount === 1)
    await layers.addInner({ identifier: 'b' })
    expect(await running).toMatchObject({ status: 200 })
    await layers.connected(1)
    expect(layers.outerLogs.find(({ code }) => code === 'LINK_DEAD')).toMatchObject({ identifier: 'a' })
    // The inner layer has noticed by itself, and comes back when the hole has closed.
    await until(() => layers.inners[0]!.connectionCount === 0)
    relay.resume()
    await layers.connected(2)
  })
})
