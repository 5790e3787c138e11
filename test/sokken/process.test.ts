/** Both ends as processes: what scripts and supervisors see. */
import { chmodSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { run as runHere } from '../cli/context.ts'
import { LogFile } from '../../src/sokken/log-file.ts'
import { listen } from '../support/ports.ts'
import { runProcess, startProcess, type RunningProcess } from '../support/process.ts'
import { echoServer, tcpConnect } from '../support/tcp.ts'
import { tempDir } from '../support/temp.ts'
import { until } from '../support/wait.ts'

const startServer = async (args: readonly string[]): Promise<{ process: RunningProcess; port: number }> => {
  const process = startProcess(['sokken', ...args])
  const [, port] = await process.waitForLine(/listening on \S*?:(\d+), tunnelling to: \[/)
  return { process, port: Number(port) }
}

const startClient = async (args: readonly string[]): Promise<{ process: RunningProcess; port: number }> => {
  const process = startProcess(['sokken', ...args])
  const [, port] = await process.waitForLine(/tunnelling 127\.0\.0\.1:(\d+) to /)
  return { process, port: Number(port) }
}

const run = (...args: string[]): ReturnType<typeof runProcess> => runProcess(['sokken', ...args])

describe('exit statuses', () => {
  test('0 for the help; 2 with the usage for what is not valid, and for nothing at all', async () => {
    expect(await run('-h')).toMatchObject({ code: 0, stdout: expect.stringContaining('Usage: socket-gateway sokken server') })
    for (const args of [[], ['-nope'], ['server', ':1'], ['server', ':1', 'nothing']])
      expect(await run(...args)).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('Usage: ') })
  })

  test('1 for a port that is in use', async () => {
    const taken = await listen(createServer())
    const line = expect.stringMatching(/"level":"fatal".*LISTEN_FAILED.*EADDRINUSE/)
    expect(await run('server', `127.0.0.1:${taken}`, 'a:1')).toMatchObject({ code: 1, stderr: line })
    expect(await run('client', '127.0.0.1:0', `127.0.0.1:${taken}`, 'ws://a/tunnel/b:1')).toMatchObject({ code: 1, stderr: line })
  })

  test.each([
    ['SIGTERM', 'terminated'],
    ['SIGINT', 'interrupt'],
    ['SIGHUP', 'hangup'],
  ] as const)('1 after %s, with the words of the real program', async (signal, name) => {
    const { process } = await startServer(['server', '127.0.0.1:0', 'a:1'])
    expect(await process.stop(signal)).toEqual({ code: 1, signal: null })
    expect(process.stderr).toMatch(new RegExp(`"level":"fatal".*"message":"got signal '${name}', exiting"`))
  })
})

test('a connection goes through, outlives SIGTERM at either end, and every line of both logs is JSON', async () => {
  const echo = await echoServer()
  const server = await startServer(['server', '127.0.0.1:0', `127.0.0.1:${echo.port}`])
  const client = await startClient(['client', '127.0.0.1:0', '127.0.0.1:0', `ws://127.0.0.1:${server.port}/tunnel/127.0.0.1:${echo.port}`])
  const near = await tcpConnect(client.port)
  near.socket.write('one')
  await near.received('one')
  server.process.child.kill('SIGTERM')
  client.process.child.kill('SIGTERM')
  await Promise.all([server.process.waitForLine(/draining 1 connection for/), client.process.waitForLine(/draining 1 connection for/)])
  near.socket.end('two')
  expect((await near.ended()).toString()).toBe('onetwo')
  expect(await Promise.all([server.process.exit, client.process.exit])).toEqual([
    { code: 1, signal: null },
    { code: 1, signal: null },
  ])
  for (const line of (server.process.stderr + client.process.stderr).trim().split('\n'))
    expect(JSON.parse(line)).toMatchObject({
      level: expect.any(String),
      time: expect.stringMatching(/^\d{4}-.*\dZ$/),
      message: expect.any(String),
    })
  expect(server.process.stdout + client.process.stdout).toBe('')
  // As the real program has it: `local` is who has connected, and a connection that has ended counts no more.
  const end = client.process.stderr.split('\n').find(line => line.includes('plumbing end'))!
  expect(JSON.parse(end)).toMatchObject({ local: expect.stringMatching(/^127\.0\.0\.1:\d+$/), 'active-connections': 0 })
  expect((JSON.parse(end) as { local: string }).local).not.toBe(`127.0.0.1:${client.port}`)
  expect(server.process.stderr).toMatch(/"active-connections":0.*plumbing end/)
})

