/** Nodes find each other by whatever kind of Redis there is: behind sentinels, as a cluster, with TLS. */
import { expect } from '@jest/globals'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { RedisPresence } from '../../src/cluster/redis/redis-presence.ts'
import { parseRedisUrl } from '../../src/cluster/redis/redis-url.ts'
import { RedisUses } from '../../src/cluster/redis/redis-uses.ts'
import { mintKeyPair } from '../../src/identity/certificate.ts'
import { mintServer, writePair } from '../support/certificates.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { createLayerProcesses } from '../support/layer-processes.ts'
import { captureLog, type LogRecord } from '../support/layers.ts'
import { testWith } from '../support/needs.ts'
import { nodeKey } from '../support/nodes.ts'
import { REDIS_PROGRAMS } from '../support/redis.ts'
import { startRedisCluster, startSentinel, startTlsRedis } from '../support/redis-kinds.ts'
import { until } from '../support/wait.ts'

interface Half {
  readonly presence: RedisPresence
  readonly nodes: ReadonlySet<string>
  readonly identifiers: ReadonlySet<string>
  readonly logs: readonly LogRecord[]
}

/** A node's half of a presence. */
const startHalf = async (url: string, id: string): Promise<Half> => {
  const { log, records: logs } = captureLog()
  const presence = new RedisPresence({
    place: parseRedisUrl(url),
    name: 'test',
    ...(await nodeKey()),
    log,
    clock: () => performance.now(),
    wallClock: Date.now,
  })
  const [nodes, identifiers] = [new Set<string>(), new Set<string>()]
  presence.start(
    { id, name: id, url: 'ws://127.0.0.1:1', zone: '', linkUrl: '', isDraining: false, agent: 'test' },
    {
      node: facts => nodes.add(facts.id),
      nodeGone: gone => nodes.delete(gone),
      served: (_id, processes) => processes.forEach(({ identifier }) => identifiers.add(identifier)),
      unserved: () => undefined,
    },
  )
  onCleanUp(() => presence.close())
  return { presence, nodes, identifiers, logs }
}

const serve = ({ presence }: Half, number: number, identifier: string): void =>
  presence.serve({
    number,
    identifier,
    pool: 'operator',
    kid: 'k',
    address: '::1',
    agent: 'x',
    instance: identifier,
    isEnrolled: false,
    atMs: 1,
  })

const usesAt = (url: string): RedisUses => {
  const uses = new RedisUses({ place: parseRedisUrl(url), name: 'test', log: captureLog().log })
  onCleanUp(() => uses.close())
  return uses
}

const ONCE = { max: 1, known: 0, lastsMs: 60_000 }

testWith(REDIS_PROGRAMS, 'behind sentinels, and by the replica once the master has died', async () => {
  const { url, master } = await startSentinel()
  const [a, b] = [await startHalf(url, 'a'), await startHalf(url, 'b')]
  serve(a, 1, 'before')
  await until(() => a.nodes.has('b') && b.nodes.has('a') && b.identifiers.has('before'), { what: 'both to know of each other' })
  const uses = usesAt(url)
  expect([await uses.take('k', ONCE), await uses.take('k', ONCE)]).toEqual([1, 0])

  master.process.child.kill('SIGKILL')
  await until(() => a.presence.fault !== undefined, { what: 'a node to notice' })
  await until(() => a.presence.fault === undefined && b.presence.fault === undefined, { what: 'the replica to be the master' })
  serve(a, 2, 'after')
  await until(() => b.identifiers.has('after'), { what: 'news by the new master' })
  expect(b.nodes.has('a')).toBe(true)
})

testWith(REDIS_PROGRAMS, 'in a cluster of Redis, whose keys of one name are at one of its masters', async () => {
  const url = await startRedisCluster()
  const [a, b] = [await startHalf(url, 'a'), await startHalf(url, 'b')]
  serve(a, 1, 'lan')
  await until(() => a.nodes.has('b') && b.identifiers.has('lan'), { what: 'both to know of each other' })
  const uses = usesAt(url)
  expect([await uses.take('k', ONCE), await uses.take('k', ONCE)]).toEqual([1, 0])
})

testWith(REDIS_PROGRAMS, 'with TLS, and only where its certificate is one that is trusted', async () => {
  const files = writePair(await mintServer(['localhost', '127.0.0.1']))
  const url = await startTlsRedis(files)
  const distrusting = await startHalf(url, 'a')
  await until(() => distrusting.logs.some(({ msg }) => /does not answer: .*certificate/.test(msg)), {
    what: 'the certificate to be refused',
  })

  const layers = await createLayerProcesses(9)
  const { privateKeyPem } = await mintKeyPair({ type: 'ec', commonName: 'cluster', validityYears: 1 })
  const key = join(layers.directory, 'node.key')
  writeFileSync(key, privateKeyPem, { mode: 0o600 })
  const args = ['--cluster', url, '--node-key', key, '--admin-port', 'none', '--log-level', 'debug']
  const node = await layers.startOuter({ args, env: { NODE_EXTRA_CA_CERTS: files.certificate } })
  await node.process.waitForLine(/Redis at rediss:.* answers/)
})
