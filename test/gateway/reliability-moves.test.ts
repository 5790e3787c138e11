/** What requests do when their inner layer leaves or is lost: uploads that have begun, and requests that wait for one to come back. */
import { describe, expect, test } from '@jest/globals'
import type { Socket } from 'node:net'
import { exchange } from '../support/exchange.ts'
import { createLayerProcesses } from '../support/layer-processes.ts'
import { startLayers } from '../support/layers.ts'
import { quiet } from '../support/quiet.ts'
import { RawConnection } from '../support/raw-client.ts'
import { rawResponse, startRawOrigin } from '../support/raw-origin.ts'
import { startRelay } from '../support/relay.ts'
import { until } from '../support/wait.ts'

const timeoutMs = 120_000

describe('an inner layer that leaves', () => {
  test('refuses no upload that another one could take, however much of it has come', async () => {
    const origin = await startRawOrigin(async (request, socket) => {
      await request.complete
      socket.write(rawResponse(200, String(request.bodyBytes)))
    })
    const layers = await startLayers({ origin: origin.port, inners: 0, relay: { delayMs: 50 }, outer: { timeoutMs } })
    for (let i = 0; i < 2; i++) await layers.addInner()
    const body = 'x'.repeat(300_000)
    const uploads: Promise<string>[] = []
    const upload = async (): Promise<string> => {
      const { status, body: said } = await exchange(layers.port, { method: 'POST', body })
      return `${status} ${said.toString()}`
    }
    for (let i = 0; i < 8; i++) uploads.push(upload())
    await until(() => origin.hits > 0)
    const closed = layers.inners[0]!.close()
    for (let i = 0; i < 24; i++) uploads.push(upload())
    expect(await Promise.all(uploads)).toEqual(uploads.map(() => '200 300000'))
    expect(origin.hits).toBe(32)
    await closed
    await quiet(layers)
  })
})

describe('the only inner layer', () => {
  test('killed -9: with --hold, what may be repeated waits for the next one, and what may not be is 502', async () => {
    const held: Socket[] = []
    const origin = await startRawOrigin((_request, socket) => void held.push(socket))
    const processes = await createLayerProcesses(origin.port)
    const outer = await processes.startOuter({ args: ['--hold', '60000'] })
    const victim = await processes.startInner('one', [outer])
    const gets = Array.from({ length: 8 }, () => exchange(outer.port))
    const post = exchange(outer.port, { method: 'POST', body: 'x' })
    await until(() => held.length === 9)
    origin.handle((_request, socket) => void socket.write(rawResponse(200, 'again')))
    await victim.stop('SIGKILL')
    expect(await post).toMatchObject({ status: 502, code: 'INNER_LAYER_LOST' })
    await processes.startInner('two', [outer])
    for (const { status, body } of await Promise.all(gets)) expect([status, body.toString()]).toEqual([200, 'again'])
    await outer.process.stop('SIGTERM')
  })

  test('lost in the middle of an upload: the rest is kept for when it is back', async () => {
    const origin = await startRawOrigin(async (request, socket) => {
      await request.complete
      socket.write(rawResponse(200, `${request.bodyBytes} bytes`))
    })
    const layers = await startLayers({ origin: origin.port, relay: {}, outer: { timeoutMs, limits: { holdMs: 60_000 } } })
    const { port } = layers.relay
    const client = await RawConnection.open(layers.port)
    client.write('PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n')
    client.write(Buffer.alloc(20_000, 'x'))
    await until(() => origin.hits === 1)
    await layers.relay.close()
    await layers.connected(0)
    client.write(Buffer.alloc(40_000, 'y'))
    await startRelay({ target: { host: '127.0.0.1', port: layers.outer.ports.socket }, listen: { port } })
    expect(await client.read('60000 bytes')).toMatch(/^HTTP\/1\.1 200 /)
    await quiet(layers)
  })

  test('that does not come back in time: the answer has the code and the reason of its loss', async () => {
    const origin = await startRawOrigin(() => undefined)
    const layers = await startLayers({ origin: origin.port, outer: { timeoutMs, limits: { holdMs: 200 } } })
    const get = exchange(layers.port)
    await until(() => origin.hits === 1)
    layers.inner.destroy()
    expect(await get).toMatchObject({ status: 502, code: 'INNER_LAYER_LOST' })
    const line = await layers.accessLine(1)
    expect(line.error).toBe('INNER_LAYER_LOST')
    expect(String(line['reason'])).toMatch(/; none came within --hold$/)
    expect(String(line['reason'])).not.toMatch(/no inner layer is connected/)
  })

  test('is waited for by default right after the start of the outer layer', async () => {
    const origin = await startRawOrigin()
    const processes = await createLayerProcesses(origin.port)
    const outer = await processes.startOuter()
    const post = exchange(outer.port, { method: 'POST', body: 'x' })
    const [, answer] = await Promise.all([processes.startInner('one', [outer]), post])
    // On a machine that takes longer than five seconds for it the answer is 502, and no less right.
    expect([200, 502]).toContain(answer.status)
    if (answer.status === 502) expect(answer.tookMs).toBeGreaterThan(4_900)
  })
})
