import { emailKey, type Access } from '../route/access.ts'
import { Policy } from '../route/policy.ts'
import type { AskedAs, Balance, BasicAuth, Health, Retries, Target, Treatment } from '../route/target.ts'
import { parseHost } from '../address/host.ts'
import { formatHostPort } from '../address/host-port.ts'
import type { Tunnel } from '../route/tunnel.ts'
import { TcpPort } from '../route/tcp-port.ts'
import type { DirectorySocket, SocketVisitors } from './directory.ts'
import { isEqual } from './is-equal.ts'
import type { SocketOwner } from './owner.ts'

/** No resolver knows these names (RFC 6761 §6.4), and each socket has its own, so that nobody blames one of them for another. */
export const SOCKET_DOMAIN = 'socket.invalid'

/** The treatment of what the tunnel's own end answers: it gets the host that the visitor has named, and nothing else is done. */
export const PLAIN_TREATMENT = Object.freeze({
  allow: undefined,
  deny: undefined,
  basicAuth: undefined,
  rate: undefined,
  concurrency: undefined,
  answer: undefined,
  pathMap: undefined,
  requestFields: undefined,
  responseFields: undefined,
  preserveHost: true,
  trustFields: undefined,
  addsVia: undefined,
  removeCsps: undefined,
})

/** One socket in force. */
export interface SocketEntry {
  readonly socket: DirectorySocket
  readonly owner: SocketOwner
  /** Of a socket of type http or https. */
  readonly target: Target | undefined
  /** Of the other types. */
  readonly port: TcpPort | undefined
  /** Of those of the other types that only some visitors may have. */
  readonly tunnel: Tunnel | undefined
}

/** The means by which a port finds out who comes. */
interface Doors {
  /** PEM of the authorities that certify visitors; empty: there are none. */
  readonly authorities: string
  /** Can any port end TLS? Those of type tls always do. */
  readonly endsTls: boolean
}

const POLICY = Policy.any()
const BY_ADDRESS: Balance = Object.freeze({ kind: 'address' })
/** The origin's certificate may be for any name: the tunnel is what is trusted. */
const UNVERIFIED = Object.freeze({ tls: Object.freeze({ verify: false }) })
/** The same, for an origin that is asked by a name of its own. One profile for all of them: a process has some thousands, and owners choose names. */
const UNVERIFIED_BY_HOST = Object.freeze({ tls: Object.freeze({ verify: false, servernameOfHost: true }) })
/** Where one of several tunnels has no origin behind it. */
const RETRIES = { attempts: 2, budgetPercent: 20 } as const
/** Where there is no other tunnel that could be asked instead, nothing is kept of failures. */
const NO_EJECTION: Health = Object.freeze({ check: undefined, failures: 0, ejectMs: 0 })
const NO_TOKENS = Object.freeze({ size: 0, has: () => false })
const NO_KEYS: ReadonlySet<string> = new Set()
const NO_SHARES: SocketOwner['shares'] = Object.freeze([])
const NOBODY: readonly string[] = Object.freeze([])

/**
 * What is served for a socket. Everything that somebody counts by stays the same object as long as its part of the socket is the same:
 * limits do not begin anew, and nobody has to log in again, when a tunnel comes.
 */
export function createSocketEntry(
  socket: DirectorySocket,
  owner: SocketOwner,
  { previous, ...doors }: Doors & { readonly previous: SocketEntry | undefined },
): SocketEntry {
  const isWeb = socket.type === 'http' || socket.type === 'https'
  owner.shares = socket.shares ?? NO_SHARES
  if (isWeb) return { socket, owner, target: createTarget(socket, owner, previous), port: undefined, tunnel: undefined }
  // First, since it says who may come now.
  const tunnel = createTunnel(socket, owner, { previous, authorities: doors.authorities })
  return { socket, owner, target: undefined, port: createPort(socket, owner, tunnel, doors), tunnel }
}

function createTarget(socket: DirectorySocket, owner: SocketOwner, previous: SocketEntry | undefined): Target {
  const { type, dnsName, tunnelIds, upstream } = socket
  const protocol = upstream?.protocol ?? (type === 'https' ? 'https' : 'http')
  const isSecure = protocol === 'https'
  const port = isSecure ? 443 : 80
  const askedAs = upstream?.hostname === undefined ? undefined : askedBy(upstream.hostname, protocol, port)
  return Object.freeze({
    name: dnsName,
    line: 0,
    protocol,
    hostname: hostnameOf(socket),
    port,
    policy: POLICY,
    identifiers: tunnelIds,
    pool: 'tunnel',
    treatment: treatmentOf(socket, owner, previous),
    balance: balanceOf(socket, previous),
    health: tunnelIds.length > 1 ? undefined : NO_EJECTION,
    retries: previous?.target?.retries ?? (Object.freeze({ ...RETRIES }) as Retries),
    profile: !isSecure ? undefined : askedAs === undefined ? UNVERIFIED : UNVERIFIED_BY_HOST,
    ...(askedAs !== undefined && { askedAs }),
    owner,
    ...inspection(socket),
  })
}

function askedBy(authority: string, protocol: 'http' | 'https', usual: number): AskedAs {
  const { host, port = usual } = parseHost(authority)
  return Object.freeze({ host: authority, protocol, hostname: host.startsWith('[') ? host.slice(1, -1) : host, port })
}

const inspection = ({ inspect }: DirectorySocket): { readonly isInspected?: true } => (inspect === true ? { isInspected: true } : {})

