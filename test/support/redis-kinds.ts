/** Redis as operators have it: behind sentinels, as a cluster, with TLS. All of it on free ports of 127.0.0.1, and ended after the test file. */
import { spawnSync } from 'node:child_process'
import { onCleanUp } from './cleanup.ts'
import { programPath } from './needs.ts'
import { freePort } from './ports.ts'
import { startProcess, type RunningProcess } from './process.ts'
import { startRedisServer, type RedisServer } from './redis.ts'
import { tempDir, tempFile } from './temp.ts'
import { until } from './wait.ts'

/** The answer of redis-cli. */
export const redisCli = (port: number, ...args: readonly string[]): string =>
  spawnSync(programPath('redis-cli')!, ['-p', String(port), ...args], { encoding: 'utf8' }).stdout

const start = async (args: readonly string[], line: RegExp): Promise<RunningProcess> => {
  const server = startProcess([...args], { program: programPath('redis-server')! })
  await server.waitForLine(line)
  onCleanUp(() => server.stop())
  return server
}

/** A master, a replica and a sentinel that knows both. */
export const startSentinel = async (): Promise<{ readonly url: string; readonly sentinel: number; readonly master: RedisServer }> => {
  const master = await startRedisServer()
  const [replica, sentinel] = [await freePort(), await freePort()]
  const none = ['--bind', '127.0.0.1', '--save', '', '--appendonly', 'no']
  await start(
    ['--port', String(replica), ...none, '--dir', tempDir(), '--replicaof', '127.0.0.1', String(master.port)],
    /Ready to accept connections/,
  )
  const file = tempFile(
    'sentinel.conf',
    `port ${sentinel}
bind 127.0.0.1
sentinel monitor main 127.0.0.1 ${master.port} 1
sentinel down-after-milliseconds main 1000
sentinel failover-timeout main 10000
`,
  )
  await start([file, '--sentinel'], /monitor master main/)
  await until(() => redisCli(sentinel, 'sentinel', 'replicas', 'main').includes(String(replica)), {
    what: 'the sentinel to see the replica',
  })
  return { url: `redis+sentinel://127.0.0.1:${sentinel}/main`, sentinel, master }
}

/** Two masters of a cluster, each with half of the slots: a node that asks the wrong one is sent to the other. */
export const startRedisCluster = async (): Promise<string> => {
  const ports = [await freePort(), await freePort()]
  const buses = [await freePort(), await freePort()]
  for (const [index, port] of ports.entries())
    await start(
      [
        ...['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', tempDir()],
        ...['--cluster-enabled', 'yes', '--cluster-port', String(buses[index])],
      ],
      /Ready to accept connections/,
    )
  redisCli(ports[0]!, 'cluster', 'addslotsrange', '0', '8191')
  redisCli(ports[1]!, 'cluster', 'addslotsrange', '8192', '16383')
  redisCli(ports[1]!, 'cluster', 'set-config-epoch', '2')
  redisCli(ports[0]!, 'cluster', 'meet', '127.0.0.1', String(ports[1]), String(buses[1]))
  await until(() => ports.every(port => redisCli(port, 'cluster', 'info').includes('cluster_state:ok')), { what: 'the cluster to agree' })
  return `redis+cluster://127.0.0.1:${ports[0]}`
}

/** A server that speaks TLS alone. @param pair  files of its certificate and key */
export const startTlsRedis = async (pair: { readonly certificate: string; readonly key: string }): Promise<string> => {
  const port = await freePort()
  const args = ['--port', '0', '--tls-port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', tempDir()]
  await start(
    [...args, '--tls-cert-file', pair.certificate, '--tls-key-file', pair.key, '--tls-auth-clients', 'no'],
    /Ready to accept connections/,
  )
  return `rediss://127.0.0.1:${port}`
}
