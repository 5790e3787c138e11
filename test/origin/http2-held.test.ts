/** Connections of HTTP/2 to origins that are over: their memory can be collected, whatever the origins did and left undone. */
import { expect, test } from '@jest/globals'
import { createServer, type Socket } from 'node:net'
import { queryObjects } from 'node:v8'
import { OriginSession } from '../../src/origin/http2-sessions.ts'
import { frame, goAway, H2, headers, settings } from '../support/h2-frames.ts'
import { listen } from '../support/ports.ts'
import { until } from '../support/wait.ts'
import { startAsking } from './asking.ts'

const FAULT = frame(H2.PING, 0, 1, Buffer.alloc(8))
const ANSWER = headers(1, [[':status', '204']], 0x5)
/** Frames behind the settings of the origin. None of them acknowledges those of the inner layer. */
const ENDS: readonly (readonly Buffer[])[] = [
  [],
  [ANSWER],
  [ANSWER, goAway(1, 0)],
  [goAway(0, 0)],
  [goAway(1, 0), FAULT],
  [goAway(0, 0), FAULT],
  [FAULT],
]
const TIMES = 8
/** The number that something on a stack, or in a list whose places are used again, may hold still. */
const FEW = TIMES / 2

test('nothing of them is held', async () => {
  const asking = await startAsking()
  const profile = asking.announce({ http2: true })
  const sockets: Socket[] = []
  const asks = []
  for (const end of ENDS) {
    const server = createServer(socket => {
      sockets.push(socket)
      socket.on('error', () => undefined)
      // At the request, which comes in one piece with the settings or behind them.
      socket.once('data', () => void socket.end(Buffer.concat([settings(), ...end])))
      socket.resume()
    })
    const port = await listen(server)
    for (let i = 0; i < TIMES; i++) asks.push(await asking.ask({ port, profile }).over())
  }
  await until(() => sockets.every(socket => socket.destroyed), { what: 'the end of all connections' })
  expect(sockets.length).toBeGreaterThanOrEqual(asks.length)
  await until(() => queryObjects(OriginSession, { format: 'count' }) <= FEW, { what: `the memory of ${sockets.length} connections` })
})
