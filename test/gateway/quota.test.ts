/** Sockets of an account that may move only so many bytes in a day. */
import { expect, test } from '@jest/globals'
import { createServer } from 'node:http'
import { dayOf } from '../../src/directory/quota.ts'
import { changeOf, idOf, socketOf, startSocketLayers, ZONE } from '../support/directory.ts'
import { exchange } from '../support/exchange.ts'
import { freePort, listen } from '../support/ports.ts'
import { echoServer, tcpConnect, type TcpEnd } from '../support/tcp.ts'
import { until } from '../support/wait.ts'

const host = `s1.${ZONE}`
const NOON = Date.parse('2026-11-28T12:00:00Z')
/** The gateway has ended it, in whichever way. */
const over = (end: TcpEnd): Promise<void> => end.when(() => end.hasEnded || end.socket.destroyed, 'the end of the connection')

const quotaOf = (bytesPerDay: number, used = 0) => ({ accountId: idOf(1, 2), bytesPerDay, day: dayOf(NOON), used })

test('requests beyond it are refused with a page and a time to come back; another account goes on, and so does the next day', async () => {
  let now = NOON
  const { layers, directory, connect } = await startSocketLayers({ directory: { nowMs: () => now } })
  const port = await listen(createServer((_req, res) => res.end('x'.repeat(2_000))))
  await directory.apply(changeOf({ sockets: [socketOf(1), socketOf(2)], quotas: [quotaOf(3_000)] }))
  await Promise.all([connect(1, port), connect(2, port)])
  const ask = (accept = '*/*') => exchange(layers.port, { host, headers: { Accept: accept } })
  expect([(await ask()).status, (await ask()).status]).toEqual([200, 200])
  // A request counts when its line is written, which is after the client has it.
  await until(async () => (await ask()).status === 429)
  const refused = await ask()
  expect([refused.code, refused.headers['retry-after']]).toEqual(['QUOTA_REACHED', '43200'])
  expect(String((await ask('text/html')).body)).toContain('Enough for today')
  expect((await exchange(layers.port, { host: `s2.${ZONE}` })).status).toBe(200)
  now += 86_400_000
  expect((await ask()).status).toBe(200)
})

test('what is under way is cut when the use is asked for: a download, a WebSocket, a connection to a port', async () => {
  const { layers, directory, connect } = await startSocketLayers({ directory: { nowMs: () => NOON } })
  const publicPort = await freePort()
  const origin = await listen(
    createServer((_req, res) => {
      res.writeHead(200, { 'Content-Length': '1000000' })
      res.write('x'.repeat(5_000))
    }).on('upgrade', (_request, socket) => {
      socket.on('error', () => undefined)
      socket.write(
        'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nConnection: Upgrade\r\n\r\n',
      )
      socket.write('y'.repeat(5_000))
    }),
  )
  const echo = await echoServer()
  const tcp = socketOf(2, { accountId: idOf(1, 2), type: 'tcp', port: publicPort })
  const upgrades = socketOf(1)
  await directory.apply(changeOf({ sockets: [upgrades, tcp], quotas: [quotaOf(20_000)] }))
  await Promise.all([connect(1, origin), connect(2, echo.port)])
  const [download, upgraded, connection] = [await tcpConnect(layers.port), await tcpConnect(layers.port), await tcpConnect(publicPort)]
  download.socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
  upgraded.socket.write(
    `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
  )
  connection.socket.write('z'.repeat(3_000))
  const all = [download, upgraded, connection] as const
  await Promise.all([
    download.when(() => download.bytes.length > 5_000, 'the download'),
    upgraded.when(() => upgraded.bytes.length > 5_000, 'what the origin says after the switch'),
    connection.when(() => connection.bytes.length === 3_000, 'the echo'),
  ])
  directory.takeUsage()
  expect(all.map(({ socket, hasEnded }) => socket.destroyed || hasEnded)).toEqual([false, false, false])
  connection.socket.write('z'.repeat(6_000))
  await connection.when(() => connection.bytes.length === 9_000, 'more of the echo')
  directory.takeUsage()
  await Promise.all(all.map(over))
  const again = await tcpConnect(publicPort)
  again.socket.write('z')
  await over(again)
  expect(again.bytes).toHaveLength(0)
  for (const { socket } of all) socket.destroy()
  const cut = (): number => [...layers.outerLogs, ...layers.accessLog].filter(({ error }) => error === 'QUOTA_REACHED').length
  await until(() => cut() === all.length + 1, { what: 'a line of each' })
})
