/** What people do with the ssh that they have. */
import { expect } from '@jest/globals'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import { connect, createServer as createTcpServer } from 'node:net'
import { join } from 'node:path'
import { exchange } from '../support/exchange.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { changeOf } from '../support/directory.ts'
import { programPath, testWith } from '../support/needs.ts'
import { freePort, listen } from '../support/ports.ts'
import { makeKey, sshOptions, startDoor, startSsh, type Door, type KeyFile } from '../support/ssh-door.ts'
import { startTool } from '../support/sshd.ts'
import { tempDir } from '../support/temp.ts'
import { once, until } from '../support/wait.ts'

const PROGRAMS = ['ssh', 'ssh-keygen']
const RULE = '='.repeat(55)

const origin = (name: string): Promise<number> =>
  listen(createServer((req, res) => res.end(`${name} ${req.method ?? ''} ${req.url ?? ''} ${String(req.headers['x-real-ip'])}`)))

const doorWithKey = async (options: Parameters<typeof startDoor>[0] = {}): Promise<{ door: Door; key: KeyFile }> => {
  const [door, key] = await Promise.all([startDoor(options), makeKey()])
  door.authorize(key.line)
  return { door, key }
}

const get = async (door: Door, number: number): Promise<string> => {
  const { status, body, code } = await exchange(door.layers.port, { host: door.http[number]!.socket.dnsName, path: '/path?x' })
  return status === 200 ? body.toString() : `${status} ${code ?? ''}`
}

testWith(PROGRAMS, 'ssh -R 80: serves a request, and the session shows where', async () => {
  const { door, key } = await doorWithKey()
  const ssh = startSsh(door, key, ['-R', `80:127.0.0.1:${await origin('a')}`])
  await ssh.waitForLine(/Logs\r\n={55}\r\n/)
  const { socket, tunnel } = door.http[0]!
  const lines = ['', 'Welcome to edge.example.com!', `${socket.name} - https://${socket.dnsName}`, '', RULE, 'Logs', RULE, '']
  expect(ssh.stdout).toBe(lines.join('\r\n'))
  expect(await get(door, 0)).toBe('a GET /path?x 127.0.0.1')
  expect(door.asked).toEqual([{ bindAddress: 'localhost', bindPort: 80, held: [] }])
  expect(door.said).toEqual([`${tunnel.id} up from 127.0.0.1`])
  await ssh.stop('SIGTERM')
  await until(() => door.said.includes(`${tunnel.id} down`))
  await until(() => door.layers.outer.registry.connections.length === 0)
})

testWith(PROGRAMS, 'several forwards of one connection without a session: a port, a relay port and a name', async () => {
  const { door, key } = await doorWithKey({ http: 3 })
  const [a, b, c] = await Promise.all([origin('a'), origin('b'), origin('c')])
  const forwards = [`443:127.0.0.1:${a}`, `${door.http[1]!.tunnel.relayPort}:127.0.0.1:${b}`, `http-2:80:127.0.0.1:${c}`]
  startSsh(door, key, ['-N', ...forwards.flatMap(forward => ['-R', forward])])
  await door.layers.connected(3)
  for (const [number, name] of ['a', 'b', 'c'].entries()) expect(await get(door, number)).toBe(`${name} GET /path?x 127.0.0.1`)
  expect(door.asked.map(({ bindAddress, bindPort }) => `${bindAddress}:${bindPort}`)).toEqual([
    'localhost:443',
    `localhost:${door.http[1]!.tunnel.relayPort}`,
    'http-2:80',
  ])
  expect(door.asked.map(({ held }) => held.length)).toEqual([0, 1, 2])
})

