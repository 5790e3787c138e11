/** Connections that are made at the same moment, more than are read in one turn of the event loop. */
import { beforeAll, describe, expect, test } from '@jest/globals'
import { ask, parseMetrics } from '../support/admin.ts'
import { startLayers, type Layers, type LayersOptions } from '../support/layers.ts'
import { RawConnection } from '../support/raw-client.ts'
import { rawResponse, startRawOrigin, type RawOrigin } from '../support/raw-origin.ts'
import { until } from '../support/wait.ts'

const AT_ONCE = 400
const GET = 'GET / HTTP/1.1\r\nHost: a.test\r\n\r\n'
const POST = 'POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nok'
const LIMITS = { connectionsPerAddress: 0, requestsPerAddress: 0 } as const

let origin: RawOrigin

beforeAll(async () => {
  origin = await startRawOrigin()
  origin.handle((_request, socket) => void socket.write(rawResponse(200, 'ok')))
})

const start = (outer: LayersOptions['outer'] = {}): ReturnType<typeof startLayers> =>
  startLayers({ origin: origin.port, logLevel: 'info', outer: { admin: { port: 0 }, limits: LIMITS, ...outer } })

const open = (port: number, count: number): Promise<readonly RawConnection[]> =>
  Promise.all(Array.from({ length: count }, () => RawConnection.open(port)))

/** Resolves once the outer layer has this many connections of clients. */
const counted = (layers: Layers, count: number): Promise<unknown> =>
  until(async () => {
    const metrics = parseMetrics((await ask(layers.outer.adminPort, '/metrics')).text)
    return metrics.get('socket_gateway_connections_open{kind="client"}') === count
  })

describe('400 connections at once', () => {
  test('are all answered, whatever they ask', async () => {
    const layers = await start()
    const clients = await open(layers.port, AT_ONCE)
    clients.forEach((client, i) => client.write(i % 4 === 0 ? POST : GET))
    const answers = await Promise.all(clients.map(client => client.readResponse()))
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200))
    // And once more, on those that are kept.
    for (const client of clients) client.write(GET)
    expect((await Promise.all(clients.map(client => client.readResponse()))).every(({ status }) => status === 200)).toBe(true)
  })

  test('of which half leave: the rest is answered, and nothing is held of those', async () => {
    const layers = await start()
    const clients = await open(layers.port, AT_ONCE)
    for (const client of clients) client.write(GET)
    for (const [i, client] of clients.entries()) if (i % 2 === 1) client.socket.resetAndDestroy()
    const answers = await Promise.all(clients.filter((_client, i) => i % 2 === 0).map(client => client.readResponse()))
    expect(answers.every(({ status }) => status === 200)).toBe(true)
    for (const client of clients) client.socket.destroy()
    await counted(layers, 0)
  })

  test('are all answered by a layer that stops', async () => {
    const layers = await start({ drainDelayMs: 0, drainTimeoutMs: 60_000, limits: { ...LIMITS, lastRequestMs: 60_000 } })
    const clients = await open(layers.port, AT_ONCE)
    await counted(layers, AT_ONCE)
    for (const client of clients) client.write(GET)
    const closed = layers.outer.close()
    const answers = await Promise.all(clients.map(client => client.readResponse()))
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200))
    await closed
  })

  test('are all ended when the layer is cut', async () => {
    const layers = await start()
    const clients = await open(layers.port, AT_ONCE)
    await counted(layers, AT_ONCE)
    for (const client of clients) client.write(GET)
    layers.outer.destroy()
    await Promise.all(clients.map(({ closed }) => closed))
  })
})
