/** A stranger who can write to the Redis of a cluster, and has no key: nothing that they make up, change or put back is believed. */
import { Redis } from 'ioredis'
import { describe, expect, test } from '@jest/globals'
import { PresenceSeal, type PresenceSealOptions } from '../../src/cluster/redis/presence-seal.ts'
import { RedisPresence } from '../../src/cluster/redis/redis-presence.ts'
import { parseRedisUrl } from '../../src/cluster/redis/redis-url.ts'
import type { NodeFacts, ServedProcess } from '../../src/cluster/presence.ts'
import { mintKeyPair } from '../../src/identity/certificate.ts'
import { KeyRegistry } from '../../src/identity/key-registry.ts'
import { registeredHalfOf } from '../../src/identity/private-key.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { captureLog, privateKeyOf, type LogRecord } from '../support/layers.ts'
import { testWith } from '../support/needs.ts'
import { nodeKey } from '../support/nodes.ts'
import { REDIS_PROGRAMS, startRedis } from '../support/redis.ts'
import { until } from '../support/wait.ts'

const factsOf = (id: string): NodeFacts => ({ id, name: id, url: 'wss://b:1', zone: '', linkUrl: '', isDraining: false, agent: 'x' })
const processOf = (number: number, identifier: string): ServedProcess => ({
  number,
  identifier,
  pool: 'operator',
  kid: 'k',
  address: '127.0.0.1',
  agent: 'x',
  instance: identifier,
  isEnrolled: false,
  atMs: 1,
})

type Keys = Pick<PresenceSealOptions, 'key' | 'keys'>

interface Half {
  readonly presence: RedisPresence
  /** Everything that was told, in order. */
  readonly told: string[]
  readonly logs: readonly LogRecord[]
}

const startHalf = (port: number, id: string, keys: Keys): Half => {
  const { log, records: logs } = captureLog()
  const told: string[] = []
  const presence = new RedisPresence({
    place: parseRedisUrl(`redis://127.0.0.1:${port}`),
    name: 'test',
    ...keys,
    log,
    clock: () => performance.now(),
    wallClock: Date.now,
  })
  presence.start(factsOf(id), {
    node: facts => told.push(`node ${facts.id} ${facts.url}`),
    nodeGone: gone => told.push(`gone ${gone}`),
    served: (of, processes) => told.push(...processes.map(({ identifier }) => `serves ${of} ${identifier}`)),
    unserved: (of, numbers) => told.push(`unserves ${of} ${numbers.join()}`),
  })
  onCleanUp(() => presence.close())
  return { presence, told, logs }
}

testWith(REDIS_PROGRAMS, 'what is made up, changed or put back is refused and said so, and what the nodes say goes on', async () => {
  const port = await startRedis()
  const redis = new Redis({ host: '127.0.0.1', port })
  onCleanUp(() => redis.disconnect())
  const keys = await nodeKey()
  const [a, b] = [startHalf(port, 'a', keys), startHalf(port, 'b', keys)]
  a.presence.serve(processOf(1, 'lan'))
  await until(() => b.told.includes('serves a lan'), { what: 'the other node to know it' })
  expect(b.told).toEqual(['node a wss://b:1', 'serves a lan'])
  const refused = (reason: string): Promise<unknown> =>
    until(() => b.logs.some(({ msg }) => msg.startsWith('something in Redis was not written') && msg.includes(reason)), { what: reason })
  const show = async (id: string, envelope: string): Promise<void> => {
    await redis
      .pipeline()
      .zadd('{test}:nodes', Date.now() + 1e9, id)
      .hset('{test}:facts', id, envelope)
      .exec()
  }

  await show('unsigned', JSON.stringify(factsOf('unsigned')))
  await refused('the entry of the node "unsigned" is refused: it is not signed')
  const honest = (await redis.hget('{test}:facts', 'a'))!
  await show('twin', honest)
  await refused('the entry of the node "twin" is refused: it is of the node "a"')
  const stranger = privateKeyOf(await mintKeyPair({ type: 'ec', commonName: 'stranger', validityYears: 1 }))
  const forger = new PresenceSeal({
    name: 'test',
    key: stranger,
    keys: keys.keys,
    clock: () => 0,
    wallClock: Date.now,
    onRefused: () => undefined,
  })
  await show('forged', forger.facts(factsOf('forged'), 0))
  await refused(`the entry of the node "forged" is refused: proof refused: kid "${stranger.kid}" is not registered`)

  // Of the node that is there: another address, another process in its list, changes, and an end.
  const other = { ...(JSON.parse(honest) as object), facts: JSON.stringify({ ...factsOf('a'), url: 'wss://evil:1' }) }
  await redis.hset('{test}:facts', 'a', JSON.stringify(other))
  const [number = 0] = (await redis.hget('{test}:versions', 'a'))!.split(' ').map(Number)
  await redis
    .pipeline()
    .publish('{test}:changes', `a ${number + 1} ${'x'.repeat(43)} ${JSON.stringify({ add: [processOf(2, 'evil')], remove: [1] })}`)
    .publish('{test}:changes', `a gone ${'x'.repeat(43)} `)
    .exec()
  await refused('a message is not of the node "a"')
  await redis
    .pipeline()
    .hset('{test}:served:a', '3', JSON.stringify(processOf(3, 'evil')))
    .hset('{test}:versions', 'a', `${number + 5} ${'x'.repeat(43)}`)
    .exec()
  // The node finds another list than its own, and writes it anew.
  a.presence.serve(processOf(4, 'marker'))
  await until(() => b.told.includes('serves a marker'), { what: 'what the node says afterwards' })
  expect(b.told).toEqual(['node a wss://b:1', 'serves a lan', 'serves a marker'])
  expect(b.logs.filter(({ level, msg }) => level === 'warn' && msg.startsWith('something in Redis'))).toHaveLength(1)

  // Gone is gone, whoever puts it back.
  const last = (await redis.hget('{test}:facts', 'a'))!
  await a.presence.close()
  await until(() => b.told.includes('gone a'), { what: 'the node to be gone' })
  await show('a', last)
  const third = startHalf(port, 'c', keys)
  third.presence.serve(processOf(1, 'third'))
  await until(() => b.told.includes('serves c third'), { what: 'a look at what is there' })
  expect(b.told.filter(line => line.startsWith('node '))).toEqual(['node a wss://b:1', 'node c wss://b:1'])
})

