import { isThisMachine } from '../address/this-machine.ts'
import { GatewayError } from '../errors.ts'

/** The address of the admin port where nothing is said. */
export const DEFAULT_HOST = '127.0.0.1'

/** @throws GatewayError USAGE for an address that others can reach without a password */
export function checkAdminHost({ host = DEFAULT_HOST, password }: { readonly host?: string; readonly password?: string }): void {
  if (password !== undefined || isThisMachine(host)) return
  if (host.startsWith('fd:'))
    throw new GatewayError(
      'USAGE',
      'the admin port is a socket of the service manager, which others may reach, so it needs a password; add --admin-password-file',
    )
  throw new GatewayError('USAGE', `--admin-host ${host}: others can reach this address, so it needs a password; add --admin-password-file`)
}
