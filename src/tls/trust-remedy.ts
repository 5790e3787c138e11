const CERTIFICATE_FAULT = /^(?:CERT_|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE|ERR_TLS_CERT)/

/** The option by which the authorities to trust were named. */
export interface TrustedAuthority {
  /** The option that names them, such as `--outer-layer-ca`. */
  readonly option: string
  readonly isGiven: boolean
}

/**
 * Returns the remedy for a server certificate that is not trusted.
 * @param code  of the failed handshake, as Node gives it
 * @returns undefined when the code is about something else
 */
export function trustRemedy(code: unknown, { option, isGiven }: TrustedAuthority): string | undefined {
  if (typeof code !== 'string' || !CERTIFICATE_FAULT.test(code)) return undefined
  switch (code) {
    case 'CERT_HAS_EXPIRED':
      return 'renew the certificate of the outer layer or of the proxy in front of it; or is the clock of this machine wrong?'
    case 'CERT_NOT_YET_VALID':
      return 'is the clock of this machine wrong?'
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return 'the certificate is for another name: dial the name that is in it'
    default:
      return isGiven
        ? `it is not signed by the authority of ${option}: is that the right file?`
        : `no authority that Node.js knows has signed it: name the right one with ${option}`
  }
}
