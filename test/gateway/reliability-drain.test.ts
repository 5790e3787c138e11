/** Leaving: what is in flight finishes, what is new goes elsewhere, nothing is waited for in vain. */
import { writeFileSync, renameSync } from 'node:fs'
import { Agent } from 'node:http'
import type { Socket } from 'node:net'
import { describe, expect, test } from '@jest/globals'
import { exchange } from '../support/exchange.ts'
import { startLayers, type Layers } from '../support/layers.ts'
import { quiet } from '../support/quiet.ts'
import { RawConnection } from '../support/raw-client.ts'
import { rawResponse, startRawOrigin, type RawOrigin } from '../support/raw-origin.ts'
import { until, within } from '../support/wait.ts'

const timeoutMs = 120_000

/** An origin that answers /held when it is told to, /stream for ever, and the rest at once. */
const startHolding = async (): Promise<{ origin: RawOrigin; release: () => void; held: Socket[] }> => {
  const held: Socket[] = []
  const origin = await startRawOrigin(async (request, socket) => {
    await request.complete
    if (request.target === '/held') held.push(socket)
    else if (request.target === '/stream')
      socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n5\r\ndata:\r\n')
    else socket.write(rawResponse(200, 'ok'))
  })
  const release = (): void => {
    for (const socket of held.splice(0)) socket.write(rawResponse(200, 'released'))
  }
  return { origin, release, held }
}

const healthOf = async (layers: Layers): Promise<{ status: number; reasons: string[]; degraded: string[] }> => {
  const answer = await exchange(layers.outer.ports.socket, { path: '/readyz' })
  const { reasons, degraded = [] } = JSON.parse(answer.body.toString()) as { reasons: string[]; degraded?: string[] }
  return { status: answer.status, reasons, degraded }
}

describe('an inner layer that leaves', () => {
  test('finishes what it has, takes nothing new, and then is gone', async () => {
    const { origin, release, held } = await startHolding()
    const layers = await startLayers({ origin: origin.port, inners: 0, outer: { timeoutMs } })
    const first = await layers.addInner({ identifier: 'first', drainTimeoutMs: 60_000 })
    const running = [exchange(layers.port, { path: '/held' }), exchange(layers.port, { path: '/held', method: 'POST', body: 'x' })]
    await until(() => held.length === 2)
    await layers.addInner({ identifier: 'second' })
    const closed = first.close()
    await until(() => layers.outerLogs.some(({ msg }) => msg.includes('is leaving')))
    for (let i = 0; i < 5; i++) expect((await exchange(layers.port, { method: 'POST', body: 'x' })).status).toBe(200)
    await layers.accessLine(5)
    expect(layers.accessLog.map(({ identifier }) => identifier)).toEqual(Array.from({ length: 5 }, () => 'second'))
    expect(first.streamCount).toBe(2)
    release()
    for (const { status, body } of await Promise.all(running)) expect([status, body.toString()]).toEqual([200, 'released'])
    await within(closed, 'the inner layer to close')
    await layers.connected(1)
    await quiet(layers)
  })

  test('cuts what is not over after its drain timeout', async () => {
    const { origin } = await startHolding()
    const layers = await startLayers({ origin: origin.port, inner: { drainTimeoutMs: 200 }, outer: { timeoutMs } })
    let received = ''
    const stream = exchange(layers.port, { path: '/stream', onData: chunk => (received += chunk.toString()) })
    await until(() => received === 'data:')
    await within(layers.inner.close(), 'the inner layer to close')
    expect(await stream).toMatchObject({ status: 200, isComplete: false })
    await until(() => origin.open === 0)
  })

  test('does not come back, also when it was not connected', async () => {
    const layers = await startLayers({ relay: {} })
    await layers.relay.close()
    await until(() => layers.inner.connectionCount === 0)
    await within(layers.inner.close(), 'the inner layer to close')
    layers.inner.destroy()
    await within(layers.inner.close(), 'the second close')
  })
})

