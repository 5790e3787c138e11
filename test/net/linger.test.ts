/** Connections that end so that the peer sees something is missing, at each point of their life. */
import { connect, createServer, type Socket } from 'node:net'
import { describe, expect, test } from '@jest/globals'
import { endAbruptly } from '../../src/net/linger.ts'
import { whenTrulyEnded } from '../../src/net/true-end.ts'
import { listen } from '../support/ports.ts'
import { until } from '../support/wait.ts'

/** What Node.js has of a socket at the operating system; it forgets it when it destroys the socket. */
const handleOf = (socket: Socket): { readonly fd: number } => (socket as unknown as { readonly _handle: { readonly fd: number } })._handle

/** What the peer sees when a connection is ended abruptly behind what `before` does with it. */
const seenBy = async (before: (socket: Socket) => unknown, isReader = true): Promise<string> => {
  const accepted: Socket[] = []
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, socket => accepted.push(socket))
  const socket = connect({ port: await listen(server), host: '127.0.0.1', allowHalfOpen: true })
  const faults: unknown[] = []
  socket.on('error', error => faults.push(error))
  const peer = await until(() => accepted[0])
  await until(() => !socket.connecting)
  const seen: string[] = []
  let bytes = 0
  const fail = (thrown: unknown): void => void seen.push(String(thrown))
  peer.on('data', chunk => (bytes += chunk.length))
  peer.on('end', () => whenTrulyEnded(peer, fail, () => seen.push(`${bytes} bytes and the end`)))
  peer.on('error', (error: NodeJS.ErrnoException) => seen.push(error.code!))
  if (isReader) peer.resume()
  else peer.pause()
  await before(socket)
  const handle = handleOf(socket)
  expect(handle.fd).toBeGreaterThan(0)
  endAbruptly(socket)
  await until(() => handle.fd < 0, { what: 'the socket of the system to be closed' })
  peer.resume()
  await until(() => seen.length > 0)
  peer.destroy()
  server.close()
  expect(faults).toEqual([])
  return seen.join(', ')
}

describe('an abrupt end', () => {
  test('behind bytes is a reset', async () => {
    expect(await seenBy(socket => socket.write('some'))).toBe('ECONNRESET')
  })

  test('while our end is under way closes the socket, and nothing is missing', async () => {
    expect(await seenBy(socket => new Promise<void>(resolve => (socket.end('some'), process.nextTick(resolve))))).toBe(
      '4 bytes and the end',
    )
  })

  test('behind an end that waits for a reader who stands still is a reset', async () => {
    expect(await seenBy(socket => socket.end(Buffer.alloc(50_000_000)), false)).toBe('ECONNRESET')
  })

  test('of a socket that is still connecting', async () => {
    const server = createServer()
    const socket = connect({ port: await listen(server), host: '127.0.0.1' })
    const handle = handleOf(socket)
    endAbruptly(socket)
    await until(() => handle.fd === undefined || handle.fd < 0, { what: 'the socket of the system to be closed' })
    server.close()
  })
})
