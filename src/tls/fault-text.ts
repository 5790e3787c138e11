import { messageOf } from '../errors.ts'

/** `error:0A00010B:SSL routines:ssl3_get_record:wrong version number:file.c:355:` as OpenSSL writes a fault. */
const OPENSSL = /error:[0-9A-F]{8}:[^:]*:[^:]*:([^:]+)/

/** Messages of Node.js and OpenSSL about a far end without TLS. */
const NO_TLS = /wrong version number|packet length too long|disconnected before secure TLS connection|http request/

/** True where the message of a failed handshake says that the far end speaks no TLS. */
export const saysNoTls = (text: string): boolean => NO_TLS.test(text)

/** The message of a failed connection on one line; of a fault that OpenSSL has found, its reason alone: the rest are names of its functions and files. */
export function faultText(thrown: unknown): string {
  const text = messageOf(thrown)
  const [, reason] = OPENSSL.exec(text) ?? []
  return reason === undefined ? text : `TLS: ${reason}`
}
