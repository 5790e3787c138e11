import type { ExitStatus } from '../command/command.ts'
import type { CliContext } from '../command/context.ts'
import type { ValuesOf } from '../command/option.ts'
import type { tunnelOptions } from '../options/client.ts'
import { formatTunnels } from '../tables/service-tables.ts'
import { answer } from './answer.ts'
import { idOf, socketIdOf } from './find-socket.ts'
import { LIST, onSocket } from './on-socket.ts'
import { openClient } from './open.ts'

/** `tunnel create`. */
export const runTunnelCreate = onSocket(
  (client, socketId) => client.createTunnel(socketId),
  tunnel => formatTunnels([tunnel]),
)

/** `tunnel ls`. */
export const runTunnelLs = onSocket((client, socketId) => client.tunnels(socketId), formatTunnels)

/** `tunnel delete`. */
export async function runTunnelDelete(values: ValuesOf<typeof tunnelOptions>, context: CliContext): Promise<ExitStatus> {
  const client = await openClient(values, context)
  const socketId = await socketIdOf(client, idOf(values['socket-id'], undefined, 'socket_id', LIST))
  const tunnelId = idOf(values['tunnel-id'], undefined, 'tunnel_id', `socket-gateway tunnel ls --socket_id ${socketId}`)
  await client.deleteTunnel(socketId, tunnelId)
  return answer(values, context, { id: tunnelId, socketId }, () => 'Tunnel deleted\n')
}
