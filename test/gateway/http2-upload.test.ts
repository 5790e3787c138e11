/** An upload over HTTP/2 is as fast as the way to the outer layer and the origin allow, however long the way is. */
import { expect, test } from '@jest/globals'
import { constants } from 'node:http2'
import { H2Client } from '../support/h2-client.ts'
import { startLayers } from '../support/layers.ts'
import { rawResponse, startRawOrigin } from '../support/raw-origin.ts'
import { startRelay } from '../support/relay.ts'
import { once } from '../support/wait.ts'

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
