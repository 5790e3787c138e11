import { constants, randomBytes } from 'node:crypto'
import type { Server, TlsOptions } from 'node:tls'
import type { CertificateStore } from './certificate-store.ts'
import { HANDSHAKE_MS, TLS_SETTINGS } from './settings.ts'

/** The context of clients that name no server: `tls.Server` keeps it by itself, in contrast to those of the SNI callback. */
function defaultContext(store: CertificateStore): TlsOptions {
  const { cert, key } = store.match(undefined)
  const { clientCa, clientCrls } = store
  // Without tickets under client certificates: who resumes would be let in by the authorities of the time of the first handshake.
  const secureOptions = clientCa === undefined ? TLS_SETTINGS.secureOptions : TLS_SETTINGS.secureOptions | constants.SSL_OP_NO_TICKET
  return {
    ...TLS_SETTINGS,
    secureOptions,
    cert,
    key,
    ...(clientCa !== undefined && { ca: clientCa }),
    ...(clientCrls !== undefined && { crl: [...clientCrls] }),
  }
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

/** The lifetime of a key of tickets: it lets its holder read what was resumed by them, so it must not live as long as the process. */
const TICKET_KEY_MS = 12 * 3_600_000
const TICKET_KEY_BYTES = 48

/**
 * Gives new handshakes of `server` what comes into force in `store`, and sessions a fresh key every twelve hours, until the returned
 * function is called.
 */
export function followCertificates(server: Server, store: CertificateStore, ticketKeyMs: number = TICKET_KEY_MS): () => void {
  // One key is enough: a client whose ticket is too old makes a full handshake, as if it had none.
  const timer = setInterval(() => server.setTicketKeys(randomBytes(TICKET_KEY_BYTES)), ticketKeyMs)
  timer.unref()
  const unsubscribe = store.subscribe(() => server.setSecureContext(defaultContext(store)))
  return () => {
    clearInterval(timer)
    unsubscribe()
  }
}
