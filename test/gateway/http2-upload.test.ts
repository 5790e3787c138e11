/** An upload over HTTP/2 is as fast as the way to the outer layer and the origin allow, however long the way is. */
import { expect, test } from '@jest/globals'
import { data, END_HEADERS, END_STREAM, H2, H2Connection, headers, request, reset, SETTING } from '../support/h2-frames.ts'
import { startLayers } from '../support/layers.ts'
import { rawResponse, startRawOrigin } from '../support/raw-origin.ts'
import { startRelay } from '../support/relay.ts'
import { until } from '../support/wait.ts'

const UPLOAD_BYTES = 20_000_000
const FIRST_WINDOW_BYTES = 65_535

const credit = (client: H2Connection, stream: number): number =>
  client.of(H2.WINDOW_UPDATE, stream).reduce((sum, { payload }) => sum + payload.readUInt32BE(), 0)

/** The window of a stream that the last settings have given. */
const window = (client: H2Connection): number => {
  let bytes = FIRST_WINDOW_BYTES
  for (const { payload } of client.of(H2.SETTINGS))
    for (let at = 0; at < payload.length; at += 6)
      if (payload.readUInt16BE(at) === SETTING.INITIAL_WINDOW_SIZE) bytes = payload.readUInt32BE(at + 2)
  return bytes
}

test('20 MB at 50 ms need a few round trips, not three hundred', async () => {
  const origin = await startRawOrigin()
  origin.handle(async (request, socket) => {
    await request.complete
    socket.write(rawResponse(200, String(request.bodyBytes)))
  })
  const layers = await startLayers({ origin: origin.port, outer: { appH2c: true } })
  const relay = await startRelay({ target: { host: '127.0.0.1', port: layers.port }, delayMs: 25 })
  const client = await H2Connection.open(relay.port)
  client.write(headers(1, request('/', [], { method: 'POST' })))
  const piece = Buffer.alloc(16_384, 'x')
  let sentBytes = 0
  const lent = (): number => Math.min(window(client) + credit(client, 1), FIRST_WINDOW_BYTES + credit(client, 0)) - sentBytes
  // Each wait lasts a round trip at least, as nothing is under way that has not arrived or no credit for it has left. With a window of 64 KiB there
  // are 305.
  let waits = 0
  while (sentBytes < UPLOAD_BYTES) {
    if (lent() <= 0) {
      waits++
      await until(() => lent() > 0, { what: 'credit' })
    }
    const length = Math.min(piece.length, lent(), UPLOAD_BYTES - sentBytes)
    sentBytes += length
    client.write(data(1, piece.subarray(0, length), sentBytes === UPLOAD_BYTES ? END_STREAM : 0))
  }
  expect(await client.ended(1)).toBe('end')
  expect(client.body(1).toString()).toBe(String(UPLOAD_BYTES))
  expect(waits).toBeLessThan(100)
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
