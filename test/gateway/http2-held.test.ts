/** Connections of HTTP/2 that are over: their memory can be collected, whatever their clients did and left undone. */
import { expect, test } from '@jest/globals'
import { queryObjects } from 'node:v8'
import { Http2Connection } from '../../src/outer/http-edge/http2-connection.ts'
import { faultOfHttp2 } from '../../src/outer/http-edge/http2-support.ts'
import { frame, goAway, H2, headers, PREFACE, request, settings } from '../support/h2-frames.ts'
import { startLayers } from '../support/layers.ts'
import { RawConnection } from '../support/raw-client.ts'
import { rawResponse, startRawOrigin } from '../support/raw-origin.ts'
import { until } from '../support/wait.ts'

const GET = headers(1, request('/'), 0x5)
const FAULT = frame(H2.PING, 0, 1, Buffer.alloc(8))
/** None of them acknowledges the settings of the gateway. */
const ENDS: readonly (readonly Buffer[])[] = [
  [],
  [goAway(0, 0)],
  [GET],
  [FAULT],
  // Where HTTP/2 is not offered to strangers some of these are held for longer, and frames behind GOAWAY make nghttp2 write where it may not.
  ...(faultOfHttp2(process.versions['nghttp2']!) === undefined
    ? [
        [headers(1, request('/', [], { method: 'POST' }))],
        [frame(H2.HEADERS, 0x5, 1, Buffer.alloc(4, 0xff))],
        [goAway(0, 0), GET, FAULT],
        [goAway(0, 0), GET, headers(2, request('/'), 0x5)],
      ]
    : []),
]
const TIMES = 8
/** Of the last ones, something on a stack or in a list whose places are used again may be there still. */
const FEW = TIMES / 2

test('nothing of them is held, by a timer or by an error', async () => {
  const origin = await startRawOrigin()
  origin.handle((_request, socket) => void socket.write(rawResponse(200, 'ok')))
  // So long that no timer ends before this test does.
  const layers = await startLayers({ origin: origin.port, outer: { appH2c: true, keepAliveMs: 3_600_000 } })
  const held = (): number => queryObjects(Http2Connection, { format: 'count' })
  const before = held() // of test files that have run here
  const clients = await Promise.all(
    Array.from({ length: TIMES * ENDS.length }, async (_, i) => {
      const client = await RawConnection.open(layers.port)
      return client.write(Buffer.concat([PREFACE, settings(), ...ENDS[i % ENDS.length]!]))
    }),
  )
  await until(() => clients.every(client => client.lastReadAt > 0), { what: 'the settings of the gateway' })
  for (const client of clients) client.socket.end()
  await Promise.all(clients.map(client => client.closed))
  await until(() => held() <= before + FEW, { what: `the memory of ${clients.length} connections` })
  expect(layers.outerLogs.filter(record => record.level === 'error')).toEqual([])
})
