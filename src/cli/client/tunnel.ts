import type { ExitStatus } from '../command/command.ts'
import type { CliContext } from '../command/context.ts'
import type { ValuesOf } from '../command/option.ts'
import type { socketOptions, tunnelOptions } from '../options/client.ts'
import { formatTunnels } from '../tables/service-tables.ts'
import { answer } from './answer.ts'
import { idOf, socketIdOf } from './find-socket.ts'
import { openClient } from './open.ts'

const LIST = 'socket-gateway socket ls'

/** `tunnel create`. @param id  of the argument */
export async function runTunnelCreate(
  id: string | undefined,
  values: ValuesOf<typeof socketOptions>,
  context: CliContext,
): Promise<ExitStatus> {
  const client = await openClient(values, context)
  const tunnel = await client.createTunnel(await socketIdOf(client, idOf(values['socket-id'], id, 'socket_id', LIST)))
  return answer(values, context, tunnel, () => formatTunnels([tunnel]))
}

/** `tunnel ls`. */
export async function runTunnelLs(
  id: string | undefined,
  values: ValuesOf<typeof socketOptions>,
  context: CliContext,
): Promise<ExitStatus> {
  const client = await openClient(values, context)
  const tunnels = await client.tunnels(await socketIdOf(client, idOf(values['socket-id'], id, 'socket_id', LIST)))
  return answer(values, context, tunnels, () => formatTunnels(tunnels))
}

/** `tunnel delete`. */
export async function runTunnelDelete(values: ValuesOf<typeof tunnelOptions>, context: CliContext): Promise<ExitStatus> {
  const client = await openClient(values, context)
  const socketId = await socketIdOf(client, idOf(values['socket-id'], undefined, 'socket_id', LIST))
  const tunnelId = idOf(values['tunnel-id'], undefined, 'tunnel_id', `socket-gateway tunnel ls --socket_id ${socketId}`)
  await client.deleteTunnel(socketId, tunnelId)
  return answer(values, context, { id: tunnelId, socketId }, () => 'Tunnel deleted\n')
}
