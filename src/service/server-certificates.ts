/** A certificate of a host with its key, PEM. */
export interface ServerCertificate {
  readonly cert: string
  readonly key: string
}

/** Certificates of hosts that an outer layer has ordered, which all processes of the service share: sealed, as all secrets in its database. */
export interface ServerCertificates {
  /** The one that was kept last. @throws GatewayError STORE_UNAVAILABLE, STORE_INVALID where it was sealed under another key */
  find(name: string): Promise<ServerCertificate | undefined>
  /** Puts it in the place of the one before. @param expiresAt  its end, milliseconds since 1970 @throws GatewayError STORE_UNAVAILABLE */
  keep(name: string, certificate: ServerCertificate, expiresAt: number): Promise<void>
}
