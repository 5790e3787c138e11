import type { AccountLimits } from './model.ts'

/** Where the rows of the service are kept. */
export type StorePlace =
  | { readonly kind: 'sqlite'; readonly file: string }
  /** @property url  without password where `passwordFile` or SG_STORE_PASSWORD has it */
  | { readonly kind: 'postgres'; readonly url: string; readonly passwordFile: string | undefined }

/** Host names and URLs under which people reach the parts of the service. */
export interface ServiceHosts {
  readonly api: string
  /** Of the console for users. */
  readonly portal: string
  readonly auth: string
  /** ws: or wss: URLs of the socket ports; none: those that the outer layer opens here. */
  readonly link: readonly string[]
  /** Where SSH clients are told to go; none: the zone. */
  readonly ssh: { readonly host: string; readonly port: number } | undefined
  readonly download: string
}

/** The port for SSH clients. */
export interface SshDoorConfig {
  readonly port: number
  /** Address to listen on; undefined: all. */
  readonly host: string | undefined
}

/** The people that may make an account without an invitation. */
export type SignUp = 'closed' | 'open' | { readonly domains: readonly string[] }

/** The way of links and notices to people: by mail, or as files that the operator reads. */
export type MailConfig =
  | { readonly kind: 'smtp'; readonly url: string; readonly from: string; readonly passwordFile: string | undefined }
  | { readonly kind: 'outbox'; readonly directory: string; readonly from: string }

/** Somebody who vouches for visitors of sockets, as the file of `--visitors` has them; paths of files are absolute. */
export interface IdentityProvider {
  readonly clientSecretFile?: string
  /** Of kind saml: a file or a URL. */
  readonly metadata?: string
  readonly [key: string]: unknown
}

/** Somebody by whom people log in to the portal. */
export interface PortalProvider {
  readonly name: string
  /** For people. */
  readonly title: string
}

/** The file of the service, parsed; all paths are absolute. */
export interface ServiceConfig {
  /** Sockets are names directly below it, in lower case. */
  readonly zone: string
  readonly store: StorePlace
  /** Key under which secrets in the store are sealed. */
  readonly secretsFile: string
  /** Folder of the directory's copy and of the outbox: that of the secrets. */
  readonly stateDirectory: string
  readonly hosts: ServiceHosts
  /** Undefined: no door for SSH. */
  readonly ssh: SshDoorConfig | undefined
  /** The version that the download host calls the latest release of the client of 2021; its `login` asks. */
  readonly clientVersion: string
  /** Folder with programs of that client, OS_ARCH/mysocketctl, for its `version upgrade`; undefined: there are none. */
  readonly downloads: string | undefined
  /** First and last public port of sockets of type tcp and tls. */
  readonly ports: { readonly from: number; readonly to: number }
  readonly signUp: SignUp
  readonly mail: MailConfig
  /** The outer layer alone asks them. */
  readonly identityProviders: ReadonlyMap<string, IdentityProvider>
  /** Those of them whose word on an address counts for its account: people log in to the portal by them. */
  readonly portalProviders: readonly PortalProvider[]
  /** Of an account that has none of its own. */
  readonly limits: Required<AccountLimits>
  /** Words that no label of a socket may contain, beside those that are always refused. */
  readonly refusedNames: readonly string[]
  /** The authority on whose a host name outside of the zone is: a TXT record of it, or the admin who gives the right to serve some. */
  readonly domainCheck: 'dns' | 'trusted'
  /** Address for complaints about sockets, shown on their error pages: an e-mail address or a URL. */
  readonly abuse: string | undefined
  /** Requests of sockets are recorded for owners who want that; absent: where the outer layer has --inspect. */
  readonly inspect?: boolean
}

/** Limits of an account where neither the file nor an admin says otherwise. */
export const DEFAULT_LIMITS: Required<AccountLimits> = Object.freeze({
  http: 10,
  tcp: 5,
  tunnels: 8,
  logWatchers: 3,
  creationsPerHour: 20,
  requestsPerSecond: 100,
  concurrency: 200,
  maxConnections: 100,
  bytesPerDay: 0,
  interstitial: false,
  vanity: false,
  customDomains: false,
})
