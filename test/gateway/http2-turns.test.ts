/** Requests of HTTP/2 that come in one piece and wait for their turn: what comes behind them meanwhile, and what they leave when they are given up. */
import { beforeAll, beforeEach, expect, test } from '@jest/globals'
import { H2Client } from '../support/h2-client.ts'
import {
  block,
  CODE,
  data,
  END_HEADERS,
  END_STREAM,
  frame,
  goAway,
  H2,
  H2Connection,
  headers,
  request,
  reset,
} from '../support/h2-frames.ts'
import { startLayers } from '../support/layers.ts'
import { rawResponse, startRawOrigin, type RawOrigin } from '../support/raw-origin.ts'
import { until } from '../support/wait.ts'

const GET = END_HEADERS | END_STREAM
let origin: RawOrigin

beforeAll(async () => {
  origin = await startRawOrigin()
})
beforeEach(() => origin.clear())

test('a hundred uploads with trailers in one piece: what comes behind a body while its request waits for its turn is not lost', async () => {
  origin.handle(async (request, socket) => {
    await request.complete
    socket.write(rawResponse(200, JSON.stringify([request.body.toString(), request.trailers])))
  })
  const own = await startLayers({ origin: origin.port, outer: { appH2c: true } })
  const client = await H2Connection.open(own.port)
  await client.frame(H2.SETTINGS)
  const streams = Array.from({ length: 100 }, (_, i) => 2 * i + 1)
  const post = [...request('/', [['trailer', 'x-sum']], { method: 'POST' })]
  client.write(...streams.flatMap(id => [headers(id, post), data(id, `${id}`), frame(H2.HEADERS, GET, id, block([['x-sum', `${id}`]]))]))
  for (const id of streams) expect(await client.ended(id)).toBe('end')
  expect(streams.map(id => client.body(id).toString())).toEqual(streams.map(id => JSON.stringify([`${id}`, [['x-sum', `${id}`]]])))
})

test.each([
  ['reset', (id: number) => reset(id, CODE.CANCEL)],
  ['reset without an error', (id: number) => reset(id, CODE.NO_ERROR)],
])('uploads that are %s while they wait for their turn give everything back, and all have their lines', async (_, give) => {
  origin.handle(async (request, socket) => {
    await request.complete
    socket.write(rawResponse(200, 'ok'))
  })
  const own = await startLayers({ origin: origin.port, outer: { appH2c: true } })
  const client = await H2Connection.open(own.port)
  await client.frame(H2.SETTINGS)
  const streams = Array.from({ length: 100 }, (_, i) => 2 * i + 1)
  const leaving = streams.filter(id => id % 10 === 9)
  // The last ones have not had their turn when these come, since all is one piece.
  client.write(...streams.flatMap(id => [headers(id, request('/', [], { method: 'POST' })), data(id, 'abc')]), ...leaving.map(give))
  const kept = streams.filter(id => !leaving.includes(id))
  client.write(...kept.map(id => data(id, '', END_STREAM)))
  for (const id of kept) expect(await client.ended(id)).toBe('end')
  await until(() => own.accessLog.length === streams.length, { what: 'a line of each' })
  expect(own.accessLog.filter(({ status }) => status === 499)).toHaveLength(leaving.length)
  await until(() => own.outer.registry.connections.every(({ session }) => session.streamCount === 0))
})

test.each(['GOAWAY and an end', 'a reset of TCP'])(
  '%s while requests wait for their turn: all of them are over, and have their lines',
  async way => {
    origin.handle((_request, socket) => void socket.write(rawResponse(200, 'ok')))
    const own = await startLayers({ origin: origin.port, outer: { appH2c: true } })
    const client = await H2Connection.open(own.port)
    await client.frame(H2.SETTINGS)
    const all = Array.from({ length: 100 }, (_, i) => headers(2 * i + 1, request(`/${i}`), GET))
    client.write(...all, goAway(0, CODE.NO_ERROR))
    if (way === 'a reset of TCP') client.connection.socket.resetAndDestroy()
    else client.connection.socket.end()
    // A reset may throw away what was not read yet, so there may be fewer.
    await until(() => client.connection.socket.destroyed || client.connection.peerClose !== 'no')
    client.connection.destroy()
    await until(() => own.outer.registry.connections.every(({ session }) => session.streamCount === 0))
    expect((await H2Client.open(own.port).get()).status).toBe(200)
    expect([...own.outerLogs, ...own.innerLogs].filter(record => record.level === 'error')).toEqual([])
  },
)
