/** Whoever can write to the store of a cluster sends nodes in circles, and gets nothing else. */
import { describe, expect, test } from '@jest/globals'
import { Redis } from 'ioredis'
import { createServer, connect } from 'node:net'
import { RedisPresence } from '../../src/cluster/redis/redis-presence.ts'
import { parseRedisUrl } from '../../src/cluster/redis/redis-url.ts'
import { KnownNodes } from '../../src/cluster/redis/known-nodes.ts'
import { PresenceSeal } from '../../src/cluster/redis/presence-seal.ts'
import { answerQuestion, checkAnswer } from '../../src/cluster/node-proof.ts'
import type { NodeFacts, ServedProcess } from '../../src/cluster/presence.ts'
import { mintKeyPair } from '../../src/identity/certificate.ts'
import { KeyRegistry } from '../../src/identity/key-registry.ts'
import { registeredHalfOf } from '../../src/identity/private-key.ts'
import { decodeNote } from '../../src/payload/origin-profile.ts'
import { encodeNodesNote, parseNodesNote } from '../../src/payload/nodes-note.ts'
import { decodeRelayHead, encodeRelayHead, encodeRelayTarget } from '../../src/payload/relay-head.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { exchange } from '../support/exchange.ts'
import { captureLog, privateKeyOf } from '../support/layers.ts'
import { testWith } from '../support/needs.ts'
import { linked, nodeKey, startNode } from '../support/nodes.ts'
import { freePort } from '../support/ports.ts'
import { rawResponse, startRawOrigin } from '../support/raw-origin.ts'
import { REDIS_PROGRAMS, startRedis } from '../support/redis.ts'
import { until } from '../support/wait.ts'

const NODE: NodeFacts = { id: 'b', name: 'b', url: 'wss://b:1', zone: '', linkUrl: '', isDraining: false, agent: 'x' }
const PROCESS: ServedProcess = {
  number: 1,
  identifier: 'lan',
  pool: 'operator',
  kid: 'k',
  address: '127.0.0.1',
  agent: 'x',
  instance: 'i',
  isEnrolled: false,
  atMs: 1,
}

/** The hand of one who has the key of the nodes: what comes behind the signatures is looked at as well. */
const hand = async (): Promise<PresenceSeal> =>
  new PresenceSeal({
    name: 'test',
    ...(await nodeKey()),
    clock: () => performance.now(),
    wallClock: Date.now,
    onRefused: () => undefined,
  })

