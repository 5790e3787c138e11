import { constants } from 'node:crypto'
import type { SecureContextOptions } from 'node:tls'

/** Time for the handshake of TLS, milliseconds; Node has two minutes, in which a stranger holds a socket for nothing. */
export const HANDSHAKE_MS = 10_000

/**
 * Settings of every TLS port of ours: TLS 1.2 and 1.3 with forward secrecy and authenticated encryption alone, the "intermediate" list of
 * Mozilla's server side TLS without DHE (RFC 9325 §4.2). The order is ours, but a client without AES in hardware, which names ChaCha20
 * first, gets that.
 */
export const TLS_SETTINGS = Object.freeze({
  minVersion: 'TLSv1.2',
  maxVersion: 'TLSv1.3',
  ciphers: [
    'TLS_AES_128_GCM_SHA256',
    'TLS_AES_256_GCM_SHA384',
    'TLS_CHACHA20_POLY1305_SHA256',
    'ECDHE-ECDSA-AES128-GCM-SHA256',
    'ECDHE-RSA-AES128-GCM-SHA256',
    'ECDHE-ECDSA-AES256-GCM-SHA384',
    'ECDHE-RSA-AES256-GCM-SHA384',
    'ECDHE-ECDSA-CHACHA20-POLY1305',
    'ECDHE-RSA-CHACHA20-POLY1305',
  ].join(':'),
  honorCipherOrder: true,
  // A client that renegotiates makes the server work; TLS 1.3 has no renegotiation, and nobody needs it in 1.2.
  secureOptions: constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_PRIORITIZE_CHACHA | constants.SSL_OP_CIPHER_SERVER_PREFERENCE,
} as const satisfies SecureContextOptions)
