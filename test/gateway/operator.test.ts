/** What the people who run the layers read when something is not as they thought. */
import { createServer } from 'node:http'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { WebSocket } from 'ws'
import { KeyFiles } from '../../src/identity/public-keys.ts'
import { AllowList } from '../../src/origin/allow-list.ts'
import { createInnerLayer, type InnerLayer, type InnerLayerOptions } from '../../src/inner/inner-layer.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { captureLog, privateKeyOf, startLayers, testKeyPair, type Layers, type LogRecord } from '../support/layers.ts'
import { head } from '../support/message.ts'
import { freePort, listen } from '../support/ports.ts'
import { rawRequest } from '../support/raw-client.ts'
import { startRelay } from '../support/relay.ts'
import { tempFile } from '../support/temp.ts'
import { until } from '../support/wait.ts'

/** An inner layer that nobody expects to connect, and what it logs. */
const startInner = async (
  port: number,
  options: Partial<InnerLayerOptions> = {},
): Promise<{ inner: InnerLayer; logs: readonly LogRecord[] }> => {
  const { log, records } = captureLog()
  const inner = createInnerLayer(
    {
      privateKey: privateKeyOf(await testKeyPair()),
      outerLayers: [`ws://127.0.0.1:${port}`],
      identifier: 'vm',
      connections: 1,
      allowList: new AllowList([]),
      drainTimeoutMs: 5_000,
      ...options,
    },
    { log },
  )
  onCleanUp(() => inner.destroy())
  await inner.start()
  return { inner, logs: records }
}

const warnings = (records: readonly LogRecord[]): LogRecord[] => records.filter(({ level }) => level === 'warn')
const said = (records: () => readonly LogRecord[], pattern: RegExp): Promise<LogRecord> =>
  until(() => records().find(({ msg }) => pattern.test(msg)), { what: String(pattern) })

describe('a proof that is refused', () => {
  let layers: Layers
  beforeAll(async () => {
    const keys = new KeyFiles([`lan-a=${tempFile('a.crt', (await testKeyPair()).certificatePem)}`])
    await keys.start()
    onCleanUp(() => keys.close())
    layers = await startLayers({ inners: 0, outer: { keys } })
  })

  test('makes the inner layer ask for the key and for the identifier', async () => {
    const { logs } = await startInner(layers.socketPort)
    const { msg } = await said(() => logs, /^cannot connect/)
    const { thumbprint } = await testKeyPair()
    expect(msg).toContain(
      `refused as "vm"; is the key (thumbprint ${thumbprint}) registered at the outer layer, and may it claim this identifier (--identifier)?`,
    )
  })

  test('is one line in the log of the outer layer, however often it comes back', async () => {
    const { logs } = await startInner(layers.socketPort, { connections: 3, identifier: 'again' })
    await until(() => logs.filter(({ msg }) => /cannot connect/.test(msg)).length >= 6)
    const refused = warnings(layers.outerLogs).filter(({ msg }) => msg.includes('cannot claim "again"'))
    expect(refused.map(({ msg }) => msg)).toEqual([expect.stringMatching(/^refused an inner layer from 127\.0\.0\.1: proof refused: key/)])
  })
})

describe('a failure of an origin', () => {
  test('is a warning of the inner layer with host, port and cause, once in a while', async () => {
    const port = await freePort()
    const layers = await startLayers({ origin: port })
    for (let i = 0; i < 5; i++) await rawRequest(layers.port, head('GET / HTTP/1.1', 'Host: a.test', 'Connection: close'))
    const found = warnings(layers.innerLogs).filter(({ code }) => code === 'ORIGIN_REFUSED')
    expect(found).toHaveLength(1)
    expect(found[0]!.msg).toMatch(new RegExp(`^origin 127\\.0\\.0\\.1:${port}: .*ECONNREFUSED`))
  })

  test('that is a missing --allow names the one to add', async () => {
    const port = await listen(createServer())
    const layers = await startLayers({ origin: port, inner: { allowList: new AllowList(['other.test:80']) } })
    await rawRequest(layers.port, head('GET / HTTP/1.1', 'Host: a.test', 'Connection: close'))
    const { msg } = await said(() => layers.innerLogs, /^origin /)
    expect(msg).toMatch(new RegExp(`; to allow it: --allow 127\\.0\\.0\\.1:${port}$`))
  })

  test('that is a silence is told by the outer layer', async () => {
    const port = await listen(createServer(() => undefined))
    const layers = await startLayers({ origin: port, outer: { timeoutMs: 200 } })
    await rawRequest(layers.port, head('GET / HTTP/1.1', 'Host: a.test', 'Connection: close'))
    expect(await said(() => layers.innerLogs, /^origin /)).toMatchObject({ code: 'ORIGIN_TIMEOUT', origin: `127.0.0.1:${port}` })
  })
})

test('an inner layer at the port for clients asks whether that is the right one', async () => {
  const layers = await startLayers({ inners: 0 })
  const { logs } = await startInner(layers.port)
  expect((await said(() => logs, /^cannot connect/)).msg).toContain(
    'Unexpected server response: 502; is this the socket port (3001 by default) of the outer layer, not the port for clients?',
  )
})

