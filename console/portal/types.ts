/** Shapes of /api/v1: docs/openapi.json. */

/** A page of a list. */
export interface Page<T> {
  readonly items: readonly T[]
  readonly next: string | null
}

/** An account. */
export interface Account {
  readonly id: string
  readonly name: string
  readonly email: string
  readonly sshUser: string
  readonly role: 'user' | 'auditor' | 'admin'
  readonly state: string
  readonly limitsInForce: Readonly<Record<string, number | boolean>>
  readonly createdAt: string
}

/** A tunnel of a socket. */
export interface Tunnel {
  readonly id: string
  readonly socketId: string
  readonly server: string
  readonly isConnected: boolean
  readonly connectedFrom: string | null
  readonly lastConnectedAt: string | null
}

/** A socket. */
export interface Socket {
  readonly id: string
  readonly name: string
  readonly type: 'http' | 'https' | 'tcp' | 'tls'
  readonly dnsName: string
  readonly url: string
  readonly ports: readonly number[]
  readonly password: { readonly user: string; readonly password: string } | null
  readonly visitors: { readonly emails: readonly string[]; readonly domains: readonly string[]; readonly groups?: readonly string[] } | null
  readonly isEphemeral: boolean
  readonly state: 'active' | 'suspended'
  readonly tunnels: readonly Tunnel[]
  readonly createdAt: string
  readonly etag: string
}

/** A key with which somebody logs in by SSH. */
export interface SshKey {
  readonly id: string
  readonly fingerprint: string
  readonly algorithm: string
  readonly comment: string
  readonly createdAt: string
}

/** A token for programs. */
export interface Token {
  readonly id: string
  readonly name: string
  readonly scopes: readonly string[]
  readonly createdAt: string
  readonly expiresAt: string | null
  readonly usedAt: string | null
}

/** A line of the audit log. */
export interface AuditEntry {
  readonly id: number
  readonly at: string
  readonly actor: string
  readonly actorKind: string
  readonly address: string
  readonly action: string
  readonly object: string
  readonly isRefused: boolean
  readonly details: Readonly<Record<string, unknown>>
}

/** A key of an inner layer that joined. */
export interface InnerKey {
  readonly kid: string
  readonly identifiers: readonly string[]
  readonly createdAt: string
  readonly seenAt: string | null
  readonly revokedAt: string | null
  readonly isConnected: boolean
}

/** How much a socket was used on one day. */
export interface Usage {
  readonly day: string
  readonly socketId: string
  readonly requests: number
  readonly connections: number
  readonly bytesIn: number
  readonly bytesOut: number
}
