/** The real programs through `forward`, as their users start them: three processes of ours and the program. */
import { createHash, randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { run as runHere, type Outcome } from '../cli/context.ts'
import { testWith } from '../support/needs.ts'
import { listen } from '../support/ports.ts'
import { POSTGRES_PROGRAMS, startPostgres } from '../support/postgres.ts'
import { runProcess, startProcess, type RunningProcess } from '../support/process.ts'
import { REDIS_PROGRAMS, startRedis } from '../support/redis.ts'
import { SSH_PROGRAMS, startSshd, startTool } from '../support/sshd.ts'
import { echoServer, tcpConnect } from '../support/tcp.ts'
import { tempDir } from '../support/temp.ts'

const directory = tempDir()
const file = (name: string): string => join(directory, name)
let hash: string
let thumbprint: string

const mint = (...args: string[]): Promise<Outcome> => runHere(['certificates', '--type', 'ec', ...args])

beforeAll(async () => {
  expect(await mint('--private-key', file('inner.key'), '--certificate', file('inner.crt'))).toMatchObject({ status: 0 })
  const alice = await mint('--common-name', 'alice', '--private-key', file('alice.key'), '--certificate', file('alice.crt'))
  thumbprint = /thumbprint of the key: (\S+)/.exec(alice.stdout)![1]!
  await mint('--self-signed', 'localhost', '--private-key', file('server.key'), '--certificate', file('server.crt'))
  hash = /^hash: (\S+)$/m.exec((await runHere(['token', '--file', file('alice.token')])).stdout)![1]!
})

interface Gateway {
  readonly appPort: number
  readonly socketPort: number
  readonly outer: RunningProcess
}

/** An outer layer with TLS at both ports, and an inner layer that may reach this port of this machine alone. */
const startGateway = async (port: number): Promise<Gateway> => {
  const targets = join(tempDir(), 'targets.yaml')
  writeFileSync(targets, `targets: {}\ntunnels: {"127.0.0.1:${port}": {tokens: ["${hash}"], publicKeys: ["${thumbprint}"]}}\n`)
  const pair = ['certificate', 'key'].flatMap((half, i) =>
    [`--tls-${half}`, `--socket-tls-${half}`].flatMap(option => [option, file(i === 0 ? 'server.crt' : 'server.key')]),
  )
  const outer = startProcess([
    'outer-layer',
    '--public-key',
    file('inner.crt'),
    '--targets',
    targets,
    '--app-port',
    '0',
    '--socket-port',
    '0',
    '--admin-port',
    '0',
    ...pair,
  ])
  const [, app, socket] = await outer.waitForLine(/"appPort":(\d+),"socketPort":(\d+)/)
  const inner = [
    'inner-layer',
    '--private-key',
    file('inner.key'),
    '--outer-layer',
    `wss://localhost:${socket!}`,
    '--outer-layer-ca',
    file('server.crt'),
  ]
  await startProcess([...inner, '--allow', `127.0.0.1:${port}`]).waitForLine(/connected to/)
  return { outer, appPort: Number(app), socketPort: Number(socket) }
}

const startForward = async (url: string, ...args: string[]): Promise<{ readonly port: string; readonly forward: RunningProcess }> => {
  const forward = startProcess(['forward', '--ca', file('server.crt'), ...args, '127.0.0.1:0', url])
  const [, port] = await forward.waitForLine(/forwarding 127\.0\.0\.1:(\d+) to (?:wss|https):/)
  return { port: port!, forward }
}

const succeed = async (running: RunningProcess): Promise<string> => {
  const { code } = await running.exit
  if (code !== 0) throw new Error(`ended with ${String(code)}:\n${running.output}`)
  return running.stdout
}

const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

describe('through forward', () => {
  testWith(SSH_PROGRAMS, 'OpenSSH: a shell, and scp of 20 MB both ways, opened by a key', async () => {
    const sshd = await startSshd()
    const { appPort } = await startGateway(sshd.port)
    const { port, forward } = await startForward(
      `wss://localhost:${appPort}/tunnel/127.0.0.1:${sshd.port}`,
      '--private-key',
      file('alice.key'),
    )
    const options = [...sshd.options, '-o', `Port=${port}`]
    const shell = startTool('ssh', [...options, sshd.account, 'echo one; sleep 0.2; echo two; exit 7'])
    expect(await shell.exit).toMatchObject({ code: 7 })
    expect(shell.stdout).toBe('one\ntwo\n')
    const bytes = randomBytes(20_000_000)
    writeFileSync(file('source.bin'), bytes)
    await succeed(startTool('scp', [...options, file('source.bin'), `${sshd.account}:${file('there.bin')}`]))
    await succeed(startTool('scp', [...options, `${sshd.account}:${file('there.bin')}`, file('back.bin')]))
    expect(digest(readFileSync(file('back.bin')))).toBe(digest(bytes))
    expect(await forward.stop()).toEqual({ code: 0, signal: null })
    const lines = forward.stdout
      .trim()
      .split('\n')
      .map(line => JSON.parse(line) as Record<string, unknown>)
    expect(lines.filter(({ msg }) => msg === 'connection')).toHaveLength(3)
  })

  testWith(POSTGRES_PROGRAMS, 'psql, opened by a token at the socket port', async () => {
    const database = await startPostgres()
    const { socketPort } = await startGateway(database)
    const { port } = await startForward(`wss://localhost:${socketPort}/tunnel/127.0.0.1:${database}`, '--token-file', file('alice.token'))
    const settings = `host=127.0.0.1 port=${port} sslmode=disable user=postgres dbname=postgres connect_timeout=10`
    const sql = (query: string): Promise<string> =>
      succeed(startTool('psql', ['-X', '-A', '-t', '-q', '-c', query, settings], { PGPASSFILE: '/dev/null' }))
    expect(await sql('select count(*), sum(n) from generate_series(1, 200000) n')).toBe('200000|20000100000\n')
    expect((await sql('select n from generate_series(1, 100000) n')).split('\n')).toHaveLength(100_001)
  })

  testWith(REDIS_PROGRAMS, 'redis-cli', async () => {
    const redis = await startRedis()
    const { appPort } = await startGateway(redis)
    const { port } = await startForward(`https://localhost:${appPort}/tunnel/127.0.0.1:${redis}`, '--token-file', file('alice.token'))
    const cli = (...args: string[]): Promise<string> => succeed(startTool('redis-cli', ['-h', '127.0.0.1', '-p', port, ...args]))
    expect(await cli('set', 'greeting', 'hello')).toBe('OK\n')
    expect(await cli('get', 'greeting')).toBe('hello\n')
  })
})

describe('the command forward', () => {
  test('ends with 1 and the reason for credentials and names that are not accepted, and for a port in use', async () => {
    const echo = await echoServer()
    const { appPort } = await startGateway(echo.port)
    const url = `wss://localhost:${appPort}/tunnel/127.0.0.1:${echo.port}`
    const run = (...args: string[]): ReturnType<typeof runProcess> => runProcess(['forward', '--ca', file('server.crt'), ...args])
    await runHere(['token', '--file', file('unknown.token')])
    expect(await run('--token-file', file('unknown.token'), '127.0.0.1:0', url)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^socket-gateway: localhost:\d+ answered 401 Unauthorized: The tunnel needs credentials/),
    })
    expect(await run('--token-file', file('alice.token'), '127.0.0.1:0', url.replace(/\d+$/, '1'))).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('answered 404 Not Found: No tunnel of this name'),
    })
    const taken = await listen(createServer())
    expect(await run('--token-file', file('alice.token'), `127.0.0.1:${taken}`, url)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('EADDRINUSE'),
    })
  })

  test.each([
    [[], 'expected pairs of LISTEN and URL'],
    [['127.0.0.1:1'], 'expected pairs of LISTEN and URL'],
    [['x', 'wss://a/tunnel/b:1'], 'LISTEN "x": expected HOST:PORT'],
    [[':1', 'wss://me:secret@a/other'], 'URL "wss://***@a/other": expected a URL such as'],
    [[':1', 'wss://a/tunnel/b'], 'expected a URL such as'],
    [[':1', 'ws://a.example/tunnel/b:1'], 'not encrypted'],
    [[':1', 'wss://a/tunnel/b:1', ':1', 'wss://a/tunnel/b:2'], 'given twice'],
    [['--private-key', 'x', '--token-file', 'y', ':1', 'wss://a/tunnel/b:1'], 'expected one of them'],
  ])('ends with 2 for %j', async (args, message) => {
    expect(await runHere(['forward', ...args])).toMatchObject({ status: 2, stderr: expect.stringContaining(message) })
  })

  test('has a health page, and lets connections end after SIGTERM', async () => {
    const echo = await echoServer()
    const { socketPort } = await startGateway(echo.port)
    const url = `wss://localhost:${socketPort}/tunnel/127.0.0.1:${echo.port}`
    const { port, forward } = await startForward(url, '--token-file', file('alice.token'), '--api-listen', '127.0.0.1:0')
    const [, api] = await forward.waitForLine(/health page at (\S+?)"/)
    const near = await tcpConnect(Number(port))
    near.socket.write('one')
    await near.received('one')
    expect(await (await fetch(api!)).json()).toEqual({ connections: 1, 'max-connections': 100, 'connections-used-percent': 0.01 })
    forward.child.kill('SIGTERM')
    await forward.waitForLine(/draining/)
    near.socket.end('two')
    expect((await near.ended(10_000)).toString()).toBe('onetwo')
    expect(await forward.exit).toEqual({ code: 0, signal: null })
  })
})
