/** Requests and replies of the dialect that the client of 2021 speaks. Unknown members are ignored; names are spelled as on its wire. */
import { z } from 'zod'
import type { NewSocket, Socket, Tunnel } from '../service/model.ts'
import { email, password, publicKeyLine, text } from './schema.ts'
import { portsOf, sshUserOf } from './views.ts'

/** Three s's. */
const EMAILS = 'cloud_authentication_email_allowed_addressses'
const DOMAINS = 'cloud_authentication_email_allowed_domains'

/** A socket made by POST /connect goes a day after its last tunnel: the old client reconnects for ever. */
export const CONNECT_EPHEMERAL_MS = 24 * 3_600_000

const flag = z.boolean({ error: 'expected true or false' }).nullish()
const credential = text(200, 0).nullish()
const list = z.array(text(254, 0), { error: 'expected a list of text' }).max(200).nullish()

/** Sockets of type database had a login of their own. Whoever gives one here expects that it is used. */
const noDatabase = z
  .literal('', { error: 'only sockets of type database log in to their service, and this service has none; leave it out' })
  .nullish()

export const compatibleSocketRequest = z
  .object({
    name: text(200, 0).nullish(),
    socket_type: z
      .string({ error: 'expected text' })
      .transform(value => (value === '' ? 'http' : value.toLowerCase()))
      .pipe(z.enum(['http', 'https', 'tcp', 'tls'], { error: 'expected http, https, tcp or tls' }))
      .nullish(),
    protected_socket: flag,
    protected_username: credential,
    protected_password: credential,
    cloud_authentication_enabled: flag,
    [EMAILS]: list,
    [DOMAINS]: list,
    upstream_type: z
      .string({ error: 'expected text' })
      .transform(value => value.toLowerCase())
      .pipe(z.enum(['', 'http', 'https'], { error: 'expected http or https' }))
      .nullish(),
    upstream_http_hostname: text(260, 0).nullish(),
    upstream_username: noDatabase,
    upstream_password: noDatabase,
  })
  .meta({ id: 'CompatibleNewSocket' })

/** The old client sends a list with one empty entry where it means none. */
const entries = (values: readonly string[] | null | undefined): string[] => (values ?? []).filter(value => value.trim() !== '')

/** Returns the request in the words of the rules, which check it. */
export function socketRequestOf(body: z.output<typeof compatibleSocketRequest>): NewSocket {
  const { name, socket_type: type, protected_socket: isProtected, protected_username: user, protected_password: secret } = body
  const { upstream_type: protocol, upstream_http_hostname: hostname } = body
  const upstream = { ...(protocol && { protocol }), ...(hostname && { hostname }) }
  const visitors = { emails: entries(body[EMAILS]), domains: entries(body[DOMAINS]) }
  return {
    name: name ?? '',
    ...(typeof type === 'string' && { type }),
    ...(isProtected === true && { password: { user: user ?? '', password: secret ?? '' } }),
    ...(body.cloud_authentication_enabled === true && { visitors }),
    ...(Object.keys(upstream).length > 0 && { upstream }),
  }
}

/** Names of the rules → names of this dialect, for the details of INVALID. */
const NAMES: readonly (readonly [string, string])[] = [
  ['password.user', 'protected_username'],
  ['password.password', 'protected_password'],
  ['visitors.emails', EMAILS],
  ['visitors.domains', DOMAINS],
  ['upstream.protocol', 'upstream_type'],
  ['upstream.hostname', 'upstream_http_hostname'],
  ['upstream', 'upstream_type'],
  ['password', 'protected_socket'],
  ['visitors', 'cloud_authentication_enabled'],
  ['type', 'socket_type'],
  ['publicKey', 'ssh_public_key'],
  ['sshKey', 'sshkey'],
  ['line', 'sshkey'],
]
/** An account has a password too. */
const NAMES_OF_ACCOUNTS: readonly (readonly [string, string])[] = NAMES.filter(([ours]) => !ours.startsWith('password'))

/** Returns the name that the client knows. @param path  of the operation, which decides what `password` is */
export function compatiblePath(faultPath: string, path: string): string {
  const names = path === '/user' || path === '/login' ? NAMES_OF_ACCOUNTS : NAMES
  const found = names.find(([ours]) => faultPath === ours || (/^[.[]/.test(faultPath.slice(ours.length)) && faultPath.startsWith(ours)))
  return found === undefined ? faultPath : found[1] + faultPath.slice(found[0].length)
}

export const compatibleTunnel = z
  .object({
    tunnel_id: z.string(),
    local_port: z.int(),
    tunnel_server: z.string(),
  })
  .meta({ id: 'CompatibleTunnel' })

export const compatibleSocket = z
  .object({
    socket_id: z.string(),
    name: z.string(),
    dnsname: z.string(),
    socket_type: z.string(),
    socket_tcp_ports: z.array(z.int()),
    protected_socket: z.boolean(),
    protected_username: z.string(),
    protected_password: z.string(),
    cloud_authentication_enabled: z.boolean(),
    [EMAILS]: z.array(z.string()),
    [DOMAINS]: z.array(z.string()),
    upstream_type: z.string(),
    upstream_http_hostname: z.string(),
    user_name: z.string(),
    ssh_ca: z.string(),
    tunnels: z.array(compatibleTunnel),
  })
  .meta({ id: 'CompatibleSocket' })

export const compatibleAccount = z
  .object({
    name: z.string(),
    email: z.string(),
    user_id: z.string(),
    user_name: z.string(),
    sshkey: z.string(),
  })
  .meta({ id: 'CompatibleAccount' })

/** Clients since 2021-03 send an empty text where they have none. */
const keyOrNone = z
  .string({ error: 'expected text' })
  .transform(value => value.trim())
  .pipe(text(20_000, 0))

export const compatibleSignUp = z.object({ name: text(200), email, password, sshkey: keyOrNone.nullish() }).meta({ id: 'CompatibleSignUp' })
export const compatibleLogin = z.object({ email, password }).meta({ id: 'CompatibleLogin' })
export const compatibleKey = z.object({ ssh_public_key: publicKeyLine })

/** A tunnel as the old client reads it. */
export const compatibleTunnelView = ({ id, relayPort, server }: Tunnel): z.output<typeof compatibleTunnel> => ({
  tunnel_id: id,
  local_port: relayPort,
  tunnel_server: server,
})

/** Does a socket have an authority by which its visitors log in with SSH? */
export const hasSshAuthority = ({ type, visitors }: Socket): boolean => visitors !== null && (type === 'tcp' || type === 'tls')

/**
 * A socket as the old client reads it.
 * @param url    where visitors reach it
 * @param sshCa  a line for TrustedUserCAKeys; empty: it has none
 */
export const compatibleSocketView = (socket: Socket, url: string, sshCa: string): z.output<typeof compatibleSocket> => ({
  socket_id: socket.id,
  name: socket.name,
  dnsname: socket.dnsName,
  socket_type: socket.type,
  socket_tcp_ports: [...portsOf(socket, url)],
  protected_socket: socket.password !== null,
  protected_username: socket.password?.user ?? '',
  protected_password: socket.password?.password ?? '',
  cloud_authentication_enabled: socket.visitors !== null,
  [EMAILS]: [...(socket.visitors?.emails ?? [])],
  [DOMAINS]: [...(socket.visitors?.domains ?? [])],
  upstream_type: socket.upstream?.protocol ?? '',
  upstream_http_hostname: socket.upstream?.hostname ?? '',
  user_name: sshUserOf(socket.accountId),
  ssh_ca: sshCa,
  tunnels: socket.tunnels.map(compatibleTunnelView),
})
