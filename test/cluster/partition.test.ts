/** Two nodes that cannot reach each other, while both reach Redis. */
import { describe, expect } from '@jest/globals'
import { request } from 'node:http'
import { exchange } from '../support/exchange.ts'
import { testWith } from '../support/needs.ts'
import { linked, startNode } from '../support/nodes.ts'
import { freePort } from '../support/ports.ts'
import { rawResponse, startRawOrigin, type RawRequest } from '../support/raw-origin.ts'
import { REDIS_PROGRAMS, startRedis } from '../support/redis.ts'
import { startRelay } from '../support/relay.ts'
import { until } from '../support/wait.ts'

/** So that silence is noticed soon. */
const TIMING = { pingAfterMs: 200, deadAfterMs: 1_000 }

describe('a partition', () => {
  testWith(REDIS_PROGRAMS, 'what one node cannot reach by another goes by a third; and by the first again when it is over', async () => {
    const redis = await startRedis()
    let isSilent = false
    const origin = await startRawOrigin((request, socket) => {
      if (!(isSilent && request.target === '/held')) socket.write(rawResponse(200, 'here'))
    })
    const nodePort = await freePort()
    const relay = await startRelay({ target: { host: '127.0.0.1', port: nodePort } })
    const outer = { timing: TIMING }
    const a = await startNode(
      redis,
      { origin: origin.port, outer, inners: 1 },
      { port: nodePort, url: `ws://127.0.0.1:${relay.port}`, name: 'a' },
    )
    const b = await startNode(redis, { origin: origin.port, outer }, { name: 'b' })
    const c = await startNode(redis, { origin: origin.port, outer, inner: { identifier: 'third' } }, { name: 'c' })
    await linked([a, b, c], [0, 1, 1])

    isSilent = true
    const held = exchange(b.port, { host: 'any.test', path: '/held' })
    await until(() => a.outer.cluster!.relays.streamCount === 1, { what: 'the request to be relayed' })
    relay.pause()
    // Nobody hangs: it fails when the link is known to be dead, or moves.
    const isLinked = (): boolean => b.outer.cluster!.nodes.find(({ name }) => name === 'a')!.isLinked
    await until(() => !isLinked(), { what: 'node b to notice' })
    expect((await held).status).toBe(502)
    expect((await exchange(b.port, { host: 'any.test' })).code).toBe('NO_INNER_LAYER')
    await c.addInner()
    await until(
      () => c.outer.registry.operatorCount === 1 && b.outer.cluster!.nodes.some(({ name, processes }) => name === 'c' && processes === 1),
    )
    expect((await exchange(b.port, { host: 'any.test' })).status).toBe(200)
    expect(c.outer.cluster!.relays.total).toBe(1)

    relay.resume()
    await until(isLinked, { what: 'the link to come back' })
    expect((await exchange(b.port, { host: 'any.test' })).status).toBe(200)
  })

  testWith(
    REDIS_PROGRAMS,
    'an upload that is cut between two nodes comes out as cut, at the origin and at the client, and once',
    async () => {
      const redis = await startRedis()
      const uploads: RawRequest[] = []
      const origin = await startRawOrigin(async (request, socket) => {
        if (request.method === 'PUT') uploads.push(request)
        await request.complete
        socket.write(rawResponse(200, 'here'))
      })
      const nodePort = await freePort()
      const relay = await startRelay({ target: { host: '127.0.0.1', port: nodePort } })
      const a = await startNode(
        redis,
        { origin: origin.port, inners: 1 },
        { port: nodePort, url: `ws://127.0.0.1:${relay.port}`, name: 'a' },
      )
      const b = await startNode(redis, { origin: origin.port }, { name: 'b' })
      await linked([a, b], [0, 1])

      const client = request({
        host: '127.0.0.1',
        port: b.port,
        method: 'PUT',
        headers: { host: 'any.test', 'content-length': 10_000_000 },
      })
      const answer = new Promise<number>(resolve => {
        client.on('response', response => resolve(response.resume().statusCode ?? 0))
        client.on('error', () => resolve(0))
      })
      // More than is kept for another attempt, so that nobody may send it again.
      client.write(Buffer.alloc(200_000, 'x'))
      await until(() => (uploads[0]?.collected.totalBytes ?? 0) >= 200_000, { what: 'what was sent to be at the origin' })
      relay.cut()
      expect(await answer).toBe(502)
      client.destroy()
      await until(() => uploads[0]!.isCut, { what: 'the origin to see that it was cut' })
      expect(uploads.map(({ isComplete, isCut }) => [isComplete, isCut])).toEqual([[false, true]])
      await until(() => b.outer.cluster!.nodes.every(({ isLinked }) => isLinked), { what: 'the link to be there again' })
      expect((await exchange(b.port, { host: 'any.test' })).status).toBe(200)
    },
  )
})
