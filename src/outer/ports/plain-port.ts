import { createServer, type Server, type Socket } from 'node:net'
import { unmapped } from '../../address/mapped.ts'
import type { Peer } from '../../http/client.ts'
import type { Log } from '../../telemetry/log.ts'
import type { ConnectionLimits } from '../access/connection-limits.ts'
import { attempt, guarded, type Fail } from '../../net/guard.ts'
import { listen } from '../../net/listen.ts'
import { countConnections } from '../../net/socket-book.ts'
import { untilEmpty } from '../../net/until-empty.ts'

/** Options of a plain edge. */
export interface PlainEdgeOptions {
  readonly port: number
  readonly host?: string
  readonly isTrusted: (address: string) => boolean
  /** Counts the connections of all edges. */
  readonly connections: ConnectionLimits
  /** Reads what comes before HTTP, the header of a proxy, then calls `next` with who the client is. */
  readonly preamble?: ((socket: Socket, next: (address: string) => void) => void) | undefined
  /** Looks whether a client begins with the preface of HTTP/2. */
  readonly detectsHttp2: boolean
  /** Time for the first bytes, milliseconds. */
  readonly firstByteMs: number
  /** Time that is left for them once the port is closed, milliseconds. */
  readonly lastRequestMs: number
  /** A connection is ready, and nothing of it is lost. */
  readonly accept: (socket: Socket, peer: Peer, isHttp2: boolean) => void
  readonly log: Log
}

/** RFC 9113 §3.4. Its first bytes are a request of HTTP/1 that nobody sends: there is no method of this name. */
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')

/**
 * The port of clients without TLS where something comes before HTTP/1: the header of a proxy, or the preface of HTTP/2. Where nothing does,
 * the port is node:http's own.
 */
export class PlainEdge {
  readonly #server: Server
  readonly #beginning = new Set<Socket>()

  constructor(private readonly options: PlainEdgeOptions) {
    // Half-open as node:http wants it: it knows by itself when a client that ends its half has left.
    const ways = { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 }
    this.#server = createServer(ways, socket => attempt(this.#failOf(socket), () => this.#connected(socket)))
  }

  /** Opens the port. @throws GatewayError LISTEN_FAILED */
  start(): Promise<number> {
    return listen(this.#server, this.options.port, this.options.host)
  }

  /** Connections of the port that Node.js has, those that were handed over included. */
  countConnections(): Promise<number | undefined> {
    return countConnections(this.#server)
  }

  /** Takes no new connections; resolves when those that are there are handed over, or their time is over. Idempotent. */
  async close(): Promise<void> {
    this.#server.close()
    await untilEmpty(() => this.#beginning.size, this.options.lastRequestMs)
    this.destroy()
  }

  /** Takes no new connections and ends those that are not handed over yet. Idempotent. */
  destroy(): void {
    this.#server.close()
    for (const socket of this.#beginning) socket.destroy()
  }

  #failOf(socket: Socket): Fail {
    return thrown => {
      socket.destroy()
      this.options.log.error({ err: thrown }, 'internal fault while taking a connection')
    }
  }

  #connected(socket: Socket): void {
    const { preamble, connections } = this.options
    const leave = (): void => void socket.destroy()
    connections.meet(socket)
    this.#beginning.add(socket)
    socket.once('close', () => this.#beginning.delete(socket))
    socket.on('error', leave)
    const begin = (address: string): void => {
      // The client counts, not the proxy before it.
      if (connections.admit(socket, address) !== undefined) leave()
      else if (this.options.detectsHttp2) this.#detect(socket, address)
      else this.#accept(socket, address, false)
    }
    const address = unmapped(socket.remoteAddress ?? '')
    if (preamble === undefined) begin(address)
    else preamble(socket, guarded(this.#failOf(socket), begin))
  }

  /** Reads until the first bytes differ from the preface, or are all of it. */
  #detect(socket: Socket, address: string): void {
    let bytes: Buffer = Buffer.alloc(0)
    const onData = guarded(this.#failOf(socket), (chunk: Buffer) => {
      bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk])
      const length = Math.min(bytes.length, PREFACE.length)
      const isPreface = bytes.subarray(0, length).equals(PREFACE.subarray(0, length))
      if (isPreface && length < PREFACE.length) return
      clearTimeout(timer)
      socket.off('data', onData)
      socket.off('end', leave)
      socket.pause()
      socket.unshift(bytes)
      this.#accept(socket, address, isPreface)
    })
    const leave = (): void => void socket.destroy()
    const timer = setTimeout(leave, this.options.firstByteMs)
    timer.unref()
    socket.once('close', () => clearTimeout(timer))
    socket.once('end', leave)
    socket.on('data', onData)
  }

  #accept(socket: Socket, address: string, isHttp2: boolean): void {
    this.#beginning.delete(socket)
    const { isTrusted, accept } = this.options
    accept(socket, { address, isTrusted: isTrusted(address), scheme: 'http', localPort: socket.localPort ?? 0 }, isHttp2)
    if (!isHttp2) socket.resume() // node:http listens by now; node:http2 reads by itself
  }
}
