/** An outer layer of several processes below systemd: at ports that it has not opened, and with its watchdog. */
import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { expect } from '@jest/globals'
import type { WorkerStatus } from '../../src/admin/status.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { exchange } from '../support/exchange.ts'
import { testKeyPair } from '../support/layers.ts'
import { testWith } from '../support/needs.ts'
import { freePort } from '../support/ports.ts'
import { PROGRAM } from '../support/process.ts'
import { tempDir } from '../support/temp.ts'
import { once, until } from '../support/wait.ts'

/** Node.js has no sockets of this kind. */
const LISTENER = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print('open', flush=True)
while True: print(s.recv(4096).decode(), flush=True)
`

const started = (program: string, argv: readonly string[], env: Readonly<Record<string, string>> = {}) => {
  const child = spawn(program, argv, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } })
  onCleanUp(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (output += text))
  return { child, output: () => output }
}

const managerOf = async (folder: string) => {
  const manager = started('python3', ['-c', LISTENER, join(folder, 'notify')])
  await until(() => manager.output().includes('open'))
  return { output: manager.output, path: join(folder, 'notify') }
}

const filesOf = async (folder: string, port: number): Promise<readonly string[]> => {
  writeFileSync(join(folder, 'inner.crt'), (await testKeyPair()).certificatePem)
  const tcp = `tcp:\n  '${port}': { hostname: 127.0.0.1, port: 1 }\n`
  writeFileSync(join(folder, 'targets.yaml'), `targets:\n  'a.test': http://127.0.0.1:1\n${port > 0 ? tcp : ''}`)
  writeFileSync(join(folder, 'password'), 'open sesame\n', { mode: 0o600 })
  return [
    ...['outer-layer', '--workers', '2', '--public-key', join(folder, 'inner.crt'), '--targets', join(folder, 'targets.yaml')],
    ...['--log-format', 'json', '--drain-delay', '0', '--admin-password-file', join(folder, 'password')],
  ]
}

const workersOf = async (port: number): Promise<readonly WorkerStatus[]> => {
  const headers = { authorization: `Basic ${Buffer.from(':open sesame').toString('base64')}` }
  const { body } = await exchange(port, { path: '/api/workers', headers })
  return (JSON.parse(body.toString()) as { readonly workers: readonly WorkerStatus[] }).workers
}

testWith(
  ['systemd-socket-activate', 'systemd-notify', 'python3'],
  'workers serve at ports that systemd has opened: of clients, links, operators and TCP, after they were replaced, and when all have died',
  async () => {
    const folder = tempDir()
    const manager = await managerOf(folder)
    const [clients, links, admin, tcp] = [await freePort(), await freePort(), await freePort(), await freePort()]
    const args = await filesOf(folder, tcp)
    const ports = [links, clients, admin, tcp].flatMap(port => ['-l', `127.0.0.1:${port}`])
    const names = `--fdname=links:clients:admin:tcp-${tcp}`
    const outer = started('systemd-socket-activate', [
      ...ports,
      names,
      '-E',
      `NOTIFY_SOCKET=${manager.path}`,
      process.execPath,
      PROGRAM,
      ...args,
    ])
    await until(() => outer.output().includes(`${tcp} as 6`))
    // The program begins with the first client, who waits for it.
    expect((await exchange(clients, { host: 'b.test' })).status).toBe(404)
    await until(() => manager.output().includes('READY=1'), { what: 'READY=1' })
    const look = async (): Promise<void> => {
      expect((await exchange(clients, { host: 'b.test' })).status).toBe(404)
      expect((await exchange(links, { path: '/healthz' })).status).toBe(200)
      expect((await exchange(admin, { path: '/status' })).status).toBe(401)
      // No inner layer is there, so the connection is taken and reset.
      const socket = connect(tcp, '127.0.0.1').on('error', () => undefined)
      onCleanUp(() => void socket.destroy())
      await new Promise(resolve => socket.once('close', resolve))
    }
    await look()
    const before = (await workersOf(admin)).map(({ pid }) => pid)
    expect(before).toHaveLength(2)
    // systemd-socket-activate has become the program.
    outer.child.kill('SIGHUP')
    await until(() => outer.output().includes('the workers are restarted'), { what: 'new workers' })
    expect((await workersOf(admin)).filter(({ pid }) => before.includes(pid))).toEqual([])
    await look()

    // None is left, and the ports are open: whoever comes waits for the next one.
    const all = (await workersOf(admin)).map(({ pid }) => pid)
    for (const pid of all) process.kill(pid, 'SIGKILL')
    await until(async () => (await workersOf(admin)).every(({ pid }) => !all.includes(pid)), { what: 'the end of all' })
    await look()
    outer.child.kill('SIGTERM')
    await until(() => manager.output().includes('STOPPING=1'), { what: 'STOPPING=1' })
  },
)

testWith(
  ['systemd-notify', 'python3'],
  'the watchdog of systemd is told for as long as a worker answers, and one that hangs is replaced',
  async () => {
    const folder = tempDir()
    const manager = await managerOf(folder)
    const args = [...(await filesOf(folder, 0)), '--app-port', '0', '--socket-port', '0', '--admin-port', '0']
    const outer = started(process.execPath, [PROGRAM, ...args], { NOTIFY_SOCKET: manager.path, WATCHDOG_USEC: '6000000' })
    const told = (): number => manager.output().split('WATCHDOG=1').length - 1
    await until(() => outer.output().includes('2 workers are up') && told() > 0, { what: 'the watchdog to hear' })
    const port = Number(/"adminPort":(\d+)/.exec(outer.output())![1])
    const pids = (await workersOf(port)).map(({ pid }) => pid)
    onCleanUp(() => {
      for (const pid of pids) {
        try {
          process.kill(pid, 'SIGKILL')
        } catch {
          // It has ended.
        }
      }
    })

    for (const pid of pids) process.kill(pid, 'SIGSTOP')
    await until(() => outer.output().includes('no worker answers'), { what: 'silence to be seen' })
    const before = told()
    await until(() => outer.output().split('no worker answers').length > 3, { what: 'more of it' })
    // One may have been under way.
    expect(told() - before).toBeLessThanOrEqual(1)
    process.kill(pids[0]!, 'SIGCONT')
    const silent = told()
    await until(() => told() > silent + 1, { what: 'the watchdog to hear again' })
    await until(() => outer.output().includes('"worker 2 has not answered'), { what: 'the one that hangs to be ended' })
    await until(
      async () => (await workersOf(port)).some(({ number, pid, state }) => number === 2 && !pids.includes(pid) && state === 'up'),
      {
        what: 'another one in its place',
      },
    )
    outer.child.kill('SIGTERM')
    expect((await once(outer.child, 'exit'))[0]).toBe(0)
  },
)
