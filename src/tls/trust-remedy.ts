const CERTIFICATE_FAULT = /^(?:CERT_|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE|ERR_TLS_CERT)/

/** The option by which the authorities to trust were named. */
export interface TrustedAuthority {
  /** The option that names them, such as `--outer-layer-ca`. */
  readonly option: string
  readonly isGiven: boolean
}

/** So many names of a certificate are told, and so much of each: whoever answers has written them. */
const MAX_NAMES = 5
const MAX_NAME_LENGTH = 80

/**
 * The names for which a certificate is good, for a sentence; empty when it says none.
 * @param subjectAltName  as Node gives it: `DNS:a.example, IP Address:192.0.2.1`
 */
export function namesOfCertificate(subjectAltName: unknown): string {
  if (typeof subjectAltName !== 'string') return ''
  const names = subjectAltName
    .split(', ')
    .filter(entry => entry.startsWith('DNS:') || entry.startsWith('IP Address:'))
    .map(entry => entry.slice(entry.indexOf(':') + 1))
    .filter(name => name.length <= MAX_NAME_LENGTH && /^[\w.:*-]+$/.test(name))
  const more = names.length - MAX_NAMES
  return `${names.slice(0, MAX_NAMES).join(', ')}${more > 0 ? ` and ${more} more` : ''}`
}

/** Returns the remedy for a certificate for other names than the one that was dialled. @param error  as `checkServerIdentity` of Node makes it */
function nameRemedy(error: unknown): string {
  const { host, cert } = (error ?? {}) as { readonly host?: unknown; readonly cert?: { readonly subjectaltname?: unknown } }
  const names = namesOfCertificate(cert?.subjectaltname)
  if (names === '' || typeof host !== 'string') return 'the certificate is for another name: dial the name that is in it'
  return `the certificate is for ${names}, not for ${host}: dial a name that is in it, or have one made for ${host}`
}

/**
 * Returns the remedy for a server certificate that is not trusted.
 * @param code  of the failed handshake, as Node gives it
 * @param error  that has the code, where there is one
 * @returns undefined when the code is about something else
 */
export function trustRemedy(code: unknown, { option, isGiven }: TrustedAuthority, error?: unknown): string | undefined {
  if (typeof code !== 'string' || !CERTIFICATE_FAULT.test(code)) return undefined
  switch (code) {
    case 'CERT_HAS_EXPIRED':
      return 'renew the certificate of the outer layer or of the proxy in front of it; or is the clock of this machine wrong?'
    case 'CERT_NOT_YET_VALID':
      return 'is the clock of this machine wrong?'
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return nameRemedy(error)
    default:
      return isGiven
        ? `it is not signed by the authority of ${option}: is that the right file?`
        : `no authority that Node.js knows has signed it: name the right one with ${option}`
  }
}
