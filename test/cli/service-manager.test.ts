/** systemd: ports that it has opened are taken over, and it hears when the process is ready and when it ends. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { handedDown, inheritedHosts, inheritedTcp, tellReady } from '../../src/cli/command/service-manager.ts'
import { checkAdminHost } from '../../src/admin/admin-host.ts'
import { watchdogMs } from '../../src/cli/command/watchdog.ts'
import { mintKeyPair } from '../../src/identity/certificate.ts'
import { writeFileSync } from 'node:fs'
import { onCleanUp } from '../support/cleanup.ts'
import { exchange } from '../support/exchange.ts'
import { testWith } from '../support/needs.ts'
import { freePort } from '../support/ports.ts'
import { PROGRAM } from '../support/process.ts'
import { tempDir } from '../support/temp.ts'
import { until } from '../support/wait.ts'

describe('sockets of the service manager', () => {
  const of = (env: Record<string, string>, pid = 7) => inheritedHosts({ env, pid })

  test('stand for the ports by their names', () => {
    expect(of({ LISTEN_PID: '7', LISTEN_FDS: '3', LISTEN_FDNAMES: 'links:clients:redirect' })).toEqual({
      'socket-host': 'fd:3',
      'app-host': 'fd:4',
      'app-http-host': 'fd:5',
    })
    const hosts = of({ LISTEN_PID: '7', LISTEN_FDS: '2', LISTEN_FDNAMES: 'admin:tcp-5432' })
    expect(hosts).toEqual({ 'admin-host': 'fd:3', 'tcp-5432': 'fd:4' })
    expect(inheritedTcp(hosts)).toEqual(new Map([[5432, 'fd:4']]))
    // Behind the four that a worker has anyway; operators come to the primary.
    expect(handedDown(hosts)).toEqual({ fds: [4], hosts: { 'tcp-5432': 'fd:4' } })
    const two = of({ LISTEN_PID: '7', LISTEN_FDS: '3', LISTEN_FDNAMES: 'links:admin:clients' })
    expect(handedDown(two)).toEqual({ fds: [3, 5], hosts: { 'socket-host': 'fd:4', 'app-host': 'fd:5' } })
  })

  test('a socket for operators needs a password, whatever its address is', () => {
    expect(() => checkAdminHost({ host: 'fd:3' })).toThrow(
      'is a socket of the service manager, which others may reach, so it needs a password',
    )
    checkAdminHost({ host: 'fd:3', password: 'x' })
  })

  test('a watchdog is ours where it names this process or none', () => {
    const env = { NOTIFY_SOCKET: '/run/x', WATCHDOG_USEC: '30000000' }
    expect(watchdogMs({ env, pid: 7 })).toBe(30_000)
    expect(watchdogMs({ env: { ...env, WATCHDOG_PID: '7' }, pid: 7 })).toBe(30_000)
    for (const other of [{ WATCHDOG_PID: '8' }, { NOTIFY_SOCKET: '' }, { WATCHDOG_USEC: '0' }, { WATCHDOG_USEC: 'x' }])
      expect(watchdogMs({ env: { ...env, ...other }, pid: 7 })).toBeUndefined()
    expect(
      watchdogMs({ env, pid: 7, parent: { send: () => undefined, onMessage: () => undefined, onEnd: () => undefined } }),
    ).toBeUndefined()
  })

  test('are none where there are none, or where they are those of another process', () => {
    expect(of({})).toEqual({})
    expect(of({ LISTEN_FDS: '1', LISTEN_FDNAMES: 'clients' })).toEqual({})
    expect(of({ LISTEN_PID: '8', LISTEN_FDS: '1', LISTEN_FDNAMES: 'clients' })).toEqual({})
    expect(inheritedHosts({ env: { LISTEN_PID: '7', LISTEN_FDS: '1', LISTEN_FDNAMES: 'clients' } })).toEqual({})
  })

  test.each([
    [
      'socket-gateway.socket',
      'called "socket-gateway.socket"; expected FileDescriptorName= clients, redirect, links, admin in its unit, or tcp-PORT',
    ],
    ['tcp-0', 'called "tcp-0"'],
    ['tcp-5432:tcp-5432', 'two sockets called tcp-5432'],
    ['constructor', 'called "constructor"'],
    ['', 'a socket without a name; expected FileDescriptorName= clients, redirect, links'],
    ['clients:clients', 'two sockets called clients'],
  ])('called %j are refused in words', (names, words) => {
    expect(() => of({ LISTEN_PID: '7', LISTEN_FDS: '2', LISTEN_FDNAMES: names })).toThrow(words)
  })
})

test('nobody is told where nobody asked, or by a part of another process; and what could not be told is said', async () => {
  const env = { NOTIFY_SOCKET: join(tempDir(), 'none'), PATH: '' }
  const parent = { send: () => undefined, onMessage: () => undefined, onEnd: () => undefined }
  const lines: string[] = []
  const log = { warn: (_: object, text?: string) => void lines.push(text ?? '') }
  await tellReady({ env: {} }, log)
  // Of a worker: when it is replaced, the service goes on.
  await tellReady({ env, parent }, log)
  expect(lines).toEqual([])
  await tellReady({ env }, log)
  expect(lines).toEqual([expect.stringContaining('does not know that this process is ready: systemd-notify READY=1: ')])
})

/** Node.js has no sockets of this kind. */
const LISTENER = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print('open', flush=True)
while True: print(s.recv(4096).decode(), flush=True)
`

const started = (program: string, argv: readonly string[]) => {
  const child = spawn(program, argv, { stdio: ['ignore', 'pipe', 'pipe'] })
  onCleanUp(() => void child.kill('SIGKILL'))
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (output += text))
  return { child, output: () => output }
}

testWith(
  ['systemd-socket-activate', 'systemd-notify', 'python3'],
  'an outer layer serves at ports that it has not opened, and says when it is ready and when it ends',
  async () => {
    const folder = tempDir()
    const { certificatePem } = await mintKeyPair({ type: 'ec', commonName: 'lan-a', validityYears: 1 })
    writeFileSync(join(folder, 'lan-a.crt'), certificatePem)
    const notify = join(folder, 'notify')
    const manager = started('python3', ['-c', LISTENER, notify])
    await until(() => manager.output().includes('open'))
    const [clients, links] = [await freePort(), await freePort()]
    const sockets = ['-l', `127.0.0.1:${links}`, '-l', `127.0.0.1:${clients}`, '--fdname=links:clients', '-E', `NOTIFY_SOCKET=${notify}`]
    const layer = ['outer-layer', '--public-key', join(folder, 'lan-a.crt'), '--target', 'a.example.com=http://127.0.0.1:1']
    const outer = started('systemd-socket-activate', [
      ...sockets,
      process.execPath,
      PROGRAM,
      ...layer,
      '--admin-port',
      'none',
      '--drain-delay',
      '0',
    ])
    await until(() => outer.output().includes(`${clients} as 4`))
    // The program begins with the first client, who waits for it.
    const answer = await exchange(clients, { host: 'b.example.com' })
    expect(answer.status).toBe(404)
    expect(outer.output()).toContain(`clients on port ${clients} (http), inner layers on port ${links} (ws)`)
    expect((await exchange(links, { path: '/healthz' })).status).toBe(200)
    await until(() => manager.output().includes('READY=1'))
    expect(manager.output()).not.toContain('STOPPING')
    outer.child.kill('SIGTERM')
    await until(() => manager.output().includes('STOPPING=1'))
  },
)
