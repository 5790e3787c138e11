/** Whatever implements `Carrier` serves requests, TCP ports and tunnels, and what fails there goes to another one by one rule. */
import { describe, expect, test } from '@jest/globals'
import { hashToken } from '../../src/identity/token.ts'
import { exchange } from '../support/exchange.ts'
import { startLayers, type Layers } from '../support/layers.ts'
import { freePort } from '../support/ports.ts'
import { tcpConnect } from '../support/tcp.ts'
import { ask, bearer, token } from '../support/tunnels.ts'
import { until } from '../support/wait.ts'
import { connectionOf, HereCarrier } from './carriers.ts'

/** Layers without any inner layer; everything is served by `here`. */
const start = async (): Promise<{ readonly layers: Layers; readonly tcpPort: number }> => {
  const tcpPort = await freePort()
  const targets = [
    "targets: { '*': { hostname: 127.0.0.1, port: 1, protocol: http, policy: { '*': ['*'] }, identifier: [here] } }",
    `tcp: { '${tcpPort}': { hostname: 127.0.0.1, port: 1, identifier: [here] } }`,
    `tunnels: { '127.0.0.1:1': { tokens: ['${hashToken(token)}'], identifier: [here] } }`,
  ].join('\n')
  return { layers: await startLayers({ targets, inners: 0 }), tcpPort }
}

describe('a carrier that is no session', () => {
  test('serves requests, TCP ports and tunnels', async () => {
    const { layers, tcpPort } = await start()
    const carrier = new HereCarrier()
    layers.outer.registry.add(connectionOf(carrier))
    const answer = await exchange(layers.port, { path: '/some/path' })
    expect([answer.status, answer.body.toString()]).toEqual([200, '/some/path'])
    const client = await tcpConnect(tcpPort)
    client.socket.write('over TCP')
    await client.received('over TCP', 60_000)
    const tunnel = await ask(layers.port, '/tunnel/127.0.0.1:1', bearer(token))
    expect(tunnel.status).toBe(101)
    tunnel.socket.destroy()
    client.socket.destroy()
    await until(() => carrier.streamCount === 0, { deadlineMs: 60_000 })
    expect(carrier.opened).toBe(3)
  })

  test.each([
    ['INNER_LAYER_LOST', 200, 502],
    ['REFUSED_STREAM', 200, 200],
    ['ORIGIN_REFUSED', 502, 502],
  ] as const)('%s: a GET ends with %i, a POST with %i', async (code, get, post) => {
    const { layers } = await start()
    const [broken, sound] = [new HereCarrier(), new HereCarrier()]
    broken.failsWith = code
    layers.outer.registry.add(connectionOf(broken, 'here', 'first'))
    const first = await exchange(layers.port)
    expect([first.status, first.code]).toEqual([502 + Number(code === 'REFUSED_STREAM'), code])
    // The only one that there is failed: its code and its own reason are told, not that there was no other.
    expect(await layers.accessLine(1)).toMatchObject({ error: code, reason: 'as the test wants it' })
    sound.outstandingBytes = 1 // so that the broken one is asked first
    layers.outer.registry.add(connectionOf(sound, 'here', 'second'))
    expect((await exchange(layers.port)).status).toBe(get)
    expect((await exchange(layers.port, { method: 'POST', body: 'x' })).status).toBe(post)
  })
})
