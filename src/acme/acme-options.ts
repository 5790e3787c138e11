/** Let's Encrypt. */
export const DEFAULT_DIRECTORY = 'https://acme-v02.api.letsencrypt.org/directory'

/** The ways to prove that a name leads here. */
export type ChallengeKind = 'http-01' | 'tls-alpn-01' | 'dns-01'

/** The authority that certificates are ordered of, and the account there. */
export interface AuthorityOptions {
  /** URL of its directory. */
  readonly directory: string
  /** PEM of the only authorities to trust in its own TLS; undefined: those of Node.js. */
  readonly ca: string | undefined
  /** Address to which it writes. */
  readonly email: string
  /** Ties the account to one that it has already, RFC 8555 §7.3.4. */
  readonly binding: { readonly kid: string; readonly key: string } | undefined
}

/** Records of the DNS that a challenge needs. */
export interface DnsRecords {
  /** Adds a TXT record. @param name  such as `_acme-challenge.example.com` */
  add(name: string, text: string, signal: AbortSignal): Promise<void>
  /** Removes that one, and no other of the same name. */
  remove(name: string, text: string, signal: AbortSignal): Promise<void>
}
