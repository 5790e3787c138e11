/** Inner layers that are sent from a node that has many to those that have few. */
import { describe, expect, test } from '@jest/globals'
import { connect, createServer, type AddressInfo } from 'node:net'
import { movesOf, parseWish, type NodeLoad } from '../../src/cluster/rebalance.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { exchange } from '../support/exchange.ts'
import type { Layers } from '../support/layers.ts'
import { testWith } from '../support/needs.ts'
import { linked, startNode } from '../support/nodes.ts'
import { freePort } from '../support/ports.ts'
import { startRawOrigin } from '../support/raw-origin.ts'
import { REDIS_PROGRAMS, startRedis } from '../support/redis.ts'
import { until } from '../support/wait.ts'

const WISH = { threshold: 0.2, rate: 0.05 }
const load = (id: string, instances: readonly string[], isOpen = true): NodeLoad => ({ id, isOpen, instances: new Set(instances) })
const many = (count: number, from = 0): readonly string[] => Array.from({ length: count }, (_, index) => `i${from + index}`)

describe('the moves', () => {
  test('bring a node to the average, each to the emptiest that has less', () => {
    const moves = movesOf(load('a', many(30)), [load('b', many(6, 30)), load('c', [])], WISH)
    expect(moves).toHaveLength(18)
    expect(moves.filter(({ to }) => to === 'c')).toHaveLength(12)
    expect(new Set(moves.map(({ instance }) => instance)).size).toBe(18)
  })

  test.each([
    ['a node within the threshold', load('a', many(12)), [load('b', many(9, 12))]],
    ['one more than the average', load('a', many(2)), [load('b', ['x'])]],
    ['a node that is alone', load('a', many(12)), []],
    ['nobody to take them', load('a', many(12)), [load('b', [], false)]],
    ['inner layers that are at the other one already', load('a', many(12)), [load('b', many(4)), load('c', many(12))]],
  ])('are none for %s', (what, own, others) => {
    const moves = movesOf(own, others, WISH)
    // The last one: those that only the first one has are sent, and no others.
    if (what.startsWith('inner layers')) expect(moves.every(({ instance, to }) => to === 'b' && Number(instance.slice(1)) >= 4)).toBe(true)
    else expect(moves).toEqual([])
  })

  test.each([{}, { threshold: -1, rate: 0.1 }, { threshold: 0.2, rate: 2 }, { threshold: NaN, rate: 0 }, { threshold: '1', rate: 0 }])(
    'are not begun by %j',
    note => expect(parseWish(note)).toBeUndefined(),
  )
})

testWith(REDIS_PROGRAMS, 'a node sheds to those that have room, takes none of them back, and no request fails meanwhile', async () => {
  const redis = await startRedis()
  const origin = await startRawOrigin()
  const nodes: Layers[] = []
  for (const name of ['a', 'b', 'c']) {
    const socketPort = await freePort()
    const options = { origin: origin.port, outer: { socketPort } }
    nodes.push(await startNode(redis, options, { name, linkUrl: `ws://127.0.0.1:${socketPort}` }))
  }
  const [a] = nodes as [Layers]
  // A balancer before the nodes, which knows one of them at first, and gives each connection to the next one in turn later.
  let open = [a]
  let turn = 0
  const balancer = createServer(client => {
    const to = connect(open[turn++ % open.length]!.socketPort, '127.0.0.1')
    client.pipe(to).pipe(client)
    for (const [socket, other] of [
      [client, to],
      [to, client],
    ] as const)
      socket.on('error', () => other.destroy()).on('close', () => other.destroy())
  })
  await new Promise<void>(resolve => balancer.listen(0, '127.0.0.1', resolve))
  onCleanUp(() => void balancer.close())
  const outerLayers = [`ws://127.0.0.1:${(balancer.address() as AddressInfo).port}`]
  for (let i = 0; i < 6; i++) await a.addInner({ outerLayers, nodes: 1 })
  await a.connected(6)
  await linked(nodes, [0, 6, 6])
  open = nodes

  const failed: number[] = []
  let isOver = false
  const load = (async () => {
    while (!isOver) {
      const { status } = await exchange(a.port, { host: 'any.test' })
      if (status !== 200) failed.push(status)
    }
  })()
  const report = nodes[1]!.outer.cluster!.rebalance({ threshold: 0, rate: 1 })
  expect(report.average).toBe(2)
  expect(report.nodes.find(({ name }) => name === 'a')).toEqual({ name: 'a', innerLayers: 6, isOpen: true, moves: 4 })
  const own = ({ outer }: Layers): number => outer.registry.connections.filter(({ node }) => node === undefined).length
  await until(() => own(a) === 2 && own(nodes[1]!) + own(nodes[2]!) === 4, { what: 'four of six to be at other nodes' })
  isOver = true
  await load
  expect(failed).toEqual([])
})
