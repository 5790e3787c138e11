import { createServer, type AddressInfo, type Server } from 'node:net'
import { onCleanUp } from './cleanup.ts'

/** Listens on a free port of `host`; resolves to the port. The server is closed after the test file. */
export const listen = async (server: Server, host = '127.0.0.1', port = 0): Promise<number> => {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      resolve()
    })
  })
  onCleanUp(() => {
    server.close()
    if ('closeAllConnections' in server) (server as Server & { closeAllConnections(): void }).closeAllConnections()
  })
  return (server.address() as AddressInfo).port
}

/** A port of 127.0.0.1 on which nobody listens at the moment: to start a program on, or to be refused at. */
export const freePort = async (): Promise<number> => {
  const server = createServer()
  const port = await new Promise<number>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port))
  })
  await new Promise(resolve => server.close(resolve))
  return port
}
