/** Host → target. */
import { GatewayError } from '../errors.ts'
import { bracketed, formatHostPort } from '../address/host-port.ts'
import { parseTargetHost } from '../address/host.ts'
import type { Target } from './target.ts'
import type { TcpPort } from './tcp-port.ts'
import type { Tunnel, Tunnels } from './tunnel.ts'

export type { Target } from './target.ts'

const DEFAULT_PORT = { http: 80, https: 443 } as const

/** Host and port of the origin as a Host header has them: IPv6 in brackets, the default port left out. RFC 9110 §4.2.3. */
export const authorityOf = (target: Pick<Target, 'protocol' | 'hostname' | 'port'>): string => {
  const { hostname, port } = target
  return port === DEFAULT_PORT[target.protocol] ? bracketed(hostname) : formatHostPort({ host: hostname, port })
}

/** Scheme and authority of the origin, such as `https://my.private.api` or `http://[::1]:8080`. */
export const originOf = (target: Pick<Target, 'protocol' | 'hostname' | 'port'>): string => `${target.protocol}://${authorityOf(target)}`

/** A value that was read as it stands and was probably meant otherwise. */
export interface Doubt {
  /** 1-based. */
  readonly line: number
  /** Its keys, such as `targets."a.example".timeouts.head`. */
  readonly path: string
  readonly message: string
}

/** The parts of a table beside its targets. */
export interface Sections {
  readonly tcp?: readonly TcpPort[]
  readonly tunnels?: Tunnels
  /** Names of the app port whose TLS ends at inner layers. */
  readonly blind?: readonly TcpPort[]
  readonly doubts?: readonly Doubt[]
}

/** The targets in force, whatever they come from. */
export interface TargetTable {
  /** Those of the operator. */
  readonly targets: readonly Target[]
  /** Each of these, followed by its routes; behind each that is split, its parts. */
  readonly all: readonly Target[]
  /** Public ports whose connections are carried as they are, in the order of their numbers. */
  readonly tcp: readonly TcpPort[]
  /** Services that are opened by `/tunnel/HOST:PORT`, by that name. */
  readonly tunnels: Tunnels
  /** The target of a host, also one that is not listed; none for a host of `blindName`. @param host  as `parseHost` gives it */
  match(host: string): Target | undefined
  /** The tunnel of a socket that only some may have, by its name. Absent: there are no sockets. */
  socketTunnel?(name: string): Tunnel | undefined
  /** The same by its host, as `parseHost` gives it. */
  tunnelOfHost?(host: string): Tunnel | undefined
  /** Is there any host of `blindName`? Absent: no. */
  readonly hasBlindNames?: boolean
  /** The rules of a host whose TLS is carried on unopened to an inner layer that ends it. Absent: there is none. @param host  as `parseHost` gives it */
  blindName?(host: string): TcpPort | undefined
  /** May only sockets of the service have this name? Absent: no name is such a one. */
  isOfSockets?(host: string): boolean
}

const withParts = (target: Target): readonly Target[] => (target.split === undefined ? [target] : [target, ...target.split.parts])

/** All targets of a file, frozen. Replace the table to change one. */
export class RouteTable implements TargetTable {
  readonly targets: readonly Target[]
  readonly all: readonly Target[]
  readonly tcp: readonly TcpPort[]
  readonly tunnels: Tunnels
  /** Names of the app port whose TLS ends at inner layers, in the order of the file. */
  readonly blind: readonly TcpPort[]
  /** For `targets check`. */
  readonly doubts: readonly Doubt[]
  readonly #exact = new Map<string, Target>()
  /** Keyed by what follows `*.`. */
  readonly #wildcard = new Map<string, Target>()
  /** Keyed by what follows `**.`. */
  readonly #below = new Map<string, Target>()
  #any: Target | undefined
  /** By pattern, exact or `*.x`. */
  readonly #blind: ReadonlyMap<string, TcpPort>

  /** @throws GatewayError BAD_HOST for a name that is no host pattern, CONFIG_INVALID for two targets with the same one */
  constructor(targets: readonly Target[], { tcp = [], tunnels = new Map(), blind = [], doubts = [] }: Sections = {}) {
    this.targets = Object.freeze([...targets])
    this.tcp = tcp
    this.tunnels = tunnels
    this.doubts = doubts
    this.all = Object.freeze(targets.flatMap(target => [target, ...(target.routes?.all ?? [])]).flatMap(withParts))
    this.blind = blind
    this.#blind = new Map(blind.map(port => [port.options.routes[0]!.name, port]))
    const seen = new Set<string>(this.#blind.keys())
    for (const target of targets) {
      const pattern = parseTargetHost(target.name)
      if (seen.has(pattern)) throw new GatewayError('CONFIG_INVALID', `two targets for host ${pattern}`)
      seen.add(pattern)
      if (pattern === '*') this.#any = target
      else if (pattern.startsWith('**.')) this.#below.set(pattern.slice(3), target)
      else if (pattern.startsWith('*.')) this.#wildcard.set(pattern.slice(2), target)
      else this.#exact.set(pattern, target)
    }
  }

  /**
   * The target of a host: exact before `*.x` before the longest `**.x` before `*`.
   * @param host as `parseHost` gives it
   */
  match(host: string): Target | undefined {
    const exact = this.matchExact(host)
    if (exact !== undefined || this.blindName(host) !== undefined) return exact
    return this.matchWildcard(host) ?? this.any
  }

  get hasBlindNames(): boolean {
    return this.#blind.size > 0
  }

  /** An exact name before a target that names the host, and both before a name `*.x`. */
  blindName(host: string): TcpPort | undefined {
    if (this.#blind.size === 0) return undefined
    return this.blindExact(host) ?? (this.#exact.has(host) ? undefined : this.blindWildcard(host))
  }

  /** The blind name that is this very host. */
  blindExact(host: string): TcpPort | undefined {
    return this.#blind.get(host)
  }

  /** The blind name `*.x` of a host. */
  blindWildcard(host: string): TcpPort | undefined {
    const dot = host.indexOf('.')
    return dot > 0 ? this.#blind.get(`*${host.slice(dot)}`) : undefined
  }

  /** The target that names this very host. */
  matchExact(host: string): Target | undefined {
    return this.#exact.get(host)
  }

  /** The target `*.x` of a host, or else the longest `**.x`. */
  matchWildcard(host: string): Target | undefined {
    const dot = host.indexOf('.')
    if (dot <= 0) return undefined
    const one = this.#wildcard.get(host.slice(dot + 1))
    if (one !== undefined || this.#below.size === 0) return one
    for (let at = dot; at > 0; at = host.indexOf('.', at + 1)) {
      const target = this.#below.get(host.slice(at + 1))
      if (target !== undefined) return target
    }
    return undefined
  }

  /** The target `*`. */
  get any(): Target | undefined {
    return this.#any
  }
}
