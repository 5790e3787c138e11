import { expect, test } from '@jest/globals'
import { createServer, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { pauseMessage } from '../../src/net/pause-message.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { listen } from '../support/ports.ts'
import { until } from '../support/wait.ts'

/** A request of one-byte chunks, as its server sees it. */
const request = async (chunks: number): Promise<IncomingMessage> => {
  let message: IncomingMessage | undefined
  const port = await listen(createServer(req => (message = req)))
  const client = connect(port, '127.0.0.1')
  onCleanUp(() => client.destroy())
  client.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n')
  const found = await until(() => message)
  client.write(`${'1\r\nx\r\n'.repeat(chunks)}0\r\n\r\n`)
  return found
}

test('a paused message gives the rest of what was read in one piece, and all of the rest when it goes on', async () => {
  const message = await request(150_000)
  const pieces: number[] = []
  let isPausing = true
  let hasEnded = false
  message.on('data', (chunk: Buffer) => {
    pieces.push(chunk.length)
    if (isPausing) pauseMessage(message)
  })
  message.on('end', () => (hasEnded = true))
  await until(() => pieces.length >= 2)
  for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate)
  expect(pieces.length).toBe(2)
  expect(pieces[1]).toBeGreaterThan(100)
  // Again and again, as a slow reader does.
  for (let round = 0; round < 5; round++) {
    const before = pieces.length
    message.resume()
    await until(() => pieces.length > before && message.isPaused())
  }
  isPausing = false
  message.resume()
  await until(() => hasEnded)
  expect(pieces.reduce((sum, length) => sum + length, 0)).toBe(150_000)
})
