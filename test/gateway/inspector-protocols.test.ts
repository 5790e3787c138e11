import { connect } from 'node:net'
import { afterEach, describe, expect, test } from '@jest/globals'
import { hashToken } from '../../src/identity/token.ts'
import { replayRequest } from '../../src/inspector/replay/replay.ts'
import { newest, testInspector } from '../inspector/support.ts'
import { cleanUp } from '../support/cleanup.ts'
import { openGrpcClient, PATH, same, startGrpcServer } from '../support/grpc.ts'
import { startLayers } from '../support/layers.ts'
import { startTcpLayers, toOrigin } from '../support/tcp-layers.ts'
import { echo, startTcpOrigin } from '../support/tcp-origin.ts'
import { startForward, token, tunnelsOf } from '../support/tunnels.ts'
import { once } from '../support/wait.ts'

afterEach(cleanUp)

test('messages of gRPC are counted and sized at either end', async () => {
  const { port, handlers } = await startGrpcServer()
  handlers.serverStream = call => {
    for (const size of [1, 2_000, 0]) call.write(Buffer.alloc(size, 7))
    call.end()
  }
  const [inner, outer] = [testInspector(), testInspector({ layer: 'outer' })]
  const targets = 'targets:\n  "*": {protocol: http, hostname: 127.0.0.1, port: {port}, http2: true, inspect: true}\n'
  const layers = await startLayers({
    origin: port,
    targets,
    outer: { appH2c: true, taps: outer.inspector },
    inner: { taps: inner.inspector },
  })
  const client = openGrpcClient(`127.0.0.1:${layers.port}`)
  const call = client.makeServerStreamRequest(PATH.serverStream, same, same, Buffer.alloc(500, 1)).resume()
  await once(call, 'end')
  for (const { inspector, faults } of [inner, outer]) {
    const record = await newest(inspector)
    const { kind, messages, detail, answer } = record
    expect([kind, answer!.status]).toEqual(['grpc', 200])
    expect(messages!.from(0, 10).map(({ from, type, bytes }) => [from, type, bytes])).toEqual([
      ['client', 'grpc', 500],
      ['origin', 'grpc', 1],
      ['origin', 'grpc', 2_000],
      ['origin', 'grpc', 0],
    ])
    expect(detail.response!.trailers).toContainEqual(['grpc-status', '0'])
    expect(detail.request.body).toMatchObject({ bytes: 505, note: 'kept as messages' })
    expect(() => replayRequest(record, {})).toThrow(/a gRPC call cannot be sent again: its messages depend on the answers/)
    expect(faults).toEqual([])
  }
})

describe.each([
  ['inner', false],
  ['inner', true],
  ['outer', false],
  ['outer', true],
] as const)('of a TCP connection, at the %s layer, bytes kept: %s', (layer, keepsBytes) => {
  test('sizes and times are seen', async () => {
    const origin = await startTcpOrigin(echo)
    const { inspector, faults } = testInspector({ keepsBytes, layer })
    const layers = await startTcpLayers(toOrigin(origin.port, 'inspect: true'), { [layer]: { taps: inspector } })
    const socket = connect(layers.tcpPort, '127.0.0.1')
    let text = ''
    socket.on('data', (piece: Buffer) => (text += piece.toString()))
    socket.end('hello')
    await once(socket, 'close')
    expect(text).toBe('hello')
    const { summary, detail, requestBody, responseBody } = await newest(inspector)
    expect(summary).toMatchObject({ kind: 'tcp', requestBytes: 5, responseBytes: 5, error: null, isOver: true })
    expect(detail.phases.connect).toBeGreaterThanOrEqual(0)
    expect([requestBody?.held.bytes.toString(), responseBody?.held.bytes.toString()]).toEqual(
      keepsBytes ? ['hello', 'hello'] : [undefined, undefined],
    )
    if (layer === 'outer')
      expect(detail).toMatchObject({
        host: `*:${layers.tcpPort}`,
        target: `127.0.0.1:${origin.port}`,
        client: '127.0.0.1',
        innerLayer: 'inner-layer',
        phases: { edge: expect.any(Number), link: expect.any(Number) },
      })
    expect(faults).toEqual([])
  })
})

/** Resolves when a connection to this port has ended, as a reset or otherwise. */
const endOf = (port: number): Promise<void> =>
  new Promise(resolve => {
    connect(port, '127.0.0.1')
      .on('error', () => undefined)
      .on('close', () => resolve())
  })

test('a port of the outer layer that does not say so is not looked at, and one that nobody serves is', async () => {
  const { inspector } = testInspector({ layer: 'outer' })
  const layers = await startTcpLayers(toOrigin(9), { outer: { taps: inspector } })
  await endOf(layers.tcpPort)
  expect(inspector.state.seen).toBe(0)
  const lone = await startTcpLayers(toOrigin(9, 'inspect: true'), { outer: { taps: inspector }, inners: 0 })
  await endOf(lone.tcpPort)
  expect((await newest(inspector)).summary).toMatchObject({ kind: 'tcp', error: 'NO_INNER_LAYER', requestBytes: 0 })
})

test('of a tunnel sizes and times are seen at the outer layer', async () => {
  const origin = await startTcpOrigin(echo)
  const { inspector, faults } = testInspector({ layer: 'outer' })
  const targets = tunnelsOf({ [`127.0.0.1:${origin.port}`]: `{tokens: ["${hashToken(token)}"], inspect: true}` })
  const layers = await startLayers({ targets, outer: { taps: inspector } })
  const { port } = await startForward(layers.port, [`/tunnel/127.0.0.1:${origin.port}`])
  const socket = connect(port, '127.0.0.1').resume()
  socket.end('hello')
  await once(socket, 'close')
  const { summary, detail } = await newest(inspector)
  expect(summary).toMatchObject({ kind: 'tcp', requestBytes: 5, responseBytes: 5, error: null, innerLayer: 'inner-layer' })
  expect(detail.phases).toMatchObject({ edge: expect.any(Number), link: expect.any(Number), connect: expect.any(Number) })
  expect(faults).toEqual([])
})