testWith(REDIS_PROGRAMS, 'nodes with keys of their own believe lists once the link between them has told the secret', async () => {
  const port = await startRedis()
  const [one, two] = await Promise.all(
    ['one', 'two'].map(async commonName => privateKeyOf(await mintKeyPair({ type: 'ec', commonName, validityYears: 1 }))),
  )
  const keys = new KeyRegistry([registeredHalfOf(one!, 'one.key'), registeredHalfOf(two!, 'two.key')])
  const [a, b] = [startHalf(port, 'a', { key: one!, keys }), startHalf(port, 'b', { key: two!, keys })]
  a.presence.serve(processOf(1, 'lan'))
  await until(() => b.told.length > 0, { what: 'the node, which is signed' })
  b.presence.learned('a', Buffer.alloc(32).toString('base64url'))
  await until(() => b.logs.some(({ msg }) => msg.includes('the list of the node "a" is not what it has written')), {
    what: 'a list by another secret to be refused',
  })
  expect(b.told).toEqual(['node a wss://b:1'])
  b.presence.learned('a', a.presence.secret!)
  await until(() => b.told.includes('serves a lan'), { what: 'the list' })
})

describe('a seal', () => {
  const sealed = async (clock = { now: 0, wall: 1_795_900_000_000 }) => {
    const reasons: string[] = []
    const seal = new PresenceSeal({
      name: 'test',
      ...(await nodeKey()),
      clock: () => clock.now,
      wallClock: () => clock.wall,
      onRefused: reason => reasons.push(reason),
    })
    return { seal, reasons, clock }
  }
  const alive = (id: string, facts: string) => ({ id, facts })

  test('refuses what is older than what was read, and what is older than half a minute where nothing was', async () => {
    const [writer, reader, late] = [await sealed(), await sealed(), await sealed({ now: 0, wall: 1_795_900_031_000 })]
    const first = writer.seal.facts(factsOf('a'), 1)
    writer.clock.now += 6_000
    writer.clock.wall += 6_000
    const second = writer.seal.facts(factsOf('a'), 2)
    expect(reader.seal.open([alive('a', second)])).toHaveLength(1)
    // What was said before stays, for as long as the node would take to say it again.
    expect(reader.seal.open([alive('a', first)])).toEqual([alive('a', JSON.stringify(factsOf('a')))])
    expect(reader.reasons).toEqual(['the entry of the node "a" is refused: it is older than one that was read before'])
    reader.clock.now = 21_000
    expect(reader.seal.open([alive('a', second)])).toEqual([])
    expect(late.seal.open([alive('a', first)])).toEqual([])
    expect(late.reasons).toEqual([expect.stringContaining('it was signed 31 s from now: look at the clocks')])
  })

  test('refuses a list of before, and one that lacks an entry or has one more', async () => {
    const [writer, reader] = [await sealed(), await sealed()]
    const entries = [1, 2, 3].map(number => [number, `process ${number}`] as const)
    const before = writer.seal.listed('a', 7, { add: entries.slice(0, 2), remove: [] })
    const version = writer.seal.listed('a', 8, { add: entries.slice(2), remove: [1] })
    reader.seal.open([alive('a', writer.seal.facts(factsOf('a'), 8))])
    expect(reader.seal.list('a', version, ['2', 'process 2', '3', 'process 3'])).toBe(8)
    // In whatever order Redis has them.
    expect(reader.seal.list('a', version, ['3', 'process 3', '2', 'process 2'])).toBe(8)
    for (const pairs of [
      ['2', 'process 2'],
      ['2', 'process 2', '3', 'process 4'],
      ['1', 'process 1', '2', 'process 2', '3', 'process 3'],
    ])
      expect(reader.seal.list('a', version, pairs)).toBeUndefined()
    expect(reader.seal.list('a', before, ['1', 'process 1', '2', 'process 2'])).toBeUndefined()
    expect(reader.seal.list('b', version, ['2', 'process 2', '3', 'process 3'])).toBeUndefined()
  })

  test('looks at 64 signatures at a time, whatever a stranger has written, and at each of them once', async () => {
    const [writer, { seal, reasons }] = [await sealed(), await sealed()]
    const forged = Array.from({ length: 200 }, (_, index) => alive(`x${index}`, '{}'))
    seal.open(forged)
    expect(reasons).toHaveLength(64)
    const signed = alive('a', writer.seal.facts(factsOf('a'), 0))
    // One that is known is never in the way of them: it comes first.
    for (let look = 0; look < 3; look++) seal.open([...forged, signed])
    expect(reasons).toHaveLength(200)
    expect(seal.open([...forged, signed])).toEqual([alive('a', JSON.stringify(factsOf('a')))])
    expect(reasons).toHaveLength(200)
  })
})
