import type { AddressInfo, Server } from 'node:net'
import { GatewayError } from '../errors.ts'

/** Listens and gives the port. @throws GatewayError LISTEN_FAILED */
export function listen(server: Server, port: number, host: string | undefined): Promise<number> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => {
      reject(
        new GatewayError(
          'LISTEN_FAILED',
          `cannot listen on ${host ?? '*'}:${port}: ${error.message}; choose another port or stop the program that uses it`,
          { cause: error },
        ),
      )
    }
    server.once('error', fail)
    server.listen({ port, ...(host === undefined ? {} : { host }) }, () => {
      server.off('error', fail)
      server.on('error', () => undefined) // EMFILE while accepting: that connection is lost, the listener is not
      resolve((server.address() as AddressInfo).port)
    })
  })
}
