import type { SocketLimits, SocketType, SocketUpstream, SocketVisitors } from '../directory/directory.ts'

/** The right of an account: its own objects; reading all of them; changing all of them. */
export type Role = 'user' | 'auditor' | 'admin'

/** The right of an API token, beyond which its account's role does not reach. */
export type Scope = 'read' | 'sockets' | 'connect' | 'account' | 'admin'

/** The person or program that asks for something, proven. */
export interface Actor {
  readonly accountId: string
  readonly role: Role
  /** Undefined: all that the role allows. */
  readonly scopes: readonly Scope[] | undefined
  /** The proof of it: a login, an API token, an SSH key or certificate. */
  readonly kind: 'session' | 'token' | 'ssh'
  /** Of an API token that ends: when, milliseconds since 1970. */
  readonly endsAt?: number
  /** IP address from which it comes. */
  readonly address: string
}

/** The share of the service that one account may have; absent: the default of the service. */
export interface AccountLimits {
  /** Sockets of type http and https. */
  readonly http?: number
  /** Sockets of type tcp and tls. */
  readonly tcp?: number
  /** Tunnels of each socket. */
  readonly tunnels?: number
  readonly logWatchers?: number
  readonly creationsPerHour?: number
  readonly requestsPerSecond?: number
  readonly concurrency?: number
  readonly maxConnections?: number
  /** Bytes in a day (UTC), in both directions and of all sockets together; 0: as many as it likes. */
  readonly bytesPerDay?: number
  /** Do browsers see a page of the gateway before their first visit of one of its sockets? */
  readonly interstitial?: boolean
  /** May it choose the names of its sockets? */
  readonly vanity?: boolean
  /** May it serve host names outside of the zone? */
  readonly customDomains?: boolean
}

export interface SshKey {
  readonly id: string
  /** SHA256:… as ssh-keygen -l prints it. */
  readonly fingerprint: string
  readonly algorithm: string
  /** One line as in authorized_keys. */
  readonly line: string
  readonly comment: string
  /** All times are milliseconds since 1970. */
  readonly createdAt: number
  /** The last login by it, to the minute; null: there was none. */
  readonly usedAt: number | null
}

export interface Account {
  /** UUID v4 with dashes; without them it is the user name for SSH. */
  readonly id: string
  readonly name: string
  readonly email: string
  readonly role: Role
  readonly state: 'pending' | 'active' | 'suspended'
  /** Its own, where an admin has given it some. */
  readonly limits: AccountLimits
  /** All that count for it, those of the service among them. */
  readonly limitsInForce: Required<AccountLimits>
  readonly createdAt: number
  readonly confirmedAt: number | null
}

/** A request for a socket; validated by the rules, whatever brings it. */
export interface NewSocket {
  readonly name: string
  /** Default http. */
  readonly type?: SocketType
  /** A first DNS label of one's own, a right that an admin gives. */
  readonly label?: string
  readonly customDomains?: readonly string[]
  readonly password?: { readonly user: string; readonly password: string } | null
  readonly visitors?: SocketVisitors | null
  readonly balance?: 'least' | 'round-robin' | 'address'
  /** True: requests that come to it are recorded for its owner, where the gateway does so; default: it is not. */
  readonly inspect?: boolean
  /** Version of the PROXY protocol in which the origin is told who comes; only of type tcp and tls; default null: in none. */
  readonly proxyProtocol?: 1 | 2 | null
  /** Another way to ask the service behind it; only of type http and https; default null: as type and public name say. */
  readonly upstream?: SocketUpstream | null
  /** Goes by itself when no tunnel was up for so long, milliseconds; absent: it stays. */
  readonly ephemeralMs?: number
}

/** A change of a socket; what is absent stays. */
export type SocketPatch = Partial<
  Pick<NewSocket, 'name' | 'password' | 'visitors' | 'balance' | 'customDomains' | 'inspect' | 'proxyProtocol' | 'upstream'>
>

