import { GatewayError, messageOf, type ErrorCode } from '../errors.ts'

const CODES: ReadonlyMap<string, ErrorCode> = new Map<string, ErrorCode>([
  ['ECONNREFUSED', 'ORIGIN_REFUSED'],
  ['EHOSTUNREACH', 'ORIGIN_REFUSED'],
  ['EHOSTDOWN', 'ORIGIN_REFUSED'],
  ['ENETUNREACH', 'ORIGIN_REFUSED'],
  ['ENETDOWN', 'ORIGIN_REFUSED'],
  ['EACCES', 'ORIGIN_REFUSED'], // a firewall of this machine
  ['EPERM', 'ORIGIN_REFUSED'],
  ['ENOTFOUND', 'ORIGIN_DNS'],
  ['ENODATA', 'ORIGIN_DNS'],
  ['ESERVFAIL', 'ORIGIN_DNS'],
  ['EAI_AGAIN', 'ORIGIN_DNS'],
  ['EAI_FAIL', 'ORIGIN_DNS'],
  ['ETIMEDOUT', 'ORIGIN_CONNECT_TIMEOUT'],
  ['ECONNRESET', 'ORIGIN_CLOSED'],
  ['EPIPE', 'ORIGIN_CLOSED'],
  ['ERR_INVALID_HTTP_TOKEN', 'ORIGIN_BAD_REQUEST'],
  ['ERR_INVALID_CHAR', 'ORIGIN_BAD_REQUEST'],
  ['ERR_HTTP_INVALID_HEADER_VALUE', 'ORIGIN_BAD_REQUEST'],
  ['ERR_HTTP_TRAILER_INVALID', 'ORIGIN_BAD_REQUEST'],
  ['ERR_UNESCAPED_CHARACTERS', 'ORIGIN_BAD_REQUEST'],
  ['EPROTO', 'ORIGIN_TLS'],
])
const TLS = /^(?:ERR_TLS|ERR_SSL|ERR_OSSL|CERT_|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_|CRL_|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE)/
/** Of a dial they say that nothing was sent; of a connection that stood, that nobody knows. */
const OF_A_DIAL = new Set(['EHOSTUNREACH', 'EHOSTDOWN', 'ENETUNREACH', 'ENETDOWN', 'ETIMEDOUT', 'EACCES', 'EPERM'])
/** Resources that this machine or this process has run out of: nothing was sent, and another inner layer may have them. */
const EXHAUSTED: ReadonlyMap<string, string> = new Map<string, string>([
  ['EMFILE', 'this process may open no more files and sockets; raise its limit (ulimit -n, LimitNOFILE=)'],
  ['ENFILE', 'this machine may open no more files and sockets; raise fs.file-max'],
  ['ENOBUFS', 'this machine has no memory left for sockets'],
  ['ENOMEM', 'this machine has no memory left for sockets'],
  ['EADDRNOTAVAIL', 'this machine has no address or local port left for that origin; widen net.ipv4.ip_local_port_range'],
])
const SELF_SIGNED = new Set(['DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'])
/** The message for an operator whose origin has no HTTP/2. */
export const NO_ALPN = 'the origin does not offer HTTP/2 over TLS (ALPN h2); remove "http2: true" from the target'
/** Answers that are no TLS at all, as OpenSSL calls them. */
const NO_TLS = new Set(['ERR_SSL_WRONG_VERSION_NUMBER', 'ERR_SSL_PACKET_LENGTH_TOO_LONG', 'ERR_SSL_UNEXPECTED_MESSAGE', 'EPROTO'])

/** Returns the meaning of a failed dial or a broken exchange with an origin, from the error code of Node, OpenSSL or llhttp. */
export function originFailure(thrown: unknown): GatewayError {
  if (thrown instanceof GatewayError) return thrown
  if (thrown instanceof AggregateError && thrown.errors.length > 0) return originFailure(mostTelling(thrown.errors))
  const { code: given, syscall } = (thrown ?? {}) as { readonly code?: unknown; readonly syscall?: unknown }
  const code = typeof given === 'string' ? given : ''
  const text = messageOf(thrown)
  const isOfConnection = syscall === 'read' || syscall === 'write'
  const because = (kind: ErrorCode, why = text): GatewayError => new GatewayError(kind, why, { cause: thrown })
  const limit = EXHAUSTED.get(code)
  if (limit !== undefined && !isOfConnection) return because('INNER_EXHAUSTED', `${limit} (${text})`)
  if (syscall === 'getaddrinfo') return because('ORIGIN_DNS')
  // The outer layer may repeat what could not be sent, whatever the method.
  if (OF_A_DIAL.has(code) && isOfConnection) return because('ORIGIN_CLOSED')
  if (code === 'ECONNRESET' && syscall === 'connect') return because('ORIGIN_REFUSED')
  if (TLS.test(code)) return because('ORIGIN_TLS', tlsText(code, text))
  if (code.startsWith('HPE_')) return because(code === 'HPE_INVALID_EOF_STATE' ? 'ORIGIN_CLOSED' : 'ORIGIN_BAD_RESPONSE')
  const isFault = code === 'ERR_ASSERTION' || (code === '' && (thrown instanceof TypeError || thrown instanceof RangeError))
  return because(CODES.get(code) ?? (isFault ? 'INTERNAL' : 'ORIGIN_CLOSED'))
}

/** Of several addresses that were tried: one that says more than that this machine has no such family of addresses. */
const mostTelling = (errors: readonly unknown[]): unknown =>
  errors.find(error => (error as { code?: unknown } | null)?.code !== 'EADDRNOTAVAIL') ?? errors[0]

const tlsText = (code: string, text: string): string =>
  SELF_SIGNED.has(code)
    ? `the certificate of the origin is signed by nobody who is trusted here; name its authority with tls.ca (${text})`
    : text

/**
 * Why no TLS connection came about, once the origin was connected. Nothing of the request was sent.
 * @param thrown  undefined: the connection just ended
 * @param origin  HOST:PORT
 */
export function handshakeFailure(thrown: unknown, origin: string): GatewayError {
  const code = (thrown as { readonly code?: unknown } | null | undefined)?.code
  if (thrown === undefined || code === 'ECONNRESET' || code === 'EPIPE') {
    return new GatewayError('ORIGIN_TLS', `${origin} closed the connection in the TLS handshake; does it speak TLS?`, { cause: thrown })
  }
  if (code === 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL') return new GatewayError('ORIGIN_TLS', NO_ALPN, { cause: thrown })
  if (NO_TLS.has(code as string) && !/alert/i.test(messageOf(thrown))) {
    const text = `${origin} does not speak TLS; if it speaks plain HTTP, add "protocol: http" to the target`
    return new GatewayError('ORIGIN_TLS', `${text} (${messageOf(thrown)})`, { cause: thrown })
  }
  return originFailure(thrown)
}
