import { connect } from 'node:net'
import { afterEach, describe, expect, test } from '@jest/globals'
import { newest, testInspector } from '../inspector/support.ts'
import { cleanUp } from '../support/cleanup.ts'
import { openGrpcClient, PATH, same, startGrpcServer } from '../support/grpc.ts'
import { startLayers } from '../support/layers.ts'
import { startTcpLayers, toOrigin } from '../support/tcp-layers.ts'
import { echo, startTcpOrigin } from '../support/tcp-origin.ts'
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
    const { kind, messages, detail, answer } = await newest(inspector)
    expect([kind, answer!.status]).toEqual(['grpc', 200])
    expect(messages!.from(0, 10).map(({ from, type, bytes }) => [from, type, bytes])).toEqual([
      ['client', 'grpc', 500],
      ['origin', 'grpc', 1],
      ['origin', 'grpc', 2_000],
      ['origin', 'grpc', 0],
    ])
    expect(detail.response!.trailers).toContainEqual(['grpc-status', '0'])
    expect(detail.request.body).toMatchObject({ bytes: 505, note: 'kept as messages' })
    expect(faults).toEqual([])
  }
})

describe.each([false, true])('of a TCP connection, bytes kept: %s', keepsBytes => {
  test('sizes and times are seen', async () => {
    const origin = await startTcpOrigin(echo)
    const { inspector, faults } = testInspector({ keepsBytes })
    const layers = await startTcpLayers(toOrigin(origin.port), { inner: { taps: inspector } })
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
    expect(faults).toEqual([])
  })
})
