/** Two nodes as processes, each with a process of the same service. */
import { describe, expect } from '@jest/globals'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createSecretsKey } from '../../src/config/service/secrets-key.ts'
import { mintKeyPair } from '../../src/identity/certificate.ts'
import { exchange } from '../support/exchange.ts'
import { testWith } from '../support/needs.ts'
import { POSTGRES_PROGRAMS } from '../support/postgres.ts'
import { startProcess, type RunningProcess } from '../support/process.ts'
import { REDIS_PROGRAMS, startRedis } from '../support/redis.ts'
import { PostgresServer } from '../support/stores.ts'
import { tempDir } from '../support/temp.ts'
import { until } from '../support/wait.ts'

const EMAIL = 'ada@example.com'
const PASSWORD = 'correct horse battery'

interface Node {
  readonly process: RunningProcess
  readonly port: number
  readonly directory: string
  readonly post: (path: string, body: unknown) => Promise<number>
}

describe('two nodes with one service', () => {
  testWith(
    [...REDIS_PROGRAMS, ...POSTGRES_PROGRAMS],
    'count wrong passwords for its API together, and each answers for itself, or by the other',
    async () => {
      const redis = await startRedis()
      const { url } = await new PostgresServer().empty()
      const secrets = createSecretsKey()
      const { privateKeyPem } = await mintKeyPair({ type: 'ec', commonName: 'cluster', validityYears: 1 })
      const startNode = async (name: string): Promise<Node> => {
        const directory = tempDir()
        mkdirSync(join(directory, 'state'), { mode: 0o700 })
        writeFileSync(join(directory, 'state', 'service.key'), secrets, { mode: 0o600 })
        writeFileSync(join(directory, 'node.key'), privateKeyPem, { mode: 0o600 })
        const lines = [
          'zone: localhost',
          'hosts: { api: localhost, link: "ws://localhost:1" }',
          'signUp: open',
          'mail: outbox',
          `store: ${url}`,
        ]
        writeFileSync(join(directory, 'service.yaml'), lines.join('\n'))
        const cluster = ['--cluster', `redis://127.0.0.1:${redis}`, '--node-key', join(directory, 'node.key'), '--node-name', name]
        const ports = ['--app-port', '0', '--socket-port', '0', '--admin-port', 'none', '--log-format', 'json']
        const started = startProcess(['outer-layer', '--service', join(directory, 'service.yaml'), ...cluster, ...ports])
        const [, port] = await started.waitForLine(/"appPort":(\d+)/)
        await started.waitForLine(/the service process is ready/)
        const post = async (path: string, body: unknown): Promise<number> => {
          const headers = { 'content-type': 'application/json' }
          return (await exchange(Number(port), { method: 'POST', path, host: 'localhost', headers, body: JSON.stringify(body) })).status
        }
        return { process: started, port: Number(port), directory, post }
      }
      const a = await startNode('a')
      const b = await startNode('b')
      await Promise.all([a.process.waitForLine(/linked to the node b /), b.process.waitForLine(/linked to the node a /)])

      expect(await a.post('/user', { name: 'Ada', email: EMAIL, password: PASSWORD, sshkey: '' })).toBe(200)
      const outbox = join(a.directory, 'state', 'outbox')
      const [path] = await until(() => {
        const [name] = existsSync(outbox) ? readdirSync(outbox) : []
        return name === undefined ? undefined : (/\/user\/confirm\/\S+/.exec(readFileSync(join(outbox, name), 'utf8')) ?? undefined)
      })
      expect((await exchange(a.port, { host: 'localhost', path })).status).toBe(200)
      const login = (node: Node, password: string): Promise<number> => node.post('/login', { email: EMAIL, password })
      expect(await login(b, PASSWORD)).toBe(200)

      for (let count = 0; count < 5; count++) expect(await login(a, 'a guess')).toBe(401)
      // A right one takes nothing, so that it is the other node's guesses that are counted.
      await until(async () => (await login(b, PASSWORD)) === 429, { what: 'the other node to know of the guesses' })

      // Each has a process of the service of its own, and none takes the place of another; without it, the other node's answers.
      for (const node of [a, b]) expect(node.process.output).not.toContain('TAKEN_OVER')
      renameSync(join(a.directory, 'state', 'service.key'), join(a.directory, 'elsewhere'))
      process.kill(Number(/"pid":(\d+)[^\n]*the service process is ready/.exec(a.process.output)![1]), 'SIGKILL')
      await a.process.waitForLine(/the service process cannot start: /)
      await until(async () => (await exchange(a.port, { host: 'localhost', path: '/api/v1/version' })).status === 200)
      expect(a.process.output.match(/the service process is ready/g)).toHaveLength(1)
      for (const node of [a, b]) expect(await node.process.stop()).toEqual({ code: 0, signal: null })
    },
  )
})