test('TLS at the server, its authority and a token at the client', async () => {
  const directory = tempDir()
  const file = (name: string): string => join(directory, name)
  const files = ['--certificate', file('s.crt'), '--private-key', file('s.key')]
  expect(await runHere(['certificates', '--self-signed', 'localhost', '--type', 'ec', ...files])).toMatchObject({ status: 0 })
  const made = await runHere(['token', '--file', file('client.token')])
  const [, hash] = /^hash: (\S+)$/m.exec(made.stdout) ?? []
  writeFileSync(file('server.tokens'), `# of alice\n${hash!}\n`, { mode: 0o600 })
  const echo = await echoServer()
  const tls = ['-tls-certificate', file('s.crt'), '-tls-key', file('s.key'), '-token-file', file('server.tokens')]
  const server = await startServer(['server', ...tls, '127.0.0.1:0', `127.0.0.1:${echo.port}`])
  const pair = ['127.0.0.1:0', `wss://localhost:${server.port}/tunnel/127.0.0.1:${echo.port}`]
  const client = await startClient(['client', '-ca', file('s.crt'), '-token-file', file('client.token'), '127.0.0.1:0', ...pair])
  const near = await tcpConnect(client.port)
  near.socket.end('over TLS')
  expect((await near.ended()).toString()).toBe('over TLS')

  const doubting = await startClient(['client', '-token-file', file('client.token'), '127.0.0.1:0', ...pair])
  await (await tcpConnect(doubting.port)).gone()
  await doubting.process.waitForLine(/"Dial error"|self-signed certificate/)
  const poor = await startClient(['client', '-ca', file('s.crt'), '127.0.0.1:0', ...pair])
  await (await tcpConnect(poor.port)).gone()
  await poor.process.waitForLine(/answered 401 Unauthorized: token missing or not accepted/)
  chmodSync(file('client.token'), 0o644)
  expect(await run('client', '-token-file', file('client.token'), '127.0.0.1:0', ...pair)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('chmod 600'),
  })
})

describe('log files', () => {
  test('are told on standard output and take every line; the pretty form overrides them', async () => {
    const path = join(tempDir(), 'logs', 'sokken.log')
    const process = startProcess(['sokken', '-log-file', path, 'server', '127.0.0.1:0', 'a:1'])
    await process.waitForLine(/logging to .*sokken\.log/)
    await until(() => existsSync(path) && readFileSync(path, 'utf8').includes('listening on'))
    await process.stop()
    expect(readFileSync(path, 'utf8')).toMatch(/"message":"got signal 'terminated', exiting"\}\n$/)
    expect(process.stderr).toBe('')
    const pretty = startProcess(['sokken', '-log-file', path, '-log-pretty', 'server', '127.0.0.1:0', 'a:1'])
    await pretty.waitForLine(/\x1b\[32mINF\x1b\[0m listening on/)
    await pretty.stop()
  })

  test('rotate by size without losing a line, and keep as many as they are told', () => {
    const directory = tempDir()
    const path = join(directory, 'a.log')
    let ms = Date.UTC(2026, 0, 1)
    const file = new LogFile({ path, maxBytes: 100, maxAgeMs: 0, maxRotated: 3, now: () => new Date((ms += 1_000)) })
    for (let i = 0; i < 50; i++) file.write(`${String(i).padStart(19, '0')}\n`)
    file.close()
    const names = readdirSync(directory).sort()
    expect(names.length).toBe(4)
    expect(names.slice(0, 3)).toEqual([...names.slice(0, 3)].filter(name => /^a-2026-01-01T00-00-\d\d\.\d{3}\.log$/.test(name)))
    const lines = names.flatMap(name => readFileSync(join(directory, name), 'utf8').trim().split('\n')).map(Number)
    expect(lines).toEqual(Array.from({ length: 20 }, (_, i) => 30 + i))
  })

  test('go on where the disk is full: lines are lost, the process is not', () => {
    const file = new LogFile({ path: '/dev/full', maxBytes: 1_000, maxAgeMs: 0, maxRotated: 0, now: () => new Date() })
    expect(() => file.write('x\n')).not.toThrow()
    file.close()
  })
})
