/** Coming back: an inner layer whose outer layer was restarted, and one that leaves before it has quite come. */
import { describe, expect, test } from '@jest/globals'
import { createInnerLayer } from '../../src/inner/inner-layer.ts'
import { AllowList } from '../../src/origin/allow-list.ts'
import { exchange } from '../support/exchange.ts'
import { createLayerProcesses } from '../support/layer-processes.ts'
import { captureLog, startLayers, type LogRecord } from '../support/layers.ts'
import { startRawOrigin } from '../support/raw-origin.ts'
import { startRelay } from '../support/relay.ts'
import { until, within } from '../support/wait.ts'

test('eight restarts of the outer layer in a row, killed and told to end in turn: no pause of an inner layer is longer than 1.5 s', async () => {
  const origin = await startRawOrigin()
  const processes = await createLayerProcesses(origin.port)
  let outer = await processes.startOuter()
  const inner = await processes.startInner('one', [outer])
  for (let round = 0; round < 8; round++) {
    await outer.process.stop(round % 2 === 0 ? 'SIGKILL' : 'SIGTERM')
    outer = await processes.startOuter({ socketPort: outer.socketPort })
    const { port } = outer
    await until(async () => (await exchange(port)).status === 200)
  }
  const pauses = inner.output
    .split('\n')
    .filter(line => line.includes('"retryMs"'))
    .map(line => JSON.parse(line) as LogRecord)
  expect(pauses.length).toBeGreaterThanOrEqual(8)
  expect(pauses.filter(({ retryMs }) => Number(retryMs) > 1_500)).toEqual([])
  expect(new Set(pauses.map(({ code }) => code))).not.toContain('INNER_LAYER_LOST')
})

describe('an inner layer', () => {
  test.each([0, 25, 50, 75, 100])(
    'that is told to end %i ms after the outer layer has it costs no request, not even a POST',
    async afterMs => {
      const origin = await startRawOrigin()
      const layers = await startLayers({ origin: origin.port })
      const relay = await startRelay({ target: { host: '127.0.0.1', port: layers.socketPort }, delayMs: 50 })
      const arrived = layers.addInner({ outerLayers: [`ws://127.0.0.1:${relay.port}`] })
      await layers.connected(2)
      const posts = Promise.all(Array.from({ length: 64 }, () => exchange(layers.port, { method: 'POST', body: 'x' })))
      const leave = async (): Promise<void> => layers.inners[1]!.close()
      const closed = afterMs === 0 ? leave() : new Promise<void>(resolve => setTimeout(() => void leave().then(resolve), afterMs))
      expect((await posts).filter(({ status }) => status !== 200).map(({ code }) => code)).toEqual([])
      expect(origin.hits).toBe(64)
      await arrived
      await within(closed, 'the inner layer to close')
      await layers.connected(1)
    },
  )

  test('dials anew while its outer layer still finishes the requests that it has', async () => {
    const held = await startRawOrigin(() => undefined)
    const layers = await startLayers({ origin: held.port })
    const running = exchange(layers.port)
    await until(() => held.hits === 1)
    const [{ session }] = layers.outer.registry.connections as [(typeof layers.outer.registry.connections)[number]]
    void session.drain('GOING_AWAY', 'as an outer layer that stops')
    await until(() => layers.outer.registry.connections.some(connection => connection.session !== session))
    expect(layers.inner.streamCount).toBe(1)
    await until(() => layers.inner.connectionCount === 1)
    held.handle((_request, socket) => void socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'))
    expect((await exchange(layers.port)).status).toBe(200)
    session.destroy('GOING_AWAY', 'enough')
    expect((await running).status).toBe(200)
    await layers.connected(1)
  })
})

test.each([0, 50, 100, 150, 200, 250, 300, 350])(
  'an outer layer that is told to end %i ms after an inner layer has begun to dial ends, and leaves no session behind',
  async afterMs => {
    const layers = await startLayers({ inners: 0 })
    const relay = await startRelay({ target: { host: '127.0.0.1', port: layers.socketPort }, delayMs: 50 })
    const inner = createInnerLayer(
      {
        privateKey: layers.privateKey,
        outerLayers: [`ws://127.0.0.1:${relay.port}`],
        identifier: 'late',
        connections: 1,
        allowList: new AllowList([]),
        drainTimeoutMs: 5_000,
      },
      { log: captureLog().log },
    )
    await inner.start()
    await until(() => relay.accepted === 1)
    await new Promise(resolve => setTimeout(resolve, afterMs))
    await within(layers.outer.close(), 'the outer layer to close')
    await inner.close()
    expect(layers.outer.registry.connections).toEqual([])
  },
)
