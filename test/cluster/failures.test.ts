/** Three nodes as processes, a real Redis and an inner layer at two of the nodes; then something dies. */
import { beforeAll, describe, expect } from '@jest/globals'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { mintKeyPair } from '../../src/identity/certificate.ts'
import { exchange } from '../support/exchange.ts'
import { createLayerProcesses, type LayerProcesses, type OuterProcess } from '../support/layer-processes.ts'
import { testWith } from '../support/needs.ts'
import { rawResponse, startRawOrigin } from '../support/raw-origin.ts'
import { REDIS_PROGRAMS, startRedisServer, type RedisServer } from '../support/redis.ts'
import { tempFile } from '../support/temp.ts'
import { until } from '../support/wait.ts'

/** Asks again and again, one request after the other, until it is told to stop. */
const askOn = (port: number): { stop(): Promise<{ readonly count: number; readonly failed: readonly string[] }> } => {
  let isStopped = false
  const failed: string[] = []
  let count = 0
  const run = (async () => {
    while (!isStopped) {
      const { status, code } = await exchange(port, { host: 'any.test', path: `/${count}` })
      if (status !== 200) failed.push(`${count}: ${status} ${code}`)
      count++
    }
  })()
  return {
    stop: async () => {
      isStopped = true
      await run
      return { count, failed }
    },
  }
}

describe('three nodes, and an inner layer at two of them', () => {
  let layers: LayerProcesses
  let redis: RedisServer
  const nodes: OuterProcess[] = []

  const startNode = (name: string, key = join(layers.directory, 'node.key')): Promise<OuterProcess> => {
    const args = ['--cluster', `redis://127.0.0.1:${redis.port}`, '--node-key', key, '--node-name', name, '--admin-port', 'none']
    return layers.startOuter({ args })
  }

  const linkedTo = (node: OuterProcess, name: string): Promise<unknown> =>
    node.process.waitForLine(new RegExp(`linked to the node ${name} `))

  beforeAll(async () => {
    const origin = await startRawOrigin(async (request, socket) => {
      await request.complete
      socket.write(rawResponse(200, request.target))
    })
    layers = await createLayerProcesses(origin.port)
    const { privateKeyPem } = await mintKeyPair({ type: 'ec', commonName: 'cluster', validityYears: 1 })
    writeFileSync(join(layers.directory, 'node.key'), privateKeyPem, { mode: 0o600 })
  })

  testWith(REDIS_PROGRAMS, 'each loss costs no request: Redis, Redis with all that it knew, the node with the link', async () => {
    redis = await startRedisServer()
    nodes.push(...(await Promise.all(['a', 'b', 'c'].map(name => startNode(name)))))
    const [a, b, c] = nodes as [OuterProcess, OuterProcess, OuterProcess]
    await layers.startInner('lan', [a, b])
    await Promise.all([linkedTo(c, 'a'), linkedTo(c, 'b'), linkedTo(a, 'c')])
    await until(async () => (await exchange(c.port, { host: 'any.test' })).status === 200, { what: 'node c to serve' })

    const asking = askOn(c.port)
    redis.process.child.kill('SIGKILL')
    await redis.process.exit
    await c.process.waitForLine(/does not answer/)
    await startRedisServer(redis.port)
    await c.process.waitForLine(/ answers"/)
    // The new one is empty: whoever comes now finds those who were there before.
    const d = await startNode('d')
    await Promise.all([linkedTo(d, 'a'), linkedTo(d, 'b'), linkedTo(d, 'c')])
    await until(async () => (await exchange(d.port, { host: 'any.test' })).status === 200, { what: 'node d to serve' })

    a.process.child.kill('SIGKILL')
    await a.process.exit
    // Long enough for the others to have noticed: the node is gone from the list of node d.
    await d.process.waitForLine(/no link to the node a /)
    const { count, failed } = await asking.stop()
    expect(failed).toEqual([])
    expect(count).toBeGreaterThan(0)

    b.process.child.kill('SIGTERM')
    expect(await b.process.exit).toEqual({ code: 0, signal: null })
  })

  testWith(REDIS_PROGRAMS, 'whoever has another key is sent nothing, and sends nothing', async () => {
    redis = await startRedisServer()
    const a = await startNode('a')
    await layers.startInner('lan', [a])
    const { privateKeyPem } = await mintKeyPair({ type: 'ec', commonName: 'stranger', validityYears: 1 })
    const key = tempFile('stranger.key', privateKeyPem)
    chmodSync(key, 0o600)
    const stranger = await startNode('stranger', key)
    const refused = /was not written by a node of this cluster: .* is not registered; give all nodes the same --node-key/
    await a.process.waitForLine(refused)
    await stranger.process.waitForLine(refused)
    expect((await exchange(stranger.port, { host: 'any.test' })).code).toBe('NO_INNER_LAYER')
  })
})
