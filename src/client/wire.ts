/** JSON of `/api/v1`, as the API writes it; a test holds these types against its schemas. Times are RFC 3339 in UTC. */

export type * from './seen-requests.ts'

export type SocketType = 'http' | 'https' | 'tcp' | 'tls'
export type Role = 'user' | 'auditor' | 'admin'
export type Scope = 'read' | 'sockets' | 'connect' | 'account' | 'admin'
export type Balance = 'least' | 'round-robin' | 'address'
/** Public half of a key, RFC 7517. */
export type Jwk = Readonly<Record<string, string>>

/** A name and a password that visitors of a socket have to give. */
export interface SocketPassword {
  readonly user: string
  /** In replies only to the call that set it, else empty. */
  readonly password: string
}

/** The visitors of a socket that have to log in first. */
export interface SocketVisitors {
  readonly emails: readonly string[]
  readonly domains: readonly string[]
  /** The visitor has to be in one of them as well, or at all, where neither addresses nor domains are named; absent: none is asked for. */
  readonly groups?: readonly string[] | undefined
}

/** Another way to ask the service behind a socket of type http or https than its type and its public name say. */
export interface SocketUpstream {
  readonly protocol?: 'http' | 'https' | undefined
  /** For Host and SNI, with a port where there is one. */
  readonly hostname?: string | undefined
}

/** Versions of the PROXY protocol. */
export type ProxyVersion = 1 | 2

/** A socket to be made. */
export interface SocketRequest {
  readonly name: string
  /** Default http. */
  readonly type?: SocketType | undefined
  /** A first label of its public name, a right that an admin gives. */
  readonly label?: string | undefined
  readonly customDomains?: readonly string[] | undefined
  readonly password?: SocketPassword | null | undefined
  readonly visitors?: SocketVisitors | null | undefined
  readonly balance?: Balance | undefined
  /** True: requests that come to it are recorded for its owner, where the gateway does so; default: it is not. */
  readonly inspect?: boolean | undefined
  /** Version of the PROXY protocol in which the service behind it is told who comes; only of type tcp and tls; default null: in none. */
  readonly proxyProtocol?: ProxyVersion | null | undefined
  /** Only of type http and https; default null. */
  readonly upstream?: SocketUpstream | null | undefined
  /** The socket goes when no tunnel was up for so long; absent: it stays, but one by `connect` goes after 60 s. */
  readonly ephemeralSeconds?: number | undefined
}

/** A change of a socket; what is absent stays. */
export type SocketChange = Partial<
  Pick<SocketRequest, 'name' | 'password' | 'visitors' | 'balance' | 'customDomains' | 'inspect' | 'proxyProtocol' | 'upstream'>
>

export interface Tunnel {
  readonly id: string
  readonly socketId: string
  readonly relayPort: number
  /** Address of the gateway that it was last connected to; empty before. */
  readonly server: string
  readonly isConnected: boolean
  readonly connectedFrom: string | null
  readonly lastConnectedAt: string | null
  readonly createdAt: string
}

export interface Socket {
  readonly id: string
  readonly accountId: string
  readonly name: string
  readonly type: SocketType
  readonly dnsName: string
  /** Where visitors go: https://… for http and https, tcp://HOST:PORT, tls://HOST:PORT. */
  readonly url: string
  readonly customDomains: readonly string[]
  /** [80, 443] for http and https, or the one of the gateway where it has others; the public port otherwise. */
  readonly ports: readonly number[]
  readonly password: SocketPassword | null
  readonly visitors: SocketVisitors | null
  readonly balance: Balance
  readonly inspect: boolean
  readonly proxyProtocol: ProxyVersion | null
  readonly upstream: SocketUpstream | null
  readonly limits: { readonly requestsPerSecond: number; readonly concurrency: number; readonly maxConnections: number }
  readonly isEphemeral: boolean
  readonly state: 'active' | 'suspended'
  readonly tunnels: readonly Tunnel[]
  readonly createdAt: string
  readonly updatedAt: string
  /** For `ifMatch`. */
  readonly etag: string
}

/** A share link to be made. */
export interface ShareRequest {
  /** This path, and everything below it; default `/`, which is all. */
  readonly path?: string | undefined
  /** Default GET and HEAD; `*`: every method. */
  readonly methods?: readonly string[] | undefined
  /** Default: in a day. */
  readonly expiresAt?: string | undefined
  readonly maxUses?: number | undefined
  /** The person that it is for, who has to log in. */
  readonly email?: string | undefined
}

/** A link that lets visitors in at a socket. */
export interface Share {
  readonly id: string
  readonly socketId: string
  readonly path: string
  readonly methods: readonly string[]
  readonly email: string | null
  readonly maxUses: number | null
  /** Null where that is not limited. */
  readonly uses: number | null
  readonly createdAt: string
  readonly expiresAt: string
  readonly usedAt: string | null
}

