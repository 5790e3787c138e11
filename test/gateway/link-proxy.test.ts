/** An inner layer in a network whose only way out is an HTTP proxy. */
import { describe, expect, test } from '@jest/globals'
import { mintAuthority, mintServer, startStore, writePair } from '../support/certificates.ts'
import { startConnectProxy, type ConnectProxy } from '../support/connect-proxy.ts'
import { exchange } from '../support/exchange.ts'
import { createLayerProcesses, type InnerProcessOptions } from '../support/layer-processes.ts'
import { startLayers } from '../support/layers.ts'
import { startRawOrigin } from '../support/raw-origin.ts'
import { startRelay, type Relay } from '../support/relay.ts'
import { until } from '../support/wait.ts'

const PASSWORD = 'f0rbidden-to-log'
const BASIC = `Basic ${Buffer.from(`me:${PASSWORD}`).toString('base64')}`

/** Resolves when two connections or more have come to the outer layer, every one of them by way of the proxy: on a busy machine some are given up and made anew. */
const viaProxy = (proxy: ConnectProxy, relay: Relay): Promise<boolean> =>
  until(() => proxy.seen.length >= 2 && proxy.seen.length === relay.accepted, { what: 'each connection to come by way of the proxy' })

describe('a link through an HTTP proxy', () => {
  test('is opened by CONNECT with name and password, for ws:// as well', async () => {
    const origin = await startRawOrigin()
    const proxy = await startConnectProxy(`me:${PASSWORD}`)
    const layers = await startLayers({ origin: origin.port, inners: 0, relay: {} })
    await layers.addInner({ proxyFor: () => new URL(`http://me:${PASSWORD}@127.0.0.1:${proxy.port}`), connections: 2 })
    const body = 'x'.repeat(1_000_000)
    expect((await exchange(layers.port, { method: 'POST', body })).status).toBe(200)
    await viaProxy(proxy, layers.relay)
    expect(proxy.seen).toEqual(proxy.seen.map(() => ({ authority: `127.0.0.1:${layers.socketPort}`, authorization: BASIC })))
    await until(() => layers.innerLogs.some(({ msg }) => msg.includes(`through the proxy 127.0.0.1:${proxy.port}`)))
    expect(JSON.stringify(layers.innerLogs)).not.toContain(PASSWORD)
  })

  test('has TLS inside, verified to the outer layer behind it, by a name that the proxy alone knows', async () => {
    const origin = await startRawOrigin()
    const authority = await mintAuthority()
    const store = await startStore([writePair(await mintServer(['gateway.internal'], authority))])
    const layers = await startLayers({ origin: origin.port, inners: 0, outer: { socketCertificates: store } })
    const proxy = await startConnectProxy(`me:${PASSWORD}`, ['gateway.internal', 'other.internal'])
    const proxyFor = (): URL => new URL(`http://me:${PASSWORD}@127.0.0.1:${proxy.port}`)
    const common = { outerLayerCa: authority.certificatePem, proxyFor }
    await layers.addInner({ ...common, outerLayers: [`wss://gateway.internal:${layers.socketPort}`] })
    expect((await exchange(layers.port)).status).toBe(200)
    void layers.addInner({ ...common, outerLayers: [`wss://other.internal:${layers.socketPort}`] }).catch(() => undefined)
    await until(() => layers.innerLogs.some(({ reason }) => String(reason).includes("does not match certificate's altnames")))
    await layers.addInner({ ...common, outerLayers: [`wss://gateway.internal:${layers.socketPort}`] })
  })

  test.each([
    ['a wrong password', 'me:wrong', '127.0.0.1', /answered CONNECT 127\.0\.0\.1:\d+ with 407: it wants a name and a password/],
    [
      'a host that it does not allow',
      `me:${PASSWORD}`,
      'forbidden.internal',
      /answered CONNECT forbidden\.internal:\d+ with 403: it does not open/,
    ],
  ])('is refused for %s, in words and without the password', async (_what, pair, host, said) => {
    const proxy = await startConnectProxy(`me:${PASSWORD}`)
    const layers = await startLayers({ inners: 0 })
    const proxyFor = (): URL => new URL(`http://${pair}@127.0.0.1:${proxy.port}`)
    void layers.addInner({ outerLayers: [`ws://${host}:${layers.socketPort}`], proxyFor }).catch(() => undefined)
    const line = await until(() => layers.innerLogs.find(({ msg }) => said.test(msg)))
    expect(line.msg).toMatch(/^cannot connect to ws:.* through the proxy 127\.0\.0\.1:\d+: /)
    expect(JSON.stringify(layers.innerLogs)).not.toContain(pair.split(':')[1])
    layers.inners[0]!.destroy()
  })

  test('is what --proxy, SG_PROXY and the environment of other programs ask for', async () => {
    const origin = await startRawOrigin()
    const processes = await createLayerProcesses(origin.port)
    const outer = await processes.startOuter()
    const start = async (name: string, options: (url: string) => InnerProcessOptions): Promise<{ proxy: ConnectProxy; relay: Relay }> => {
      const proxy = await startConnectProxy(`me:${PASSWORD}`, ['localhost'])
      const relay = await startRelay({ target: { host: '127.0.0.1', port: outer.socketPort } })
      const { output } = await processes.startInner(
        name,
        [{ ...outer, socketPort: relay.port }],
        options(`http://me:${PASSWORD}@127.0.0.1:${proxy.port}`),
      )
      expect(output).not.toContain(PASSWORD)
      return { proxy, relay }
    }
    const one = await start('one', url => ({ args: ['--proxy', url] }))
    await viaProxy(one.proxy, one.relay)
    const two = await start('two', url => ({ env: { SG_PROXY: url } }))
    await viaProxy(two.proxy, two.relay)
    // This machine is never behind the proxy that the environment names.
    const three = await start('three', url => ({ env: { HTTP_PROXY: url } }))
    expect(three.relay.accepted).toBeGreaterThanOrEqual(2)
    expect(three.proxy.seen).toEqual([])
  })
})
