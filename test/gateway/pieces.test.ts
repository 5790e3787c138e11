/** Memory follows the bytes of a body, never the number of chunks in which it comes. */
import { beforeAll, test } from '@jest/globals'
import { startLayers, type Layers } from '../support/layers.ts'
import { heldBytes } from '../support/memory.ts'
import { quiet } from '../support/quiet.ts'
import { RawConnection } from '../support/raw-client.ts'
import { startRawOrigin, type RawOrigin } from '../support/raw-origin.ts'
import { until } from '../support/wait.ts'

/** So many that what the rest of the process does meanwhile weighs little for each. */
const CONNECTIONS = 30
const CHUNKS = 65_000
/** Chunks of one byte, six bytes each on the wire. */
const BODY = Buffer.from('1\r\nx\r\n'.repeat(CHUNKS))
/** What a connection may weigh: some copies of 64 KiB, in both layers, and the bytes on the wire of one read. Objects for each chunk would weigh ten times as much. */
const EACH_BYTES = 700_000

let origin: RawOrigin
beforeAll(async () => {
  origin = await startRawOrigin()
})

/** Looks in a row that show the same before everything stands still: a clock would say so as well of a process that got no turn. */
const SAME_LOOKS = 50

/** Resolves once no socket of this process has moved a byte for a while, nor a session. */
const stillness = async ({ outer, inner }: Layers, clients: readonly RawConnection[]): Promise<void> => {
  const movedBytes = (): string => {
    const sockets = [...clients.map(({ socket }) => socket), ...origin.requests.map(({ connection }) => connection.socket)]
    const held = outer.registry.connections.reduce((sum, { session }) => sum + session.outstandingBytes, inner.outstandingBytes)
    return [held, ...sockets.map(socket => `${socket.bytesWritten - socket.writableLength} ${socket.bytesRead}`)].join()
  }
  for (;;) {
    const last = movedBytes()
    let same = 0
    if ((await until(() => (movedBytes() === last ? ++same > SAME_LOOKS && 'still' : 'moved'))) === 'still') return
  }
}

/** Resolves once each connection weighs less than `mostBytes`; on a busy machine a read may still be under way. */
const weighLess = (mostBytes: number, before: number): Promise<unknown> =>
  until(() => (heldBytes() - before) / CONNECTIONS < mostBytes, { what: `connections of less than ${mostBytes} bytes each` })

test('uploads of one-byte chunks to an origin that does not answer', async () => {
  origin.handle((_request, socket) => void socket.pause())
  const layers = await startLayers({ origin: origin.port, outer: { timeoutMs: 120_000 } })
  const before = heldBytes()
  const clients: RawConnection[] = []
  for (let i = 0; i < CONNECTIONS; i++) {
    const client = await RawConnection.open(layers.port)
    client.write('POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n').write(BODY)
    clients.push(client)
  }
  await until(() => origin.hits >= CONNECTIONS)
  await stillness(layers, clients)
  await weighLess(EACH_BYTES, before)
  for (const client of clients) client.destroy()
  for (const { connection } of origin.requests) connection.socket.resume()
  await quiet(layers)
})

test('answers of one-byte chunks to clients that do not read', async () => {
  origin.clear()
  origin.handle((_request, socket) => {
    socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
    for (let i = 0; i < 8; i++) socket.write(BODY)
  })
  const layers = await startLayers({ origin: origin.port, outer: { timeoutMs: 120_000 } })
  const before = heldBytes()
  const clients: RawConnection[] = []
  for (let i = 0; i < CONNECTIONS; i++) {
    const client = await RawConnection.open(layers.port)
    client.freeze()
    client.write('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
    clients.push(client)
  }
  await until(() => origin.hits >= CONNECTIONS)
  await stillness(layers, clients)
  await weighLess(2 * EACH_BYTES, before)
  for (const client of clients) client.destroy()
  await quiet(layers)
})
