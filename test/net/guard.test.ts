/** A throw in the middle of an event ends what the event belongs to, whichever event it is. */
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { performServerHandshake, type ServerHttp2Stream } from 'node:http2'
import { createServer, type Socket } from 'node:net'
import { describe, expect, test } from '@jest/globals'
import type { Peer } from '../../src/http/client.ts'
import { DeadlineQueue } from '../../src/net/deadline-queue.ts'
import { attempt, guarded } from '../../src/net/guard.ts'
import type { ClientEvents, EdgeRequest } from '../../src/outer/exchange/edge-request.ts'
import { Http1EdgeRequest } from '../../src/outer/http-edge/http1-edge-request.ts'
import { Http2EdgeRequest } from '../../src/outer/http-edge/http2-edge-request.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { data, END_HEADERS, END_STREAM, H2Connection, headers, request, windowUpdate } from '../support/h2-frames.ts'
import { listen } from '../support/ports.ts'
import { RawConnection } from '../support/raw-client.ts'
import { until } from '../support/wait.ts'

const PEER: Peer = { address: '127.0.0.1', isTrusted: false, scheme: 'http', localPort: 0 }
const BIG = Buffer.alloc(16_777_216)
const EVENTS = ['onUpload', 'onUploadEnd', 'onDrain', 'onClosed'] as const

test('arguments pass, and what is thrown goes to `fail`', () => {
  const seen: unknown[] = []
  guarded(
    thrown => seen.push(thrown),
    (a: number, b: string) => seen.push(a, b),
  )(1, 'b')
  const fault = new Error('x')
  attempt(
    thrown => seen.push(thrown),
    () => {
      throw fault
    },
  )
  expect(seen).toEqual([1, 'b', fault])
})

/** Takes one request, and throws at `event`; tells what was thrown and ends the request, as an exchange does. */
const throwAt = (call: EdgeRequest, event: (typeof EVENTS)[number], faults: unknown[]): void => {
  const quiet = (): void => undefined
  const events: ClientEvents = {
    onUpload: quiet,
    onUploadEnd: quiet,
    onDrain: quiet,
    onClosed: quiet,
    onFault: thrown => {
      faults.push(thrown)
      call.cut(true)
    },
    [event]: () => {
      throw new Error(event)
    },
  }
  call.events = events
  call.startUpload()
  if (event !== 'onDrain') return
  call.writeHead({ status: 200, reason: 'OK', fields: ['Content-Length', String(BIG.length)] })
  expect(call.write(BIG)).toBe(false)
}

describe.each(EVENTS)('a throw in %s', event => {
  test('of HTTP/1', async () => {
    const faults: unknown[] = []
    const server = createHttpServer((req: IncomingMessage, res: ServerResponse) =>
      throwAt(new Http1EdgeRequest(PEER, req, res), event, faults),
    )
    const client = await RawConnection.open(await listen(server))
    client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc')
    if (event === 'onClosed') client.destroy()
    await until(() => faults.length > 0)
    expect(faults).toEqual([new Error(event)])
  })

  test('of HTTP/2', async () => {
    const faults: unknown[] = []
    const server = createServer((socket: Socket) => {
      socket.on('error', () => undefined)
      const session = performServerHandshake(socket)
      onCleanUp(() => session.destroy())
      session.on('error', () => undefined)
      session.on('stream', (stream: ServerHttp2Stream) => {
        stream.on('error', () => undefined)
        const raw = { method: 'POST', target: '/', httpVersion: '2.0', endsWithHead: false, fields: [] }
        throwAt(
          new Http2EdgeRequest(
            { peer: PEER, stall: undefined, moved: () => undefined, uploaded: () => undefined, carried: () => undefined },
            stream,
            raw,
          ),
          event,
          faults,
        )
      })
    })
    const client = await H2Connection.open(await listen(server))
    client.write(headers(1, request('/', [], { method: 'POST' }), END_HEADERS), data(1, 'abc', END_STREAM))
    if (event === 'onDrain') client.write(windowUpdate(0, 100_000_000), windowUpdate(1, 100_000_000))
    if (event === 'onClosed') client.connection.destroy()
    await until(() => faults.length > 0)
    expect(faults).toEqual([new Error(event)])
  })
})

test('a deadline that throws fails its waiter, and the others are told', async () => {
  const told: string[] = []
  const clock = (): number => performance.now()
  const queue = new DeadlineQueue(20, clock)
  onCleanUp(() => queue.close())
  const place = { deadlineMs: 0, earlier: undefined, later: undefined }
  queue.refresh({
    ...place,
    onDeadline: () => {
      throw new Error('late')
    },
    onFault: thrown => void told.push((thrown as Error).message),
  })
  queue.refresh({ ...place, onDeadline: () => void told.push('second'), onFault: () => undefined })
  await until(() => told.length === 2)
  expect(told).toEqual(['late', 'second'])
})
