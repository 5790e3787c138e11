import type { Server } from 'node:http'
import { duplexPair, type Duplex } from 'node:stream'

/** A connection to a server of this process without a socket: one end of a pair of streams, whose other end it has taken. */
export async function inProcessConnection(server: Server): Promise<Duplex> {
  const [near, far] = duplexPair()
  far.on('error', () => far.destroy())
  server.emit('connection', far)
  // The other end is of use in a later turn: the server has taken it over by then.
  await Promise.resolve()
  return near
}
