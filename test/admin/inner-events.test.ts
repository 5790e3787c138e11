/** Events of an inner layer, at its own admin port. */
import { generateKeyPairSync } from 'node:crypto'
import { createServer } from 'node:http'
import { expect, test } from '@jest/globals'
import type { EventPage } from '../../src/events/event-book.ts'
import type { GatewayEvent } from '../../src/events/event.ts'
import { mintKeyPair } from '../../src/identity/certificate.ts'
import { thumbprintOf } from '../../src/identity/key.ts'
import { createInnerLayer, type InnerLayer } from '../../src/inner/inner-layer.ts'
import { AllowList } from '../../src/origin/allow-list.ts'
import { silentLog } from '../../src/telemetry/log.ts'
import { ask } from '../support/admin.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { startLayers } from '../support/layers.ts'
import { listen } from '../support/ports.ts'
import { until } from '../support/wait.ts'

const OWN = { admin: { port: 0 }, eventHoldScale: 0.01 }

const find = (inner: InnerLayer, name: string): Promise<GatewayEvent> =>
  until(
    async () => {
      const { text } = await ask(inner.adminPort, `/events?name=${name}`)
      return (JSON.parse(text) as EventPage).items[0]
    },
    { what: name },
  )

test('an inner layer tells which outer layers it has, loses and gets back, and how origins with a check are', async () => {
  let status = 204
  const origin = createServer((_, response) => response.writeHead(status).end())
  const port = await listen(origin)
  const targets = `targets:\n  a.test: {protocol: http, hostname: 127.0.0.1, port: ${port}, health: {path: /up, interval: 250ms, unhealthy: 1, healthy: 1}}\n`
  const layers = await startLayers({ targets, relay: {}, inner: OWN })
  const url = `ws://127.0.0.1:${layers.socketPort}`
  expect(await find(layers.inner, 'outer-layer.connected')).toMatchObject({
    subject: url,
    severity: 'info',
    fields: { url, identifier: 'inner-layer', agent: expect.stringMatching(/^socket-gateway\//) },
  })
  status = 500
  expect(await find(layers.inner, 'origin.unhealthy')).toMatchObject({ fields: { identifier: 'inner-layer', reason: 'status 500' } })
  status = 204
  await find(layers.inner, 'origin.well')
  await layers.outer.close()
  expect(await find(layers.inner, 'outer-layer.lost')).toMatchObject({ subject: url, severity: 'warning' })
})

test('an inner layer tells that it is refused, and nothing of a certificate that is good for a year', async () => {
  const layers = await startLayers({ inners: 0 })
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { certificatePem } = await mintKeyPair({ type: 'ec', commonName: 'short', validityYears: 1 })
  const stranger = createInnerLayer(
    {
      ...OWN,
      privateKey: { key: privateKey, kid: thumbprintOf(publicKey), algorithm: 'ES256' },
      outerLayers: [`ws://127.0.0.1:${layers.socketPort}`],
      identifier: 'stranger',
      connections: 1,
      allowList: new AllowList([]),
      drainTimeoutMs: 1_000,
      outerLayerCa: certificatePem,
    },
    { log: silentLog },
  )
  onCleanUp(() => stranger.destroy())
  await stranger.start()
  expect(await find(stranger, 'outer-layer.refused')).toMatchObject({ severity: 'warning', fields: { code: 'AUTH' } })
  expect(await find(stranger, 'outer-layer.lost')).toMatchObject({ fields: { url: `ws://127.0.0.1:${layers.socketPort}` } })
  const { text } = await ask(stranger.adminPort, '/events?name=certificate.*')
  expect((JSON.parse(text) as EventPage).items).toEqual([])
})
