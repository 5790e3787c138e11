import type { Server } from 'node:http'
import { duplexPair } from 'node:stream'
import { SERVICE_HOST } from '../directory/layered-table.ts'
import type { Dialer } from '../origin/dial.ts'

/**
 * A way to an HTTP server of this process without a socket: each dial gives it one end of a pair of streams, as if a connection had come.
 * Nothing else can be reached through it, whatever an outer layer asks for.
 */
export function dialerTo(server: Server): Dialer {
  return {
    dial: async hostname => {
      if (hostname !== SERVICE_HOST) throw new Error(`${hostname} is not the service`)
      const [near, far] = duplexPair()
      far.on('error', () => far.destroy())
      server.emit('connection', far)
      // The other end is of use in a later turn: the server has taken it over by then.
      await Promise.resolve()
      return near
    },
  }
}