describe('what was read', () => {
  const known = (): { readonly nodes: KnownNodes; readonly told: unknown[] } => {
    const told: unknown[] = []
    const listener = {
      node: (facts: NodeFacts) => told.push(facts.id),
      nodeGone: (id: string) => told.push(`-${id}`),
      served: (_id: string, processes: readonly ServedProcess[]) => told.push(processes),
      unserved: () => undefined,
    }
    return { nodes: new KnownNodes({ self: 'a', listener, clock: () => 0, aliveMs: 0 }), told }
  }

  test.each([
    ['no JSON', '{'],
    ['null', 'null'],
    ['a list', '[]'],
    ['a URL of a file', JSON.stringify({ ...NODE, url: 'file:///etc/passwd' })],
    ['a URL of a web page', JSON.stringify({ ...NODE, url: 'http://b:1' })],
    ['a name with a line end', JSON.stringify({ ...NODE, name: 'b\n' + 'c' })],
    ['a name that is none', JSON.stringify({ ...NODE, name: { toString: 1 } })],
  ])('a node of which there is %s is none, and the others are', (_what, facts) => {
    const { nodes, told } = known()
    nodes.saw([
      { id: 'x', facts, version: 1 },
      { id: 'b', facts: JSON.stringify(NODE), version: 1 },
    ])
    expect(told).toEqual(['b'])
  })

  test('a process is taken over key by key, or not at all, and the others are', () => {
    const { nodes, told } = known()
    nodes.saw([{ id: 'b', facts: JSON.stringify(NODE), version: 1 }])
    const bad = [
      '{',
      'null',
      '7',
      JSON.stringify({ ...PROCESS, identifier: 'a\u0000b' }),
      JSON.stringify({ ...PROCESS, identifier: '' }),
      JSON.stringify({ ...PROCESS, number: 0 }),
      JSON.stringify(PROCESS).replace('"atMs":1', '"atMs":1e999'),
      JSON.stringify({ ...PROCESS, pool: 'toString' }),
    ]
    nodes.list('b', 1, [...bad, JSON.stringify({ ...PROCESS, session: 'evil', node: 'evil' })])
    expect(told).toEqual(['b', [{ ...PROCESS, login: undefined }]])
  })

  test('nodes and processes that somebody has made up are taken as far as there is room, and those that are known stay', () => {
    const numbers: number[] = []
    const told = new Set<string>()
    const listener = {
      node: ({ id }: NodeFacts) => told.add(id),
      nodeGone: (id: string) => told.delete(id),
      served: (_id: string, processes: readonly ServedProcess[]) => numbers.push(processes.length),
      unserved: (_id: string, gone: readonly number[]) => numbers.push(-gone.length),
    }
    const nodes = new KnownNodes({ self: 'a', listener, clock: () => 0, aliveMs: 0 })
    const shown = (id: string) => ({ id, facts: JSON.stringify({ ...NODE, id }), version: 1 })
    nodes.saw([shown('b')])
    const forged = Array.from({ length: 1_000 }, (_, index) => shown(`x${index}`))
    nodes.saw([...forged, shown('b')])
    expect([told.size, told.has('b'), nodes.ids.length]).toEqual([256, true, 256])
    nodes.saw([shown('b')])
    expect(nodes.ids).toEqual(['b'])

    const process = JSON.stringify(PROCESS)
    const many = Array.from({ length: 100_100 }, (_, index) => process.replace('"number":1', `"number":${index + 1}`))
    nodes.list('b', 2, many)
    nodes.list('b', 3, many.slice(50))
    expect(numbers).toEqual([100_000, 50, -50])
    nodes.list('b', 4, [JSON.stringify({ ...PROCESS, number: 200_000, kid: 'k'.repeat(600) })])
    expect(numbers.slice(3)).toEqual([-100_000])
  })

  test('a note for inner layers has nothing that they would end their links over', () => {
    const good = { id: 'b', url: 'wss://b:1', zone: '' }
    const bad = ['http://b', 'wss:', `wss://b/${'x'.repeat(600)}`].map(url => ({ ...good, url }))
    const note = encodeNodesNote({ self: 'a', zone: 'z'.repeat(5_000), isLeaving: false, nodes: [...bad, good] })
    expect(parseNodesNote(decodeNote(note)).nodes).toEqual([good])
  })
})

describe('the answer of a node is for the one that asked, and for what is said of the node', () => {
  test.each([
    ['another URL', { url: 'wss://evil:1' }],
    ['another port', { url: 'wss://b:2' }],
    ['another scheme', { url: 'ws://b:1' }],
    ['another URL for inner layers', { linkUrl: 'wss://evil' }],
    ['another zone', { zone: 'east' }],
    ['another id', { id: 'c' }],
  ])('%s', async (_what, change) => {
    const key = privateKeyOf(await mintKeyPair({ type: 'ec', commonName: 'node', validityYears: 1 }))
    const keys = new KeyRegistry([registeredHalfOf(key, 'node.key')])
    const question = { nonce: 'n', audience: 'a', timeSeconds: Date.now() / 1000 }
    const { timeSeconds: time } = question
    const note = decodeNote(answerQuestion({ ...question, time }, NODE, key))
    expect(() => checkAnswer(note, question, NODE, keys)).not.toThrow()
    expect(() => checkAnswer(note, question, { ...NODE, ...change }, keys)).toThrow()
    expect(() => checkAnswer(note, { ...question, audience: 'c' }, NODE, keys)).toThrow()
  })
})

