/** A connection that was reset, and one that has ended, behind bytes that a reader who stands still has not read. */
import { connect, createServer, type Socket } from 'node:net'
import { describe, expect, test } from '@jest/globals'
import { whenTrulyEnded } from '../../src/net/true-end.ts'
import { listen } from '../support/ports.ts'
import { until } from '../support/wait.ts'

/** What a reader is told of a connection with so many bytes in it, that goes on reading when its peer is gone. */
const told = async (
  bytes: number,
  allowHalfOpen: boolean,
  hasEnded: boolean,
  leave: (peer: Socket) => void,
): Promise<readonly string[]> => {
  const seen: string[] = []
  const accepted: Socket[] = []
  const server = createServer({ allowHalfOpen, pauseOnConnect: true }, socket => accepted.push(socket))
  const peer = connect({ port: await listen(server), host: '127.0.0.1' })
  peer.on('error', () => undefined)
  peer.write(Buffer.alloc(bytes))
  const socket = await until(() => accepted[0])
  if (hasEnded) {
    peer.allowHalfOpen = true
    socket.end()
    peer.resume()
    await until(() => socket.writableFinished && peer.readableEnded)
  }
  leave(peer)
  await until(() => peer.destroyed || peer.writableFinished)
  let [count, isClosed] = [0, false]
  socket.on('data', (chunk: Buffer) => (count += chunk.length))
  socket.on('error', (error: NodeJS.ErrnoException) => seen.push(error.code!))
  const fail = (thrown: unknown): void => void seen.push(String(thrown))
  socket.on('end', () =>
    whenTrulyEnded(socket, fail, () => {
      seen.push('end')
      if (allowHalfOpen) socket.end()
    }),
  )
  socket.on('close', () => (isClosed = true))
  socket.resume()
  await until(() => isClosed)
  peer.destroy()
  return count <= bytes ? seen : [`${count} bytes`]
}

describe.each([
  ['half-open', true, false],
  ['half-open, and the reader has ended its own half before', true, true],
  ['not half-open', false, false],
])('%s', (_name, allowHalfOpen, hasEnded) => {
  test.each([1, 1_000, 100_000, 200_000])('a reset behind %i bytes is no end', async bytes => {
    expect(await told(bytes, allowHalfOpen, hasEnded, peer => peer.resetAndDestroy())).toEqual(['ECONNRESET'])
  })

  test.each([0, 1_000, 100_000])('an end behind %i bytes is one, and is told once', async bytes => {
    expect(await told(bytes, allowHalfOpen, hasEnded, peer => peer.end())).toEqual(['end'])
  })
})
