/** Three nodes, and all that they count and know together, on a real Redis. */
import { describe, expect } from '@jest/globals'
import { Redis } from 'ioredis'
import { join } from 'node:path'
import { RedisUses } from '../../src/cluster/redis/redis-uses.ts'
import { parseRedisUrl } from '../../src/cluster/redis/redis-url.ts'
import { readKeys, createKeyText } from '../../src/visitors/session/key-ring.ts'
import { Seal } from '../../src/visitors/session/seal.ts'
import { Tickets } from '../../src/visitors/login/tickets.ts'
import { ShareUses } from '../../src/visitors/shares/share-uses.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { exchange } from '../support/exchange.ts'
import { captureLog } from '../support/layers.ts'
import { testWith } from '../support/needs.ts'
import { linked, startSharedNode, type SharedNode } from '../support/nodes.ts'
import { cheapHash } from '../support/password.ts'
import { joinedPeers } from '../support/peers.ts'
import { rawResponse, startRawOrigin } from '../support/raw-origin.ts'
import { REDIS_PROGRAMS, startRedis, startRedisServer } from '../support/redis.ts'
import { tempDir } from '../support/temp.ts'
import { until } from '../support/wait.ts'

const of = 'protocol: http, hostname: 127.0.0.1, port: {port}'
const TARGETS = `targets:
  rate.test: {${of}, limits: {rate: {perSecond: 0.001, burst: 2}}}
  few.test: {${of}, limits: {concurrency: 1}}
  login.test: {${of}, basicAuth: {users: {alice: "${cheapHash('right')}"}}}
  sticky.test: {${of}, balance: {cookie: seat}}
`

/** As passwords have it. */
const FAILURES = { perSecond: 1 / 6, burst: 10 }

/** Resolves when a node has heard that there is nothing left for this machine. */
const knows = ({ state }: SharedNode, meter: string, rate: typeof FAILURES): Promise<unknown> =>
  until(() => state.counts.meter(meter, rate).wait('127.0.0.1') > 0, { what: `a node to know that nothing is left of "${meter}"` })

const basic = (password: string) => ({ authorization: `Basic ${Buffer.from(`alice:${password}`).toString('base64')}` })

describe('three nodes', () => {
  testWith(REDIS_PROGRAMS, 'count rates, requests at a time and wrong passwords together, with Redis and without', async () => {
    const release: (() => void)[] = []
    const origin = await startRawOrigin(async (request, socket) => {
      await request.complete
      if (request.target === '/held') await new Promise<void>(resolve => release.push(resolve))
      socket.write(rawResponse(200, request.target))
    })
    const redis = await startRedisServer()
    const options = { origin: origin.port, targets: TARGETS }
    const nodes: SharedNode[] = [await startSharedNode(redis.port, { ...options, inners: 2 })]
    for (let i = 0; i < 2; i++) nodes.push(await startSharedNode(redis.port, options))
    const layers = nodes.map(node => node.layers)
    await linked(layers, [0, 2, 2])
    const ask = (at: number, host: string, headers: Readonly<Record<string, string>> = {}, path = '/') =>
      exchange(layers[at]!.port, { host, headers, path })

    for (let i = 0; i < 2; i++) expect((await ask(1, 'rate.test')).status).toBe(200)
    for (const at of [0, 2]) {
      await knows(nodes[at]!, 'rate of rate.test', { perSecond: 0.001, burst: 2 })
      expect((await ask(at, 'rate.test')).status).toBe(429)
    }

    // A cookie of one is one of all: who has a seat keeps it, and who has logged in stays so.
    const [seat] = [(await ask(0, 'sticky.test')).headers['set-cookie'] ?? []].flat()
    for (const at of [1, 2]) {
      const again = await ask(at, 'sticky.test', { cookie: seat!.split(';')[0]! })
      expect([again.status, again.headers['set-cookie']]).toEqual([200, undefined])
    }
    const [login] = [(await ask(1, 'login.test', basic('right'))).headers['set-cookie'] ?? []].flat()
    for (const at of [0, 2]) expect((await ask(at, 'login.test', { cookie: login!.split(';')[0]! })).status).toBe(200)

    // They tell each other by their own links, so that nothing of it needs Redis.
    await redis.process.stop()
    const held = ask(0, 'few.test', {}, '/held')
    await until(() => release.length === 1, { what: 'the request to be under way' })
    for (const at of [1, 2])
      await until(async () => (await ask(at, 'few.test')).status === 503, { what: `node ${at} to know of the request` })
    release[0]!()
    expect((await held).status).toBe(200)
    for (const at of [1, 2]) await until(async () => (await ask(at, 'few.test')).status === 200, { what: `node ${at} to know of its end` })

    // Wrong ones at one node, as fast as it looks at them: nothing is left for them at the others.
    const isKnown = (at: number): boolean => nodes[at]!.state.counts.meter('wrong passwords', FAILURES).wait('127.0.0.1') > 0
    const guessed = async (): Promise<boolean> => (await ask(0, 'login.test', basic('a guess'))).status !== 200 && isKnown(1) && isKnown(2)
    await until(guessed, { what: 'the other nodes to know of wrong passwords' })
  })

  testWith(REDIS_PROGRAMS, 'a node that ends takes with it what it had at a time', async () => {
    const release: (() => void)[] = []
    const origin = await startRawOrigin(async (request, socket) => {
      await request.complete
      if (request.target === '/held') await new Promise<void>(resolve => release.push(resolve))
      socket.write(rawResponse(200, request.target))
    })
    const port = await startRedis()
    const options = { origin: origin.port, targets: TARGETS }
    const [a, b] = [await startSharedNode(port, { ...options, inners: 1 }), await startSharedNode(port, { ...options, inners: 1 })]
    await linked([a.layers, b.layers], [1, 1])
    const status = async (): Promise<number> => (await exchange(a.layers.port, { host: 'few.test' })).status
    void exchange(b.layers.port, { host: 'few.test', path: '/held' })
    await until(() => release.length === 1, { what: 'the request to be under way' })
    await until(async () => (await status()) === 503, { what: 'the other node to know of it' })
    b.layers.outer.destroy()
    await until(async () => (await status()) === 200, { what: 'its place to be free' })
  })
})

