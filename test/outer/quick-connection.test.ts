/** A connection with plain requests, on a real socket, at moments that no client can bring about at will. */
import { expect, test } from '@jest/globals'
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

const open = async (): Promise<Open> => {
  const requests: QuickRequest[] = []
  const rest: string[] = []
  let socket: Socket | undefined
  const made: { opened?: Open } = {}
  const edge: QuickEdge = {
    headerBytes: 8_192,
    keepAliveSeconds: 5,
    first: undefined,
    further: undefined,
    isForOthers: () => false,
    begin: request => {
      requests.push(request)
      request.events = { onDrain: () => undefined, onClosed: () => made.opened!.closed++ } as unknown as ClientEvents
    },
    gone: () => undefined,
    handOver: (connection, bytes) => {
      rest.push(bytes.toString('latin1'))
      connection.socket.on('data', chunk => rest.push(chunk.toString('latin1')))
      connection.socket.on('error', () => undefined)
    },
    late: () => undefined,
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
  client.write(GET)
  await until(() => requests.length === 1)
  made.opened = { client, socket: socket!, requests, rest, closed: 0 }
  return made.opened
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
