/** Requests that come in at a node which has no inner layer for them. */
import { describe, expect } from '@jest/globals'
import { createHash } from 'node:crypto'
import { pattern } from '../link/pair.ts'
import { exchange } from '../support/exchange.ts'
import { testWith } from '../support/needs.ts'
import { linked, startNode } from '../support/nodes.ts'
import { rawResponse, startRawOrigin } from '../support/raw-origin.ts'
import { REDIS_PROGRAMS, startRedis } from '../support/redis.ts'
import { until } from '../support/wait.ts'
import { closeOf, openWebSocket, startWebSocketOrigin } from '../support/websocket.ts'

const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

describe('a cluster', () => {
  testWith(REDIS_PROGRAMS, 'any of three nodes serves what one of them is connected to', async () => {
    const redis = await startRedis()
    const body = pattern(3_000_000, 1)
    const origin = await startRawOrigin(async (request, socket) => {
      await request.complete
      socket.write(rawResponse(200, request.method === 'POST' ? digest(request.body) : body))
    })
    const nodes = [
      await startNode(redis, { origin: origin.port, inners: 1 }),
      await startNode(redis, { origin: origin.port }),
      await startNode(redis, { origin: origin.port }),
    ]
    await linked(nodes, [0, 1, 1])
    for (const { port } of nodes) {
      const answer = await exchange(port, { host: 'any.test', path: '/down' })
      expect(answer.status).toBe(200)
      expect(digest(answer.body)).toBe(digest(body))
      const posted = await exchange(port, { host: 'any.test', method: 'POST', body })
      expect(posted.body.toString()).toBe(digest(body))
    }
    const [first, second] = nodes.map(({ outer }) => outer.cluster!.relays)
    expect(first!.total).toBe(4)
    expect(second!.total).toBe(0)
    await until(() => first!.streamCount === 0, { what: 'the relayed streams to end' })
  })

  testWith(REDIS_PROGRAMS, 'a WebSocket through another node', async () => {
    const redis = await startRedis()
    const origin = await startWebSocketOrigin()
    const nodes = [await startNode(redis, { origin: origin.port, inners: 1 }), await startNode(redis, { origin: origin.port })]
    await linked(nodes, [0, 1])
    const client = await openWebSocket(nodes[1]!.port, { perMessageDeflate: false })
    const bytes = pattern(200_000, 2)
    client.socket.send(bytes)
    await until(() => client.messages.length === 1)
    expect(digest(Buffer.from(client.messages[0]!))).toBe(digest(bytes))
    client.socket.close(4000)
    expect((await closeOf(client)).code).toBe(4000)
  })
})
