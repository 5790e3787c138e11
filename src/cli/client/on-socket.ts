import type { ServiceClient } from '../../client/service-client.ts'
import type { ExitStatus } from '../command/command.ts'
import type { CliContext } from '../command/context.ts'
import type { ValuesOf } from '../command/option.ts'
import type { socketOptions } from '../options/client.ts'
import { answer } from './answer.ts'
import { idOf, socketIdOf } from './find-socket.ts'
import { openClient } from './open.ts'

/** The command that lists the sockets, for messages. */
export const LIST = 'socket-gateway socket ls'

/** A command about one socket. @param id  of the argument */
export type SocketCommand = (id: string | undefined, values: ValuesOf<typeof socketOptions>, context: CliContext) => Promise<ExitStatus>

/** Makes a command about one socket of what it does and of what it says then. */
export const onSocket =
  <T>(work: (client: ServiceClient, socketId: string) => Promise<T>, text: (result: T) => string): SocketCommand =>
  async (id, values, context) => {
    const client = await openClient(values, context)
    const result = await work(client, await socketIdOf(client, idOf(values['socket-id'], id, 'socket_id', LIST)))
    return answer(values, context, result, () => text(result))
  }
