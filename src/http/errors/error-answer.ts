import { STATUS_CODES } from 'node:http'
import { ERRORS, type ErrorCode, type Refusal } from '../../errors.ts'
import { acceptsHtml, acceptsJson } from '../accept.ts'
import { errorPage, type OwnErrorPages } from './error-page.ts'

/** An answer of our own: never anything internal, only what the catalogue says and the id that is in the log. */
export interface ErrorAnswer {
  readonly status: number
  readonly fields: string[]
  readonly body: string
}

/**
 * Composes the answer for a refusal: problem+json (RFC 9457) where the client accepts JSON, a page where it accepts HTML, as browsers
 * do that go somewhere, else text.
 * @param accept  value of the Accept field; undefined: there is none
 * @param options.own    pages of the operator
 * @param options.abuse  address for complaints about whoever is behind the host; undefined: it is the operator's own
 */
export function errorAnswer(
  { code, fields: more }: Refusal,
  requestId: string,
  accept: string | undefined,
  { own, abuse }: { readonly own?: OwnErrorPages | undefined; readonly abuse?: string | undefined } = {},
): ErrorAnswer {
  const { status, text } = ERRORS[code]
  const title = STATUS_CODES[status] ?? 'Error'
  const page = acceptsHtml(accept) && !acceptsJson(accept) ? errorPage(code, requestId, { own, abuse }) : undefined
  const [type, body] = acceptsJson(accept)
    ? [
        'application/problem+json',
        `${JSON.stringify({ type: 'about:blank', title, status, code, detail: text, requestId, ...(abuse !== undefined && { abuse }) })}\n`,
      ]
    : page !== undefined
      ? ['text/html', page.html]
      : [
          'text/plain',
          `${status} ${title}\n\n${text}\n\ncode: ${code}\nrequest id: ${requestId}\n${abuse === undefined ? '' : `report abuse to: ${abuse}\n`}`,
        ]
  const fields = [
    'Content-Type',
    `${type}; charset=utf-8`,
    'Content-Length',
    String(Buffer.byteLength(body)),
    'Cache-Control',
    'no-store',
    'X-Content-Type-Options',
    'nosniff',
    'X-Request-Id',
    requestId,
    'Proxy-Status', // RFC 9209
    `socket-gateway; error=${proxyStatus(code)}`,
  ]
  // Nothing on the page does anything, and nothing ever has to.
  if (page !== undefined) fields.push('Content-Security-Policy', page.policy)
  if (status === 405) fields.push('Allow', 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS')
  if (status === 503) fields.push('Retry-After', '1')
  if (more !== undefined) fields.push(...more)
  return { status, fields, body }
}

/** The error token of RFC 9209 §2.3 that is nearest to `code`. */
function proxyStatus(code: ErrorCode): string {
  switch (code) {
    case 'NO_INNER_LAYER':
    case 'NO_TUNNEL':
    case 'SERVICE_AWAY':
    case 'OVERLOADED':
    case 'REFUSED_STREAM':
    case 'DRAINING':
      return 'destination_unavailable'
    case 'ORIGIN_REFUSED':
      return 'connection_refused'
    case 'ORIGIN_DNS':
      return 'dns_error'
    case 'ORIGIN_TLS':
      return 'tls_certificate_error'
    case 'ORIGIN_CLOSED':
    case 'INNER_LAYER_LOST':
    case 'LINK_DEAD':
      return 'connection_terminated'
    case 'ORIGIN_BAD_RESPONSE':
      return 'http_protocol_error'
    case 'ORIGIN_CONNECT_TIMEOUT':
      return 'connection_timeout'
    case 'ORIGIN_TIMEOUT':
      return 'http_response_timeout'
    case 'ORIGIN_FORBIDDEN':
      return 'destination_ip_prohibited'
    case 'LOOP':
      return 'proxy_loop_detected'
    case 'POLICY_REFUSED':
    case 'FOREIGN_DESTINATION':
    case 'ADDRESS_REFUSED':
    case 'CREDENTIALS_REQUIRED':
    case 'RATE_LIMITED':
    case 'QUOTA_REACHED':
      return 'http_request_denied'
    case 'INTERNAL':
      return 'proxy_internal_error'
    default:
      return ERRORS[code].status < 500 ? 'http_request_error' : 'proxy_internal_response'
  }
}
