/** One row of the table: what is done with the requests of a public host, or of one of its routes. */
import type { TrustFields } from '../http/believed-fields.ts'
import type { FieldEdits } from '../http/field-edits.ts'
import type { OriginProfile, OriginTimeouts } from '../payload/origin-profile.ts'
import type { ErrorCode } from '../errors.ts'
import type { LogLine } from '../payload/log-note.ts'
import type { AddressRanges } from '../address/address-ranges.ts'
import type { Access } from './access.ts'
import type { FixedAnswer, Redirect } from './fixed-answer.ts'
import type { PathMap } from './path-map.ts'
import type { Policy } from './policy.ts'
import type { RouteMatch } from './route-match.ts'
import type { RoutePath, Routes } from './routes.ts'
import type { Split } from './split.ts'

/** The number of requests that may come in a time. */
export interface RateLimit {
  readonly perSecond: number
  /** Requests that may come at once after a pause. */
  readonly burst: number
  /** Field in lower case whose value is counted; undefined: the address of the client. */
  readonly header: string | undefined
  /** All clients together are counted, instead of each. */
  readonly isShared?: true | undefined
}

/** Undefined: no limit. */
export interface TargetLimits {
  /** Bytes of a request body. */
  readonly bodyBytes: number | undefined
  /** Requests at the same time. */
  readonly concurrency: number | undefined
  readonly rate: RateLimit | undefined
}

/** Which inner layer gets a request. */
export type Balance =
  | { readonly kind: 'least' }
  | { readonly kind: 'round-robin' }
  | { readonly kind: 'address' }
  /** Of a part of a split: its key, which the value of the cookie has behind a dot. */
  | { readonly kind: 'cookie'; readonly name: string; readonly part?: string }
  /** Name in lower case. */
  | { readonly kind: 'header'; readonly name: string }

/**
 * Whose inner layers: those of the operator serve what the targets file says, those of tunnels the sockets of the service. Neither ever
 * serves what is the other's, whatever it calls itself.
 */
export type Pool = 'operator' | 'tunnel'

/** The inner layers that may serve something. */
export interface ServedBy {
  /** Undefined: any connected one of the pool. */
  readonly identifiers: readonly string[] | undefined
  /** Undefined: those of the operator. */
  readonly pool?: Pool | undefined
}

/** The rules by which an inner layer becomes one that is asked last. */
export interface Health {
  /** The request that inner layers send to the origin from time to time; undefined: none. */
  readonly check:
    | {
        readonly path: string
        readonly intervalMs: number
        readonly timeoutMs: number
        /** Failures in a row that make it unhealthy. */
        readonly unhealthy: number
        /** Successes in a row that make it healthy again. */
        readonly healthy: number
      }
    | undefined
  /** Failures of requests in a row that eject an inner layer for a while; 0: none. */
  readonly failures: number
  /** The time for which it is asked last, the first time; twice as long each time after, up to ten times. */
  readonly ejectMs: number
}

/** The ejection rules where a target does not say. */
export const DEFAULT_EJECTION: Pick<Health, 'failures' | 'ejectMs'> = Object.freeze({ failures: 5, ejectMs: 10_000 })

/** The protocols that clients may switch to where a target does not say. */
export const DEFAULT_UPGRADES: readonly string[] = Object.freeze(['websocket'])

/** Another attempt at another inner layer when the origin could not be reached through the first. */
export interface Retries {
  /** Beyond the first one. */
  readonly attempts: number
  /** At most so many of a hundred requests. */
  readonly budgetPercent: number
}

/** The users that may come in by name and password (RFC 7617). */
export interface BasicAuth {
  readonly realm: string
  /** Name → scrypt hash in PHC format. */
  readonly users: ReadonlyMap<string, string>
  /** The origin gets Authorization as well. */
  readonly forwards: boolean
  /** Is a cookie enough after the first time, so that the application may use Authorization itself? */
  readonly session: boolean
}

