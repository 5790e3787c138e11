/** A connection with plain requests, on a real socket, at moments that no client can bring about at will. */
import { describe, expect, test } from '@jest/globals'
import { createServer, type Socket } from 'node:net'
import type { ClientEvents } from '../../src/outer/exchange/edge-request.ts'
import { QuickConnection, type QuickEdge } from '../../src/outer/quick-edge/quick-connection.ts'
import type { QuickRequest } from '../../src/outer/quick-edge/quick-request.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { RawConnection } from '../support/raw-client.ts'
import { until } from '../support/wait.ts'

const PEER = { address: '127.0.0.1', isTrusted: false, scheme: 'http', localPort: 0 } as const
const GET = 'GET / HTTP/1.1\r\nHost: a.test\r\n\r\n'

interface Open {
  readonly client: RawConnection
  readonly socket: Socket
  readonly requests: QuickRequest[]
  /** What was handed to node:http. */
  readonly rest: string[]
  /** Requests that were told that they are over. */
  closed: number
}

interface OpenOptions {
  /** The first bytes of the client. */
  readonly first?: string
  readonly takeTurn?: QuickEdge['takeTurn']
  readonly late?: () => void
}

const open = async ({
  first = GET,
  takeTurn = (_connection, begin) => begin(),
  late = () => undefined,
}: OpenOptions = {}): Promise<Open> => {
  const requests: QuickRequest[] = []
  const rest: string[] = []
  let socket: Socket | undefined
  const made: { opened?: Open } = {}
  const edge: QuickEdge = {
    headerBytes: 8_192,
    keepAliveSeconds: 5,
    first: undefined,
    further: undefined,
    takeTurn,
    isForOthers: () => false,
    begin: request => {
      requests.push(request)
      request.events = { onDrain: () => undefined, onClosed: () => made.opened!.closed++ } as unknown as ClientEvents
    },
    gone: () => undefined,
    handOver: (connection, bytes) => {
      rest.push(bytes.toString('latin1'))
      connection.socket.on('data', chunk => rest.push(chunk.toString('latin1')))
      connection.socket.on('end', () => rest.push('end'))
      connection.socket.on('error', () => undefined)
    },
    late,
    failOf: () => thrown => {
      throw thrown
    },
  }
  const server = createServer({ allowHalfOpen: true }, accepted => {
    socket = accepted
    new QuickConnection(accepted, PEER, edge)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onCleanUp(() => {
    socket?.destroy()
    server.close()
  })
  const client = await RawConnection.open((server.address() as { port: number }).port)
  client.write(first)
  const opened = (made.opened = { client, requests, rest, closed: 0, socket: await until(() => socket) })
  await until(() => opened.socket.bytesRead === first.length)
  return opened
}

const answer = (request: QuickRequest, body: Buffer): void => {
  request.writeHead({ status: 200, reason: 'OK', fields: ['Content-Length', String(body.length)] })
  request.write(body)
  request.end()
}

test('nothing is lost of what is read in the turn of the answer', async () => {
  const { client, socket, requests, rest } = await open()
  client.write('POST /a HTTP/1.1\r\n')
  await until(() => socket.bytesRead === GET.length + 18)
  requests[0]!.events = {
    ...requests[0]!.events!,
    // Behind the answer, in the same turn: as when both sockets can be read at once.
    onClosed: () => queueMicrotask(() => socket.emit('data', Buffer.from('Host: a.test\r\n'))),
  }
  answer(requests[0]!, Buffer.from('ok'))
  client.write('\r\n')
  expect(await until(() => (rest.join('').length === 34 ? rest.join('') : undefined))).toBe('POST /a HTTP/1.1\r\nHost: a.test\r\n\r\n')
  expect(requests).toHaveLength(1)
})

test('a client that says nothing more and does not read ends its request, whatever still waits to be read', async () => {
  const opened = await open()
  const { client, socket, requests } = opened
  client.socket.pause()
  const [request] = requests as [QuickRequest]
  request.writeHead({ status: 200, reason: 'OK', fields: ['Content-Length', String(2 ** 40)] })
  const piece = Buffer.alloc(1_048_576)
  for (let i = 0; i < 32; i++) request.write(piece)
  client.socket.end()
  await until(() => opened.closed === 1)
  expect(socket.destroyed).toBe(false)
  expect(request.isFinished).toBe(false)
  client.socket.destroy()
  await until(() => socket.destroyed)
  expect(opened.closed).toBe(1)
})

describe('a connection that waits for its turn', () => {
  const wait = async (
    first: string,
    options: OpenOptions = {},
  ): Promise<Open & { readonly connection: QuickConnection; readonly turn: () => void }> => {
    let taken: { readonly connection: QuickConnection; readonly turn: () => void } | undefined
    const opened = await open({ ...options, first, takeTurn: (connection, turn) => void (taken = { connection, turn }) })
    return { ...opened, ...(await until(() => taken)) }
  }

  test('is read when it has come, with all that was sent meanwhile', async () => {
    const { client, socket, requests, rest, turn } = await wait('GET / HTTP/1.1\r\n')
    client.write('Host: a.test\r\n\r\n')
    await until(() => socket.bytesRead === GET.length)
    expect(requests).toHaveLength(0)
    turn()
    expect([requests.length, rest]).toEqual([1, []])
  })

  test('goes to node:http whole where it is no plain request', async () => {
    const { client, socket, requests, rest, turn } = await wait(GET)
    client.write(GET)
    await until(() => socket.bytesRead === 2 * GET.length)
    turn()
    expect([requests.length, rest]).toEqual([0, [GET + GET]])
  })

  test('is forgotten when the client leaves', async () => {
    const { client, socket, requests, rest, turn } = await wait(GET)
    client.socket.resetAndDestroy()
    await until(() => socket.destroyed)
    turn()
    expect([requests.length, rest]).toEqual([0, []])
  })

  test('is forgotten when the client says that it asks nothing more, which in a plain request means that it has left', async () => {
    const { client, socket, requests, rest, turn } = await wait(GET)
    client.socket.end()
    await until(() => socket.destroyed)
    turn()
    expect([requests.length, rest]).toEqual([0, []])
  })

  test('tells node:http of an end that it has not heard', async () => {
    const { client, socket, rest, turn } = await wait('nonsense\r\n\r\n')
    client.socket.end()
    await until(() => socket.readableEnded)
    expect(socket.destroyed).toBe(false)
    turn()
    expect(rest).toEqual(['nonsense\r\n\r\n', 'end'])
  })

  test('is not late when its time ends in the turn in which its first bytes come', async () => {
    let isLate = false
    const { connection, requests, turn } = await wait(GET, { late: () => (isLate = true) })
    connection.onDeadline()
    await new Promise(resolve => setImmediate(resolve))
    turn()
    expect([isLate, requests.length]).toEqual([false, 1])
  })
})
