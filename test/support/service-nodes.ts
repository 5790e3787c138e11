/** Outer layers of one cluster as processes, each with the same service on a real PostgreSQL, and a real Redis. */
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run, type Outcome } from '../cli/context.ts'
import { mintKeyPair } from '../../src/identity/certificate.ts'
import { POSTGRES_PROGRAMS, startPostgres } from './postgres.ts'
import { freePort } from './ports.ts'
import { startProcess, type RunningProcess } from './process.ts'
import { REDIS_PROGRAMS, startRedisServer, type RedisServer } from './redis.ts'
import { tempDir } from './temp.ts'
import { until } from './wait.ts'

/** Programs that tests with such nodes need. */
export const SERVICE_NODES_PROGRAMS = [...POSTGRES_PROGRAMS, ...REDIS_PROGRAMS]

/** A node that is ready. */
export interface ServiceNode {
  readonly process: RunningProcess
  readonly appPort: number
  readonly adminPort: number
  /** Of the user who has logged in at this node. */
  readonly env: Readonly<Record<string, string>>
  /** A command of that user, in this process. */
  cli(...argv: readonly string[]): Promise<Outcome>
}

/** Nodes with the same sockets, and what they share. */
export interface ServiceNodes {
  readonly nodes: readonly ServiceNode[]
  readonly redis: RedisServer
  readonly postgresPort: number
  readonly folder: string
}

const PASSWORD = 'a password of some length'
const LOOPBACK = ['--app-host', 'localhost', '--socket-host', 'localhost']

/**
 * Starts nodes with these names; the admin has logged in at each of them.
 * @param more  lines of the file of the service
 * @param args  of each node
 */
export const startServiceNodes = async (
  names: readonly string[],
  { more = '', args = [] }: { readonly more?: string; readonly args?: readonly string[] } = {},
): Promise<ServiceNodes> => {
  const folder = tempDir()
  const [redis, postgresPort] = await Promise.all([startRedisServer(), startPostgres()])
  const { privateKeyPem } = await mintKeyPair({ type: 'ec', commonName: 'cluster', validityYears: 1 })
  writeFileSync(join(folder, 'node.key'), privateKeyPem, { mode: 0o600 })
  const first = join(folder, 'service.yaml')
  const store = `postgres://postgres@127.0.0.1:${postgresPort}/postgres`
  const init = await run(['service', 'init', '--zone', 'localhost', '--service', first, '--store', store, '--json'])
  const { link, admin } = JSON.parse(init.stdout) as { readonly link: string; readonly admin: string }

  const start = async (name: string): Promise<Omit<ServiceNode, 'cli' | 'env'>> => {
    const [appPort, socketPort, home] = [await freePort(), await freePort(), join(folder, name)]
    mkdirSync(join(home, 'state'), { recursive: true })
    copyFileSync(join(folder, 'state', 'service.key'), join(home, 'state', 'service.key'))
    const file = join(home, 'service.yaml')
    writeFileSync(file, `${readFileSync(first, 'utf8').replace('localhost:3001', `localhost:${socketPort}`)}\n${more}`)
    const ports = ['--app-port', String(appPort), '--socket-port', String(socketPort), '--admin-port', '0']
    const cluster = ['--cluster', `redis://127.0.0.1:${redis.port}`, '--node-key', join(folder, 'node.key'), '--node-name', name]
    const argv = ['outer-layer', '--service', file, ...ports, ...LOOPBACK, ...cluster, '--log-format', 'json', ...args]
    const node = startProcess(argv, { cwd: home })
    const [, adminPort] = await node.waitForLine(/"adminPort":(\d+)/)
    // Another node's process would answer meanwhile, and its logins are for the port of that node.
    await node.waitForLine(/the service process is ready/)
    await until(async () => (await fetch(`http://localhost:${appPort}/api/v1/version`)).ok, { what: `the API of node ${name}` })
    return { process: node, appPort, adminPort: Number(adminPort) }
  }

  const nodes: ServiceNode[] = []
  for (const name of names) {
    const node = await start(name)
    const env = { XDG_CONFIG_HOME: join(folder, name, 'home') }
    const cli = (...argv: readonly string[]): Promise<Outcome> => run(argv, env)
    if (nodes.length === 0)
      await succeed(
        cli(
          'account',
          'create',
          '--invitation',
          link.replace('localhost:3000', `localhost:${node.appPort}`),
          '--name',
          'Ada',
          '--password',
          PASSWORD,
        ),
      )
    await succeed(run(['login', '--server', `http://localhost:${node.appPort}`, '--email', admin], { ...env, SG_PASSWORD: PASSWORD }))
    nodes.push({ ...node, env, cli })
  }
  for (const [i, { process }] of nodes.entries())
    await Promise.all(names.filter((_, j) => i !== j).map(name => process.waitForLine(new RegExp(`linked to the node ${name} `))))
  return { nodes, redis, postgresPort, folder }
}

const succeed = async (outcome: Promise<Outcome>): Promise<void> => {
  const { status, stdout, stderr } = await outcome
  if (status !== 0) throw new Error(`ended with ${status}:\n${stdout}${stderr}`)
}
