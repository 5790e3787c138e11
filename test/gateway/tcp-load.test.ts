import { createHash } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { expect, test } from '@jest/globals'
import { startTcpLayers, toOrigin, type TcpLayers } from '../support/tcp-layers.ts'
import { echo, startTcpOrigin } from '../support/tcp-origin.ts'
import { until, within } from '../support/wait.ts'

const BULK_BYTES = 200 << 20
const CHUNK = Buffer.alloc(
  65_536,
  Array.from({ length: 251 }, (_, i) => i)
    .map(i => String.fromCharCode(i))
    .join(''),
  'latin1',
)

/** Writes so many bytes, as fast as they are taken, and ends. */
const pour = (socket: Socket, bytes: number): void => {
  let left = bytes
  const write = (): void => {
    while (left > 0) {
      const chunk = CHUNK.subarray(0, Math.min(left, CHUNK.length))
      left -= chunk.length
      if (!socket.write(chunk) && left > 0) return void socket.once('drain', write)
    }
    socket.end()
  }
  write()
}

const digestOf = (bytes: number): string => {
  const hash = createHash('sha256')
  for (let left = bytes; left > 0; left -= CHUNK.length) hash.update(CHUNK.subarray(0, Math.min(left, CHUNK.length)))
  return hash.digest('hex')
}

/** 200 MB, some of them read slowly, may take a busy machine longer than a minute. */
const END_MS = 200_000

/** Hashes what comes, until the end. */
const digest = async (socket: Socket): Promise<string> => {
  const hash = createHash('sha256')
  socket.on('data', (bytes: Buffer) => hash.update(bytes))
  await within(new Promise(resolve => socket.once('end', resolve)), 'the end', END_MS)
  return hash.digest('hex')
}

/** Resolves when `read` has given the same number for half a second. */
const still = async (read: () => number): Promise<number> => {
  let last = -1
  let polls = 0
  await until(
    () => {
      polls = read() === last ? polls + 1 : 0
      last = read()
      return polls >= 100
    },
    { what: 'nothing to move any more' },
  )
  return last
}

const outstandingOf = ({ outer, inner }: TcpLayers): number =>
  inner.outstandingBytes + outer.registry.connections.reduce((sum, { session }) => sum + session.outstandingBytes, 0)

/** Windows, and queues of streams and sockets; kernels hold more. */
const MOST_HELD_BYTES = 20 << 20

test('200 MB reach a slow reader whole, and while it stands still only a window is held', async () => {
  const origin = await startTcpOrigin(socket => pour(socket, BULK_BYTES))
  const layers = await startTcpLayers(toOrigin(origin.port))
  const client = connect({ port: layers.tcpPort, host: '127.0.0.1' })
  const done = digest(client)
  await until(() => client.bytesRead > 1 << 20)
  for (let i = 0; i < 3; i++) {
    client.pause()
    const held = await still(() => origin.sockets[0]!.bytesWritten - origin.sockets[0]!.writableLength)
    expect(held).toBeLessThan(BULK_BYTES)
    expect(outstandingOf(layers)).toBeLessThan(MOST_HELD_BYTES)
    const before = client.bytesRead
    client.resume()
    await until(() => client.bytesRead > before + (8 << 20))
  }
  expect(await done).toBe(digestOf(BULK_BYTES))
  expect(await layers.connectionLine()).toMatchObject({ bytesOut: BULK_BYTES, bytesIn: 0 })
})

test('200 MB reach a slow origin whole, and while it stands still only a window is held', async () => {
  let done: Promise<string> | undefined
  const origin = await startTcpOrigin(socket => {
    done = digest(socket)
    socket.once('end', () => socket.end())
  })
  const layers = await startTcpLayers(toOrigin(origin.port))
  const client = connect({ port: layers.tcpPort, host: '127.0.0.1' })
  client.resume()
  pour(client, BULK_BYTES)
  const [socket] = await until(() => origin.sockets[0] && [origin.sockets[0]])
  await until(() => socket.bytesRead > 1 << 20)
  socket.pause()
  expect(await still(() => client.bytesWritten - client.writableLength)).toBeLessThan(BULK_BYTES)
  expect(outstandingOf(layers)).toBeLessThan(MOST_HELD_BYTES)
  socket.resume()
  expect(await done).toBe(digestOf(BULK_BYTES))
  expect(await layers.connectionLine()).toMatchObject({ bytesIn: BULK_BYTES, bytesOut: 0 })
})

test('both directions at once do not wait for each other', async () => {
  const origin = await startTcpOrigin(echo)
  const layers = await startTcpLayers(toOrigin(origin.port))
  const client = connect({ port: layers.tcpPort, host: '127.0.0.1', allowHalfOpen: true })
  const done = digest(client)
  pour(client, 32 << 20)
  expect(await done).toBe(digestOf(32 << 20))
})
