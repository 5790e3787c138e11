import type { SocketShare } from '../route/access.ts'

/** The types of a socket, as the service and its clients name them. */
export type SocketType = 'http' | 'https' | 'tcp' | 'tls'

/** A name and the hash of its password, before anything of a socket is reached. */
export interface SocketPassword {
  readonly user: string
  /** scrypt in PHC format. */
  readonly hash: string
}

/** The visitors of a socket that a login has to show first. Never all empty. */
export interface SocketVisitors {
  /** Addresses in lower case. */
  readonly emails: readonly string[]
  /** Domains of addresses, in lower case. */
  readonly domains: readonly string[]
  /** The visitor has to be in one of them as well, or at all, where neither addresses nor domains are named; absent: none is asked for. */
  readonly groups?: readonly string[] | undefined
}

/** Another way to ask the service behind a socket of type http or https than its type and its public name say; one of the two at least. */
export interface SocketUpstream {
  readonly protocol?: 'http' | 'https' | undefined
  /** For Host, and for SNI where it is a name: canonical, with a port where there is one; absent: the public one, as the visitor has it. */
  readonly hostname?: string | undefined
}

/** The share of the gateway that one socket may have. */
export interface SocketLimits {
  /** New requests. */
  readonly requestsPerSecond: number
  /** Requests at the same time. */
  readonly concurrency: number
  /** TCP connections at the same time. */
  readonly maxConnections: number
}

/** One public endpoint, as the data plane has to know it. */
export interface DirectorySocket {
  /** UUID v4 with dashes. */
  readonly id: string
  readonly accountId: string
  readonly type: SocketType
  /** Its public host name, in lower case. */
  readonly dnsName: string
  /** Further host names by which it is reached, in lower case. */
  readonly customDomains: readonly string[]
  /** Its public port; null for http and https. */
  readonly port: number | null
  /** Ids of its tunnels, each the identifier of the inner layer that serves it. */
  readonly tunnelIds: readonly string[]
  readonly password: SocketPassword | null
  readonly visitors: SocketVisitors | null
  readonly balance: 'least' | 'round-robin' | 'address'
  readonly limits: SocketLimits
  /** Browsers see a page of the gateway before their first visit; absent: they do not. */
  readonly interstitial?: boolean | undefined
  /** True: requests that come to it are recorded for its owner; absent: it is not. */
  readonly inspect?: boolean | undefined
  /** Version of the PROXY protocol in which the origin is told who comes, of type tcp and tls; absent: it is told nothing. */
  readonly proxyProtocol?: 1 | 2 | undefined
  /** Of type http and https; absent: as type and public name say. */
  readonly upstream?: SocketUpstream | undefined
  /** Links that let in whoever has them, where visitors have to log in; absent: none. */
  readonly shares?: readonly SocketShare[] | undefined
}

/** A key by which an inner layer may prove itself, and for what. */
export interface DirectoryKey {
  /** RFC 7638 SHA-256 thumbprint, base64url. */
  readonly kid: string
  /** Public half, RFC 7517. */
  readonly jwk: Readonly<Record<string, string>>
  /** The tunnel that it may serve, in the pool of tunnels; null: an enrolled inner layer, in the pool of operators. */
  readonly tunnelId: string | null
  /** Identifiers of an enrolled inner layer; null for the key of a tunnel. */
  readonly identifiers: readonly string[] | null
  /** Milliseconds since 1970; null: never. */
  readonly expiresAt: number | null
  /** Of a tunnel: the login that it was given for, the newest with the highest number; absent: an earlier release has said nothing. */
  readonly login?: number | undefined
}

/** The logins of visitors by an account of the service that are over. */
export interface EndedLogins {
  readonly accountId: string
  /** Those that were begun until then, milliseconds since 1970. */
  readonly atMs: number
}

/** The bytes that an account may move in a day, in both directions and at all of its sockets together. */
export interface AccountQuota {
  readonly accountId: string
  /** 0: as many as it likes. */
  readonly bytesPerDay: number
  /** Days since 1970, by UTC. */
  readonly day: number
  /** Bytes of that day, as far as the service knows. */
  readonly used: number
}

/** All that is in force. */
export interface DirectorySnapshot {
  readonly type: 'snapshot'
  /** Number of the last change that is in it. */
  readonly seq: number
  readonly sockets: readonly DirectorySocket[]
  readonly keys: readonly DirectoryKey[]
  /** As far back as any login may last. */
  readonly endedLogins: readonly EndedLogins[]
  /** PEM of the authorities that certify visitors; absent: there are none. */
  readonly authorities?: string | undefined
  /** Of the accounts that have one; absent: none has. */
  readonly quotas?: readonly AccountQuota[] | undefined
}

/** A step from one state to the next: first what goes, then what comes or replaces the one of the same id. */
export interface DirectoryChange {
  readonly type: 'change'
  readonly seq: number
  readonly removedSockets: readonly string[]
  readonly removedKeys: readonly string[]
  readonly sockets: readonly DirectorySocket[]
  readonly keys: readonly DirectoryKey[]
  /** Tunnels whose sessions have to end now. */
  readonly endedTunnels: readonly string[]
  readonly endedLogins: readonly EndedLogins[]
  /** As in a snapshot; absent: those that were. */
  readonly authorities?: string | undefined
  /** Of the accounts where it is another one now, or may be new here. */
  readonly quotas?: readonly AccountQuota[] | undefined
}

/** A message from the service to the data plane. */
export type DirectoryMessage = DirectorySnapshot | DirectoryChange
