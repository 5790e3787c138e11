/** What operators read of a Redis that lets no node in, or is not there. */
import { spawnSync } from 'node:child_process'
import { RedisPresence } from '../../src/cluster/redis/redis-presence.ts'
import { parseRedisUrl } from '../../src/cluster/redis/redis-url.ts'
import { captureLog } from '../support/layers.ts'
import { programPath, testWith } from '../support/needs.ts'
import { nodeKey } from '../support/nodes.ts'
import { freePort } from '../support/ports.ts'
import { REDIS_PROGRAMS, startRedis } from '../support/redis.ts'
import { until } from '../support/wait.ts'

const FACTS = { id: 'a', name: 'a', url: 'ws://127.0.0.1:1', zone: '', linkUrl: '', isDraining: false, agent: 'test' }
const LISTENER = { node: () => undefined, nodeGone: () => undefined, served: () => undefined, unserved: () => undefined }

/** Starts a node's half; resolves to what it has logged by the time that there is such a line. */
async function logsOf(url: string, line: RegExp): Promise<readonly string[]> {
  const { log, records } = captureLog()
  const presence = new RedisPresence({
    place: parseRedisUrl(url),
    name: 'test',
    ...(await nodeKey()),
    log,
    clock: () => performance.now(),
    wallClock: Date.now,
  })
  presence.start(FACTS, LISTENER)
  try {
    await until(() => records.some(({ msg }) => line.test(msg)), { what: `a line such as ${line}` })
    return records.map(({ msg }) => msg)
  } finally {
    await presence.close()
  }
}

test('one that is not there is named with what the connection says, from the start', async () => {
  const port = await freePort()
  expect(await logsOf(`redis://127.0.0.1:${port}`, /this node goes on/)).toEqual([
    `Redis at redis://127.0.0.1:${port} does not answer: connect ECONNREFUSED 127.0.0.1:${port}; this node goes on with what it knows`,
  ])
})

testWith(REDIS_PROGRAMS, 'a wrong password is told once, with what to do, and never itself', async () => {
  const port = await startRedis()
  const args = ['-p', String(port), 'config', 'set', 'requirepass', 'right']
  expect(spawnSync(programPath('redis-cli')!, args, { encoding: 'utf8' }).stdout).toBe('OK\n')
  const lines = await logsOf(`redis://:wrong@127.0.0.1:${port}`, /this node goes on/)
  expect(lines).toEqual([expect.stringMatching(/does not answer: WRONGPASS .*; give user and password in SG_CLUSTER, redis:/)])
  expect(lines.join()).not.toContain('wrong@')
  expect(await logsOf(`redis://127.0.0.1:${port}`, /this node goes on/)).toEqual([expect.stringMatching(/does not answer: NOAUTH /)])
  expect(await logsOf(`redis://:right@127.0.0.1:${port}`, /answers$/)).toHaveLength(1)
})
