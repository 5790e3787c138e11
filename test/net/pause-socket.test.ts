import { expect, test } from '@jest/globals'
import { connect, createServer, type Socket } from 'node:net'
import { pauseSocket, resumeSocket } from '../../src/net/pause-socket.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { listen } from '../support/ports.ts'
import { until } from '../support/wait.ts'

const TOTAL_BYTES = 20_000_000

test('a socket that is paused at each read holds nothing, gives everything when it goes on, and ends', async () => {
  let socket: Socket | undefined
  const port = await listen(createServer(accepted => (socket = accepted)))
  const client = connect(port, '127.0.0.1')
  onCleanUp(() => client.destroy())
  client.end(Buffer.alloc(TOTAL_BYTES, 'x'))
  const reader = await until(() => socket)
  let [bytes, pauses, heldBytes] = [0, 0, 0]
  let hasEnded = false
  reader.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    pauseSocket(reader)
    pauses++
  })
  reader.on('end', () => (hasEnded = true))
  for (let turn = 0; !hasEnded && turn < 1_000_000; turn++) {
    await new Promise(setImmediate)
    if (!reader.isPaused()) continue
    // The first read was under way before anybody could know that it is bulk.
    if (pauses > 1) heldBytes = Math.max(heldBytes, reader.readableLength)
    resumeSocket(reader)
  }
  expect(bytes).toBe(TOTAL_BYTES)
  expect(heldBytes).toBe(0)
  expect(hasEnded).toBe(true)
})
