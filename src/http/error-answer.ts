import { STATUS_CODES } from 'node:http'
import { ERRORS, type ErrorCode, type Refusal } from '../errors.ts'
import { acceptsHtml, acceptsJson } from './accept.ts'

/** An answer of our own: never anything internal, only what the catalogue says and the id that is in the log. */
export interface ErrorAnswer {
  readonly status: number
  readonly fields: string[]
  readonly body: string
}

/** Refusals that visitors of a socket meet, who are people with a browser: what else its owner has to know. */
const PAGES: Partial<Record<ErrorCode, { readonly title: string; readonly hints: readonly string[] }>> = {
  NO_TUNNEL: {
    title: 'Nothing is connected here',
    hints: [
      'If this address is yours, connect a tunnel from the machine that has your application:',
      'socket-gateway tunnel connect --socket-id NAME --port PORT',
      'NAME is this address without https:// (or the name that you gave the socket), PORT that of your application. Or begin anew with one command:',
      'socket-gateway connect PORT',
    ],
  },
  NO_SOCKET: {
    title: 'Nothing is here',
    hints: ['A name goes with its socket. If this one was yours, a new one takes one command:', 'socket-gateway connect PORT'],
  },
  VISITOR_LOGIN_MISSING: {
    title: 'This address is for some visitors only',
    hints: ['If it is yours, take the lists of visitors away, or protect it with a password.'],
  },
}

/**
 * Composes the answer for a refusal: problem+json (RFC 9457) where the client accepts JSON, a page where a browser meets what its
 * visitors have to be told, else text.
 * @param accept  value of the Accept field; undefined: there is none
 */
export function errorAnswer({ code, fields: more }: Refusal, requestId: string, accept: string | undefined): ErrorAnswer {
  const { status, text } = ERRORS[code]
  const title = STATUS_CODES[status] ?? 'Error'
  const [type, body] = acceptsJson(accept)
    ? ['application/problem+json', `${JSON.stringify({ type: 'about:blank', title, status, code, detail: text, requestId })}\n`]
    : PAGES[code] !== undefined && acceptsHtml(accept)
      ? ['text/html', pageOf(code, text, requestId, PAGES[code])]
      : ['text/plain', `${status} ${title}\n\n${text}\n\ncode: ${code}\nrequest id: ${requestId}\n`]
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
  if (type === 'text/html') fields.push('Content-Security-Policy', "default-src 'none'; style-src 'unsafe-inline'")
  if (status === 405) fields.push('Allow', 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS')
  if (status === 503) fields.push('Retry-After', '1')
  if (more !== undefined) fields.push(...more)
  return { status, fields, body }
}

/** Of nothing but texts of ours and the id: there is nothing to be escaped. */
const pageOf = (code: ErrorCode, text: string, requestId: string, { title, hints }: NonNullable<(typeof PAGES)[ErrorCode]>): string =>
  `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${title}</title>
<style>body{font:1rem/1.5 system-ui,sans-serif;max-width:40rem;margin:15vh auto;padding:0 1rem}small{color:#666}</style>
<h1>${title}</h1>
<p>${text}</p>
${hints.map(hint => (hint.startsWith('socket-gateway') ? `<pre>${hint}</pre>` : `<p>${hint}</p>`)).join('\n')}
<p><small>code: ${code}<br>request id: ${requestId}</small></p>
</html>
`

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
      return 'http_request_denied'
    case 'INTERNAL':
      return 'proxy_internal_error'
    default:
      return ERRORS[code].status < 500 ? 'http_request_error' : 'proxy_internal_response'
  }
}