export interface Tunnel {
  readonly id: string
  readonly socketId: string
  readonly relayPort: number
  /** Address of the gateway that it was last connected to; empty before. */
  readonly server: string
  readonly isConnected: boolean
  readonly connectedFrom: string | null
  readonly lastConnectedAt: number | null
  readonly createdAt: number
}

export interface Socket {
  readonly id: string
  readonly accountId: string
  readonly name: string
  readonly type: SocketType
  readonly dnsName: string
  readonly customDomains: readonly string[]
  /** [80, 443] for http and https, the public port otherwise. */
  readonly ports: readonly number[]
  /** The password itself only in the reply to the call that set it, else empty. */
  readonly password: { readonly user: string; readonly password: string } | null
  readonly visitors: SocketVisitors | null
  readonly balance: 'least' | 'round-robin' | 'address'
  /** True: requests that come to it are recorded for its owner, where the gateway does so. */
  readonly inspect: boolean
  /** Version of the PROXY protocol in which the origin is told who comes; null: in none. */
  readonly proxyProtocol: 1 | 2 | null
  /** Null: its service is asked as type and public name say. */
  readonly upstream: SocketUpstream | null
  readonly limits: SocketLimits
  readonly isEphemeral: boolean
  readonly state: 'active' | 'suspended'
  readonly tunnels: readonly Tunnel[]
  readonly createdAt: number
  readonly updatedAt: number
  /** For If-Match; changes with each change of the socket. */
  readonly etag: string
}

/** A link to be made; what is absent is as said. */
export interface NewShare {
  /** This path, and everything below it; default: all. */
  readonly path?: string
  /** Default: GET and HEAD; `*`: every method. */
  readonly methods?: readonly string[]
  /** Default: in a day. */
  readonly expiresAt?: number
  /** Default: as often as one likes. */
  readonly maxUses?: number
  /** The person that it is for, who has to log in; default: whoever has the link. */
  readonly email?: string
}

/** A link that lets visitors in at a socket. The link itself is shown once. */
export interface SharedLink {
  readonly id: string
  readonly socketId: string
  readonly path: string
  readonly methods: readonly string[]
  readonly email: string | null
  readonly maxUses: number | null
  /** Null where nobody counts. */
  readonly uses: number | null
  readonly createdAt: number
  readonly expiresAt: number
  readonly usedAt: number | null
}

/** A page of a list. */
export interface Page<T> {
  readonly items: readonly T[]
  /** For the next page; null: this was the last. */
  readonly next: string | null
}

/** By which an inner layer of ours serves a tunnel. */
export interface TunnelCredentials {
  readonly tunnelId: string
  /** The identifier that it has to claim. */
  readonly identifier: string
  /** Thumbprint of the key that was registered. */
  readonly kid: string
  /** wss: or ws: URLs of the socket ports. */
  readonly linkUrls: readonly string[]
  readonly expiresAt: number
}

/** A token that is shown once. */
export interface IssuedToken {
  readonly id: string
  readonly token: string
  readonly expiresAt: number | null
}

export interface ApiToken {
  readonly id: string
  readonly name: string
  readonly scopes: readonly Scope[]
  readonly createdAt: number
  readonly expiresAt: number | null
  readonly usedAt: number | null
}

export interface InnerKey {
  readonly kid: string
  readonly identifiers: readonly string[]
  readonly createdAt: number
  readonly seenAt: number | null
  readonly revokedAt: number | null
  readonly isConnected: boolean
}

export interface AuditEntry {
  readonly id: number
  readonly at: number
  /** Account id, or `system`. */
  readonly actor: string
  readonly actorKind: 'session' | 'token' | 'ssh' | 'anonymous' | 'system'
  readonly address: string
  /** Such as `socket.create`. */
  readonly action: string
  /** Such as `socket:UUID`. */
  readonly object: string
  readonly isRefused: boolean
  /** Never a secret. */
  readonly details: Readonly<Record<string, unknown>>
}

/** A link that makes an account, once. */
export interface Invitation {
  readonly link: string
  /** False where the address has had too many letters lately, and gets none. */
  readonly isMailed: boolean
}