/** The treatment of a request and its answer by the outer layer, beyond policy and origin; a target without any of it has none. */
export interface Treatment {
  readonly allow: AddressRanges | undefined
  readonly deny: AddressRanges | undefined
  readonly basicAuth: BasicAuth | undefined
  /** The visitors that are let in; undefined: all. */
  readonly access?: Access | undefined
  readonly rate: RateLimit | undefined
  readonly concurrency: number | undefined
  /** Instead of the origin. */
  readonly answer: FixedAnswer | Redirect | undefined
  readonly pathMap: PathMap | undefined
  readonly requestFields: FieldEdits | undefined
  readonly responseFields: FieldEdits | undefined
  readonly preserveHost: boolean
  /** Browsers see a page of ours before their first visit. */
  readonly hasInterstitial?: boolean
  /** Fields that a trusted peer may send, beside those of the layer. */
  readonly trustFields: TrustFields | undefined
  /** The gateway names itself in Via; undefined: it does not. */
  readonly addsVia: true | undefined
  /** Undefined: as the layer has it. */
  readonly removeCsps: boolean | undefined
}

/** A request or a connection that is under way. */
export interface Metered {
  /** In both directions until now. */
  readonly bytes: () => number
  readonly end: (code: 'QUOTA_REACHED', reason: string) => void
}

/** Whose socket it is, and what is counted for it. One object for as long as there is the socket. */
export interface Owner {
  readonly socketId: string
  readonly accountId: string
  /** Somebody wants to see who comes. */
  readonly isWatched: boolean
  /** @throws GatewayError QUOTA_REACHED when the account has used up the bytes of this day */
  checkQuota(): void
  /** Counts something that is under way, where bytes are limited. @returns to be called at its end, before it is counted as a whole */
  follow(metered: Metered): (() => void) | undefined
  /** Counts a request that has ended. @param bytesIn  from the client @param bytesOut  to the client */
  countRequest(bytesIn: number, bytesOut: number): void
  /** Counts a connection that has ended. */
  countConnection(bytesIn: number, bytesOut: number): void
  /** Tells those who watch. */
  tell(line: LogLine): void
}

/** The authority by which an origin is asked, where that is not its own. */
export interface AskedAs {
  /** As in Host. */
  readonly host: string
  readonly protocol: 'http' | 'https'
  /** Canonical, IPv6 without brackets. */
  readonly hostname: string
  readonly port: number
}

/** A configured route: public name → origin, policy and identifiers, and what else the file says of it. Frozen. */
export interface Target {
  /** The host key as it stands in the file: an exact host, `*.x` or `*`; of a route, its path follows. */
  readonly name: string
  /** 1-based line of the key. */
  readonly line: number
  readonly protocol: 'http' | 'https'
  /** Canonical host of the origin, IPv6 without brackets; empty when there is none. */
  readonly hostname: string
  readonly port: number
  readonly policy: Policy
  /** Inner layers that may serve the target; undefined: any connected one of its pool. */
  readonly identifiers: readonly string[] | undefined
  readonly pool?: Pool | undefined
  /** The name that the origin gets in Host and answers by, whatever `preserveHost` says; undefined: as that says. */
  readonly askedAs?: AskedAs | undefined
  /** Of a host: paths that go elsewhere. */
  readonly routes?: Routes<Target> | undefined
  /** Of a route: the paths that it is for. */
  readonly path?: RoutePath | undefined
  /** Of a route: the requests for these paths that it is for; undefined: all of them. */
  readonly match?: RouteMatch | undefined
  /** Instead of one origin: several, of which each request gets one. They have all keys of this one but those of their own. */
  readonly split?: Split<Target> | undefined
  /** Is `%2F` in a path forwarded as it is, where the path decides on something? Undefined: such a path is refused. */
  readonly keepsEncodedSlash?: boolean | undefined
  readonly treatment?: Treatment | undefined
  readonly balance?: Balance | undefined
  readonly health?: Health | undefined
  readonly retries?: Retries | undefined
  /** The answer while no inner layer is connected. */
  readonly maintenance?: FixedAnswer | undefined
  /** The profile of the origin that the inner layer has to know; undefined when all of it is as usual. */
  readonly profile?: OriginProfile | undefined
  /** The same as in the profile. */
  readonly timeouts?: OriginTimeouts | undefined
  readonly limits?: TargetLimits | undefined
  /** Protocols that a client may switch to, in lower case; undefined: `DEFAULT_UPGRADES`. */
  readonly upgrades?: readonly string[] | undefined
  /** Requests are shown to the inspector of the outer layer, where it has one. */
  readonly isInspected?: true | undefined
  /** Name of the container or workload that asked for it; undefined: the operator wrote it. */
  readonly found?: string | undefined
  /** Of a socket of the service; undefined: it is the operator's. */
  readonly owner?: Owner | undefined
  /** The answer when nobody serves it, or whoever did is lost; undefined: the usual ones. */
  readonly absence?: ErrorCode | undefined
}
