/** Inner layers that know one node, and find others. */
import { describe, expect } from '@jest/globals'
import { exchange } from '../support/exchange.ts'
import type { Layers } from '../support/layers.ts'
import { testWith } from '../support/needs.ts'
import { linked, startNode } from '../support/nodes.ts'
import { freePort } from '../support/ports.ts'
import { startRawOrigin } from '../support/raw-origin.ts'
import { REDIS_PROGRAMS, startRedis } from '../support/redis.ts'
import { until } from '../support/wait.ts'

const start = async (redis: Awaited<ReturnType<typeof startRedis>>, origin: number, zone: string): Promise<Layers> => {
  const socketPort = await freePort()
  return startNode(redis, { origin, outer: { socketPort } }, { zone, name: zone, linkUrl: `ws://127.0.0.1:${socketPort}` })
}

describe('an inner layer that was given one node', () => {
  testWith(REDIS_PROGRAMS, 'keeps a link to another one in another zone, and finds a third when one leaves', async () => {
    const redis = await startRedis()
    const origin = await startRawOrigin()
    const [a, b, c] = [
      await start(redis, origin.port, 'east'),
      await start(redis, origin.port, 'east'),
      await start(redis, origin.port, 'west'),
    ]
    await linked([a, b, c], [0, 0, 0])
    await a.addInner()
    await c.connected(1)
    expect(b.outer.registry.connections).toHaveLength(0)
    expect(b.outer.cluster!.drainNode('nobody')).toBe(false)
    expect(b.outer.cluster!.drainNode(a.outer.cluster!.id)).toBe(true)
    await b.connected(1)
    await a.connected(0)
    // Without inner layers, it serves by way of the others, once it has heard of them.
    const elsewhere = (): number => a.outer.cluster!.nodes.reduce((sum, { processes }) => sum + processes, 0)
    await until(() => elsewhere() === 2, { what: 'node a to know of both connections' })
    expect((await exchange(a.port, { host: 'any.test' })).status).toBe(200)
    await c.connected(1)
    expect((await exchange(b.port, { host: 'any.test' })).status).toBe(200)
    // It goes on looking for the one that it was given.
    const url = `ws://127.0.0.1:${a.socketPort}`
    await until(() => a.innerLogs.some(({ msg }) => msg.startsWith(`cannot connect to ${url}`)), { what: 'another attempt to reach it' })
  })

  testWith(REDIS_PROGRAMS, 'and wants no more than one, goes to another one when that drains, whichever is drawn', async () => {
    const [redis, origin] = [await startRedis(), await startRawOrigin()]
    const [a, b] = [await start(redis, origin.port, 'east'), await start(redis, origin.port, 'west')]
    await linked([a, b], [0, 0])
    for (let count = 1; count <= 6; count++) await a.addInner({ nodes: 1, identifier: `lan-${count}` })
    await a.connected(6)
    expect(b.outer.cluster!.drainNode(a.outer.cluster!.id)).toBe(true)
    await b.connected(6)
  })
})
