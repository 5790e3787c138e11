import { GatewayError } from '../../errors.ts'
import type { ServiceClient } from '../../client/service-client.ts'
import type { Socket } from '../../client/wire.ts'

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** The id that an option or an argument gives. @throws GatewayError USAGE when neither does */
export function idOf(option: string | undefined, argument: string | undefined, name: string, list: string): string {
  const id = option ?? argument
  if (id === undefined) throw new GatewayError('USAGE', `required flag(s) "${name}" not set; find it with: ${list}`)
  return id
}

/**
 * The socket that somebody means: by its id, its public name, the first label of that, or its name.
 * @param text  undefined: the only one that there is
 * @throws GatewayError NOT_FOUND; USAGE when there are several
 */
export async function findSocket(client: ServiceClient, text: string | undefined): Promise<Socket> {
  if (text !== undefined && UUID.test(text)) return client.socket(text)
  const all = await client.allSockets()
  const found =
    text === undefined
      ? all
      : all.filter(({ dnsName, name, customDomains }) => [dnsName, dnsName.split('.')[0], name, ...customDomains].includes(text))
  const [first, second] = found
  const list = 'see socket-gateway socket ls'
  if (first === undefined)
    throw new GatewayError(
      'NOT_FOUND',
      text === undefined
        ? 'you have no socket; make one with: socket-gateway connect PORT'
        : `no socket of yours is ${JSON.stringify(text)}; ${list}`,
    )
  if (second !== undefined)
    throw new GatewayError(
      'USAGE',
      `${text === undefined ? 'you have' : `${JSON.stringify(text)} may be`} ${found.length} sockets; give the id of one, ${list}`,
    )
  return first
}

/** Its id alone, without a call where it is one already. */
export const socketIdOf = async (client: ServiceClient, text: string): Promise<string> =>
  UUID.test(text) ? text : (await findSocket(client, text)).id
