/** Ways to a target for visitors who prove who they are, and what is known of somebody who has. */
import { otherReadings } from './path.ts'
import type { Policy } from './policy.ts'

/** The ways in: each has a credential of its own. */
export type LaneName = 'login' | 'token' | 'jwt' | 'certificate' | 'share' | 'public'

/** The claims that are demanded: name → the values of which one is enough. */
export type DemandedClaims = ReadonlyMap<string, ReadonlySet<string>>

/** The people whom a login lets in. What is empty demands nothing, and a rule that demands nothing says `anyone`. */
export interface LoginRule {
  /** Names of the providers that count; undefined: each of the gateway. */
  readonly providers: readonly string[] | undefined
  /** As `emailKey` makes them; one of these or one of the domains is enough. */
  readonly emails: ReadonlySet<string>
  readonly domains: ReadonlySet<string>
  /** One of them is enough. */
  readonly groups: ReadonlySet<string>
  /** All of them. */
  readonly claims: DemandedClaims
  /** Everybody whom the provider knows. */
  readonly anyone: boolean
  /** Other web origins whose pages may send requests with the session of this host, such as `https://app.example.com`. */
  readonly origins: ReadonlySet<string>
}

/** JWTs of somebody else that let in. */
export interface JwtRule {
  /** URL, compared exactly. */
  readonly issuer: string
  /** URL of its keys; undefined: as its configuration says, at the issuer itself. */
  readonly jwks: string | undefined
  /** Nothing is fetched for it from a private network or from this machine: somebody else than the operator has named it. */
  readonly isPublicOnly?: true | undefined
  /** One of them is enough. */
  readonly audiences: readonly string[]
  readonly claims: DemandedClaims
}

/** Client certificates that let in. */
export interface CertificateRule {
  /** The authorities, in PEM. */
  readonly ca: string
  /** Lists of what they have revoked, in PEM; undefined: nothing is asked of them. */
  readonly crl: string | undefined
  /** Names of certificates, `*.x` stands for one label; empty: every certificate of the authorities. */
  readonly names: readonly string[]
  /** Of a tunnel: names of the gateway that ask for the certificate, as `parseHost` gives them. Absent: the host of the target does. */
  readonly hosts?: readonly string[] | undefined
}

/** The key `access` of a target or route: any lane lets in, and without any of them nobody comes. Frozen. */
export interface Access {
  readonly login: LoginRule | undefined
  /** Service tokens that were made for this target. */
  readonly tokens: boolean
  readonly jwt: readonly JwtRule[]
  readonly certificates: CertificateRule | undefined
  /** Paths that are for all; undefined: none. */
  readonly public: Policy | undefined
  /** The time after which somebody has to log in again; undefined: as the gateway has it. */
  readonly sessionMs: number | undefined
  /** Of a socket of the service, whose owner names people alone: the operator says who vouches for them, for all sockets. */
  readonly ofSocket?: SocketAccess | undefined
}

/** The rules of one socket, which its owner may change while visitors have something open. */
export interface SocketAccess {
  readonly socketId: string
  readonly accountId: string
  /** In force now; undefined: everybody may come. */
  readonly latest: Access | undefined
  /** Those in force now. */
  readonly shares: readonly SocketShare[]
}

/** A link that the owner of a socket has made: whoever has it comes in. */
export interface SocketShare {
  /** UUID. */
  readonly id: string
  /** SHA-256 of the secret in the link, base64url behind `sha256:`. */
  readonly hash: string
  /** This path, and everything below it. */
  readonly path: string
  /** `*` among them: every method. */
  readonly methods: readonly string[]
  /** ms since 1970 */
  readonly expiresMs: number
  /** Null: as often as one likes. */
  readonly maxUses: number | null
  /** The person that it is for, who has to log in; null: whoever has the link. */
  readonly email: string | null
}

/** Somebody, or some program, who has proven who they are. */
export interface Visitor {
  readonly lane: LaneName
  /** As the provider wrote it. */
  readonly email: string | undefined
  readonly name: string | undefined
  readonly groups: readonly string[]
  /** Of claims that the operator wants to be kept. */
  readonly claims: ReadonlyMap<string, readonly string[]>
  /** Names one person or program for ever, within what vouches for it. */
  readonly subject: string
  /** The voucher for it: the name of a provider, an issuer, an authority. */
  readonly provider: string | undefined
  /** Of a login. */
  readonly sessionId: string | undefined
}

/** The name of a visitor in logs; never a token. */
export const visitorName = ({ email, name, subject }: Visitor): string => email ?? name ?? subject

/**
 * Is a path for all? Only if it is however the origin reads it.
 * @param path  canonical
 */
export function isPublic({ public: paths }: Pick<Access, 'public'>, path: string): boolean {
  if (paths === undefined || paths.decide('GET', path) === undefined) return false
  return otherReadings(path).every(other => paths.decide('GET', other) !== undefined)
}

/**
 * The form in which e-mail addresses are compared: letters of ASCII in lower case, and nothing else changed. What Unicode calls lower case
 * makes a `k` of the sign for Kelvin, and so another person's address.
 * @returns undefined for what is no address of exactly one `@`
 */
export function emailKey(address: string): string | undefined {
  const at = address.indexOf('@')
  if (at < 1 || at !== address.lastIndexOf('@') || at === address.length - 1 || address.length > 254) return undefined
  // Neither blanks nor controls, nor what has a meaning in a list or a header.
  if (/[\s\p{C}"(),:;<>[\\\]]/u.test(address)) return undefined
  return address.replace(/[A-Z]/g, letter => letter.toLowerCase())
}

/** The domain of an address. @param key  as `emailKey` makes it */
export const domainOf = (key: string): string => key.slice(key.indexOf('@') + 1)
