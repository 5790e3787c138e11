import type { Server } from 'node:http'
import { SERVICE_HOST } from '../directory/layered-table.ts'
import { inProcessConnection } from '../net/in-process-connection.ts'
import type { Dialer } from '../origin/dial.ts'

/** A way to the HTTP server of the service, which has no port. Nothing else can be reached through it, whatever an outer layer asks for. */
export function dialerTo(server: Server): Dialer {
  return {
    dial: async hostname => {
      if (hostname !== SERVICE_HOST) throw new Error(`${hostname} is not the service`)
      return inProcessConnection(server)
    },
  }
}
