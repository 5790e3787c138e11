/** The settings of logins: the file of `--visitors`, parsed and frozen. */

/** The protocol of a provider: OpenID Connect, OAuth 2 in a dialect of its own, SAML 2.0, or accounts of the service. */
export type ProviderKind = 'oidc' | 'google' | 'github' | 'facebook' | 'saml' | 'accounts'

/** Somebody who vouches for visitors. */
export interface ProviderConfig {
  /** As targets name it; stands in URLs and cookies. */
  readonly name: string
  readonly kind: ProviderKind
  /** For people, on the page where they choose. */
  readonly title: string
  /** URL of the issuer; of a dialect, the URL that its paths are below; of SAML, where its metadata are. */
  readonly issuer: string
  readonly clientId: string
  readonly clientSecret: string
  /** Asked for beside what the kind needs. */
  readonly scopes: readonly string[]
  /** The claim that holds the groups. */
  readonly groupsClaim: string
  /** Groups that are kept, when there are too many for a cookie; undefined: all. */
  readonly keptGroups: ReadonlySet<string> | undefined
  /** Claims that are kept, for `access.login.claims` and for the origin. */
  readonly keptClaims: readonly string[]
  /** The provider checks every address, and does not say so. */
  readonly trustsEmail: boolean
  /** Of kind saml alone. */
  readonly saml?: SamlSettings
}

/** The key of this gateway at a SAML identity provider: it signs requests, and decrypts assertions. */
export interface SamlKeys {
  /** PEM, of RSA. */
  readonly privateKey: string
  /** DER in base64, as metadata have it. */
  readonly certificate: string
}

/** The settings of a SAML identity provider. */
export interface SamlSettings {
  /** Name of this gateway at the provider. */
  readonly entityId: string
  /** A file that was read, or a URL that is asked. */
  readonly metadata:
    { readonly kind: 'file'; readonly place: string; readonly text: string } | { readonly kind: 'url'; readonly url: string }
  /** Attributes that may hold each of these; the first that is there counts. */
  readonly emailNames: readonly string[]
  readonly nameNames: readonly string[]
  readonly groupNames: readonly string[]
  /** The page to which somebody comes who has begun at the provider; undefined: such logins are refused. */
  readonly landing: string | undefined
  /** Absent: requests are not signed, and assertions that are encrypted do not count. */
  readonly keys?: SamlKeys | undefined
}

/** All of the file. */
export interface VisitorsConfig {
  /** Origin of the auth host, such as `https://auth.example.com`. */
  readonly authUrl: string
  /** Host of it, as `parseHost` gives it. */
  readonly authHost: string
  /** File of the keys that seal cookies and sign identities. */
  readonly keysFile: string
  /** File of sessions that were ended before their time. */
  readonly revokedFile: string
  /** For people, on every page. */
  readonly name: string
  /** A picture for every page; undefined: none. */
  readonly logo: Logo | undefined
  /** After so long somebody has to log in again. */
  readonly sessionMs: number
  /** The same, after so long without a request; 0: never. */
  readonly idleMs: number
  readonly providers: ReadonlyMap<string, ProviderConfig>
  /** Names of those by whom the visitors of sockets of the service log in. */
  readonly socketProviders: readonly string[]
  /** The same for targets of the operator that name none; undefined: all. */
  readonly targetProviders?: readonly string[]
}

/** A picture. */
export interface Logo {
  readonly type: string
  readonly bytes: Buffer
}
