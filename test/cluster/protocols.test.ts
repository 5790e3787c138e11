/** What comes in at one node and is served by another: gRPC, public TCP ports, tunnels, event streams, and clients that leave. */
import { beforeAll, describe, expect } from '@jest/globals'
import { connect } from 'node:net'
import { hashToken } from '../../src/identity/token.ts'
import { pattern } from '../link/pair.ts'
import { exchange } from '../support/exchange.ts'
import { Metadata, openGrpcClient, PATH, same, startGrpcServer, status } from '../support/grpc.ts'
import { H2Client } from '../support/h2-client.ts'
import type { Layers } from '../support/layers.ts'
import { get, head } from '../support/message.ts'
import { needs, testWith } from '../support/needs.ts'
import { linked, startNode } from '../support/nodes.ts'
import { freePort } from '../support/ports.ts'
import { RawConnection } from '../support/raw-client.ts'
import { startRawOrigin, type RawOrigin } from '../support/raw-origin.ts'
import { REDIS_PROGRAMS, startRedis } from '../support/redis.ts'
import { TcpEnd } from '../support/tcp.ts'
import { echo, startTcpOrigin } from '../support/tcp-origin.ts'
import { startForward, token } from '../support/tunnels.ts'
import { until } from '../support/wait.ts'

const areHere = REDIS_PROGRAMS.every(program => needs(program))

describe('what another node serves', () => {
  let nodes: readonly Layers[]
  let entry: Layers
  let origin: RawOrigin
  let grpc: Awaited<ReturnType<typeof startGrpcServer>>
  const ports: number[] = []
  let tcpPort = 0

  beforeAll(async () => {
    if (!areHere) return
    const redis = await startRedis()
    origin = await startRawOrigin()
    grpc = await startGrpcServer()
    const tcp = await startTcpOrigin(echo)
    tcpPort = tcp.port
    for (let i = 0; i < 2; i++) ports.push(await freePort())
    const start = (inners: number, tcpPort: number): Promise<Layers> =>
      startNode(redis, {
        inners,
        outer: { appH2c: true },
        targets: `
targets:
  "*": {protocol: http, hostname: 127.0.0.1, port: ${origin.port}}
  other.test: {protocol: http, hostname: 127.0.0.1, port: ${origin.port}, timeouts: {connect: 5000}}
  grpc.test: {protocol: http, hostname: 127.0.0.1, port: ${grpc.port}, http2: true}
tcp:
  "${tcpPort}": {hostname: 127.0.0.1, port: ${tcp.port}}
tunnels:
  "127.0.0.1:${tcp.port}": {tokens: ["${hashToken(token)}"]}
`,
      })
    nodes = [await start(1, ports[0]!), await start(0, ports[1]!)]
    entry = nodes[1]!
    await linked(nodes, [0, 1])
  })

  testWith(REDIS_PROGRAMS, 'gRPC, though the nodes count the ways to origins differently', async () => {
    // The first way that this node tells its inner layer of is another one than that of the other node.
    expect((await exchange(nodes[0]!.port, { host: 'other.test' })).status).toBe(200)
    grpc.handlers.unary = (call, done) => {
      const trailing = new Metadata()
      trailing.set('x-trailing', 'last')
      done(null, call.request, trailing)
    }
    const client = openGrpcClient(`127.0.0.1:${entry.port}`, undefined, { 'grpc.default_authority': 'grpc.test' })
    const trailers = await new Promise<Metadata>((resolve, reject) => {
      const call = client.makeUnaryRequest(PATH.unary, same, same, pattern(100_000, 3), (error: Error | null, value?: Buffer) => {
        if (error !== null) reject(error)
        else expect(value!.equals(pattern(100_000, 3))).toBe(true)
      })
      call.on('status', end => {
        expect(end.code).toBe(status.OK)
        resolve(end.metadata)
      })
    })
    expect(trailers.get('x-trailing')).toEqual(['last'])
  })

  testWith(REDIS_PROGRAMS, 'HTTP/2, with a body', async () => {
    const answer = await H2Client.open(entry.port).get({ ':path': '/two', ':method': 'POST' }, pattern(200_000, 4))
    expect(answer.status).toBe(200)
    expect(origin.requests.at(-1)!.body.equals(pattern(200_000, 4))).toBe(true)
  })

  testWith(REDIS_PROGRAMS, 'a public TCP port, byte for byte, each half to its own end', async () => {
    const end = new TcpEnd(connect(ports[1]!, '127.0.0.1'))
    const bytes = pattern(1_000_000, 5)
    end.socket.end(bytes)
    await end.closed
    expect(end.bytes.equals(bytes)).toBe(true)
  })

  testWith(REDIS_PROGRAMS, 'a tunnel', async () => {
    const { port } = await startForward(entry.socketPort, [`/tunnel/127.0.0.1:${tcpPort}`])
    const end = new TcpEnd(connect(port, '127.0.0.1'))
    end.socket.end('through two nodes')
    await end.closed
    expect(end.text).toBe('through two nodes')
  })

  testWith(REDIS_PROGRAMS, 'each event of a stream at once; and nothing is left of a client that leaves', async () => {
    let write = (_text: string): void => undefined
    let isGone = false
    origin.handle((_request, socket) => {
      socket.write(head('HTTP/1.1 200 OK', 'Content-Type: text/event-stream', 'Transfer-Encoding: chunked'))
      write = text => void socket.write(`${text.length.toString(16)}\r\n${text}\r\n`)
      socket.on('close', () => {
        isGone = true
      })
    })
    const client = await RawConnection.open(entry.port)
    client.write(get('/'))
    expect(await client.read('\r\n\r\n')).toContain('text/event-stream')
    for (let i = 0; i < 5; i++) {
      write(`data: ${i}\n\n`)
      expect(await client.read(`data: ${i}\n\n`)).toContain(`data: ${i}`)
    }
    const { relays } = nodes[0]!.outer.cluster!
    expect(relays.streamCount).toBe(1)
    client.destroy()
    await until(() => isGone && relays.streamCount === 0, { what: 'the origin to be let go of' })
  })
})
