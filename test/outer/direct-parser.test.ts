/** The parser of node:http that reads by itself: it can be stopped after any request, and goes on where it was, on every Node.js that we run on. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { expect, test } from '@jest/globals'
import { DirectParser } from '../../src/outer/http-edge/direct-parser.ts'
import { Http1EdgeRequest } from '../../src/outer/http-edge/http1-edge-request.ts'
import { PipelineGate } from '../../src/outer/http-edge/pipeline-gate.ts'
import { listen } from '../support/ports.ts'
import { RawConnection } from '../support/raw-client.ts'
import { until } from '../support/wait.ts'

const GET = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`
const POST = (path: string, body: string): string => `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`

interface Asked {
  readonly path: string
  body: string
  readonly answer: () => void
}

/** A server with gates that ask for a halt from the second request on; answers when told. */
const startServer = async (
  readBuffer?: Buffer,
): Promise<{ readonly port: number; readonly asked: Asked[]; readonly sockets: Socket[] }> => {
  const asked: Asked[] = []
  const sockets: Socket[] = []
  let gate: PipelineGate | undefined
  let open = 0
  const server = createServer((req: IncomingMessage, res: ServerResponse) => {
    if (open > 0) gate?.crowd()
    open++
    const one = {
      path: req.url!,
      body: '',
      answer: () => {
        res.end(one.path + one.body)
        open--
        gate?.proceed()
      },
    }
    asked.push(one)
    req.on('data', (bytes: Buffer) => (one.body += bytes.toString('latin1')))
  })
  server.on('connection', socket => {
    sockets.push(socket)
    const shared = readBuffer !== undefined && { readBuffer }
    gate = new PipelineGate(socket, { isFull: () => open > 1, isOver: () => false, ...shared, fail: () => socket.destroy() })
  })
  return { port: await listen(server), asked, sockets }
}

const isDirect = (socket: Socket): boolean => (socket as { parser?: { _consumed?: boolean } }).parser?._consumed === true

test('this Node.js has the parser that we know', async () => {
  let found: unknown
  const server = createServer()
  server.on('connection', socket => (found = DirectParser.of(socket, () => undefined)))
  await RawConnection.open(await listen(server))
  await until(() => found)
  expect(found).toBeInstanceOf(DirectParser)
})

test('of a burst no more is parsed than the request that has to wait', async () => {
  const { port, asked } = await startServer()
  const client = await RawConnection.open(port)
  const paths = Array.from({ length: 500 }, (_, i) => `/${i}`)
  client.write(paths.map(GET).join(''))
  await until(() => asked.length >= 2)
  // What is parsed is parsed in the turn of the read.
  expect(asked.length).toBe(2)
  for (let i = 0; i < paths.length; i++) {
    await until(() => asked.length > i)
    asked[i]!.answer()
    expect((await client.readResponse()).body.toString()).toBe(paths[i])
  }
})

test('a request that waits and is the last of its read is complete', async () => {
  const { port, asked, sockets } = await startServer()
  const client = await RawConnection.open(port)
  client.write(GET('/a') + GET('/b'))
  await until(() => asked.length === 2)
  expect(isDirect(sockets[0]!)).toBe(false)
  for (const one of asked) one.answer()
  for (const path of ['/a', '/b']) expect((await client.readResponse()).body.toString()).toBe(path)
  client.write(GET('/c'))
  await until(() => asked[2])
  asked[2]!.answer()
  expect((await client.readResponse()).body.toString()).toBe('/c')
})

test('the body of a request that waits comes whole, wherever the read ends', async () => {
  const { port, asked } = await startServer()
  const text = GET('/a') + POST('/b', 'body of b') + POST('/c', 'body of c')
  for (let cut = GET('/a').length; cut < text.length; cut += 7) {
    asked.length = 0
    const client = await RawConnection.open(port)
    client.write(text.slice(0, cut))
    await until(() => asked[0])
    client.write(text.slice(cut))
    for (const body of ['/a', '/bbody of b', '/cbody of c']) {
      await until(() => asked.find(one => one.path + one.body === body))
      asked.find(one => one.path + one.body === body)!.answer()
      expect((await client.readResponse()).body.toString()).toBe(body)
    }
    client.destroy()
  }
})

test('who asks one after the other is read by the parser itself', async () => {
  const { port, asked, sockets } = await startServer()
  for (const path of ['/a', '/b']) {
    asked.length = 0
    const client = await RawConnection.open(port)
    client.write(GET(path))
    await until(() => asked[0])
    asked[0]!.answer()
    expect((await client.readResponse()).body.toString()).toBe(path)
    expect(isDirect(sockets.at(-1)!)).toBe(true)
  }
})

test('an upload that is paused is read as a stream from then on, which stops when it holds enough', async () => {
  let [bytes, pauses, hasEnded] = [0, 0, false]
  let socket: Socket | undefined
  let gate: PipelineGate | undefined
  const server = createServer((req, res) => {
    const call = new Http1EdgeRequest({ address: '127.0.0.1', isTrusted: false, scheme: 'http', localPort: 0 }, req, res, undefined, gate)
    call.events = {
      onUpload: chunk => {
        bytes += chunk.length
        if (pauses++ > 0) return
        // Twice in one turn: node:http would make the socket read on, and the parser would not notice.
        call.pauseUpload()
        call.resumeUpload()
        call.pauseUpload()
        setImmediate(() => call.resumeUpload())
      },
      onUploadEnd: () => (hasEnded = true),
      onDrain: () => undefined,
      onClosed: () => undefined,
      onFault: thrown => {
        throw thrown
      },
    }
    call.startUpload()
  })
  server.on('connection', opened => {
    socket = opened
    gate = new PipelineGate(opened, { isFull: () => false, isOver: () => false, fail: () => opened.destroy() })
  })
  const client = await RawConnection.open(await listen(server))
  client.write(POST('/', 'x'.repeat(4_000_000)))
  await until(() => pauses > 0)
  expect(isDirect(socket!)).toBe(false)
  await until(() => hasEnded)
  expect(bytes).toBe(4_000_000)
})

test('what waits of a read into memory that all connections share does not change with it', async () => {
  const readBuffer = Buffer.alloc(65_536)
  const { port, asked, sockets } = await startServer(readBuffer)
  const client = await RawConnection.open(port)
  const paths = Array.from({ length: 300 }, (_, i) => `/${i}`)
  const [first, others] = [paths.slice(0, 2), paths.slice(2)].map(some => some.map(GET).join(''))
  client.write(first!)
  await until(() => asked.length === 2)
  client.write(others!)
  await until(() => sockets[0]!.bytesRead === first!.length + others!.length)
  expect(readBuffer.toString('latin1', 0, 3)).toBe('GET')
  readBuffer.fill(0)
  for (let i = 0; i < paths.length; i++) {
    await until(() => asked.length > i)
    asked[i]!.answer()
    expect((await client.readResponse()).body.toString()).toBe(paths[i])
  }
})
