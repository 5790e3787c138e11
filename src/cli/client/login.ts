import { GatewayError } from '../../errors.ts'
import { parseServerUrl, textOfServer } from '../../client/server-url.ts'
import type { ExitStatus } from '../command/command.ts'
import type { CliContext } from '../command/context.ts'
import type { ValuesOf } from '../command/option.ts'
import { askFor } from '../command/prompt.ts'
import type { loginOptions, logoutOptions } from '../options/client.ts'
import { answer } from './answer.ts'
import { anonymousClient, credentialsOf, openSession, sessionOf } from './open.ts'

/** `login`: keeps a token for the commands that follow. @throws GatewayError LOGIN_FAILED, SERVICE_UNREACHABLE */
export async function runLogin(values: ValuesOf<typeof loginOptions>, context: CliContext): Promise<ExitStatus> {
  const session = await sessionOf(values, context)
  // Nobody is to type a password for a server that cannot be reached, or is another one.
  if (values.password === undefined) await (await anonymousClient(values, context)).version()
  const [email = '', password = ''] = await askFor(
    [
      { value: values.email, label: 'Email: ', option: '--email' },
      { value: values.password, label: 'Password: ', option: '--password', isHidden: true },
    ],
    context,
  )
  if (!/^[^\s@]+@[^\s@]+$/.test(email)) throw new GatewayError('INVALID', `error: invalid email address: ${JSON.stringify(email)}`)
  const { accountId, expiresAt } = await session.login(email, password)
  return answer(values, context, { accountId, email, expiresAt }, () => 'Login successful\n')
}

/** `logout`: forgets the token; with --everywhere no token of the account counts any more. */
export async function runLogout(values: ValuesOf<typeof logoutOptions>, context: CliContext): Promise<ExitStatus> {
  const file = credentialsOf(values, context)
  const server = values.server === undefined ? await file.currentServer() : textOfServer(parseServerUrl(values.server))
  if (server === undefined) throw new GatewayError('UNAUTHENTICATED', 'there is no login to end; see socket-gateway login --help')
  if (values.everywhere) await (await openSession({ ...values, server }, context)).client.endSessions()
  const wasThere = await file.remove(server)
  return answer(values, context, { server, wasThere }, () => (wasThere ? `Logged out of ${server}\n` : `There was no login at ${server}\n`))
}
