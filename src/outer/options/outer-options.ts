import type { Socket } from 'node:net'
import type { Taps } from '../../tap/tap.ts'
import type { AdminOptions } from '../../admin/admin.ts'
import type { OwnErrorPages } from '../../http/errors/error-page.ts'
import type { ClusterOptions } from '../../cluster/cluster.ts'
import type { Events } from '../../events/events.ts'
import type { Keys, RegisteredKey } from '../../identity/key-registry.ts'
import type { KeyExpiry } from '../../identity/public-keys.ts'
import type { Timing } from '../../mux/liveness.ts'
import type { LogLine } from '../../payload/log-note.ts'
import type { RouteTable, Target, TargetTable } from '../../route/table.ts'
import type { TcpPort } from '../../route/tcp-port.ts'
import type { CertificateStore } from '../../tls/certificate-store.ts'
import type { ChallengeAnswers } from '../../tls/challenge-answers.ts'
import type { SharedAccess } from '../access/access-check.ts'
import type { EdgeLimits } from '../access/client-limits.ts'
import type { VisitorCheck } from '../access/visitor-check.ts'
import type { OtherRequests } from '../inner-layers/link-port.ts'
import type { PortFault } from '../tcp-edge/tcp-edge.ts'
import type { CreateCertificates } from '../tcp-edge/tcp-terminator.ts'

/** The targets in force, which may be others each time that somebody asks. What is absent never happens, as with a table made by hand. */
export interface TableSource {
  readonly table: RouteTable
  /** Keeps a newer table out of force. */
  readonly fault?: { readonly message: string } | undefined
  /** When the table in force was made. */
  readonly loadedAt?: Date
  /** Where it comes from, as operators read it. */
  readonly file?: string
  /** Calls `listener` after each change, until the returned function is called. */
  onChange?(listener: () => void): () => void
}

/** The public keys of inner layers that are in force. */
export interface KeySource {
  readonly registry: Keys
  /** Keep keys out of force. */
  readonly faults?: readonly { readonly message: string }[]
  /** Certificates of keys in force, and when they end. */
  readonly expiries?: readonly KeyExpiry[]
  /** Calls `listener` after each change, until the returned function is called. */
  onChange?(listener: () => void): () => void
}

/** The consequences of a change of the directory for what is open. */
export interface DirectoryEffects {
  /** Ports to be opened, or to be as they are here from now on. */
  readonly openedPorts: readonly TcpPort[]
  readonly closedPorts: readonly number[]
  /** Keys that prove nothing any more, or something else. */
  readonly revokedKeys: readonly string[]
  /** Keys that prove nothing any more because their tunnel has a newer one: what they have proven goes on until that one comes. */
  readonly supersededKeys: readonly string[]
  /** Tunnels whose sessions end. */
  readonly endedTunnels: readonly string[]
  /** The service process does not answer: its links end. */
  readonly isServiceSilent?: boolean
}

/** Sockets and keys of a service that come and go by themselves, such as a `LiveDirectory`. */
export interface DirectorySource {
  /** The number of sockets. */
  readonly size: number
  /** The fault that keeps the service from being whole, while what it has said before is in force. */
  readonly fault?: string | undefined
  /** Public ports of sockets. */
  readonly ports: readonly TcpPort[]
  /** Public key of the service process; undefined: it has no links of its own, and no port for them is opened. */
  readonly serviceKey: RegisteredKey | undefined
  /** The table of the file with the sockets in it, now and later. */
  layer(file: RouteTable): TargetTable
  /** Targets of the file that are not in force, since what was found asks for a host of the service itself, or of a socket. */
  overruled(file: Pick<TargetTable, 'targets'>): readonly { readonly target: Target; readonly owner: 'service' | 'socket' }[]
  /** The keys of the operator with those of the service behind them, now and later. */
  layerKeys(operator: Keys): Keys
  /** Tells `watcher` who comes to the socket of a tunnel, until the returned function is called. @returns undefined for a tunnel that is not there */
  watchTunnel(tunnelId: string, watcher: (line: LogLine) => void): (() => void) | undefined
  /** Calls `listener` after each change; what it resolves with are ports that could not be opened. @returns ends it */
  onChange(listener: (effects: DirectoryEffects) => Promise<readonly PortFault[]>): () => void
  /** A tunnel has come up, or has a newer login. @param address  of the inner layer */
  tunnelUp(tunnelId: string, address: string): void
  /** A tunnel has no connection any more. */
  tunnelDown(tunnelId: string): void
  /** An inner layer of the operator has come, with this key. @param address  of the inner layer */
  keyUp(kid: string, address: string): void
  /** No inner layer with this key is left. */
  keyDown(kid: string): void
}

/** Options that have a default. */
export interface OuterLayerDefaults {
  /** For clients; 0 picks a free one. */
  readonly appPort: number
  /** For inner layers; 0 picks a free one. */
  readonly socketPort: number
  /** Longest silence of an origin before its answer begins. */
  readonly timeoutMs: number
  /** Longest validity of an inner layer's proof. */
  readonly validityMs: number
  /** CIDRs, addresses, or loopback, linklocal, uniquelocal. */
  readonly trustProxy: readonly string[]
  /** Content-Security-Policy is taken out of answers. */
  readonly removeCsps: boolean
  /** The time for which `close` goes on taking connections, while `/readyz` says 503 already. */
  readonly drainDelayMs: number
  /** Time that `close` gives requests in flight to finish. */
  readonly drainTimeoutMs: number
}

