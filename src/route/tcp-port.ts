/** Public port → origin, for connections that are carried as they are. */
import { AddressRanges } from '../address/address-ranges.ts'
import { formatHostPort } from '../address/host-port.ts'
import type { Access } from './access.ts'
import type { Owner, Pool } from './target.ts'

/** Where the connections of a port, or of one name on it, go. */
export interface TcpRoute {
  /** The TLS name (SNI) as it stands in the file: exact, `*.x` or `*`; `*` where the port has no names. */
  readonly name: string
  /** Canonical host of the origin, IPv6 without brackets. */
  readonly hostname: string
  readonly port: number
  /** Inner layers that may serve it; undefined: any connected one of its pool. */
  readonly identifiers: readonly string[] | undefined
  readonly pool?: Pool | undefined
  /** Of a socket of the service. */
  readonly owner?: Owner | undefined
  /** The inner layer ends TLS itself, by its own rules for the name: no origin is named here. */
  readonly endsTls?: true | undefined
}

/** The treatment of TLS at a port: none, ending it, or reading the name in its first message and carrying it on unopened. */
export type TcpTls = 'none' | 'terminate' | 'passthrough'

/** The people who may come to a port of a socket of the service. */
export interface PortVisitors {
  /** PEM of those that certify them. */
  readonly authorities: string
  readonly access: Access
  /** HOST:PORT of the socket, as its tunnels have it. */
  readonly name: string
}

/** Options of a port. */
export interface TcpPortOptions {
  /** The key in the file: a port, or the range that this one is from. */
  readonly key: string
  /** 1-based line of the key. */
  readonly line: number
  readonly port: number
  /** Address to listen on; undefined: all of them. */
  readonly host: string | undefined
  readonly tls: TcpTls
  /** File with the authorities of which a client certificate is demanded. */
  readonly clientCa: string | undefined
  /** File with lists of what these have revoked; absent: nothing is asked of them. */
  readonly clientCrl?: string | undefined
  /** Names that such a certificate has to have one of; none: every one will do. */
  readonly clientNames: readonly string[]
  /** People who may come, by a certificate that the service gave them when they had logged in; absent: nobody is asked for one. */
  readonly visitors?: PortVisitors | undefined
  /** Addresses of clients, as `AddressRanges` takes them; undefined: everybody. */
  readonly allow: readonly string[] | undefined
  /** Addresses that are refused whatever `allow` says. */
  readonly deny: readonly string[]
  readonly maxConnections: number
  /** The same for each address, IPv6 by /64. */
  readonly maxConnectionsPerAddress: number
  /** Ends a connection on which nothing has moved for this long, milliseconds; 0: never. */
  readonly idleMs: number
  /** Version of the PROXY protocol that the origin is spoken to with, 0: none. */
  readonly proxyProtocol: 0 | 1 | 2
  /** Says in version 2 who the client has proven to be. */
  readonly tellsIdentity: boolean
  /** Connections are shown to the inspector of the outer layer, where it has one. */
  readonly isInspected?: true | undefined
  /** With distinct canonical names. */
  readonly routes: readonly TcpRoute[]
}

/** One configured port, frozen. */
export class TcpPort {
  readonly #allow: AddressRanges | undefined
  readonly #deny: AddressRanges
  readonly #exact = new Map<string, TcpRoute>()
  /** Keyed by what follows `*.`. */
  readonly #wildcard = new Map<string, TcpRoute>()
  readonly #any: TcpRoute | undefined

  /** @throws RangeError for an entry of `allow` or `deny` that is no range */
  constructor(readonly options: TcpPortOptions) {
    this.#allow = options.allow === undefined ? undefined : new AddressRanges(options.allow)
    this.#deny = new AddressRanges(options.deny)
    for (const route of options.routes) {
      if (route.name === '*') this.#any = route
      else if (route.name.startsWith('*.')) this.#wildcard.set(route.name.slice(2), route)
      else this.#exact.set(route.name, route)
    }
    Object.freeze(this)
  }

  /** May a client with this address connect? */
  admits(address: string): boolean {
    return !this.#deny.has(address) && (this.#allow === undefined || this.#allow.has(address))
  }

  /**
   * The route of a TLS name: exact before `*.x` before `*`.
   * @param name  canonical; undefined where the client sent none or the port speaks no TLS
   */
  routeOf(name: string | undefined): TcpRoute | undefined {
    if (name === undefined) return this.#any
    const exact = this.#exact.get(name)
    if (exact !== undefined) return exact
    const dot = name.indexOf('.')
    return (dot > 0 ? this.#wildcard.get(name.slice(dot + 1)) : undefined) ?? this.#any
  }
}

/** Host and port of the origin, IPv6 in brackets. */
export const addressOf = ({ hostname, port }: { readonly hostname: string; readonly port: number }): string =>
  formatHostPort({ host: hostname, port })
