import { connect, type Socket } from 'node:net'
import { GatewayError } from '../../errors.ts'
import type { ConnectionSource } from '../../outer/options/outer-options.ts'

/** Where the two ends meet. */
export const LOOPBACK = '127.0.0.1'
/** The other end is in this very process. */
const MEETING_MS = 10_000
/** Connections of others on this machine that wait until it is clear that they are strangers. */
const MAX_WAITING = 256

/**
 * Connections of clients that come in streams, handed to a port of this machine as sockets, since that is what TLS of Node.js is made for. Whoever
 * else on this machine connects to that port is sent away: a connection counts when its other end is one of ours, which the kernel vouches for.
 */
export class HandedConnections implements ConnectionSource {
  /** Port of our end → address of the client. */
  readonly #known = new Map<number, string>()
  /** Port of the other end → what to do once it is known. */
  readonly #waiting = new Map<number, { readonly socket: Socket; readonly met: (address: string) => void }>()

  /** @param next  called with the address of the client */
  accept(socket: Socket, next: (address: string) => void): void {
    const { remotePort = 0 } = socket
    const address = this.#known.get(remotePort)
    if (address !== undefined) return next(address)
    // The oldest is a stranger: one of ours is known a turn later. The newest may be one of ours, and strangers do not keep it out.
    const [oldest] = this.#waiting.size >= MAX_WAITING ? this.#waiting : []
    if (oldest !== undefined) {
      this.#waiting.delete(oldest[0])
      oldest[1].socket.destroy()
    }
    const leave = (): void => {
      clearTimeout(timer)
      if (this.#waiting.get(remotePort)?.socket === socket) this.#waiting.delete(remotePort)
    }
    const met = (client: string): void => {
      leave()
      socket.off('close', leave)
      if (!socket.destroyed) next(client)
    }
    const timer = setTimeout(() => socket.destroy(), MEETING_MS)
    timer.unref()
    socket.on('error', ignore)
    socket.once('close', leave)
    this.#waiting.set(remotePort, { socket, met })
  }

  /**
   * Connects to the port for a client.
   * @param address  of the client
   * @param signal   nobody wants it any more
   * @throws GatewayError ORIGIN_REFUSED, as the promise
   */
  connect(port: number, address: string, signal: AbortSignal): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: LOOPBACK, port, allowHalfOpen: true, noDelay: true, signal })
      socket.once('error', cause => reject(new GatewayError('ORIGIN_REFUSED', 'the port on which TLS ends is not open', { cause })))
      socket.once('connect', () => {
        const { localPort = 0 } = socket
        // For as long as it is open, nobody else can have this port towards that one.
        this.#known.set(localPort, address)
        socket.once('close', () => this.#known.delete(localPort))
        this.#waiting.get(localPort)?.met(address)
        resolve(socket)
      })
    })
  }
}

const ignore = (): void => undefined
