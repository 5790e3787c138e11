/** Two nodes that cannot reach each other, while both reach Redis. */
import { describe, expect } from '@jest/globals'
import { exchange } from '../support/exchange.ts'
import { testWith } from '../support/needs.ts'
import { linked, startNode } from '../support/nodes.ts'
import { freePort } from '../support/ports.ts'
import { rawResponse, startRawOrigin } from '../support/raw-origin.ts'
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
})
