import type { EventEmitter } from 'node:events'
import type { Server } from 'node:net'

/** A socket as far as a book looks at it. */
export type BookedSocket = EventEmitter & { readonly destroyed?: boolean }

/** The sockets that a port answers for, each from its accept until its `close` is heard. */
export class SocketBook {
  readonly #leaving = new Map<BookedSocket, () => void>()

  /** Sockets that are in it. */
  get size(): number {
    return this.#leaving.size
  }

  /** Those whose descriptor Node.js has let go, while nobody has heard their `close` yet: it follows in a moment, or never. */
  get gone(): readonly BookedSocket[] {
    return [...this.#leaving.keys()].filter(({ destroyed = false }) => destroyed)
  }

  /** Takes `socket` in, unless it is there. @param onLeave  called once, when it closes or is struck out */
  enter(socket: BookedSocket, onLeave: () => void = () => undefined): void {
    if (this.#leaving.has(socket)) return
    this.#leaving.set(socket, onLeave)
    socket.once('close', () => this.strike(socket))
  }

  /** Lets go of `socket`. Idempotent. */
  strike(socket: BookedSocket): void {
    const onLeave = this.#leaving.get(socket)
    this.#leaving.delete(socket)
    onLeave?.()
  }
}

/** Resolves with how many connections of `server` Node.js knows at the moment of the call; undefined where it cannot tell. */
export const countConnections = (server: Server): Promise<number | undefined> =>
  new Promise(resolve => server.getConnections((error, count) => resolve(error === null ? count : undefined)))
