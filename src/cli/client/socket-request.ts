import { GatewayError } from '../../errors.ts'
import type { Balance, ProxyVersion, SocketPassword, SocketRequest, SocketType, SocketUpstream, SocketVisitors } from '../../client/wire.ts'
import type { CliContext } from '../command/context.ts'

const TYPES: readonly string[] = ['http', 'https', 'tcp', 'tls']
/** As browsers judge it: the pattern of the client of 2021. */
const EMAIL = /^[\w.!#$%&'*+/=?^`{|}~-]+@[a-z0-9-]+(?:\.[a-z0-9-]+)*$/i

/** Options of commands that make or change sockets. */
export interface ProtectionValues {
  readonly protected: boolean
  readonly username: string | undefined
  readonly password: string | undefined
  readonly cloudauth: boolean
  readonly 'allowed-email-addresses': readonly (readonly string[])[]
  readonly 'allowed-email-domains': readonly (readonly string[])[]
  readonly 'allowed-groups': readonly (readonly string[])[]
}

/** The words of the client of 2021, and its exit status. */
const invalid = (message: string): GatewayError => new GatewayError('INVALID', message)

/** The name and the password that visitors have to give. @throws GatewayError INVALID */
export function passwordOf(values: Pick<ProtectionValues, 'protected' | 'username' | 'password'>): SocketPassword | undefined {
  if (!values.protected) {
    if (values.username !== undefined || values.password !== undefined)
      throw invalid('error: --username and --password are for --protected, which is missing; without it everybody could come')
    return undefined
  }
  if ((values.username ?? '') === '') throw invalid('error: --username required when using --protected')
  if ((values.password ?? '') === '') throw invalid('error: --password required when using --protected')
  return { user: values.username ?? '', password: values.password ?? '' }
}

/** The visitors that have to log in. @throws GatewayError INVALID when that would be nobody */
export function visitorsOf(values: ProtectionValues, { stderr }: Pick<CliContext, 'stderr'>): SocketVisitors | undefined {
  const emails = values['allowed-email-addresses'].flat()
  const domains = values['allowed-email-domains'].flat()
  const groups = values['allowed-groups'].flat()
  if (!values.cloudauth) {
    if (groups.length > 0) throw invalid('error: --allowed-groups is for --cloudauth, which is missing; without it everybody could come')
    if (emails.length + domains.length > 0)
      throw invalid(
        'error: --allowed_email_addresses and --allowed_email_domains are for --cloudauth, which is missing; without it everybody could come',
      )
    return undefined
  }
  const bad = emails.filter(email => !EMAIL.test(email))
  for (const email of bad) stderr.write(`Warning: ignoring invalid email ${JSON.stringify(email)}\n`)
  const good = emails.filter(email => EMAIL.test(email))
  if (emails.length > 0 && good.length + domains.length === 0 && groups.length > 0)
    throw invalid('error: none of --allowed_email_addresses is an e-mail address; everybody of --allowed-groups could come')
  if (good.length + domains.length + groups.length === 0)
    throw invalid(
      'No Email or Email Domains were provided.\nNo-one will have access.\nGive --allowed_email_addresses or --allowed_email_domains',
    )
  return { emails: good, domains, ...(groups.length > 0 && { groups }) }
}

/** Values of --proxy-protocol. */
export type ProxyChoice = 'off' | 'v1' | 'v2'

/** The version that is meant; null: none. */
export const proxyVersion = (choice: ProxyChoice): ProxyVersion | null => (choice === 'off' ? null : choice === 'v1' ? 1 : 2)

/** Options of commands that say in which way the service behind a socket is asked. */
export interface UpstreamValues {
  readonly 'upstream-type': string | undefined
  readonly 'upstream-http-hostname': string | undefined
}

/**
 * The way in which the service is asked; null: as type and public name say; undefined: no option says it.
 * @param before  stays where no option says otherwise
 * @throws GatewayError INVALID in the words of the client of 2022
 */
export function upstreamOf(values: UpstreamValues, before: SocketUpstream | null = null): SocketUpstream | null | undefined {
  const protocol = values['upstream-type']
  const hostname = values['upstream-http-hostname']
  if (protocol === undefined && hostname === undefined) return undefined
  if (protocol !== undefined && protocol !== '' && protocol !== 'http' && protocol !== 'https')
    throw invalid('error: --upstream_type should be either http, https')
  const of = { protocol: protocol ?? before?.protocol, hostname: hostname ?? before?.hostname }
  const wanted = { ...(of.protocol && { protocol: of.protocol as 'http' | 'https' }), ...(of.hostname && { hostname: of.hostname }) }
  return Object.keys(wanted).length === 0 ? null : wanted
}

/** The options of `socket create` and `connect` as a request. @throws GatewayError INVALID in the words of the client of 2021 */
export function socketRequest(
  values: ProtectionValues &
    UpstreamValues & {
      readonly name: string
      readonly type: string
      readonly label: string | undefined
      readonly 'custom-domain': readonly string[]
      readonly balance: Balance | undefined
      readonly 'proxy-protocol': ProxyChoice | undefined
    },
  context: Pick<CliContext, 'stderr'>,
): SocketRequest {
  if (values.name === '') throw invalid('error: empty name not allowed')
  if (!TYPES.includes(values.type)) throw invalid('error: --type should be either http, https, tcp or tls')
  const password = passwordOf(values)
  const visitors = visitorsOf(values, context)
  const upstream = upstreamOf(values)
  return {
    name: values.name,
    type: values.type as SocketType,
    ...(password !== undefined && { password }),
    ...(visitors !== undefined && { visitors }),
    ...(values.label !== undefined && { label: values.label }),
    ...(values['custom-domain'].length > 0 && { customDomains: values['custom-domain'] }),
    ...(values.balance !== undefined && { balance: values.balance }),
    ...(values['proxy-protocol'] !== undefined && { proxyProtocol: proxyVersion(values['proxy-protocol']) }),
    ...(upstream && { upstream }),
  }
}
