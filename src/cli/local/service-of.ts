import { createFolderServer } from '../../folder/folder-server.ts'
import { inProcessConnection } from '../../net/in-process-connection.ts'
import type { Dialer } from '../../origin/dial.ts'
import { portService, type LocalService } from '../connect/local-service.ts'
import type { Destination } from './destination.ts'

/**
 * The way to a destination. A folder is served by this process, without a port that somebody else could come to.
 * @throws GatewayError FILE_UNREADABLE
 */
export async function serviceOf(destination: Destination, showsHidden: boolean): Promise<LocalService> {
  if (destination.kind === 'port') {
    const service = portService(destination)
    return { ...service, urlOf: type => service.urlOf(type === 'http' ? destination.protocol : type) }
  }
  const { path } = destination
  const server = await createFolderServer({ path, showsHidden })
  const dialer: Dialer = { dial: () => inProcessConnection(server) }
  return { place: path, urlOf: () => path, dialer, tcpDialer: dialer }
}