testWith(PROGRAMS, 'ssh -R 0: learns the public port, and the answer arrives after the visitor has ended', async () => {
  const { door, key } = await doorWithKey()
  const local = createTcpServer({ allowHalfOpen: true }, socket => {
    const pieces: Buffer[] = []
    socket.on('data', piece => pieces.push(piece)).on('end', () => socket.end(`got ${Buffer.concat(pieces).toString()}`))
  })
  const ssh = startSsh(door, key, ['-N', '-o', 'LogLevel=INFO', '-R', `0:127.0.0.1:${await listen(local)}`])
  const publicPort = door.tcp[0]!.socket.ports[0]!
  await ssh.waitForLine(new RegExp(`Allocated port ${publicPort} for remote forward`))
  const answer = await new Promise<string>((resolve, reject) => {
    let text = ''
    const visitor = connect({ port: publicPort, host: '127.0.0.1', allowHalfOpen: true }, () => visitor.end('all of it'))
    visitor.on('data', (piece: Buffer) => (text += piece.toString()))
    visitor.on('error', reject).on('close', () => resolve(text))
  })
  expect(answer).toBe('got all of it')
})

testWith(PROGRAMS, 'a local port on which nobody listens is a 502, and the owner is told', async () => {
  const { door, key } = await doorWithKey()
  const ssh = startSsh(door, key, ['-R', `80:127.0.0.1:${await freePort()}`])
  await ssh.waitForLine(/Logs\r\n={55}\r\n/)
  expect(await get(door, 0)).toBe('502 ORIGIN_REFUSED')
  await ssh.waitForLine(/ORIGIN_REFUSED: nothing answers at the port that the SSH client forwards to/)
})

testWith(PROGRAMS, 'the newest login serves; when it goes, the one before it serves again', async () => {
  const { door, key } = await doorWithKey()
  const [old, fresh] = await Promise.all([origin('old'), origin('new')])
  const first = startSsh(door, key, ['-R', `http-0:80:127.0.0.1:${old}`])
  await first.waitForLine(/Logs/)
  expect(await get(door, 0)).toMatch(/^old/)
  const second = startSsh(door, key, ['-R', `http-0:80:127.0.0.1:${fresh}`])
  await second.waitForLine(/Logs/)
  await first.waitForLine(/Another login serves my http service 0 now; this one waits\./)
  await door.layers.connected(1)
  expect(await get(door, 0)).toMatch(/^new/)
  await second.stop()
  await until(async () => (await get(door, 0)).startsWith('old'))
  expect(first.exited).toBeUndefined()
})

testWith(PROGRAMS, 'forwards come and go while the connection stays', async () => {
  const { door, key } = await doorWithKey()
  const control = join(tempDir(), 'control')
  const [a, b] = await Promise.all([origin('a'), origin('b')])
  const master = startSsh(door, key, ['-M', '-S', control, '-R', `http-0:80:127.0.0.1:${a}`])
  await master.waitForLine(/Logs/)
  const tell = async (...args: readonly string[]): Promise<void> => {
    const told = startTool('ssh', ['-F', '/dev/null', '-S', control, '-O', ...args, 'x'])
    expect((await told.exit).code).toBe(0)
  }
  await tell('forward', '-R', `http-1:80:127.0.0.1:${b}`)
  await master.waitForLine(/my http service 1 - https:\/\/http-1\.edge\.example\.com\r\n/)
  expect(await get(door, 1)).toMatch(/^b/)
  await tell('cancel', '-R', `http-0:80:127.0.0.1:${a}`)
  await until(async () => (await get(door, 0)) === '502 NO_TUNNEL')
  expect(await get(door, 1)).toMatch(/^b/)
})