test('the head of a relayed stream says for whom it is, and none is read that is cut short', () => {
  const target = { process: 4_000_000_000, isTunnel: true, isEnrolled: false, identifier: 'büro', instance: 'i' }
  const head = encodeRelayHead(encodeRelayTarget(target), Buffer.from([1, 2]))
  expect(decodeRelayHead(head)).toEqual({ ...target, payload: Buffer.from([1, 2]) })
  for (let end = 1; end <= head.length - 2; end++) expect(() => decodeRelayHead(head.subarray(0, end))).toThrow('cut short')
})

describe('whoever writes to Redis, and has the key of the nodes', () => {
  testWith(REDIS_PROGRAMS, 'gets between no nodes, gets no inner layers, no requests that are for others, and stops nobody', async () => {
    const port = await startRedis()
    const redis = new Redis({ host: '127.0.0.1', port })
    onCleanUp(() => redis.disconnect())
    const origin = await startRawOrigin((_request, socket) => void socket.write(rawResponse(200, 'ok')))
    const [socketPort, evilPort] = [await freePort(), await freePort()]
    const a = await startNode(
      port,
      { origin: origin.port, inners: 1, outer: { socketPort } },
      { name: 'a', linkUrl: `ws://127.0.0.1:${socketPort}` },
    )
    const b = await startNode(port, { origin: origin.port }, { name: 'b' })
    await linked([a, b], [0, 1])
    const { id, facts } = a.outer.cluster!

    // In between: passes on everything to node a, under an address of its own.
    let dials = 0
    const passOn = createServer(client => {
      dials++
      const to = connect(Number(new URL(facts.url).port), '127.0.0.1')
      client.pipe(to).pipe(client)
      for (const socket of [client, to]) socket.on('error', () => undefined)
      client.on('close', () => to.destroy())
      onCleanUp(() => client.destroy())
    })
    await new Promise<void>(resolve => passOn.listen(0, '127.0.0.1', resolve))
    onCleanUp(() => passOn.close())
    const { port: betweenPort } = passOn.address() as { port: number }
    const show = async (name: string, said: NodeFacts): Promise<void> => {
      await redis.zadd('{test}:nodes', Date.now() + 1e9, name)
      await redis.hset('{test}:facts', name, (await hand()).facts({ ...said, id: name }, 0))
    }
    await redis.hset('{test}:served:bad', '1', '{')
    await redis.hset('{test}:versions', 'bad', '1', 'wrong', '1')
    await redis.set('{test}:served:wrong', 'no hash')
    await show('bad', { ...facts, name: 'bad', url: 'ws://127.0.0.1:9', linkUrl: '' })
    await show('wrong', { ...facts, name: 'wrong', url: 'ws://127.0.0.1:9', linkUrl: '' })
    await show('file', { ...facts, url: 'file:///etc/passwd' })
    await show('between', { ...facts, url: `ws://127.0.0.1:${betweenPort}`, linkUrl: `ws://127.0.0.1:${evilPort}` })
    // Inner layers are told of it as well, if anybody is.
    let innersAtEvil = 0
    const evil = createServer(client => {
      innersAtEvil++
      client.destroy()
    })
    await new Promise<void>(resolve => evil.listen(evilPort, '127.0.0.1', resolve))
    onCleanUp(() => evil.close())

    await until(() => dials > 1, { what: 'both nodes to dial what is in between' })
    await until(() => b.outer.cluster!.nodes.some(({ name }) => name === 'wrong'))
    // What the other node has signed for the place in between is no proof here.
    await until(() => a.outerLogs.some(({ msg }) => /refused a node .*ws:\/\/127\.0\.0\.1:/.test(msg)), {
      what: 'the port for nodes to refuse what was passed on',
    })
    expect(b.outer.cluster!.nodes.filter(({ isLinked }) => isLinked).map(({ id: of }) => of)).toEqual([id])

    // The process of node a, as one of a tunnel and under another name.
    const own = JSON.parse((await redis.hget(`{test}:served:${id}`, '1'))!) as ServedProcess
    const version = parseInt((await redis.hget('{test}:versions', id))!, 10)
    const change = async (number: number, what: object): Promise<unknown> =>
      redis.publish('{test}:changes', (await hand()).message(id, String(number), JSON.stringify(what)))
    const lies = [{ ...own, number: 1, identifier: 'other', instance: 'other' }]
    await change(version + 1, { add: [], remove: [1] })
    await change(version + 2, { add: lies, remove: [] })
    await until(() => b.outer.registry.identifiers.includes('other'))
    const { relays } = a.outer.cluster!
    const before = relays.total
    expect((await exchange(b.port, { host: 'any.test' })).status).toBe(503)
    expect(relays.total).toBe(before)
    expect((await exchange(a.port, { host: 'any.test' })).status).toBe(200)
    // The place of a second link was still free for a node that has proven itself.
    const linkPort = await freePort()
    const c = await startNode(port, { origin: origin.port, outer: { socketPort: linkPort } }, { linkUrl: `ws://127.0.0.1:${linkPort}` })
    await c.connected(1)
    expect(innersAtEvil).toBe(0)
    expect(a.outer.cluster!.fault).toBeUndefined()
    expect(b.outer.cluster!.fault).toBeUndefined()
  })

  testWith(
    REDIS_PROGRAMS,
    'makes up as many nodes and processes as they like: those that are read are few, and those that were known stay',
    async () => {
      const port = await startRedis()
      const redis = new Redis({ host: '127.0.0.1', port })
      onCleanUp(() => redis.disconnect())
      const honest = await hand()
      const others = await Promise.all(Array.from({ length: 300 }, hand))
      const serve = async (number: number): Promise<void> => {
        const text = JSON.stringify({ ...PROCESS, number })
        await redis
          .pipeline()
          .zadd('{test}:nodes', Date.now() + 1e9, 'honest')
          .hset('{test}:facts', 'honest', honest.facts({ ...NODE, id: 'honest' }, 0))
          .hset('{test}:versions', 'honest', honest.listed('honest', number, { add: [[number, text]], remove: [] }))
          .hset('{test}:served:honest', number, text)
          .exec()
      }
      await serve(1)

      const seen = new Set<string>()
      const served: string[] = []
      const place = parseRedisUrl(`redis://127.0.0.1:${port}`)
      const presence = new RedisPresence({
        place,
        name: 'test',
        ...(await nodeKey()),
        log: captureLog().log,
        clock: () => performance.now(),
        wallClock: Date.now,
      })
      onCleanUp(() => presence.close())
      presence.start(
        { ...NODE, id: 'self', name: 'self' },
        {
          node: ({ id }) => seen.add(id),
          nodeGone: id => seen.delete(id),
          served: id => served.push(id),
          unserved: () => undefined,
        },
      )
      await until(() => served.includes('honest'), { what: 'the honest node to be read' })

      // All of them are over before the honest one, and so come first.
      const pipeline = redis.pipeline()
      for (let i = 0; i < 3_000; i++) {
        const id = `forged-${i}`
        pipeline.zadd('{test}:nodes', Date.now() + 1e8, id)
        pipeline.hset('{test}:facts', id, i % 10 === 0 ? 'x'.repeat(20_000) : (others[i]?.facts({ ...NODE, id, name: id }, 0) ?? '{}'))
      }
      pipeline.zadd('{test}:nodes', Date.now() + 1e8, 'i'.repeat(10_000))
      // A list that is too much, and a message that is.
      pipeline.hset('{test}:served:forged-1', '1', 'x'.repeat(20_000))
      pipeline.hset('{test}:versions', 'forged-1', '7')
      pipeline.publish(
        '{test}:changes',
        `honest 2 ${JSON.stringify({ add: [{ ...PROCESS, number: 2 }], remove: [], more: 'x'.repeat(3_000_000) })}`,
      )
      await pipeline.exec()
      // Nine of ten of the first 300 are signed.
      await until(() => seen.size >= 200, { what: 'forged nodes to be read' })
      await serve(3)
      await until(() => served.filter(id => id === 'honest').length === 2, { what: 'the honest node to be read again' })
      expect(seen.size).toBeLessThanOrEqual(256)
      expect(seen.has('honest')).toBe(true)
      await until(() => presence.fault === undefined, { what: 'Redis to answer within its time' })
    },
  )
})