/** Identities are told as web sockets tell them: the socket and the service behind it are one owner's. */
const introduction = ({ proxyProtocol }: DirectorySocket): Pick<Tunnel, 'proxyProtocol' | 'tellsIdentity'> => ({
  proxyProtocol: proxyProtocol ?? 0,
  tellsIdentity: proxyProtocol === 2,
})

const hostnameOf = ({ id }: DirectorySocket): string => `${id}.${SOCKET_DOMAIN}`

function treatmentOf(
  { password, visitors, limits, dnsName, interstitial = false }: DirectorySocket,
  owner: SocketOwner,
  previous: SocketEntry | undefined,
): Treatment {
  const before = previous?.owner === owner ? previous.target?.treatment : undefined
  const was = previous?.socket
  if (
    before !== undefined &&
    isEqual([password, visitors, limits, interstitial], [was?.password, was?.visitors, was?.limits, was?.interstitial ?? false])
  )
    return before
  const basicAuth: BasicAuth | undefined =
    password === null
      ? undefined
      : before?.basicAuth !== undefined && isEqual(password, was?.password)
        ? before.basicAuth
        : Object.freeze({ realm: dnsName, users: new Map([[password.user, password.hash]]), forwards: false, session: true })
  const { requestsPerSecond, concurrency } = limits
  // Who is logged in is judged by the same rule as long as it says the same.
  if (before === undefined || !isEqual(visitors, was?.visitors)) owner.latest = accessOf(visitors, owner)
  return Object.freeze({
    ...PLAIN_TREATMENT,
    basicAuth,
    access: owner.latest,
    rate: Object.freeze({
      perSecond: requestsPerSecond,
      burst: Math.max(1, Math.ceil(requestsPerSecond)),
      header: undefined,
      isShared: true,
    }),
    concurrency,
    // Whoever logs in reads a page of ours anyhow.
    ...(interstitial && visitors === null && { hasInterstitial: true }),
  } as const)
}

/** People whom a login has to show; undefined: everybody may come. Addresses that the gateway cannot compare let nobody in. */
function accessOf(visitors: SocketVisitors | null, owner: SocketOwner): Access | undefined {
  if (visitors === null) return undefined
  const login = Object.freeze({
    providers: undefined,
    emails: new Set(visitors.emails.map(emailKey).filter(key => key !== undefined)),
    domains: new Set(visitors.domains.map(domain => domain.toLowerCase())),
    groups: new Set(visitors.groups),
    claims: new Map<string, ReadonlySet<string>>(),
    anyone: false,
    origins: new Set<string>(),
  })
  return Object.freeze({
    login,
    tokens: false,
    jwt: [],
    certificates: undefined,
    public: undefined,
    sessionMs: undefined,
    ofSocket: owner,
  })
}

function balanceOf({ balance }: DirectorySocket, previous: SocketEntry | undefined): Balance | undefined {
  if (balance === 'least') return undefined
  if (balance === 'address') return BY_ADDRESS
  const before = previous?.target?.balance
  return before?.kind === 'round-robin' ? before : Object.freeze({ kind: 'round-robin' })
}

function createTunnel(
  socket: DirectorySocket,
  owner: SocketOwner,
  { previous, authorities }: Pick<Doors, 'authorities'> & { readonly previous: SocketEntry | undefined },
): Tunnel | undefined {
  const { dnsName, tunnelIds, limits, visitors } = socket
  const before = previous?.owner === owner ? previous : undefined
  // As for web sockets: who has something open is judged by the same rule as long as it says the same.
  if (before === undefined || !isEqual(visitors, before.socket.visitors)) owner.latest = accessOf(visitors, owner)
  if (visitors === null) return undefined
  const port = socket.port!
  return Object.freeze({
    name: formatHostPort({ host: dnsName, port }),
    line: 0,
    hostname: hostnameOf(socket),
    port,
    identifiers: tunnelIds,
    pool: 'tunnel',
    owner,
    allow: undefined,
    tokens: NO_TOKENS,
    users: undefined,
    keys: NO_KEYS,
    access: owner.latest,
    authorities: authorities === '' ? undefined : authorities,
    maxConnections: limits.maxConnections,
    idleMs: 0,
    ...introduction(socket),
    ...inspection(socket),
  })
}

function createPort(socket: DirectorySocket, owner: SocketOwner, tunnel: Tunnel | undefined, { authorities, endsTls }: Doors): TcpPort {
  const { type, tunnelIds, limits, password } = socket
  const port = socket.port!
  const { maxConnections } = limits
  const canAsk = authorities !== '' && (endsTls || type === 'tls')
  const access = tunnel?.access
  const visitors = access !== undefined && canAsk ? Object.freeze({ authorities, access, name: tunnel!.name }) : undefined
  // A password can be asked for nowhere here, and who comes not everywhere: what only some may have, nobody gets then.
  const isForAll = access === undefined || visitors !== undefined
  return new TcpPort({
    key: String(port),
    line: 0,
    port,
    host: undefined,
    tls: type === 'tls' || visitors !== undefined ? 'terminate' : 'none',
    clientCa: undefined,
    clientNames: [],
    visitors,
    allow: password === null && isForAll ? undefined : NOBODY,
    deny: NOBODY,
    maxConnections,
    maxConnectionsPerAddress: maxConnections,
    idleMs: 0,
    ...introduction(socket),
    ...inspection(socket),
    routes: [{ name: '*', hostname: hostnameOf(socket), port, identifiers: tunnelIds, pool: 'tunnel', owner }],
  })
}
