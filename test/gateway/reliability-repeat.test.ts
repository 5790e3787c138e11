/** K1 to K4: what is sent again, what never is, and which connections are shared. */
import { describe, expect, test } from '@jest/globals'
import { randomUUID } from 'node:crypto'
import type { Socket } from 'node:net'
import { ERRORS } from '../../src/errors.ts'
import { FrameType } from '../../src/wire/frame.ts'
import { playInner } from '../support/evil-inner.ts'
import { exchange } from '../support/exchange.ts'
import { startLayers } from '../support/layers.ts'
import { quiet } from '../support/quiet.ts'
import { RawConnection } from '../support/raw-client.ts'
import { rawResponse, startRawOrigin, type RawOrigin } from '../support/raw-origin.ts'
import { startRelay } from '../support/relay.ts'
import { until } from '../support/wait.ts'

/** Far beyond every deadline here: whatever waits for it fails its test. */
const timeoutMs = 120_000

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

  test('a PUT with a small body that comes in pieces never fails', async () => {
    const seen = new WeakSet<Socket>()
    const origin = await startRawOrigin(async (request, socket) => {
      if (seen.has(socket)) return void socket.resetAndDestroy()
      seen.add(socket)
      await request.complete
      socket.write(rawResponse(200, request.body))
    })
    const layers = await startLayers({ origin: origin.port })
    for (let i = 1; i <= 20; i++) {
      const client = await RawConnection.open(layers.port)
      client.write(`PUT /${i} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n${'x'.repeat(500)}`)
      await until(() => origin.requests.some(({ target }) => target === `/${i}`))
      client.write('y'.repeat(500))
      const { status, body } = await client.readResponse()
      expect([status, body.toString()]).toEqual([200, 'x'.repeat(500) + 'y'.repeat(500)])
    }
    await quiet(layers)
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
    // By a name that only this test has: the port of the origin may have been somebody else's a moment ago, who is asked there still.
    const once = randomUUID()
    const [begun, executed] = [new Map<string, number>(), new Map<string, number>()]
    const origin = await startRawOrigin(async (request, socket) => {
      const [name] = request.values('x-once')
      if (name?.startsWith(once) !== true) return void socket.end(rawResponse(404))
      begun.set(name, (begun.get(name) ?? 0) + 1)
      await request.complete
      executed.set(name, (executed.get(name) ?? 0) + 1)
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
        const name = `${once} ${number++}`
        const outcome = await exchange(layers.port, { method: 'POST', headers: { 'x-once': name }, body: 'x'.repeat(100) })
        return { name, ...outcome }
      })
      const turns = Math.floor(Math.random() * 60)
      for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate)
      if (trial % 3 === 0) victim.destroy()
      else relay.cut()
      for (const { name, status, isComplete } of await Promise.all(running)) {
        if (status === 200 && isComplete) expect(executed.get(name)).toBe(1)
        else expect(status).toBe(502)
      }
      victim.destroy()
      await layers.connected(1)
    }
    // Not even the head of one comes twice.
    expect([...begun].filter(([, times]) => times > 1)).toEqual([])
    expect(Math.max(...executed.values())).toBe(1)
    await quiet(layers)
  })
})

describe('K3: an idle connection of a client', () => {
  test('lives longer than announced, so that a request at the last moment is answered', async () => {
    const origin = await startRawOrigin()
    const layers = await startLayers({ origin: origin.port, outer: { keepAliveMs: 1_000 } })
    const request = 'GET / HTTP/1.1\r\nHost: a.test\r\n\r\n'
    const reuse = async (offsetMs: number): Promise<number> => {
      const client = await RawConnection.open(layers.port)
      const askedMs = performance.now()
      client.write(request)
      const { fields } = await client.readResponse()
      expect(fields.find(([name]) => name === 'Keep-Alive')?.[1]).toBe('timeout=1')
      const idleSinceMs = performance.now()
      await until(() => performance.now() - idleSinceMs >= 1_000 + offsetMs)
      client.write(request)
      try {
        return (await client.readResponse()).status
      } catch (cause) {
        // A busy machine: the gateway, which answered after it was asked, has waited for the second that it announced and another one.
        if (performance.now() - askedMs >= 2_000) return 200
        throw cause
      }
    }
    const statuses = await Promise.all(Array.from({ length: 60 }, (_, i) => reuse((i % 11) - 5)))
    expect(statuses).toEqual(statuses.map(() => 200))
  })

  test('is closed in the end', async () => {
    const layers = await startLayers({ outer: { keepAliveMs: 100 } })
    const client = await RawConnection.open(layers.port)
    client.write('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
    await client.readResponse()
    await client.closed
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
