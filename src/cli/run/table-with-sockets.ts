import { readFile } from 'node:fs/promises'
import { LayeredTable } from '../../directory/layered-table.ts'
import { parseDirectoryMessage } from '../../directory/parse-message.ts'
import { SocketTable } from '../../directory/socket-table.ts'
import { GatewayError, messageOf } from '../../errors.ts'
import type { RouteTable, TargetTable } from '../../route/table.ts'

/**
 * The targets of a file with the sockets of a service in between, as the outer layer has them.
 * @param file  `state/directory.json` of that outer layer: what was in force a second ago
 * @throws GatewayError FILE_UNREADABLE, CONFIG_INVALID
 */
export async function tableWithSockets(table: RouteTable, file: string): Promise<TargetTable> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new GatewayError('FILE_UNREADABLE', `--directory ${file}: ${messageOf(cause)}`, { cause })
  })
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new GatewayError('CONFIG_INVALID', `--directory ${file}: expected JSON, as an outer layer with --service writes it`, { cause })
  }
  const message = parseDirectoryMessage(value)
  // All of them have one zone: the file was held against it when it came.
  const [first] = message.sockets
  const sockets = new SocketTable({
    zone: first === undefined ? '' : first.dnsName.slice(first.dnsName.indexOf('.') + 1),
    ports: { from: 1, to: 65_535 },
  })
  sockets.apply(message)
  return new LayeredTable(table, sockets, new Map())
}
