/** Several inner layers: who gets a stream, and what becomes of streams whose inner layer is lost. */
import { beforeAll, describe, expect, test } from '@jest/globals'
import type { Socket } from 'node:net'
import { ERRORS } from '../../src/errors.ts'
import { FrameType } from '../../src/wire/frame.ts'
import { exchange, type Outcome } from '../support/exchange.ts'
import { playInner } from '../support/evil-inner.ts'
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
      if (request.target === '/bulk') socket.write(rawResponse(200, Buffer.alloc(8 << 20)))
      else socket.write(rawResponse(200, 'ok'))
    })
    // A reader that stops leaves its bytes outstanding at one of two.
    const stalled = await RawConnection.open(layers.port)
    stalled.freeze()
    stalled.write('GET /bulk HTTP/1.1\r\nHost: ab.test\r\n\r\n')
    const loaded = await until(() => layers.outer.registry.connections.find(({ session }) => session.outstandingBytes > 0))
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
    const pauses = await until(
      () => {
        const found = layers.innerLogs.map(({ retryMs }) => retryMs).filter((ms): ms is number => typeof ms === 'number')
        return found.length >= 3 ? found : undefined
      },
      { deadlineMs: 10_000 },
    )
    for (const [attempt, ms] of pauses.entries()) expect(ms).toBeLessThanOrEqual(500 * 2 ** attempt)
    await startRelay({ target: { host: '127.0.0.1', port: layers.outer.ports.socket }, listen: { port } })
    await layers.connected(1, 15_000)
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
    await layers.connected(2, 10_000)
  })
})

describe('K1: a pooled connection that the origin has closed meanwhile', () => {
  /** Executes the first request of each connection and drops the connection at the second: the worst of all races. */
  const startStale = async (): Promise<{ origin: RawOrigin; executed: Map<string, number> }> => {
    const executed = new Map<string, number>()
    const seen = new WeakSet<Socket>()
    const origin = await startRawOrigin(async (request, socket) => {
      await request.complete
      if (seen.has(socket)) return void socket.resetAndDestroy()
      seen.add(socket)
      executed.set(request.target, (executed.get(request.target) ?? 0) + 1)
      socket.write(rawResponse(200, 'ok'))
    })
    return { origin, executed }
  }

  test('a GET never fails', async () => {
    const { origin } = await startStale()
    const layers = await startLayers({ origin: origin.port })
    for (let i = 0; i < 40; i++) expect((await exchange(layers.port, { path: `/${i}` })).status).toBe(200)
    await quiet(layers)
  })

  test('a PUT with a small body never fails', async () => {
    const { origin } = await startStale()
    const layers = await startLayers({ origin: origin.port })
    for (let i = 0; i < 20; i++)
      expect((await exchange(layers.port, { method: 'PUT', path: `/${i}`, body: 'x'.repeat(1000) })).status).toBe(200)
  })

  test('a POST is executed at most once and answered 200 or 502', async () => {
    const { origin, executed } = await startStale()
    const layers = await startLayers({ origin: origin.port })
    for (let i = 0; i < 40; i++) {
      const { status } = await exchange(layers.port, { method: 'POST', path: `/${i}`, body: 'x' })
      expect([200, 502]).toContain(status)
      expect(executed.get(`/${i}`) ?? 0).toBe(status === 200 ? 1 : 0)
    }
  })

  test('an origin that closes idle connections after 20 ms costs no GET', async () => {
    const origin = await startRawOrigin((_request, socket) => {
      socket.write(rawResponse(200, 'ok'))
      socket.setTimeout(20, () => socket.destroy())
    })
    const layers = await startLayers({ origin: origin.port })
    let failed = 0
    for (let i = 0; i < 60; i++) {
      const startedMs = performance.now()
      if ((await exchange(layers.port)).status !== 200) failed++
      await until(() => performance.now() - startedMs >= 18 + (i % 5))
    }
    expect(failed).toBe(0)
  })
})

