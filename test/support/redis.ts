/** A real Redis server on a free port of 127.0.0.1 that writes nothing to disk. */
import { onCleanUp } from './cleanup.ts'
import { programPath } from './needs.ts'
import { freePort } from './ports.ts'
import { startProcess, type RunningProcess } from './process.ts'
import { tempDir } from './temp.ts'

/** Programs that tests with a server need. */
export const REDIS_PROGRAMS = ['redis-server', 'redis-cli'] as const

/** A server, and how it is ended. */
export interface RedisServer {
  readonly port: number
  readonly process: RunningProcess
}

/** Starts a server, on a free port unless one is given. It is ended after the test file. */
export const startRedisServer = async (port?: number): Promise<RedisServer> => {
  const at = port ?? (await freePort())
  const args = ['--port', String(at), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', tempDir()]
  const server = startProcess(args, { program: programPath('redis-server')! })
  await server.waitForLine(/Ready to accept connections/)
  onCleanUp(() => server.stop())
  return { port: at, process: server }
}

/** Starts a server; resolves to its port. It is ended after the test file. */
export const startRedis = async (): Promise<number> => (await startRedisServer()).port
