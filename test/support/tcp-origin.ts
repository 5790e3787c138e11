/** Raw TCP servers for tests of connections that are carried as they are. */
import { createServer, type Socket } from 'node:net'
import { onCleanUp } from './cleanup.ts'
import { listen } from './ports.ts'

/** A running server. */
export interface TcpOrigin {
  readonly port: number
  /** Accepted and not closed yet, in the order in which they came. */
  readonly sockets: readonly Socket[]
  /** Accepted since the start. */
  readonly accepted: number
}

/** Listens on a free port; half-open, so that nothing ends by itself. `onConnection` writes and reads. */
export const startTcpOrigin = async (onConnection: (socket: Socket) => void, host = '127.0.0.1'): Promise<TcpOrigin> => {
  const sockets: Socket[] = []
  let accepted = 0
  const server = createServer({ allowHalfOpen: true, noDelay: true }, socket => {
    accepted++
    sockets.push(socket)
    socket.on('error', () => undefined) // a reset is what some tests are about
    socket.once('close', () => sockets.splice(sockets.indexOf(socket), 1))
    onConnection(socket)
  })
  const port = await listen(server, host)
  onCleanUp(() => {
    for (const socket of [...sockets]) socket.destroy()
  })
  return {
    port,
    sockets,
    get accepted() {
      return accepted
    },
  }
}

/** Sends back what comes, and ends when the client has ended. */
export const echo = (socket: Socket): void => void socket.pipe(socket)