describe('an orderly end', () => {
  test('of the inner layer has its reason at the outer one', async () => {
    const layers = await startLayers()
    await until(() => layers.inner.connectionCount === 1) // the outer layer knows a moment before the inner one does
    await layers.inner.close()
    expect((await said(() => layers.outerLogs, /disconnected/)).msg).toBe('inner layer "inner-layer" disconnected: the inner layer stops')
    expect(await said(() => layers.outerLogs, /is leaving/)).toMatchObject({ reason: 'the inner layer stops' })
  })

  test('of the outer layer has its reason at the inner one', async () => {
    const layers = await startLayers()
    await layers.outer.close()
    expect((await said(() => layers.innerLogs, / ended: /)).msg).toMatch(/ ended: the outer layer stops; next attempt in \d+ ms$/)
  })
})

describe('the access log', () => {
  test('has dashes where nothing could be parsed, and says why', async () => {
    const layers = await startLayers({ inners: 0 })
    await rawRequest(layers.port, 'nonsense\r\n\r\n')
    expect(await layers.accessLine(1)).toMatchObject({
      method: '-',
      host: '-',
      path: '-',
      status: 400,
      reason: expect.stringMatching(/Parse/),
    })
    const clientHello = Buffer.concat([Buffer.from([0x16, 3, 1, 1, 0, 1, 0, 0, 0xfc, 3, 3]), Buffer.alloc(250)])
    await rawRequest(layers.port, clientHello)
    expect(await layers.accessLine(2)).toMatchObject({
      method: '-',
      reason: expect.stringMatching(/^the client speaks TLS and this port plain HTTP/),
    })
  })

  test('names the host that no target has; the answer says what decides', async () => {
    const layers = await startLayers({ inners: 0, targets: 'targets: {localhost: {protocol: http, hostname: 10.9.8.7}}\n' })
    const { text } = await rawRequest(layers.port, head('GET / HTTP/1.1', 'Host: 127.0.0.1:3000', 'Connection: close'))
    expect(text).toMatch(/^HTTP\/1\.1 404 [^]*the Host header decides/)
    expect(text).not.toMatch(/localhost|10\.9\.8\.7/)
    expect(await layers.accessLine(1)).toMatchObject({
      error: 'UNKNOWN_HOST',
      reason: expect.stringContaining('no target for host 127.0.0.1:3000'),
    })
  })
})

describe('behind a proxy', () => {
  /** Opens a link without proving anything; the status of the refusal, or 101. */
  const knock = (port: number, from: string): Promise<number> =>
    new Promise((resolve, reject) => {
      const socket = new WebSocket(`ws://127.0.0.1:${port}/socket.io/?EIO=4&transport=websocket`, { headers: { 'X-Forwarded-For': from } })
      onCleanUp(() => socket.terminate())
      socket.on('error', reject)
      socket.on('open', () => {
        socket.send('4{"type":0,"nsp":"/"}')
      })
      // The first message in binary is the HELLO.
      socket.on('message', (_data, isBinary) => {
        if (isBinary) resolve(101)
      })
      socket.on('unexpected-response', (_request, response) => resolve(response.statusCode ?? 0))
    })

  /** At once: one after the other, on a busy machine, they might not come faster than they may. */
  const knockOften = async (port: number, from: (number: number) => string): Promise<number[]> => {
    const statuses = await Promise.all(Array.from({ length: 30 }, (_, i) => knock(port, from(i))))
    return [...new Set(statuses)].sort()
  }

  test('the limits of handshakes are those of the inner layer, not of the proxy', async () => {
    const layers = await startLayers({ inners: 0, outer: { trustProxy: ['loopback'] } })
    const { socketPort } = layers
    expect(await knockOften(socketPort, () => '203.0.113.1')).toEqual([101, 400])
    expect(await knock(socketPort, '203.0.113.2')).toBe(101)
    layers.outer.destroy()
    expect(await said(() => layers.outerLogs, /^refused an inner layer from 203\.0\.113\.1: /)).toMatchObject({ address: '203.0.113.1' })
  })

  test('that nobody trusts, the field counts for nothing', async () => {
    const { socketPort } = await startLayers({ inners: 0, outer: { trustProxy: [] } })
    expect(await knockOften(socketPort, i => `203.0.113.${i}`)).toEqual([101, 400])
  })
})

test('a proof that an evil outer layer passes on is refused: it names whom the inner layer has dialled', async () => {
  const socketPort = await freePort()
  const layers = await startLayers({ outer: { socketPort, linkNames: [`127.0.0.1:${socketPort}`] } })
  await layers.connected(1)
  // Bytes that pass through somebody else, who was dialled.
  const evil = await startRelay({ target: { host: '127.0.0.1', port: socketPort } })
  const { logs } = await startInner(evil.port)
  await said(() => logs, /^cannot connect.*refused as "vm"/)
  expect((await said(() => layers.outerLogs, /^refused an inner layer/)).msg).toContain(
    `url is "ws://127.0.0.1:${evil.port}", the inner layer has dialled none of --link-name 127.0.0.1:${socketPort}`,
  )
})
