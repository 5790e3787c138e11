/** Certificates of visitors: asked for where a host wants them, and never a reason to end the handshake. */
import { constants, type X509Certificate } from 'node:crypto'
import { createSecureContext, type SecureContext, type TlsOptions, type TLSSocket } from 'node:tls'
import type { PeerCertificate } from '../http/client.ts'
import { revocationListsIn } from '../identity/certificate-file.ts'
import type { CertificateStore } from './certificate-store.ts'
import type { ServerPair } from './server-pair.ts'
import { HANDSHAKE_MS, TLS_SETTINGS } from './settings.ts'

/** Whom to believe about visitors of a host. */
export interface ClientAuthorities {
  /** In PEM. */
  readonly ca: string
  /** Lists of what these have revoked, in PEM; undefined: nothing is asked of them. */
  readonly crl: string | undefined
}

/**
 * Options of a TLS server for the hosts with these authorities. Without tickets: who resumes would be let in by what was good at the time of
 * the first handshake.
 */
export function visitorTlsOptions(store: CertificateStore, authorities: ClientAuthorities): TlsOptions {
  const { ca, crl } = authorities
  const settings = {
    ...TLS_SETTINGS,
    secureOptions: TLS_SETTINGS.secureOptions | constants.SSL_OP_NO_TICKET,
    ca,
    // Node.js reads one list of a text.
    ...(crl !== undefined && { crl: [...revocationListsIn(crl)] }),
  }
  const contexts = new WeakMap<ServerPair, SecureContext>()
  const contextOf = (pair: ServerPair): SecureContext => {
    const known = contexts.get(pair) ?? createSecureContext({ ...settings, cert: pair.cert, key: pair.key })
    contexts.set(pair, known)
    return known
  }
  const { cert, key } = store.match(undefined)
  return {
    ...settings,
    cert,
    key,
    handshakeTimeout: HANDSHAKE_MS,
    requestCert: true,
    rejectUnauthorized: false,
    SNICallback: (serverName, done) => {
      // Whatever is thrown here would end the process in some releases of Node (CVE-2026-21637).
      try {
        done(null, contextOf(store.match(serverName)))
      } catch (error) {
        done(error instanceof Error ? error : new Error(String(error)))
      }
    },
  }
}

/** Reads the certificate that a client has sent; undefined for none. */
export function clientCertificateOf(socket: TLSSocket): PeerCertificate | undefined {
  const certificate = socket.getPeerX509Certificate()
  if (certificate === undefined) return undefined
  const { authorized, authorizationError } = socket
  return peerCertificateOf(certificate, authorized ? undefined : faultOf(authorizationError))
}

/** The names and times of a certificate. @param fault  why it is not good */
export function peerCertificateOf(certificate: X509Certificate, fault?: string): PeerCertificate {
  const { dns, emails, uris } = namesOf(certificate.subjectAltName ?? '')
  return Object.freeze({
    fault,
    notAfterMs: Date.parse(certificate.validTo),
    fingerprint: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
    dns,
    emails,
    uris,
    commonName: commonNameOf(certificate),
  })
}

const faultOf = (error: unknown): string => (error instanceof Error ? error.message : String(error)).slice(0, 100)

/**
 * The names as Node.js writes them, `DNS:a, email:b@c`. What it has put in quotes has characters that no such name has, and could be read in
 * two ways (CVE-2021-44532): such a certificate has no names.
 */
function namesOf(text: string): Pick<PeerCertificate, 'dns' | 'emails' | 'uris'> {
  const names = { dns: [] as string[], emails: [] as string[], uris: [] as string[] }
  if (text === '' || text.includes('"')) return names
  for (const entry of text.split(', ')) {
    const colon = entry.indexOf(':')
    const [kind, value] = [entry.slice(0, colon), entry.slice(colon + 1)]
    if (value === '' || /[^\x21-\x7e]/.test(value)) continue
    if (kind === 'DNS') names.dns.push(value.toLowerCase())
    else if (kind === 'email') names.emails.push(value)
    else if (kind === 'URI') names.uris.push(value)
  }
  return names
}

function commonNameOf(certificate: X509Certificate): string | undefined {
  const name: unknown = (certificate.toLegacyObject().subject as { readonly CN?: unknown } | undefined)?.CN
  return typeof name === 'string' && name !== '' && name.length <= 100 && !/\p{C}/u.test(name) ? name : undefined
}
