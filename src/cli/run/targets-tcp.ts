/** The part of `targets check` and `targets explain` about public TCP ports. */
import { parseHost } from '../../address/host.ts'
import type { RouteTable } from '../../route/table.ts'
import { addressOf, type TcpPort, type TcpRoute } from '../../route/tcp-port.ts'
import { printable } from '../../telemetry/pretty.ts'
import { formatTable } from '../command/table.ts'

const TLS = { none: '–', terminate: 'ended here', passthrough: 'passed through' } as const

const identifiersOf = ({ identifiers }: TcpRoute): string => identifiers?.join(', ') ?? 'any'

/** The origin of the first port of an entry, and of the last one where that is another. */
function originOf(ports: readonly TcpPort[], index: number): string {
  const [first, last] = [ports[0]!.options.routes[index]!, ports.at(-1)!.options.routes[index]!]
  return first.port === last.port ? addressOf(first) : `${addressOf(first)}-${last.port}`
}

/** A table of the public ports, an entry or a name of it per line; empty when there are none. */
export function formatTcpPorts(ports: readonly TcpPort[]): string {
  const keys = [...new Set(ports.map(({ options }) => options.key))]
  const entries = keys.map(key => ports.filter(({ options }) => options.key === key))
  const rows = entries.flatMap(entry => {
    const { key, routes, tls } = entry[0]!.options
    return routes.map((route, i) =>
      [key, tls === 'none' ? '' : route.name, originOf(entry, i), TLS[tls], identifiersOf(route)].map(printable),
    )
  })
  return rows.length === 0 ? '' : `${formatTable([['TCP PORT', 'NAME', 'ORIGIN', 'TLS', 'INNER LAYER'], ...rows])}\n`
}

/** A table of the names whose TLS ends at inner layers; empty when there are none. */
export function formatBlindNames(names: readonly TcpPort[]): string {
  const rows = names.map(({ options: { key, routes } }) => [key, identifiersOf(routes[0]!)].map(printable))
  return rows.length === 0 ? '' : `${formatTable([['BLIND NAME', 'INNER LAYER'], ...rows])}\n`
}

/** The trace of a connection that nobody made. */
export interface TcpExplanation {
  readonly text: string
  readonly isAllowed: boolean
}

/**
 * Says where a connection to a public port would go.
 * @param authority  `NAME:PORT` as the client connects, `:PORT` without a TLS name
 * @param file       name of the targets file, for places
 */
export function explainTcp(table: RouteTable, authority: string, file: string): TcpExplanation {
  const mark = authority.lastIndexOf(':')
  const [number = ''] = /^\d+$/.exec(authority.slice(mark + 1)) ?? []
  const host = authority.slice(0, Math.max(mark, 0))
  const port = table.tcp.find(({ options }) => options.port === Number(number))
  if (port === undefined)
    return { text: `refused: no entry of tcp has the port ${number === '' ? printable(authority) : number}\n`, isAllowed: false }
  const { key, line, tls, allow, deny, maxConnections, idleMs, proxyProtocol, tellsIdentity, clientCa, clientCrl, clientNames } =
    port.options
  const name = tls === 'none' || host === '' ? undefined : parseHost(host).host
  const route = port.routeOf(name)
  const rows: (readonly [string, string | undefined])[] = [
    ['port', `${number}, ${file}:${line}${key === number ? '' : ` (${key})`}`],
    [
      'tls',
      tls === 'none'
        ? undefined
        : `${TLS[tls]}${clientCa === undefined ? '' : `, client certificates of ${clientCa}${clientNames.length === 0 ? '' : ` named ${clientNames.join(' or ')}`}${clientCrl === undefined ? '' : `, on no list of ${clientCrl}`}`}`,
    ],
    ['name', tls === 'none' ? undefined : `${name ?? 'none'}${route === undefined || route.name === name ? '' : ` (${route.name})`}`],
    ['origin', route && addressOf(route)],
    ['by', route && (route.identifiers === undefined ? 'any inner layer' : `inner layer ${route.identifiers.join(' or ')}`)],
    ['clients', `${allow?.join(', ') ?? 'every address'}${deny.length === 0 ? '' : `, but not ${deny.join(', ')}`}`],
    ['connections', `at most ${maxConnections} at a time${idleMs === 0 ? '' : `, cut after ${idleMs} ms of silence`}`],
    [
      'proxy',
      proxyProtocol === 0
        ? undefined
        : `PROXY protocol version ${proxyProtocol}${tellsIdentity ? ', with who the client has proven to be' : ''}`,
    ],
  ]
  const facts = formatTable(rows.flatMap(([what, value]) => (value === undefined ? [] : [[what, printable(value)]])))
  const verdict = route === undefined ? 'refused: no entry of names matches (UNKNOWN_HOST)' : 'allowed: connections are carried as they are'
  return { text: `${facts}\n${verdict}\n`, isAllowed: route !== undefined }
}
