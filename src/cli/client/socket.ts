import { GatewayError } from '../../errors.ts'
import type { SocketChange } from '../../client/wire.ts'
import type { ExitStatus } from '../command/command.ts'
import type { CliContext } from '../command/context.ts'
import type { ValuesOf } from '../command/option.ts'
import type { socketCreateOptions, socketLsOptions, socketUpdateOptions } from '../options/client.ts'
import { formatSocket, formatSockets } from '../tables/service-tables.ts'
import { answer } from './answer.ts'
import { findSocket, idOf } from './find-socket.ts'
import { LIST, onSocket } from './on-socket.ts'
import { openClient } from './open.ts'
import { passwordOf, proxyVersion, socketRequest, upstreamOf, visitorsOf } from './socket-request.ts'

/** `socket create`. */
export async function runSocketCreate(values: ValuesOf<typeof socketCreateOptions>, context: CliContext): Promise<ExitStatus> {
  const request = { ...socketRequest(values, context), ...(values.inspect && { inspect: true }) }
  const socket = await (await openClient(values, context)).createSocket(request)
  return answer(values, context, socket, () => formatSocket(socket))
}

/** `socket ls`. */
export async function runSocketLs(values: ValuesOf<typeof socketLsOptions>, context: CliContext): Promise<ExitStatus> {
  const client = await openClient(values, context)
  const sockets = await client.allSockets({ ...(values.name !== undefined && { name: values.name }), ...(values.all && { all: true }) })
  return answer(values, context, sockets, () => formatSockets(sockets))
}

/** `socket show`. */
export const runSocketShow = onSocket((client, socketId) => client.socket(socketId), formatSocket)

/** `socket delete`. */
export const runSocketDelete = onSocket(
  async (client, id) => {
    await client.deleteSocket(id)
    return { id }
  },
  () => 'Socket deleted\n',
)

/** `socket update`: changes what the options name, and leaves the rest. */
export async function runSocketUpdate(
  id: string | undefined,
  values: ValuesOf<typeof socketUpdateOptions>,
  context: CliContext,
): Promise<ExitStatus> {
  const given = idOf(values['socket-id'], id, 'socket_id', LIST)
  const change = changeOf(values, context)
  const changesUpstream = upstreamOf(values) !== undefined
  if (Object.keys(change).length === 0 && !changesUpstream)
    throw new GatewayError('USAGE', 'nothing to change was given; see socket-gateway socket update --help')
  const client = await openClient(values, context)
  const { id: socketId, etag, upstream: before } = await findSocket(client, given)
  const upstream = changesUpstream ? { upstream: upstreamOf(values, before) } : {}
  const socket = await client.updateSocket(socketId, { ...change, ...upstream }, etag)
  return answer(values, context, socket, () => formatSocket(socket))
}

function changeOf(values: ValuesOf<typeof socketUpdateOptions>, context: CliContext): SocketChange {
  if (values.open && (values.protected || values.cloudauth))
    throw new GatewayError('USAGE', '--open lets everybody come, and --protected or --cloudauth does not; give one of them')
  const password = passwordOf(values)
  const visitors = visitorsOf(values, context)
  return {
    ...(values.open && { password: null, visitors: null }),
    ...(password !== undefined && { password }),
    ...(visitors !== undefined && { visitors }),
    ...(values.name !== undefined && { name: values.name }),
    ...(values.balance !== undefined && { balance: values.balance }),
    ...(values.inspect !== undefined && { inspect: values.inspect === 'yes' }),
    ...(values['proxy-protocol'] !== undefined && { proxyProtocol: proxyVersion(values['proxy-protocol']) }),
    ...(values['custom-domain'].length > 0 && { customDomains: values['custom-domain'] }),
  }
}
