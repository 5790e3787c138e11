/** Questions about certificates of hosts, which the service keeps in its database for all outer layers that share it. */
export type CertificatesRequest =
  | { readonly kind: 'find'; readonly name: string }
  /** PEM; the end in milliseconds since 1970. */
  | { readonly kind: 'keep'; readonly name: string; readonly cert: string; readonly key: string; readonly expiresAt: number }

/** The answers. */
export type CertificatesAnswer =
  | { readonly kind: 'found'; readonly cert: string; readonly key: string }
  | { readonly kind: 'none' }
  | { readonly kind: 'kept' }
  | { readonly kind: 'away'; readonly why: string }
