import { homedir } from 'node:os'
import { join } from 'node:path'
import { CredentialsFile } from '../../client/credentials.ts'
import { parseServerUrl } from '../../client/server-url.ts'
import { ServiceClient } from '../../client/service-client.ts'
import { Session } from '../../client/session.ts'
import type { TransportOptions } from '../../client/transport.ts'
import { GatewayError } from '../../errors.ts'
import { readCertificates } from '../../identity/certificate-file.ts'
import type { CliContext } from '../command/context.ts'
import { certificateFile, readOptionFile } from '../command/option-file.ts'
import type { ValuesOf } from '../command/option.ts'
import type { clientOptions } from '../options/client.ts'

/** Values of the options that every command of the service has. */
export type ClientValues = ValuesOf<typeof clientOptions>

const CA_FILE = certificateFile('--ca', 'of the authorities to trust')

/** The folder of this program's files of one user. */
export function folderOf(env: CliContext['env']): string {
  const base = env['XDG_CONFIG_HOME'] || env['APPDATA'] || join(env['HOME'] || homedir(), '.config')
  return join(base, 'socket-gateway')
}

/** The file of the logins. */
export const credentialsOf = ({ credentials }: ClientValues, { env }: CliContext): CredentialsFile =>
  new CredentialsFile(credentials ?? join(folderOf(env), 'credentials.json'))

/** The server that the options name, or that of the last login; undefined: there was none. */
export const serverOf = async (values: ClientValues, context: CliContext): Promise<string | undefined> =>
  values.server ?? credentialsOf(values, context).currentServer()

/** The way to the API. @throws GatewayError UNAUTHENTICATED when no server is known, USAGE, FILE_UNREADABLE */
async function transportOf(values: ClientValues, context: CliContext): Promise<TransportOptions> {
  const server = await serverOf(values, context)
  if (server === undefined)
    throw new GatewayError(
      'UNAUTHENTICATED',
      'there was no login yet, so no server is known; name it by --server, or log in with: socket-gateway login --server https://api.example.com',
    )
  const file = values.ca
  const ca = file === undefined ? undefined : await readOptionFile(file, CA_FILE, path => readCertificates(path))
  return { server: parseServerUrl(server), env: context.env, ...(ca !== undefined && { ca }) }
}

/** A login that is not open yet: for `login` itself. */
export async function sessionOf(values: ClientValues, context: CliContext): Promise<Session> {
  // Not repeated: it may be a token with something pasted along.
  if (!/^[\x21-\x7e]*$/.test(values['api-token'] ?? ''))
    throw new GatewayError('USAGE', '--api-token or SG_API_TOKEN: expected a token such as sga_…, one word in one line')
  return new Session({
    ...(await transportOf(values, context)),
    file: credentialsOf(values, context),
    apiToken: values['api-token'],
    now: Date.now,
  })
}

/** The login that the options name, ready for calls. @throws GatewayError UNAUTHENTICATED with the command that helps */
export const openSession = async (values: ClientValues, context: CliContext): Promise<Session> => (await sessionOf(values, context)).open()

/** Calls with that login. */
export const openClient = async (values: ClientValues, context: CliContext): Promise<ServiceClient> =>
  (await openSession(values, context)).client

/** Calls that need no login. */
export const anonymousClient = async (values: ClientValues, context: CliContext): Promise<ServiceClient> =>
  new ServiceClient(await transportOf(values, context))
