import { GatewayError, messageOf, type ErrorCode } from '../errors.ts'

/** What ECONNRESET is called on pooled connections, see `honestConnector`. */
export const ORIGIN_RESET = 'ORIGIN_RESET'

const CODES: Readonly<Record<string, ErrorCode>> = {
  ECONNREFUSED: 'ORIGIN_REFUSED',
  EHOSTUNREACH: 'ORIGIN_REFUSED',
  ENETUNREACH: 'ORIGIN_REFUSED',
  EADDRNOTAVAIL: 'ORIGIN_REFUSED',
  ENOTFOUND: 'ORIGIN_DNS',
  EAI_AGAIN: 'ORIGIN_DNS',
  EAI_FAIL: 'ORIGIN_DNS',
  ETIMEDOUT: 'ORIGIN_CONNECT_TIMEOUT',
  UND_ERR_CONNECT_TIMEOUT: 'ORIGIN_CONNECT_TIMEOUT',
  ECONNRESET: 'ORIGIN_CLOSED',
  EPIPE: 'ORIGIN_CLOSED',
  UND_ERR_SOCKET: 'ORIGIN_CLOSED',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'ORIGIN_CLOSED',
  UND_ERR_HEADERS_OVERFLOW: 'ORIGIN_BAD_RESPONSE',
  UND_ERR_INVALID_ARG: 'ORIGIN_BAD_REQUEST',
  UND_ERR_NOT_SUPPORTED: 'ORIGIN_BAD_REQUEST',
  ERR_INVALID_HTTP_TOKEN: 'ORIGIN_BAD_REQUEST',
  ERR_INVALID_CHAR: 'ORIGIN_BAD_REQUEST',
  ERR_HTTP_INVALID_HEADER_VALUE: 'ORIGIN_BAD_REQUEST',
  ERR_HTTP_TRAILER_INVALID: 'ORIGIN_BAD_REQUEST',
  ERR_UNESCAPED_CHARACTERS: 'ORIGIN_BAD_REQUEST',
  UND_ERR_REQ_CONTENT_LENGTH_MISMATCH: 'BODY_MISMATCH',
  EPROTO: 'ORIGIN_TLS',
}
const TLS = /^(?:ERR_TLS|ERR_SSL|CERT_|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_|CRL_|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE)/
/** Of a dial they say that nothing was sent; of a connection that stood, that nobody knows. */
const OF_A_DIAL = new Set(['EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT'])
const BAD_RESPONSE = new Set(['bad response', 'bad upgrade'])

/** What a failed dial or a broken exchange with an origin means, from the error code of Node, OpenSSL, llhttp or undici. */
export function originFailure(thrown: unknown): GatewayError {
  if (thrown instanceof GatewayError) return thrown
  if (thrown instanceof AggregateError && thrown.errors.length > 0) return originFailure(thrown.errors[0])
  const code = (thrown as { code?: unknown } | null)?.code
  const text = messageOf(thrown)
  // undici's parser error has the words of llhttp and no code.
  if (thrown instanceof Error && thrown.name === 'HTTPParserError') {
    return new GatewayError(/\bEOF\b/.test(text) ? 'ORIGIN_CLOSED' : 'ORIGIN_BAD_RESPONSE', text, { cause: thrown })
  }
  // The outer layer may repeat what could not be sent, whatever the method.
  const syscall = (thrown as { readonly syscall?: unknown } | null | undefined)?.syscall
  if (OF_A_DIAL.has(code as string) && (syscall === 'read' || syscall === 'write'))
    return new GatewayError('ORIGIN_CLOSED', text, { cause: thrown })
  return new GatewayError(classify(typeof code === 'string' ? code : '', text), text, { cause: thrown })
}

function classify(code: string, text: string): ErrorCode {
  if (code === 'UND_ERR_SOCKET' && BAD_RESPONSE.has(text)) return 'ORIGIN_BAD_RESPONSE'
  if (code.startsWith('HPE_')) return code === 'HPE_INVALID_EOF_STATE' ? 'ORIGIN_CLOSED' : 'ORIGIN_BAD_RESPONSE'
  if (TLS.test(code)) return 'ORIGIN_TLS'
  return CODES[code] ?? 'ORIGIN_CLOSED'
}

/** What undici calls a 100 (Continue) without an expectation, for which it has no code (RFC 9110 §15.2 wants it ignored). */
export const isUnaskedContinue = (error: Error): boolean =>
  error.message === 'bad response' && 'code' in error && error.code === 'UND_ERR_SOCKET'

/** True for a connection that broke before anything was answered: on a kept-alive one the request may never have been seen. */
export const isStaleConnection = (failure: GatewayError): boolean => {
  const code = (failure.cause as { code?: unknown } | undefined)?.code
  return code === 'UND_ERR_SOCKET' || code === ORIGIN_RESET || code === 'ECONNRESET' || code === 'EPIPE'
}