testWith(PROGRAMS, 'the session shows who comes: requests in the combined format, connections with their bytes', async () => {
  const { door, key } = await doorWithKey()
  const echo = createTcpServer(socket => void socket.on('error', () => undefined).pipe(socket))
  const forwards = ['-R', `80:127.0.0.1:${await origin('a')}`, '-R', `0:127.0.0.1:${await listen(echo)}`]
  const ssh = startSsh(door, key, forwards)
  await ssh.waitForLine(/Logs/)
  await exchange(door.layers.port, { host: door.http[0]!.socket.dnsName, path: '/path?token=x', headers: { 'user-agent': 'curl/7.64.0' } })
  const when = String.raw`\[\d\d\/[A-Z][a-z]{2}\/\d{4}:\d\d:\d\d:\d\d \+0000\]`
  const request = String.raw`127\.0\.0\.1 - - ${when} "GET \/path HTTP\/1\.1" 200 \d+ "-" "curl\/7\.64\.0" response_time="\d+\.\d{3} sec"`
  await ssh.waitForLine(new RegExp(`^my http service 0: ${request}\r\n`, 'm'))
  const visitor = connect(door.tcp[0]!.socket.ports[0]!, '127.0.0.1', () => visitor.end('12345'))
  visitor.on('error', () => undefined).resume()
  const connection = String.raw`127\.0\.0\.1 ${when} TCP 200 bytes_sent:5 bytes_received:5 session_time: \d+\.\d{3}`
  await ssh.waitForLine(new RegExp(`^my tcp service 0: ${connection}\r\n`, 'm'))
})

testWith(PROGRAMS, 'a tunnel that is deleted ends its session with the reason', async () => {
  const { door, key } = await doorWithKey()
  const ssh = startSsh(door, key, ['-R', `80:127.0.0.1:${await origin('a')}`])
  await ssh.waitForLine(/Logs/)
  const { socket, tunnel } = door.http[0]!
  await door.directory.apply(changeOf({ removedSockets: [socket.id], endedTunnels: [tunnel.id] }))
  expect((await ssh.exit).code).toBe(1)
  expect(ssh.stdout).toContain('this tunnel is no more')
  expect(await get(door, 0)).toBe('404 NO_SOCKET')
})

testWith(PROGRAMS, 'what is not a forward of a port is refused, with words where there is a place for them', async () => {
  const { door, key } = await doorWithKey()
  const command = startSsh(door, key, [], ['uptime'])
  expect((await command.exit).code).toBe(1)
  expect(command.stdout).toBe('This server runs no commands; it forwards ports. For example: ssh -R 80:localhost:8000 ssh.example.com\r\n')
  const nothing = startSsh(door, key, [])
  expect((await nothing.exit).code).toBe(1)
  expect(nothing.stdout).toContain('ssh -R 80:localhost:8000 ssh.example.com')
  expect((await startSsh(door, key, ['-s'], ['sftp']).exit).code).not.toBe(0)
  expect((await startSsh(door, key, ['-W', `127.0.0.1:${door.layers.port}`]).exit).code).not.toBe(0)
  const unix = startSsh(door, key, ['-R', `/tmp/none.sock:127.0.0.1:1`])
  expect((await unix.exit).code).toBe(1)
  expect(unix.stdout).toContain('Sockets of the file system are not forwarded here; give a port.')
  const stranger = startSsh(door, key, ['-R', 'nobody:80:127.0.0.1:1'])
  expect((await stranger.exit).code).toBe(1)
  expect(stranger.stdout).toContain('Port nobody:80 is not forwarded: there is no socket of this name')
})