describe('an outer layer that leaves', () => {
  test('finishes what it has and refuses new connections meanwhile', async () => {
    const { origin, release, held } = await startHolding()
    const layers = await startLayers({ origin: origin.port, outer: { timeoutMs, drainTimeoutMs: 60_000 } })
    const running = exchange(layers.port, { path: '/held' })
    await until(() => held.length === 1)
    const closed = layers.outer.close()
    // Whoever was accepted a moment before is still answered.
    await until(async () => (await exchange(layers.port)).status === 0)
    expect(await healthOf(layers)).toMatchObject({ status: 503, reasons: ['shutting down'] })
    release()
    const outcome = await running
    expect([outcome.status, outcome.body.toString(), outcome.headers.connection]).toEqual([200, 'released', 'close'])
    await within(closed, 'the outer layer to close')
    await until(() => layers.inner.connectionCount === 0)
  })

  test('answers the next request of a busy connection and then closes it', async () => {
    const { origin, release, held } = await startHolding()
    const layers = await startLayers({ origin: origin.port, outer: { timeoutMs, drainTimeoutMs: 60_000 } })
    const client = await RawConnection.open(layers.port)
    client.write('GET /held HTTP/1.1\r\nHost: a.test\r\n\r\nGET /next HTTP/1.1\r\nHost: a.test\r\n\r\n')
    await until(() => held.length === 1)
    const closed = layers.outer.close()
    release()
    expect((await client.readResponse()).body.toString()).toBe('released')
    await within(client.closed, 'the connection to close')
    await within(closed, 'the outer layer to close')
  })

  test('does not wait for connections that are idle, have sent half a head, or nothing', async () => {
    const { origin } = await startHolding()
    const layers = await startLayers({ origin: origin.port, outer: { timeoutMs, drainTimeoutMs: 60_000 } })
    const agent = new Agent({ keepAlive: true })
    expect((await exchange(layers.port, { agent })).status).toBe(200)
    const half = await RawConnection.open(layers.port)
    half.write('GET / HTTP/1.1\r\nHo')
    const silent = await RawConnection.open(layers.port)
    const health = await RawConnection.open(layers.outer.ports.socket)
    health.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n')
    await health.readResponse()
    await within(layers.outer.close(), 'the outer layer to close')
    await Promise.all([half.closed, silent.closed, health.closed])
    agent.destroy()
  })

  test('cuts an event stream after its drain timeout, and never ends it cleanly', async () => {
    const { origin } = await startHolding()
    const layers = await startLayers({ origin: origin.port, outer: { timeoutMs, drainTimeoutMs: 200 } })
    let received = ''
    const stream = exchange(layers.port, { path: '/stream', onData: chunk => (received += chunk.toString()) })
    await until(() => received === 'data:')
    await within(layers.outer.close(), 'the outer layer to close')
    expect(await stream).toMatchObject({ status: 200, isComplete: false })
    await until(() => layers.inner.streamCount === 0)
  })

  test('closes once, however often it is told to', async () => {
    const { origin, held } = await startHolding()
    const layers = await startLayers({ origin: origin.port, outer: { timeoutMs, drainTimeoutMs: 60_000 } })
    const running = exchange(layers.port, { path: '/held' })
    await until(() => held.length === 1)
    const closing = [layers.outer.close(), layers.outer.close()]
    layers.outer.destroy()
    layers.outer.destroy()
    await within(Promise.all([...closing, layers.outer.close()]), 'every close')
    expect((await running).status).toBe(0)
  })

  test('closes although an inner layer has gone silent', async () => {
    const { origin, held } = await startHolding()
    const layers = await startLayers({ origin: origin.port, relay: {}, outer: { timeoutMs, drainTimeoutMs: 300 } })
    const running = exchange(layers.port, { path: '/held' })
    await until(() => held.length === 1)
    layers.relay.pause()
    await within(layers.outer.close(), 'the outer layer to close')
    expect((await running).isComplete).toBe(false)
  })

  test('restarts behind the same address without a failed request, as long as another one is there', async () => {
    const { origin } = await startHolding()
    const layers = await startLayers({ origin: origin.port, inners: 2, outer: { timeoutMs } })
    const failures: number[] = []
    let isOver = false
    const load = async (): Promise<void> => {
      while (!isOver) {
        const { status } = await exchange(layers.port, { method: 'POST', body: 'x' })
        if (status !== 200) failures.push(status)
      }
    }
    const running = [load(), load(), load(), load()]
    for (let round = 0; round < 8; round++) {
      await layers.addInner()
      await layers.inners[round]!.close()
    }
    isOver = true
    await Promise.all(running)
    expect(failures).toEqual([])
    expect(layers.accessLog.length).toBeGreaterThan(0)
    await quiet(layers)
  })
})

