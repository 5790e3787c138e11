/** What people do with the ssh that they have. */
import { createServer } from 'node:http'
import { exchange } from '../support/exchange.ts'
import { testWith } from '../support/needs.ts'
import { listen } from '../support/ports.ts'
import { makeKey, startDoor, startSsh } from '../support/ssh-door.ts'

const PROGRAMS = ['ssh', 'ssh-keygen']

testWith(PROGRAMS, 'ssh -R 80: serves a request, and the session shows where', async () => {
  const origin = await listen(
    createServer((req, res) => res.end(`${req.method ?? ''} ${req.url ?? ''} ${String(req.headers['x-real-ip'])}`)),
  )
  const door = await startDoor()
  const key = await makeKey()
  door.authorize(key.line)
  const ssh = startSsh(door, key, ['-R', `80:127.0.0.1:${origin}`])
  await ssh.waitForLine(/Logs\r\n={55}\r\n/)
  const { socket } = door.http[0]!
  expect(ssh.stdout).toBe(
    ['', 'Welcome to edge.example.com!', `${socket.name} - https://${socket.dnsName}`, '', '='.repeat(55), 'Logs', '='.repeat(55), ''].join(
      '\r\n',
    ),
  )
  const { status, body } = await exchange(door.layers.port, { host: socket.dnsName, path: '/path?x' })
  expect([status, body.toString()]).toEqual([200, 'GET /path?x 127.0.0.1'])
  expect(door.asked).toEqual([{ bindAddress: 'localhost', bindPort: 80, held: [] }])
})