/** Those of the command line as well. */
export const OUTER_LAYER_DEFAULTS: OuterLayerDefaults = Object.freeze({
  appPort: 3000,
  socketPort: 3001,
  timeoutMs: 180_000,
  validityMs: 1_000,
  trustProxy: Object.freeze(['loopback']),
  removeCsps: false,
  drainDelayMs: 1_000,
  drainTimeoutMs: 30_000,
})

/** Says who the client of a connection is. */
export interface ConnectionSource {
  /** @param next  called with the address of the client, unless the connection was ended */
  accept(socket: Socket, next: (address: string) => void): void
}

/** Options of an outer layer. */
export interface OuterLayerOptions extends Partial<OuterLayerDefaults> {
  /** Public keys of inner layers, such as `KeyFiles`, started. May be absent where there is a directory. */
  readonly keys?: KeySource
  /** The targets, such as a `TargetsFile`, started. May be absent where there is a directory. */
  readonly targets?: TableSource
  /** Other outer layers: whoever is connected to one of them is served by all. */
  readonly cluster?: ClusterOptions
  /** Other processes that serve the same ports, and what is counted once for all of them. */
  readonly shared?: SharedAccess
  /** Sockets of a service, and keys of their tunnels. */
  readonly directory?: DirectorySource
  readonly appHost?: string
  /** Started: the app port speaks HTTPS. Absent: HTTP. */
  readonly appCertificates?: CertificateStore
  /** Answers to authorities that ask whether a name leads here, on both of these ports; only with `appCertificates`. */
  readonly challenges?: ChallengeAnswers
  /** A port that redirects plain HTTP to the app port; only with `appCertificates`. */
  readonly appHttpPort?: number
  /** Default that of the app port. */
  readonly appHttpHost?: string
  /** `max-age` of Strict-Transport-Security, seconds; absent: that field is not sent. Only with `appCertificates`. */
  readonly hstsSeconds?: number
  /** HTTP/2 by ALPN with `appCertificates`; default true. */
  readonly http2?: boolean
  /** HTTP/2 with prior knowledge without `appCertificates`; default false. */
  readonly appH2c?: boolean
  /**
   * The nghttp2 of this Node.js, `process.versions.nghttp2`: with one that clients can make end the process, `appH2c` is refused, and TLS
   * offers HTTP/1.1 alone. Absent: whatever it is will do; the library takes that of its process.
   */
  readonly nghttp2?: string
  /** Told of bytes that links have moved, and whether many streams were open, so that the process can keep its garbage small. */
  readonly onMoved?: (bytes: number, isMany: boolean) => void
  readonly socketHost?: string
  /** Started: the socket port speaks wss:. With authorities for clients, inner layers need a certificate for the key that they prove. */
  readonly socketCertificates?: CertificateStore
  /** Names under which inner layers dial this process, as `parseLinkName` gives them; none: a proof may be for any name. */
  readonly linkNames?: readonly string[]
  /** The check of who visitors are, for targets with `access`; absent: those let nobody in. */
  readonly visitors?: VisitorCheck
  /** Takes inner layers that were invited, at a path of the socket port. */
  readonly joining?: OtherRequests
  /** Fields that say who the user is, which those proxies may send to every target. */
  readonly trustFields?: readonly string[]
  /** Connections of clients begin with the header of the PROXY protocol, of a trusted proxy. */
  readonly proxyProtocol?: boolean
  /** Says who the client of a new connection is, before its first byte is read; instead of `proxyProtocol`. */
  readonly proxied?: ConnectionSource
  /** No port for inner layers is opened: the only one is in this process, and comes by `takeInner`. */
  readonly isAlone?: boolean
  /** Limits for what clients may cost, where they differ from the defaults. */
  readonly limits?: Partial<EdgeLimits>
  /** Error pages of the operator, for browsers, in the place of ours. */
  readonly errorPages?: OwnErrorPages
  /** Address for complaints about sockets of the service, which their error pages show. */
  readonly abuse?: string
  /** Answers say where the time went (Server-Timing); anybody can read it. */
  readonly serverTiming?: boolean
  /** Told of what happens; the default keeps it in memory, for the admin port. Whoever gives them ends them. */
  readonly events?: Events
  /** Faults of other files that are followed, by what they are; empty where all is well. */
  readonly reloads?: () => readonly { readonly what: string; readonly fault: string }[]
  /** Looks at the requests of targets that say `inspect`. */
  readonly taps?: Taps
  /** The admin port; none when absent, and then nothing is counted. */
  readonly admin?: AdminOptions
  /** Certificates for TCP ports that end TLS; without it, such a port is a fault. */
  readonly tcpCertificates?: CreateCertificates
  /** Hosts `fd:N` that stand for TCP ports which the service manager has opened, by the port. */
  readonly tcpInherited?: ReadonlyMap<number, string>
  /** Liveness of the links; the default suits everything but tests. */
  readonly timing?: Timing
  /** The time for which idle connections of clients are kept; the default suits everything but tests. */
  readonly keepAliveMs?: number
}