describe('the targets file', () => {
  const yaml = (port: number, policy = '"*"'): string =>
    `targets:\n  a.test: {protocol: http, hostname: 127.0.0.1, port: ${port}, policy: ${policy}}\n`

  test('is in force soon after a change, and no running stream is dropped', async () => {
    const { origin, release, held } = await startHolding()
    const layers = await startLayers({ targets: yaml(origin.port), outer: { timeoutMs } })
    const host = 'a.test'
    const running = exchange(layers.port, { host, path: '/held' })
    let received = ''
    const abort = new AbortController()
    const stream = exchange(layers.port, { host, path: '/stream', signal: abort.signal, onData: chunk => (received += chunk.toString()) })
    await until(() => held.length === 1 && received !== '')
    writeFileSync(`${layers.targetsFile}.new`, yaml(origin.port, '{"/allowed": [GET]}'))
    renameSync(`${layers.targetsFile}.new`, layers.targetsFile)
    await until(async () => (await exchange(layers.port, { host, path: '/other' })).status === 403)
    expect((await exchange(layers.port, { host, path: '/allowed' })).status).toBe(200)
    release()
    expect((await running).body.toString()).toBe('released')
    expect(layers.outer.registry.connections[0]!.session.streamCount).toBe(1)
    abort.abort()
    await stream
    await quiet(layers)
  })

  test('keeps the last good state when it is broken, says so in readiness, and heals', async () => {
    const { origin } = await startHolding()
    const layers = await startLayers({ targets: yaml(origin.port), outer: { timeoutMs } })
    expect(await healthOf(layers)).toEqual({ status: 200, reasons: [], degraded: [] })
    writeFileSync(layers.targetsFile, 'targets: {a.test: {hostname: x, unknown: 1}}\n')
    await until(async () => (await healthOf(layers)).degraded.length > 0)
    const degraded = ['the targets file is not valid; the last good one is in force']
    expect(await healthOf(layers)).toEqual({ status: 200, reasons: [], degraded })
    expect((await exchange(layers.port, { host: 'a.test' })).status).toBe(200)
    writeFileSync(layers.targetsFile, yaml(origin.port))
    await until(async () => (await healthOf(layers)).degraded.length === 0)
  })

  test('may change a hundred times under load', async () => {
    const { origin } = await startHolding()
    const layers = await startLayers({ targets: yaml(origin.port), outer: { timeoutMs } })
    const failures: number[] = []
    let isOver = false
    const load = async (): Promise<void> => {
      while (!isOver) {
        const { status } = await exchange(layers.port, { host: 'a.test' })
        if (status !== 200) failures.push(status)
      }
    }
    const running = [load(), load()]
    for (let i = 0; i < 100; i++) {
      writeFileSync(layers.targetsFile, i % 10 === 9 ? 'broken: [' : `${yaml(origin.port)}# ${i}\n`)
      await exchange(layers.port, { host: 'a.test' })
    }
    writeFileSync(layers.targetsFile, yaml(origin.port))
    isOver = true
    await Promise.all(running)
    expect(failures).toEqual([])
  })
})
