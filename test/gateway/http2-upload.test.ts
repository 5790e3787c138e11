/** An upload over HTTP/2 is as fast as the way to the outer layer and the origin allow, however long the way is. */
import { expect, test } from '@jest/globals'
import { constants } from 'node:http2'
import { H2Client } from '../support/h2-client.ts'
import { data, END_HEADERS, END_STREAM, H2, H2Connection, headers, request, reset, SETTING } from '../support/h2-frames.ts'
import { startLayers } from '../support/layers.ts'
import { rawResponse, startRawOrigin } from '../support/raw-origin.ts'
import { startRelay } from '../support/relay.ts'
import { once, until } from '../support/wait.ts'

test('20 MB at 50 ms need a few round trips, not three hundred', async () => {
  const origin = await startRawOrigin()
  origin.handle(async (request, socket) => {
    await request.complete
    socket.write(rawResponse(200, String(request.bodyBytes)))
  })
  const layers = await startLayers({ origin: origin.port, outer: { appH2c: true } })
  const relay = await startRelay({ target: { host: '127.0.0.1', port: layers.port }, delayMs: 25 })
  const client = H2Client.open(relay.port)
  const startedMs = performance.now()
  const stream = client.session.request({ ':method': 'POST', ':path': '/', ':authority': 'a.test' })
  stream.end(Buffer.alloc(20_000_000, 'x'))
  stream.resume()
  const [headers] = (await once(stream, 'response')) as [Record<string, unknown>]
  expect(headers[constants.HTTP2_HEADER_STATUS]).toBe(200)
  // With a window of 64 KiB it is 306 round trips of 50 ms: 15.3 s at least.
  expect(performance.now() - startedMs).toBeLessThan(12_000)
  expect(origin.last.bodyBytes).toBe(20_000_000)
})

const chunked = (size: number): string =>
  `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${size.toString(16)}\r\n${'x'.repeat(size)}\r\n0\r\n\r\n`

test('an upload is done when its answer has left, and given up when the client does not take all of it', async () => {
  const origin = await startRawOrigin()
  const layers = await startLayers({ origin: origin.port, outer: { appH2c: true } })
  let lines = 0
  /** @returns the error in its line */
  const send = async (size: number, window: number, isChunked: boolean, leave?: (client: H2Connection) => void): Promise<unknown> => {
    origin.handle(async (upload, socket) => {
      await upload.complete
      socket.write(isChunked ? chunked(size) : rawResponse(200, 'x'.repeat(size)))
    })
    const client = await H2Connection.open(layers.port, { pairs: [[SETTING.INITIAL_WINDOW_SIZE, window]] })
    await client.frame(H2.SETTINGS)
    client.write(headers(1, request('/', [], { method: 'POST' }), END_HEADERS), data(1, 'abc', END_STREAM))
    await until(() => client.body(1).length === Math.min(size, window) && client.of(H2.HEADERS, 1).length > 0)
    if (leave === undefined) expect(await client.ended(1)).toBe('end')
    else leave(client)
    const line = await until(() => layers.accessLog[lines], { what: 'its line' })
    lines++
    client.connection.destroy()
    return line.error
  }
  for (const isChunked of [false, true]) {
    for (const size of [0, 2, 60_000]) expect(await send(size, 65_535, isChunked)).toBeUndefined()
    for (const [size, window] of [
      [2, 0],
      [60_000, 30_000],
    ] as const) {
      expect(await send(size, window, isChunked, client => client.write(reset(1, 0)))).toBe('CANCELLED')
      expect(await send(size, window, isChunked, client => client.connection.socket.resetAndDestroy())).toBe('CANCELLED')
    }
  }
})
