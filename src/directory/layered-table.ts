import { parseHost, parseTargetHost } from '../address/host.ts'
import type { Access } from '../route/access.ts'
import { Policy } from '../route/policy.ts'
import { RoutePath, Routes } from '../route/routes.ts'
import type { RouteTable, Target, TargetTable } from '../route/table.ts'
import type { TcpPort } from '../route/tcp-port.ts'
import type { Tunnel } from '../route/tunnel.ts'
import type { SocketTable } from './socket-table.ts'
import { PLAIN_TREATMENT, SOCKET_DOMAIN } from './socket-target.ts'

/** The name under which the service process serves its own hosts. No tunnel has it, since that is no id. */
export const SERVICE_IDENTIFIER = '@service'

/** Name by which that inner layer knows its own HTTP server; it resolves nowhere. */
export const SERVICE_HOST = `service.${SOCKET_DOMAIN}`

/**
 * The targets of the file with the sockets in between: exact names of the file, hosts of the service itself, sockets, `*.x` of the file,
 * `*` of the file. Names that a socket has beside the one of its zone go behind `*.x` as well. Sockets are found, and never listed. Targets that were
 * found (by their labels) go behind all that is the service's or a socket's.
 */
export class LayeredTable implements TargetTable {
  constructor(
    private readonly file: RouteTable,
    private readonly sockets: SocketTable,
    private readonly service: ReadonlyMap<string, Target>,
  ) {}

  get targets(): TargetTable['targets'] {
    return this.file.targets
  }

  get all(): TargetTable['all'] {
    return this.file.all
  }

  get tcp(): TargetTable['tcp'] {
    return this.file.tcp
  }

  get tunnels(): TargetTable['tunnels'] {
    return this.file.tunnels
  }

  match(host: string): Target | undefined {
    const { file } = this
    if (this.blindName(host) !== undefined) return undefined
    const own = this.#exact(host) ?? this.service.get(host)
    if (own !== undefined) return own
    const wildcard = file.matchWildcard(host)
    const entry = this.sockets.match(host)
    const isBefore = wildcard === undefined || wildcard.found !== undefined || entry?.socket.dnsName === host
    if (entry?.target !== undefined && isBefore) return entry.target
    return wildcard ?? file.any
  }

  /** The target of the file with exactly this name; what was found takes nothing that is the service's or a socket's. */
  #exact(host: string): Target | undefined {
    const exact = this.file.matchExact(host)
    return exact?.found !== undefined && ownerOf(host, this.service, this.sockets) !== undefined ? undefined : exact
  }

  get hasBlindNames(): boolean {
    return this.file.hasBlindNames
  }

  /** A name `*.x` is not for hosts that are somebody's already. */
  blindName(host: string): TcpPort | undefined {
    const { file } = this
    if (!file.hasBlindNames) return undefined
    const exact = file.blindExact(host)
    if (exact !== undefined) return exact
    const isTaken = this.#exact(host) !== undefined || this.service.has(host) || this.sockets.match(host)?.socket.dnsName === host
    return isTaken ? undefined : file.blindWildcard(host)
  }

  socketTunnel(name: string): Tunnel | undefined {
    const entry = this.sockets.match(name.slice(0, Math.max(0, name.lastIndexOf(':'))))
    return entry?.tunnel?.name === name ? entry.tunnel : undefined
  }

  tunnelOfHost(host: string): Tunnel | undefined {
    return this.sockets.match(host)?.tunnel
  }

  isOfSockets(host: string): boolean {
    return this.sockets.isInZone(host)
  }
}

/** A target that was found and is not in force, and whose its host is. */
export interface OverruledTarget {
  readonly target: Target
  readonly owner: 'service' | 'socket'
}

const ownerOf = (host: string, service: ReadonlyMap<string, Target>, sockets: SocketTable): OverruledTarget['owner'] | undefined => {
  if (service.has(host)) return 'service'
  return sockets.match(host) === undefined ? undefined : 'socket'
}

/** Targets that were found for a host of the service itself or of a socket, which whoever runs a container does not get; the operator may have one by hand. */
export function overruledIn(
  { targets }: Pick<TargetTable, 'targets'>,
  service: ReadonlyMap<string, Target>,
  sockets: SocketTable,
): readonly OverruledTarget[] {
  return targets.flatMap(target => {
    const owner = target.found === undefined ? undefined : ownerOf(parseTargetHost(target.name), service, sockets)
    return owner === undefined ? [] : [{ target, owner }]
  })
}

/** The portal, where people may log in by providers. */
export interface PortalHost {
  readonly host: string
  /** Names of the providers. */
  readonly providers: readonly string[]
}

/** The path of the portal at which a login by the provider whose name follows ends: the gateway asks there who comes, and says so to the service. */
export const PORTAL_SIGN_IN = '/portal/sign-in/'

/** The targets of the hosts of the service itself, such as its API. @throws GatewayError BAD_HOST */
export function serviceTargets(hosts: readonly string[], portal?: PortalHost): ReadonlyMap<string, Target> {
  return new Map(
    hosts.map(name => {
      const { host } = parseHost(name)
      const providers = portal === undefined || parseHost(portal.host).host !== host ? [] : portal.providers
      return [host, serviceTarget(host, providers)]
    }),
  )
}

const POLICY = Policy.any()

function serviceTarget(host: string, providers: readonly string[]): Target {
  const target = {
    name: host,
    line: 0,
    protocol: 'http',
    hostname: SERVICE_HOST,
    port: 80,
    policy: POLICY,
    identifiers: Object.freeze([SERVICE_IDENTIFIER]),
    pool: 'tunnel',
    absence: 'SERVICE_AWAY',
    treatment: PLAIN_TREATMENT,
  } as const
  if (providers.length === 0) return Object.freeze(target)
  const routes = providers.map((provider): Target => {
    const path = new RoutePath(`${PORTAL_SIGN_IN}${provider}`)
    return Object.freeze({ ...target, path, treatment: Object.freeze({ ...PLAIN_TREATMENT, access: accessBy(provider) }) })
  })
  return Object.freeze({ ...target, routes: new Routes(routes) })
}

/** Everybody whom the provider knows. */
const accessBy = (provider: string): Access =>
  Object.freeze({
    login: Object.freeze({
      providers: Object.freeze([provider]),
      emails: new Set<string>(),
      domains: new Set<string>(),
      groups: new Set<string>(),
      claims: new Map<string, ReadonlySet<string>>(),
      anyone: true,
      origins: new Set<string>(),
    }),
    tokens: false,
    jwt: [],
    certificates: undefined,
    public: undefined,
    sessionMs: undefined,
  })
