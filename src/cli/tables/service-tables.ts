/** Objects of the service as tables: to the character those of the client of 2021, of which scripts read single lines. */
import type { Account, Socket, SshKey, Tunnel } from '../../client/wire.ts'
import { formatBox } from './box.ts'

const SOCKET_HEAD = ['SOCKET ID', 'DNS NAME', 'PORT(S)', 'TYPE', 'CLOUD AUTH', 'NAME']
const TUNNEL_HEAD = ['SOCKET ID', 'TUNNEL ID', 'TUNNEL SERVER', 'RELAY PORT']
const KEY_COLUMNS = 80

/** The part of a socket that its table shows. */
export type ShownSocket = Pick<Socket, 'id' | 'dnsName' | 'ports' | 'type' | 'visitors' | 'name' | 'password'> &
  Partial<Pick<Socket, 'upstream'>>

/** Sockets, one row for each. */
export const formatSockets = (sockets: readonly ShownSocket[]): string =>
  formatBox({
    head: SOCKET_HEAD,
    rows: sockets.map(({ id, dnsName, ports, type, visitors, name }) => [
      id,
      dnsName,
      ports.join(', '),
      type,
      String(visitors !== null),
      name,
    ]),
  })

/** One socket with what it asks of visitors, in further tables. */
export function formatSocket(socket: ShownSocket): string {
  const { password, visitors, upstream = null } = socket
  const parts = [formatSockets([socket])]
  if (password !== null)
    parts.push(`\nProtected Socket:\n${formatBox({ head: ['USERNAME', 'PASSWORD'], rows: [[password.user, password.password]] })}`)
  if (visitors !== null)
    parts.push(
      `\nCloud Authentication, login details:\n${formatBox({
        head: ['ALLOWED EMAIL ADDRESSES', 'ALLOWED EMAIL DOMAINS', ...(visitors.groups === undefined ? [] : ['ALLOWED GROUPS'])],
        rows: [[visitors.emails, visitors.domains, ...(visitors.groups === undefined ? [] : [visitors.groups])]],
      })}`,
    )
  if (upstream !== null)
    parts.push(
      `\nHTTP Options:\n${formatBox({
        head: ['UPSTREAM TYPE', 'UPSTREAM HOSTNAME'],
        rows: [[upstream.protocol ?? '', upstream.hostname ?? '']],
      })}`,
    )
  return parts.join('')
}

/** Tunnels of a socket. */
export const formatTunnels = (tunnels: readonly Pick<Tunnel, 'id' | 'socketId' | 'server' | 'relayPort'>[]): string =>
  formatBox({
    head: TUNNEL_HEAD,
    right: [3],
    rows: tunnels.map(({ id, socketId, server, relayPort }) => [socketId, id, server, String(relayPort)]),
  })

/** Pieces of at most so many characters. */
const pieces = (text: string, columns: number): readonly string[] =>
  Array.from({ length: Math.max(1, Math.ceil(text.length / columns)) }, (_, i) => text.slice(i * columns, (i + 1) * columns))

/** An account and its keys. */
export const formatAccount = ({ id, name, email }: Pick<Account, 'id' | 'name' | 'email'>, keys: readonly Pick<SshKey, 'line'>[]): string =>
  formatBox({
    rows: [
      ['Name', name],
      ['Email', email],
      ['User ID', id],
      ['SSH Username', id.replaceAll('-', '')],
      ['SSH Key', keys.length === 0 ? '' : keys.flatMap(({ line }) => pieces(line, KEY_COLUMNS))],
    ],
  })
