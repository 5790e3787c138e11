import { constants } from 'node:crypto'
import type { Server, TlsOptions } from 'node:tls'
import type { CertificateStore } from './certificate-store.ts'
import { HANDSHAKE_MS, TLS_SETTINGS } from './settings.ts'

/** The context of clients that name no server: `tls.Server` keeps it by itself, in contrast to those of the SNI callback. */
function defaultContext(store: CertificateStore): TlsOptions {
  const { cert, key } = store.match(undefined)
  const { clientCa } = store
  // Without tickets under client certificates: who resumes would be let in by the authorities of the time of the first handshake.
  const secureOptions = clientCa === undefined ? TLS_SETTINGS.secureOptions : TLS_SETTINGS.secureOptions | constants.SSL_OP_NO_TICKET
  return { ...TLS_SETTINGS, secureOptions, cert, key, ...(clientCa !== undefined && { ca: clientCa }) }
}

/**
 * Options of a TLS server with the certificates of `store`: one by the name that the client asks for, and client certificates demanded
 * where the store has authorities for them. Call `followCertificates` with the server.
 */
export const tlsOptions = (store: CertificateStore): TlsOptions => ({
  ...defaultContext(store),
  handshakeTimeout: HANDSHAKE_MS,
  requestCert: store.clientCa !== undefined,
  rejectUnauthorized: true,
  SNICallback: (serverName, done) => {
    // Whatever is thrown here would end the process in some releases of Node (CVE-2026-21637).
    try {
      done(null, store.match(serverName).context)
    } catch (error) {
      done(error instanceof Error ? error : new Error(String(error)))
    }
  },
})

/** Gives new handshakes of `server` what comes into force in `store`, until the returned function is called. */
export const followCertificates = (server: Server, store: CertificateStore): (() => void) =>
  store.subscribe(() => server.setSecureContext(defaultContext(store)))
