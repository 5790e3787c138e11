import { setMaxListeners } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { formatHostPort, type HostPort } from '../address/host-port.ts'
import { GatewayError } from '../errors.ts'
import { endAbruptly } from '../net/linger.ts'
import { listen } from '../net/listen.ts'
import type { ConnectionCount } from './connection-count.ts'
import { join, type TunnelEnd } from './join.ts'
import type { WebSocketStream } from './web-socket-stream.ts'
import { CloseCode } from './wire.ts'

/** One connection to a listener, as its observer sees it. */
export interface TunnelClient {
  /** Address and port of the program that connected. */
  readonly client: string
}

/** Events of a listener's connections. */
export interface TunnelObserver {
  /** There are as many as there may be; the connection was reset. */
  onRejected(connection: TunnelClient): void
  onRequest(connection: TunnelClient): void
  onOpened(connection: TunnelClient): void
  /** The far end could not be reached or said no; the connection was reset. */
  onFailed(connection: TunnelClient, error: unknown): void
  onEnd(connection: TunnelClient, end: TunnelEnd, durationMs: number): void
}

/** Options of a listener. */
export interface TunnelListenerOptions {
  readonly listen: HostPort
  /** Shared with the other listeners of the process. */
  readonly count: ConnectionCount
  readonly dial: (signal: AbortSignal) => Promise<WebSocketStream>
  readonly observer: TunnelObserver
  /** Milliseconds, rising. */
  readonly clock: () => number
}

/** A local port whose connections go through tunnels, each through one of its own. */
export class TunnelListener {
  readonly #server: Server
  readonly #tunnels = new Set<WebSocketStream>()
  readonly #waiting = new Set<Socket>()
  readonly #abort = new AbortController()

  constructor(private readonly options: TunnelListenerOptions) {
    this.#server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, socket => {
      void this.#accept(socket)
    })
    setMaxListeners(0, this.#abort.signal) // every connection that is being dialled listens
  }

  /** Opens the port. @returns where it listens @throws GatewayError LISTEN_FAILED */
  start(): Promise<HostPort> {
    return listenOn(this.#server, this.options.listen)
  }

  /** Takes no new connections. */
  stop(): void {
    this.#server.close()
  }

  /** Cuts every connection. Idempotent. */
  destroy(reason: string): void {
    this.stop()
    this.#abort.abort()
    for (const socket of this.#waiting) endAbruptly(socket)
    for (const tunnel of this.#tunnels) tunnel.abort(CloseCode.RESTART, reason)
  }

  async #accept(socket: Socket): Promise<void> {
    const { count, dial, observer, clock } = this.options
    const connection = { client: formatHostPort({ host: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 }) }
    socket.on('error', () => undefined)
    // The listener stays: sokken gives it up here and never takes a connection again.
    if (!count.take()) {
      endAbruptly(socket)
      return observer.onRejected(connection)
    }
    observer.onRequest(connection)
    this.#waiting.add(socket)
    let tunnel: WebSocketStream | undefined
    try {
      tunnel = await dial(this.#abort.signal)
      this.#waiting.delete(socket)
      if (socket.destroyed || this.#abort.signal.aborted) {
        tunnel.abort(CloseCode.GOING_AWAY, '')
        await tunnel.gone
        throw new GatewayError('CANCELLED', 'the connection was closed before the tunnel was open')
      }
      this.#tunnels.add(tunnel)
      observer.onOpened(connection)
      const startedMs = clock()
      const end = await join(tunnel, socket)
      observer.onEnd(connection, end, clock() - startedMs)
    } catch (error) {
      this.#waiting.delete(socket)
      endAbruptly(socket)
      observer.onFailed(connection, error)
    } finally {
      if (tunnel !== undefined) this.#tunnels.delete(tunnel)
      count.release()
    }
  }
}

/** Listens on HOST:PORT. @returns where it listens, with the port that was free for 0 @throws GatewayError LISTEN_FAILED */
export const listenOn = async (server: Server, { host, port }: HostPort): Promise<HostPort> => ({
  host,
  port: await listen(server, port, host === '' ? undefined : host),
})
