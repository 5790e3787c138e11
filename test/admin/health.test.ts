/** Targets whose origin is not well, TCP ports and tunnels, as operators see them. */
import { connect } from 'node:net'
import { expect, test } from '@jest/globals'
import type { OuterStatus } from '../../src/admin/status.ts'
import { ask, parseMetrics } from '../support/admin.ts'
import { exchange } from '../support/exchange.ts'
import { startLayers } from '../support/layers.ts'
import { freePort } from '../support/ports.ts'
import { startRawOrigin } from '../support/raw-origin.ts'
import { once, until } from '../support/wait.ts'

test('a target says which inner layers are asked last for it', async () => {
  const closed = await freePort()
  const layers = await startLayers({ origin: closed, outer: { admin: { port: 0 } } })
  const target = async () => (JSON.parse((await ask(layers.outer.adminPort, '/status')).text) as OuterStatus).targets[0]!
  expect(await target()).toMatchObject({ innerLayers: 1, avoided: [] })
  for (let i = 0; i < 6; i++) await exchange(layers.port)
  await until(async () => (await target()).avoided.length === 1)
  expect(await target()).toMatchObject({ host: '*', avoided: ['inner-layer'], errors: 6 })
  const metrics = parseMetrics((await ask(layers.outer.adminPort, '/metrics')).text)
  expect(metrics.get('socket_gateway_inner_layers_avoided{target="*"}')).toBe(1)
})

test('connections of TCP ports are counted by their origin', async () => {
  const origin = await startRawOrigin()
  const port = await freePort()
  const targets = `targets: {}\ntcp: {"${port}": {hostname: 127.0.0.1, port: ${origin.port}}}\n`
  const layers = await startLayers({ targets, outer: { admin: { port: 0 } } })
  const socket = connect(port, '127.0.0.1')
  socket.write('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
  await once(socket, 'data')
  const read = async () => parseMetrics((await ask(layers.outer.adminPort, '/metrics')).text)
  expect((await read()).get('socket_gateway_connections_open{kind="tcp"}')).toBe(1)
  socket.end()
  socket.on('error', () => undefined)
  socket.destroy()
  const target = `{target="127.0.0.1:${origin.port}"}`
  await until(async () => (await read()).get(`socket_gateway_connections_total${target}`) === 1)
  expect((await read()).get(`socket_gateway_connection_received_bytes_total${target}`)).toBe(32)
  const { text } = await ask(layers.outer.adminPort, '/status')
  expect(JSON.parse(text)).toMatchObject({ tcp: { ports: [port], connections: 0, faults: [] } })
})
