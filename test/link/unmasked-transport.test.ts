import { connect, createServer } from 'node:net'
import { expect, test } from '@jest/globals'
import { needsNoMask } from '../../src/link/unmasked-transport.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { listen } from '../support/ports.ts'
import { until } from '../support/wait.ts'
import { dialLink, inbox, pattern, startListener } from './pair.ts'

test.each([
  ['wss://other-host', true],
  ['https://other-host:3001/prefix', true],
  ['ws://localhost:3001', true],
  ['ws://127.0.0.1', true],
  ['ws://127.8.9.10', true],
  ['ws://[::1]:3001', true],
  ['http://localhost', true],
  ['ws://other-host', false],
  ['http://other-host', false],
  ['ws://10.0.0.1', false],
  ['ws://localhost.example.com', false],
  ['ws://127.0.0.1.example.com', false],
  ['ws://[::2]', false],
])('%s needs no mask: %s', (url, expected) => {
  expect(needsNoMask(new URL(url))).toBe(expected)
})

test('a name below localhost leads to this machine, whatever its resolver knows', async () => {
  const listening = await startListener()
  const link = await dialLink(listening.port, '', 'link.localhost')
  expect((await until(() => listening.links[0])) !== undefined && link !== undefined).toBe(true)
})

test('frames to loopback carry the mask bit and a key of zero', async () => {
  const listening = await startListener()
  const up: Buffer[] = []
  // A proxy of its own, since what counts is what stands on the wire.
  const proxy = createServer(client => {
    const server = connect(listening.port, '127.0.0.1')
    client.on('data', chunk => up.push(chunk))
    client.on('error', () => server.destroy())
    server.on('error', () => client.destroy())
    client.pipe(server).pipe(client)
  })
  const port = await listen(proxy)
  onCleanUp(() => void proxy.close())
  const link = await dialLink(port)
  const receiver = inbox(await until(() => listening.links[0]))
  const body = pattern(1_000, 1)
  link.send(body)
  await until(() => receiver.messages.length === 1)
  expect(receiver.messages[0]!.equals(body)).toBe(true)
  const wire = Buffer.concat(up)
  // RFC 6455: FIN and binary, mask bit and a length of 16 bits, the length, the key, the payload.
  const frame = Buffer.concat([Buffer.from([0x82, 0x80 | 126, 1_000 >> 8, 1_000 & 0xff, 0, 0, 0, 0]), body])
  expect(wire.includes(frame)).toBe(true)
})
