/** Tunnels of the service serve their own sockets and nothing of the operator, whatever they call themselves. */
import { describe, expect, test } from '@jest/globals'
import { AllowList, createInnerLayer, KeyRegistry, registeredKey, silentLog, type KeySource } from '../../src/index.ts'
import type { OuterStatus } from '../../src/admin/status.ts'
import { connectionOf, HereCarrier } from '../outer/carriers.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { startSocketLayers } from '../support/directory.ts'
import { exchange } from '../support/exchange.ts'
import { startLayers, testKeyPair, type Layers } from '../support/layers.ts'
import { startRelay } from '../support/relay.ts'
import { until } from '../support/wait.ts'

const TUNNEL = '3f2a8c1e-5b7d-4e9f-8a6b-0c1d2e3f4a5b'
const targets = [
  'targets:',
  "  open.example: { protocol: http, hostname: 127.0.0.1, port: 1, policy: '*' }",
  `  named.example: { protocol: http, hostname: 127.0.0.1, port: 1, policy: '*', identifier: ['${TUNNEL}', vm] }`,
].join('\n')

const statusOf = async (layers: Layers, host: string): Promise<number> => (await exchange(layers.port, { host })).status

/** Layers whose only key is one of a tunnel. */
const startForTunnel = async (expiresAtMs = Infinity): Promise<Layers> => {
  const { certificatePem } = await testKeyPair()
  const key = { ...registeredKey(certificatePem), grant: { tunnel: TUNNEL, expiresAtMs } }
  const keys: KeySource = { registry: new KeyRegistry([key]) }
  return startLayers({ targets, inners: 0, outer: { keys } })
}

/** Why an inner layer that calls itself so is not let in. */
const refusalOf = async (layers: Layers, identifier: string): Promise<unknown> => {
  const { socketPort, privateKey } = layers
  const outerLayers = [`ws://127.0.0.1:${socketPort}`]
  const options = { privateKey, outerLayers, identifier, connections: 1, allowList: new AllowList([]), drainTimeoutMs: 0 }
  const inner = createInnerLayer(options, { log: silentLog })
  onCleanUp(() => inner.destroy())
  await inner.start()
  return (await until(() => layers.outerLogs.find(({ msg }) => msg.startsWith('refused an inner layer'))))['reason']
}

describe('a tunnel', () => {
  test('serves no target of the operator: neither one without identifiers, nor one that names it', async () => {
    const layers = await startLayers({ targets, inners: 0, outer: { admin: { port: 0 } } })
    const { registry } = layers.outer
    const [tunnel, operator] = [new HereCarrier(), new HereCarrier()]
    registry.add(connectionOf(tunnel, TUNNEL, 'a tunnel', 'tunnel'))
    expect([await statusOf(layers, 'open.example'), await statusOf(layers, 'named.example')]).toEqual([502, 502])
    const ready = await fetch(`http://127.0.0.1:${layers.outer.adminPort}/readyz`)
    expect([ready.status, await ready.text()]).toEqual([503, expect.stringContaining('no inner layer is connected')])
    registry.add(connectionOf(operator, TUNNEL, 'an operator'))
    expect([await statusOf(layers, 'open.example'), await statusOf(layers, 'named.example')]).toEqual([200, 200])
    expect([tunnel.opened, operator.opened]).toEqual([0, 2])
    expect(registry.pick({ identifiers: [TUNNEL], pool: 'tunnel' })).toMatchObject({ instance: 'a tunnel' })
  })

  test('of a key is the one that the key was given for, by whatever name it asks, and no other', async () => {
    const layers = await startForTunnel()
    await layers.addInner({ identifier: 'a host name', isIdentifierDefault: true })
    expect(layers.outer.registry.tunnels).toMatchObject([{ identifier: TUNNEL, pool: 'tunnel' }])
    expect([await statusOf(layers, 'open.example'), await statusOf(layers, 'named.example')]).toEqual([502, 502])
    expect(await refusalOf(layers, 'vm')).toContain('cannot claim "vm"')
    expect(layers.outer.registry.operators).toEqual([])
  })

  test('is refused once the time of its key is over', async () => {
    const layers = await startForTunnel(Date.now() - 1)
    expect(await refusalOf(layers, TUNNEL)).toContain('was for a time that is over')
  })

  test('has the newest login alone: what the earlier one has begun ends there, and then its session', async () => {
    const layers = await startForTunnel()
    const { registry } = layers.outer
    await layers.addInner({ identifier: TUNNEL })
    const [first] = registry.tunnels
    await layers.addInner({ identifier: TUNNEL })
    expect(first!.session.isOpen).toBe(false)
    expect(registry.pick({ identifiers: [TUNNEL], pool: 'tunnel' })).not.toBe(first)
    const left = (): boolean => layers.innerLogs.some(({ msg }) => msg.includes('another login of this tunnel has taken its place'))
    await until(() => left() && !registry.tunnels.includes(first!))
  })

  test('keeps its newest login when an earlier one, whose link was lost before, comes back', async () => {
    const layers = await startForTunnel()
    const { registry } = layers.outer
    const { socketPort, privateKey } = layers
    const relay = await startRelay({ target: { host: '127.0.0.1', port: socketPort } })
    const downs: string[] = []
    const inner = createInnerLayer(
      {
        privateKey,
        outerLayers: [`ws://127.0.0.1:${relay.port}`],
        identifier: TUNNEL,
        connections: 1,
        allowList: new AllowList([]),
        drainTimeoutMs: 0,
        onDown: ({ code }) => void downs.push(code),
      },
      { log: silentLog },
    )
    onCleanUp(() => inner.destroy())
    await inner.start()
    await until(() => registry.tunnelCount === 1)
    // It dials again at once, and nothing comes through before the newer one is there.
    relay.pause()
    relay.cut()
    await until(() => registry.tunnelCount === 0)
    await layers.addInner({ identifier: TUNNEL })
    const [newest] = registry.tunnels
    relay.resume()
    await until(() => downs.includes('TAKEN_OVER'))
    expect(registry.pick({ identifiers: [TUNNEL], pool: 'tunnel' })).toBe(newest)
    expect(newest!.session.isOpen).toBe(true)
  })
})

test('of very many tunnels operators see the first hundred, and how many there are', async () => {
  const { layers } = await startSocketLayers({ outer: { admin: { port: 0 } } })
  for (let i = 0; i < 103; i++) layers.outer.registry.add(connectionOf(new HereCarrier(), `tunnel ${i}`, `process ${i}`, 'tunnel'))
  const status = (await (await fetch(`http://127.0.0.1:${layers.outer.adminPort}/status`)).json()) as OuterStatus
  expect(status.service).toMatchObject({ tunnels: 103 })
  expect(status.service!.firstTunnels.map(({ identifier }) => identifier)).toEqual(Array.from({ length: 100 }, (_, i) => `tunnel ${i}`))
  expect(status.innerLayers).toEqual([])
})
