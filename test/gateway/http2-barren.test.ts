/** Frames of HTTP/2 that carry nothing, and of which node:http2 says nothing: they have a budget as all that leads to nothing. */
import { beforeAll, expect, test } from '@jest/globals'
import { BarrenBytes } from '../../src/outer/http-edge/frame-budget.ts'
import { pattern } from '../link/pair.ts'
import { H2Client } from '../support/h2-client.ts'
import { data, END_HEADERS, END_STREAM, frame, H2, H2Connection, headers, request, windowUpdate } from '../support/h2-frames.ts'
import { startLayers, type Layers } from '../support/layers.ts'
import { rawResponse, startRawOrigin, type RawOrigin } from '../support/raw-origin.ts'
import { until } from '../support/wait.ts'

const PADDED = 8
let origin: RawOrigin
let layers: Layers

beforeAll(async () => {
  origin = await startRawOrigin()
  origin.handle(async (request, socket) => {
    await request.complete
    socket.write(rawResponse(200, 'ok'))
  })
  layers = await startLayers({ origin: origin.port, outer: { appH2c: true }, logLevel: 'warn' })
})

test.each([
  ['WINDOW_UPDATE by one byte', () => windowUpdate(1, 1)],
  ['DATA that is padding alone', () => frame(H2.DATA, PADDED, 1, Buffer.from([3, 0, 0, 0]))],
  ['PRIORITY', () => frame(H2.PRIORITY, 0, 1, Buffer.from([0, 0, 0, 3, 16]))],
])('%s, tens of thousands of times', async (_name, make) => {
  const client = await H2Connection.open(layers.port)
  client.write(headers(1, request('/nothing', [], { method: 'POST' }), END_HEADERS))
  const many = Buffer.concat(Array.from({ length: 1_000 }, make))
  const isLeft = (): boolean => client.of(H2.GOAWAY).length > 0 || client.connection.peerClose !== 'no'
  for (let round = 0; round < 30 && !isLeft(); round++) client.write(many)
  await until(isLeft)
  client.connection.destroy()
  expect((await H2Client.open(layers.port).get()).text).toBe('ok')
})

test('whoever carries something is no flood: pieces of a few bytes each way, windows given back for each', async () => {
  const body = pattern(30_000, 1)
  const client = await H2Connection.open(layers.port)
  client.write(headers(1, request('/crumbs', [], { method: 'POST' }), END_HEADERS))
  for (let at = 0; at < body.length; at += 300) {
    client.write(...Array.from({ length: 100 }, (_, i) => data(1, body.subarray(at + i * 3, at + i * 3 + 3))), windowUpdate(0, 1))
    await new Promise(setImmediate)
  }
  client.write(data(1, '', END_STREAM))
  expect(await client.ended(1)).toBe('end')
  expect(origin.last.bodyBytes).toBe(body.length)
  expect((await H2Client.open(layers.port).get()).text).toBe('ok')
})

test('what is left of all bytes is counted once, and what is explained ahead of its time is bounded', () => {
  const socket = { bytesRead: 0, bytesWritten: 0 }
  const barren = new BarrenBytes(socket)
  socket.bytesRead = 1_300
  expect([barren.count(0), barren.count(0)]).toEqual([100, 0])
  barren.carried(4_000)
  socket.bytesRead += 4_000
  expect(barren.count(0)).toBe(0)
  // Sent, and so windows come back; received, and nobody has taken it yet.
  socket.bytesWritten = 1_000_000
  socket.bytesRead += 900_000
  expect(barren.count(0)).toBe(0)
  socket.bytesRead += 1_000_000
  expect(barren.count(1_000_000)).toBe(0)
  socket.bytesWritten = 1_000_000_000
  expect(barren.count(0)).toBe(0)
  socket.bytesRead += 3_000_000
  expect(barren.count(0)).toBeGreaterThan(100_000)
  // Of streams that are over, as much as their windows were may still come.
  barren.expect(16_000_000)
  expect(barren.count(0, 16_000_000)).toBe(0)
  socket.bytesRead += 16_000_000
  expect(barren.count(0, 16_000_000)).toBe(0)
  barren.expect(16_000_000)
  expect(barren.count(0)).toBe(0)
  socket.bytesRead += 16_000_000
  expect(barren.count(0)).toBeGreaterThan(100_000)
})