testWith(PROGRAMS, 'Ctrl-C ends the session and the connection', async () => {
  const { door, key } = await doorWithKey()
  const args = ['-tt', '-R', `80:127.0.0.1:${await origin('a')}`, ...sshOptions(key.path, door.door.port), `${door.user}@127.0.0.1`]
  const ssh = spawn(programPath('ssh')!, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  onCleanUp(() => ssh.kill('SIGKILL'))
  const ended = once(ssh, 'exit')
  let shown = ''
  ssh.stdout.on('data', (bytes: Buffer) => (shown += bytes.toString()))
  await until(() => shown.includes('Logs'))
  ssh.stdin.write('\x03')
  expect((await ended)[0]).toBe(0)
  await until(() => door.door.connectionCount === 0)
})

testWith(PROGRAMS, 'whoever offers one key too many reads what to do', async () => {
  // With `none` before it, the key is the second attempt.
  const impatient = startSsh(await startDoor({ limits: { attempts: 1 } }), await makeKey(), ['-N', '-R', '80:127.0.0.1:1'])
  await impatient.exit
  expect(impatient.stderr).toMatch(/Received disconnect .*more than 1 attempts to log in; name the one that is meant: ssh -i FILE/)
})

testWith(PROGRAMS, 'when the door closes, sessions say so, and clients without one are told', async () => {
  const { door, key } = await doorWithKey({ limits: { readMs: 600_000 } })
  const shell = startSsh(door, key, ['-R', `http-0:80:127.0.0.1:${await origin('a')}`])
  const silent = startSsh(door, key, ['-N', '-R', `http-1:80:127.0.0.1:${await origin('b')}`])
  await shell.waitForLine(/Logs\r\n={55}\r\n/)
  await door.layers.connected(2)
  await door.door.close(10_000)
  const { code } = await shell.exit
  await silent.exit
  const words = 'This server stops, perhaps to start again: connect once more in a moment.'
  expect(shell.stdout).toContain(`\r\n${words}\r\n`)
  expect(code).not.toBe(0)
  expect(silent.stderr).toMatch(/Received disconnect from 127\.0\.0\.1 port \d+:11: This server stops, perhaps/)
})

testWith(
  PROGRAMS,
  'a client that is slow to read the last words gets them before the goodbye, at which it would end without showing them',
  async () => {
    const { door, key } = await doorWithKey({ limits: { readMs: 600_000 } })
    const shell = startSsh(door, key, ['-R', `http-0:80:127.0.0.1:${await origin('a')}`])
    await shell.waitForLine(/Logs\r\n={55}\r\n/)
    process.kill(shell.pid, 'SIGSTOP')
    const closing = door.door.close(10_000)
    // Enough for a door that does not wait to have said everything.
    await until(() => door.layers.outer.registry.connections.length === 0)
    for (let turn = 0; turn < 100; turn++) await new Promise(setImmediate)
    process.kill(shell.pid, 'SIGCONT')
    await Promise.all([closing, shell.exit])
    expect(shell.stdout).toContain('\r\nThis server stops, perhaps to start again: connect once more in a moment.\r\n')
  },
)

const MUCH = 2 ** 21

/** Sends as much as makes a door change ciphers there and back, over four connections. @returns the ciphers of each key exchange, from the door */
async function ciphersOf(ciphers: string): Promise<readonly string[]> {
  const { door, key } = await doorWithKey()
  const bytes = randomBytes(MUCH)
  // A connection that the origin may end between two uploads costs the second one.
  const echo = await listen(createServer({ keepAliveTimeout: 0 }, (req, res) => void req.pipe(res)))
  const ssh = startSsh(door, key, ['-N', '-o', 'LogLevel=DEBUG1', '-c', ciphers, '-R', `http-0:80:127.0.0.1:${echo}`])
  await door.layers.connected(1)
  const host = door.http[0]!.socket.dnsName
  const ask = async (): Promise<string> => {
    const { status, code, body } = await exchange(door.layers.port, { method: 'POST', host, body: bytes })
    return body.equals(bytes) ? 'the same' : `${status} ${code ?? ''}, ${body.length} bytes`
  }
  expect(await Promise.all([ask(), ask(), ask(), ask()])).toEqual(['the same', 'the same', 'the same', 'the same'])
  expect(await ask()).toBe('the same')
  await ssh.stop('SIGTERM')
  return [...ssh.output.matchAll(/kex: server->client cipher: (\S+)/g)].map(([, cipher]) => cipher!)
}

testWith(PROGRAMS, 'a connection that carries much goes over to AES-GCM, where the client knows it, and loses nothing', async () => {
  const before10 = 'chacha20-poly1305@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr,aes128-gcm@openssh.com,aes256-gcm@openssh.com'
  expect(await ciphersOf(before10)).toEqual(['aes128-ctr', 'aes128-gcm@openssh.com'])
  expect(await ciphersOf('aes256-ctr,aes128-ctr')).toEqual(['aes256-ctr'])
  expect(await ciphersOf('aes256-gcm@openssh.com,aes128-ctr')).toEqual(['aes256-gcm@openssh.com'])
})