/** A link that was just made. */
export interface IssuedShare extends Share {
  readonly url: string
}

/** By which an inner layer serves a tunnel. */
export interface TunnelCredentials {
  readonly tunnelId: string
  readonly identifier: string
  readonly kid: string
  readonly linkUrls: readonly string[]
  readonly expiresAt: string
}

/** All that `connect` needs. */
export interface Connection {
  readonly socket: Socket
  readonly tunnel: Tunnel
  /** Null where the request had no key. */
  readonly credentials: TunnelCredentials | null
}

export interface AccountLimits {
  readonly http?: number | undefined
  readonly tcp?: number | undefined
  readonly tunnels?: number | undefined
  readonly logWatchers?: number | undefined
  readonly creationsPerHour?: number | undefined
  readonly requestsPerSecond?: number | undefined
  readonly concurrency?: number | undefined
  readonly maxConnections?: number | undefined
  readonly bytesPerDay?: number | undefined
  readonly interstitial?: boolean | undefined
  readonly vanity?: boolean | undefined
  readonly customDomains?: boolean | undefined
}

export interface Account {
  readonly id: string
  readonly name: string
  readonly email: string
  /** User name for SSH: the id without its dashes. */
  readonly sshUser: string
  readonly role: Role
  readonly state: 'pending' | 'active' | 'suspended'
  /** Its own, where an admin has given it some. */
  readonly limits: AccountLimits
  /** All that count for it, those of the service among them. */
  readonly limitsInForce: { readonly [Name in keyof AccountLimits]-?: NonNullable<AccountLimits[Name]> }
  readonly createdAt: string
  readonly confirmedAt: string | null
}

export interface SshKey {
  readonly id: string
  readonly fingerprint: string
  readonly algorithm: string
  readonly line: string
  readonly comment: string
  readonly createdAt: string
  /** The last login by it; null: there was none. */
  readonly usedAt: string | null
}

/** A login. */
export interface Login {
  readonly token: string
  readonly accountId: string
  readonly expiresAt: string
}

/** A token that is shown once. */
export interface IssuedToken {
  readonly id: string
  readonly token: string
  readonly expiresAt: string | null
}

export interface ApiToken {
  readonly id: string
  readonly name: string
  readonly scopes: readonly Scope[]
  readonly createdAt: string
  readonly expiresAt: string | null
  readonly usedAt: string | null
}

/** The key of an inner layer that was enrolled by a join token. */
export interface InnerKey {
  readonly kid: string
  readonly identifiers: readonly string[]
  readonly createdAt: string
  readonly seenAt: string | null
  readonly revokedAt: string | null
  readonly isConnected: boolean
}

/** The rights that a join token gives to a key. */
export interface Joined {
  readonly kid: string
  readonly identifiers: readonly string[]
  readonly linkUrls: readonly string[]
}

export interface AuditEntry {
  readonly id: number
  readonly at: string
  readonly actor: string
  readonly actorKind: 'session' | 'token' | 'ssh' | 'anonymous' | 'system'
  readonly address: string
  readonly action: string
  readonly object: string
  readonly isRefused: boolean
  readonly details: Readonly<Record<string, unknown>>
}

/** Something that has happened to an account. */
export interface AccountEvent {
  readonly id: string
  readonly at: string
  /** Such as `tunnel.lost`. */
  readonly name: string
  readonly severity: 'info' | 'warning' | 'error'
  readonly subject: string
  readonly message: string
  readonly targets: readonly string[]
  readonly account: string | null
  readonly count: number
  readonly since: string | null
  readonly fields: Readonly<Record<string, string | number | readonly string[]>>
}

/** Conditions for events; an absent one is none. */
export interface EventQuery {
  readonly after?: string
  /** Name of an event, or the first part of names with `.*`. */
  readonly name?: string
  readonly severity?: AccountEvent['severity']
  readonly accountId?: string
  readonly all?: boolean
}

/** The use of a socket on one day. */
export interface Usage {
  /** Such as 2026-11-28, in UTC. */
  readonly day: string
  readonly socketId: string
  readonly requests: number
  readonly connections: number
  readonly bytesIn: number
  readonly bytesOut: number
}

/** A visitor of a socket, as the log of the socket has it. */
export interface LogLine {
  /** As `connect` prints it: combined format and response time, or the line of a connection. */
  readonly text: string
  /** RFC 3339. */
  readonly at?: string
  readonly [fact: string]: unknown
}

/** A page of a list; `next` is the cursor of the next one, null after the last. */
export interface Page<T> {
  readonly items: readonly T[]
  readonly next: string | null
}

/** Which page, and how long (1 to 100, default 50). */
export interface PageRequest {
  readonly cursor?: string | undefined
  readonly limit?: number | undefined
}

export interface Version {
  readonly version: string
  /** Release of the old client that the service stands for, where it has a download host. */
  readonly clientVersion: string | null
}