describe('K2: a request that no inner layer has executed', () => {
  test('moves when its stream was refused, even a POST', async () => {
    const origin = await startRawOrigin()
    const layers = await startLayers({ origin: origin.port, inners: 0, outer: { timeoutMs } })
    const refusing = await playInner({
      port: layers.socketPort,
      privateKey: layers.privateKey,
      onFrame: ({ type, stream }, self) => {
        if (type === FrameType.OPEN) self.reset(stream, ERRORS.REFUSED_STREAM.reset)
      },
    })
    await layers.addInner()
    for (let i = 0; i < 10; i++) {
      const { status } = await exchange(layers.port, { method: 'POST', body: 'once' })
      expect(status).toBe(200)
    }
    expect(origin.hits).toBe(10)
    expect(refusing.frames.filter(({ type }) => type === FrameType.OPEN).length).toBeGreaterThan(0)
  })

  test('moves when GOAWAY does not name its stream, and stays when it does', async () => {
    const origin = await startRawOrigin()
    const layers = await startLayers({ origin: origin.port, inners: 0, outer: { timeoutMs } })
    const leaving = await playInner({ port: layers.socketPort, privateKey: layers.privateKey })
    const opened = (): number[] => leaving.frames.filter(({ type }) => type === FrameType.OPEN).map(({ stream }) => stream)
    const first = exchange(layers.port, { method: 'POST', body: 'a' })
    await until(() => opened().length === 1)
    const second = exchange(layers.port, { method: 'POST', body: 'b' })
    await until(() => opened().length === 2)
    await layers.addInner()
    leaving.goAway(opened()[0]!, ERRORS.GOING_AWAY.reset)
    expect(await second).toMatchObject({ status: 200, body: Buffer.from('ok') })
    leaving.answer(opened()[0]!, 200, 'by hand')
    expect(await first).toMatchObject({ status: 200, body: Buffer.from('by hand') })
    expect(origin.hits).toBe(1)
    await layers.connected(1)
  })

  test('is 503 when every inner layer refuses it', async () => {
    const layers = await startLayers({ inners: 0, outer: { timeoutMs } })
    await playInner({
      port: layers.socketPort,
      privateKey: layers.privateKey,
      onFrame: ({ type, stream }, self) => {
        if (type === FrameType.OPEN) self.reset(stream, ERRORS.REFUSED_STREAM.reset)
      },
    })
    expect(await exchange(layers.port, { method: 'POST', body: 'x' })).toMatchObject({ status: 503, code: 'REFUSED_STREAM' })
  })

  test('no POST is executed twice, whenever its inner layer is killed', async () => {
    const executed = new Map<string, number>()
    const origin = await startRawOrigin(async (request, socket) => {
      await request.complete
      executed.set(request.target, (executed.get(request.target) ?? 0) + 1)
      socket.write(rawResponse(200, 'done'))
    })
    const layers = await startLayers({ origin: origin.port, outer: { timeoutMs } })
    const trials = 30
    const perTrial = 20
    let number = 0
    for (let trial = 0; trial < trials; trial++) {
      const relay = await startRelay({ target: { host: '127.0.0.1', port: layers.socketPort } })
      const victim = await layers.addInner({ outerLayers: [`ws://127.0.0.1:${relay.port}`] })
      const running = Array.from({ length: perTrial }, async () => {
        const path = `/${number++}`
        const outcome = await exchange(layers.port, { method: 'POST', path, body: 'x'.repeat(100) })
        return { path, ...outcome }
      })
      const turns = Math.floor(Math.random() * 60)
      for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate)
      if (trial % 3 === 0) victim.destroy()
      else relay.cut()
      for (const { path, status, isComplete } of await Promise.all(running)) {
        if (status === 200 && isComplete) expect(executed.get(path)).toBe(1)
        else expect(status).toBe(502)
      }
      victim.destroy()
      await layers.connected(1)
    }
    expect(Math.max(...executed.values())).toBe(1)
    await quiet(layers)
  })
})

describe('K4: connections to origins', () => {
  test('are never shared between two origins', async () => {
    const [one, two] = [await startRawOrigin(), await startRawOrigin()]
    const targets = `targets:\n  one.test: {protocol: http, hostname: 127.0.0.1, port: ${one.port}}\n  two.test: {protocol: http, hostname: 127.0.0.1, port: ${two.port}}\n`
    const layers = await startLayers({ targets })
    for (let i = 0; i < 10; i++) {
      await exchange(layers.port, { host: 'one.test', path: '/one' })
      await exchange(layers.port, { host: 'two.test', path: '/two' })
    }
    expect(new Set(one.requests.map(request => request.target))).toEqual(new Set(['/one']))
    expect(new Set(two.requests.map(request => request.target))).toEqual(new Set(['/two']))
  })

  test('are not shared between clients where the origin authenticates connections (RFC 4559)', async () => {
    for (const scheme of ['NTLM', 'Negotiate']) {
      const known = new WeakSet<Socket>()
      const origin = await startRawOrigin((request, socket) => {
        if (request.values('authorization').length > 0) known.add(socket)
        socket.write(known.has(socket) ? rawResponse(200, 'secret') : rawResponse(401, '', [`WWW-Authenticate: ${scheme}`]))
      })
      const layers = await startLayers({ origin: origin.port })
      await exchange(layers.port, { headers: { authorization: `${scheme} dG9rZW4=` } })
      for (let i = 0; i < 3; i++) expect((await exchange(layers.port)).status).toBe(401)
    }
  })
})