const usesAt = (port: number): RedisUses => {
  const uses = new RedisUses({ place: parseRedisUrl(`redis://127.0.0.1:${port}`), name: 'test', log: captureLog().log })
  onCleanUp(() => uses.close())
  return uses
}

describe('numbers that are exact', () => {
  testWith(
    REDIS_PROGRAMS,
    'a link is used so often and no more, at however many nodes, and with a Redis that has lost everything',
    async () => {
      const { port, process } = await startRedisServer()
      const admin = new Redis({ host: '127.0.0.1', port })
      onCleanUp(() => admin.disconnect())
      admin.on('error', () => undefined)
      const peers = joinedPeers(3)
      const directories = peers.map(() => join(tempDir(), 'uses'))
      const nodes = peers.map(
        (own, index) => new ShareUses(directories[index]!, () => performance.now(), { exact: usesAt(port), peers: own, nowMs: Date.now }),
      )
      const share = { id: 'a'.repeat(16), expiresMs: Date.now() + 3_600_000, maxUses: 10 }
      const count = (index: number) => nodes[index]!.count(share)

      const first = await Promise.all(nodes.flatMap(node => [node.take(share), node.take(share)]))
      expect(first).toEqual(Array(6).fill(true))
      for (const index of nodes.keys()) await until(async () => (await count(index)) === 6, { what: `node ${index} to know of six uses` })

      await admin.flushall()
      const rest = await Promise.all(nodes.flatMap(node => [node.take(share), node.take(share), node.take(share)]))
      expect(rest.filter(isLeft => isLeft)).toHaveLength(4)

      // Who reads Redis learns no name of a link, and what a stranger has written there in its place lets nobody in.
      const [key] = await admin.keys('*')
      expect(key).not.toContain(share.id)
      const other = { ...share, id: 'b'.repeat(16) }
      expect(await nodes[0]!.take(other)).toBe(true)
      const fresh = (await admin.keys('*')).find(name => name !== key)!
      await admin.set(fresh, 'nan')
      expect(await nodes[0]!.take({ ...other, maxUses: 1 })).toBe(false)
      await admin.set(fresh, 'no number')
      expect(await Promise.all([...Array(12).keys()].map(() => nodes[0]!.take(other)))).toContain(false)
      await admin.del(fresh)
      await admin.lpush(fresh, 'a list')
      const third = { ...share, id: 'b'.repeat(16), maxUses: 100 }
      await expect(nodes[1]!.take(third)).rejects.toMatchObject({ code: 'USES_UNKNOWN' })

      // Nobody can say: nobody comes in by a number, and the others do.
      await process.stop()
      await expect(nodes[0]!.take({ ...share, id: 'c'.repeat(16) })).rejects.toMatchObject({ code: 'USES_UNKNOWN' })
      expect(await nodes[0]!.take({ ...share, maxUses: undefined })).toBe(true)
    },
  )

  testWith(REDIS_PROGRAMS, 'codes, attempts and assertions count once over all nodes, and here once without Redis', async () => {
    const { port, process } = await startRedisServer()
    const keys = readKeys(createKeyText(Date.now()))
    const nodes = [0, 1, 2].map(() => new Tickets(new Seal(() => keys), Date.now, usesAt(port)))
    const code = { id: 'i', browser: 'b', path: '/', sessionMs: null, session: '' }
    const sealed = nodes[0]!.sealCode(code, 'wiki.test')
    const opened = await Promise.all(nodes.map(node => node.openCode(sealed, 'wiki.test', 'b')))
    expect(opened.filter(each => each !== undefined)).toHaveLength(1)
    const attempt = nodes[0]!.sealAttempt({ provider: 'p', state: 's', secret: '', wish: null }, 'auth.test')
    const tried = await Promise.all(nodes.map(node => node.openAttempt(attempt, 'auth.test')))
    expect(tried.filter(each => each !== undefined)).toHaveLength(1)
    const asserted = await Promise.all(nodes.map(node => node.useAssertion('assertion')))
    expect(asserted.filter(isFirst => isFirst)).toHaveLength(1)

    await process.stop()
    const late = nodes[0]!.sealCode({ ...code, id: 'late' }, 'wiki.test')
    expect(await nodes[1]!.openCode(late, 'wiki.test', 'b')).toBeDefined()
    expect(await nodes[1]!.openCode(late, 'wiki.test', 'b')).toBeUndefined()
  })
})
