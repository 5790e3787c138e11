/** Private access: services behind the gateway that whoever has credentials for them may open a connection to. */
import { isIP } from 'node:net'
import { GatewayError } from '../errors.ts'
import type { AddressRanges } from '../address/address-ranges.ts'
import { parseHostPort } from '../address/host-port.ts'
import { parseOriginHost } from '../address/host.ts'
import type { Access } from './access.ts'
import type { BasicAuth, Owner, Pool } from './target.ts'
import { addressOf } from './tcp-port.ts'

/** One service, and who may open it. Frozen. */
export interface Tunnel {
  /** HOST:PORT as it stands behind `/tunnel/`: lower case, IPv6 in brackets. */
  readonly name: string
  readonly line: number
  /** The host that the inner layer connects to, IPv6 without brackets. */
  readonly hostname: string
  readonly port: number
  readonly identifiers: readonly string[] | undefined
  readonly pool?: Pool | undefined
  /** Of a socket of the service. */
  readonly owner?: Owner | undefined
  /** Addresses of clients that may come; undefined: all. */
  readonly allow: AddressRanges | undefined
  /** Is it one of the tokens that open it? Takes as long whichever it is. */
  readonly tokens: { readonly size: number; has(token: string): boolean }
  readonly users: BasicAuth | undefined
  /** RFC 7638 thumbprints of the keys that open it. */
  readonly keys: ReadonlySet<string>
  /** People and programs that open it by proving who they are; undefined: none. */
  readonly access: Access | undefined
  /** Of a socket, PEM of the authorities whose certificates people get when they log in: asked for by its host at the app port. Absent: there are none. */
  readonly authorities?: string | undefined
  readonly maxConnections: number
  /** 0: never. */
  readonly idleMs: number
  /** Version of the PROXY protocol that the origin is spoken to with, 0: none. */
  readonly proxyProtocol: 0 | 1 | 2
  /** Says in version 2 who the client has proven to be. */
  readonly tellsIdentity: boolean
  /** Connections are shown to the inspector of the outer layer, where it has one. */
  readonly isInspected?: true | undefined
}

/**
 * Reads HOST:PORT.
 * @throws GatewayError BAD_HOST
 */
export function parseTunnelName(text: string): Pick<Tunnel, 'name' | 'hostname' | 'port'> {
  const { host, port } = parseHostPort(text) ?? { host: '', port: 0 }
  if (host === '' || port === 0) throw new GatewayError('BAD_HOST', `${JSON.stringify(text)} is not HOST:PORT`)
  if (text.startsWith('[') && isIP(host) !== 6) throw new GatewayError('BAD_HOST', `${JSON.stringify(host)} is no IPv6 address`)
  const hostname = parseOriginHost(host)
  return { name: addressOf({ hostname, port }), hostname, port }
}

/** Tunnels by their name. */
export type Tunnels = ReadonlyMap<string, Tunnel>
