/**
 * One error class and one catalogue of codes. Every border reads one column: the HTTP edge `status`, the link `reset`, the
 * dispatcher `retry`, the command line `exit`. `docs/errors.md` has a heading per code; a test holds the two together.
 */

/** What one code means at each border. */
export interface ErrorEntry {
  /** HTTP status that a client gets, 0 where the code never becomes an answer. */
  readonly status: number
  /** Number in a RESET or GOAWAY frame, 0 where the code never crosses the link. Never renumber. */
  readonly reset: number
  /** May the same request be sent to another inner layer: never, when it is idempotent, or always (nothing was executed). */
  readonly retry: 'never' | 'idempotent' | 'always'
  /** Exit status of the process when a command ends with this error. */
  readonly exit: 1 | 2
  /** One sentence for the client: cause and remedy, without any internal name. */
  readonly text: string
}

const facts = (status: number, reset: number, retry: ErrorEntry['retry'], text: string, exit: 1 | 2 = 1): ErrorEntry =>
  Object.freeze({ status, reset, retry, exit, text })

/** The catalogue, frozen: code → facts. */
export const ERRORS = Object.freeze({
  // --- refused at the edge, before any inner layer hears of it
  BAD_REQUEST: facts(400, 0, 'never', 'The request is not valid HTTP; send a well-formed request.'),
  BAD_HOST: facts(400, 0, 'never', 'The request needs exactly one valid Host header; send one host name with an optional port.'),
  BAD_TARGET: facts(400, 0, 'never', 'The request target is not valid; send a path that starts with a single slash.'),
  BAD_FRAMING: facts(
    400,
    0,
    'never',
    'The length of the request body is ambiguous; send either Content-Length or Transfer-Encoding: chunked.',
  ),
  BAD_HEADER: facts(400, 0, 'never', 'A header field of the request is not allowed; remove the field.'),
  BODY_MISMATCH: facts(400, 16, 'never', 'The request body does not have the announced length; send as many bytes as Content-Length says.'),
  TLS_REQUIRED: facts(400, 0, 'never', 'This port speaks HTTPS; use https:// in the URL instead of http://.'),
  AMBIGUOUS_PATH: facts(
    400,
    0,
    'never',
    'The path can be read in more than one way; send it without encoded slashes, backslashes, "..;" or control characters.',
  ),
  CREDENTIALS_REQUIRED: facts(401, 0, 'never', 'This host needs a name and a password, and these are missing or wrong; send valid ones.'),
  ADDRESS_REFUSED: facts(403, 0, 'never', 'This host does not take requests from your address; ask the operator to allow it.'),
  POLICY_REFUSED: facts(403, 0, 'never', 'The policy of this host does not allow this method and path; ask the operator to allow it.'),
  UNKNOWN_HOST: facts(404, 0, 'never', 'No target is configured for this host; the Host header decides, so check the host in the URL.'),
  NO_ROUTE: facts(404, 0, 'never', 'Nothing is configured for this path of the host; check the path in the URL.'),
  METHOD_REFUSED: facts(405, 0, 'never', 'This method is not supported here; use another method.'),
  REQUEST_TIMEOUT: facts(408, 0, 'never', 'The request did not arrive in time; send it again, faster.'),
  BODY_TOO_LARGE: facts(413, 0, 'never', 'The request body is larger than this host allows; send a smaller one.'),
  CLIENT_TLS: facts(0, 0, 'never', 'No TLS connection with the client came about; the log says what was wrong with it.'),
  URI_TOO_LONG: facts(414, 0, 'never', 'The request target is too long; shorten the URL.'),
  EXPECTATION_FAILED: facts(417, 0, 'never', 'The only supported expectation is 100-continue; remove the Expect header.'),
  MISDIRECTED: facts(421, 0, 'never', 'The TLS connection was made for another host; open one for this host.'),
  RATE_LIMITED: facts(429, 0, 'never', 'There were too many requests of this client in a short time; wait as long as Retry-After says.'),
  HEADERS_TOO_LARGE: facts(431, 0, 'never', 'The header section has too many or too large fields; send fewer or smaller ones.'),
  CODING_UNSUPPORTED: facts(
    501,
    0,
    'never',
    'The only supported transfer coding is chunked; send the body with chunked alone or with Content-Length.',
  ),
  FOREIGN_DESTINATION: facts(
    502,
    0,
    'never',
    'The request names a place that is not behind this host and route; copy or move within them.',
  ),
  LOOP: facts(508, 0, 'never', 'The request came back to the gateway that sent it; ask the operator to check the target.'),
  // --- between the layers
  NO_INNER_LAYER: facts(502, 0, 'never', 'No inner layer is connected for this host; try again when it is back.'),
  INNER_LAYER_LOST: facts(502, 1, 'idempotent', 'The connection to the inner layer was lost while the request was under way; try again.'),
  OUTER_LAYER_LOST: facts(0, 0, 'never', 'The connection to the outer layer was lost, or none could be made; it is tried again.'),
  REFUSED_STREAM: facts(503, 2, 'always', 'The inner layer does not take new requests at the moment; try again shortly.'),
  OVERLOADED: facts(503, 0, 'never', 'The gateway has no capacity for this request at the moment; try again shortly.'),
  INNER_EXHAUSTED: facts(503, 17, 'always', 'The inner layer has no connection left for this request at the moment; try again shortly.'),
  DRAINING: facts(503, 3, 'always', 'The gateway is shutting down; try again shortly.'),
  CLIENT_STALLED: facts(408, 0, 'never', 'The client stopped reading the response; read on, or ask for less at a time.'),
  CANCELLED: facts(499, 4, 'never', 'The client went away before the response was complete.'),
  INTERNAL: facts(500, 5, 'never', 'The gateway failed to handle this request; report the request id to the operator.'),
  // --- at the origin, as the inner layer saw it
  ORIGIN_FORBIDDEN: facts(
    403,
    6,
    'always',
    'The inner layer does not allow connections to the origin of this host; ask its operator to allow it.',
  ),
  ORIGIN_REFUSED: facts(502, 7, 'never', 'The origin did not accept a connection; check that it is running.'),
  ORIGIN_DNS: facts(502, 8, 'never', 'The name of the origin could not be resolved; ask the operator to check the target.'),
  ORIGIN_TLS: facts(
    502,
    9,
    'idempotent',
    'No trusted TLS connection to the origin could be made; ask the operator to check its certificate.',
  ),
  ORIGIN_CLOSED: facts(502, 10, 'never', 'The origin closed the connection before it had answered; try again.'),
  ORIGIN_BAD_RESPONSE: facts(502, 11, 'never', 'The origin sent a response that is not valid HTTP; ask the operator to check the origin.'),
  ORIGIN_CONNECT_TIMEOUT: facts(504, 12, 'never', 'The origin did not accept a connection in time; check that it is reachable.'),
  ORIGIN_TIMEOUT: facts(504, 13, 'never', 'The origin did not answer in time; try again later.'),
  ORIGIN_BAD_REQUEST: facts(400, 14, 'never', 'The request cannot be expressed to the origin; check method, path and header fields.'),
  IDLE_TIMEOUT: facts(
    0,
    15,
    'never',
    'Nothing moved on this connection within its idle limit; send pings, or ask the operator to raise the limit.',
  ),
  // --- the link itself
  PROTOCOL: facts(502, 20, 'never', 'The peer broke the link protocol; use the same release on both sides.'),
  FLOW_EXCEEDED: facts(502, 21, 'never', 'The peer sent more than it had credit for; use the same release on both sides.'),
  VERSION: facts(0, 22, 'never', 'The two layers have no protocol version in common; upgrade the older one.'),
  AUTH: facts(0, 23, 'never', 'The proof of identity was refused; check key, identifier and clock.'),
  AUTH_TIMEOUT: facts(0, 24, 'never', 'The proof of identity did not arrive in time.'),
  CALM: facts(0, 25, 'never', 'The peer exceeded a limit of the link; see the log for which one.'),
  LINK_DEAD: facts(502, 26, 'idempotent', 'The connection between the layers went silent and was given up.'),
  GOING_AWAY: facts(0, 27, 'always', 'The peer is shutting down.'),
  KEY_REMOVED: facts(0, 28, 'never', 'The key of this inner layer is no longer accepted.'),
  // --- tunnels: TCP connections that come as WebSockets
  UPGRADE_REQUIRED: facts(426, 0, 'never', 'This path is a tunnel; open it as a WebSocket, as "socket-gateway forward" does.'),
  TUNNEL_UNAUTHORIZED: facts(401, 0, 'never', 'The tunnel needs credentials, and these are not valid for it; check token, user or key.'),
  TUNNEL_FORBIDDEN: facts(403, 0, 'never', 'The tunnel may not be opened from here with these credentials; ask the operator to allow it.'),
  UNKNOWN_TUNNEL: facts(404, 0, 'never', 'No tunnel of this name is configured; check host and port behind /tunnel/ in the URL.'),
  TUNNEL_ATTEMPTS: facts(429, 0, 'never', 'There were too many attempts with wrong credentials from this address; wait a minute.'),
  TUNNEL_UNREACHABLE: facts(0, 0, 'never', 'The far end of the tunnel did not answer; check the URL and that it is running.'),
  TUNNEL_REFUSED: facts(0, 0, 'never', 'The far end refused to open the tunnel; it says why.'),
  TUNNEL_CLOSED: facts(0, 0, 'never', 'The tunnel was broken off; the close code and the reason say by whom and why.'),
  // --- commands and configuration
  USAGE: facts(0, 0, 'never', 'The command line is not valid; see --help.', 2),
  CONFIG_INVALID: facts(0, 0, 'never', 'The configuration is not valid; every fault is listed with its place.'),
  FILE_UNREADABLE: facts(0, 0, 'never', 'A file could not be read or written; check path and permissions.'),
  FILE_EXISTS: facts(0, 0, 'never', 'The file exists and is not overwritten; choose another path or pass --force.'),
  KEY_INVALID: facts(0, 0, 'never', 'The key or certificate cannot be used; mint a pair with "socket-gateway certificates".'),
  ADMIN_FAILED: facts(0, 0, 'never', 'The admin port of a layer gave no status; check its address and its password.'),
  LISTEN_FAILED: facts(0, 0, 'never', 'The port could not be opened; choose another one or stop the program that uses it.'),
})

/** A code of the catalogue. */
export type ErrorCode = keyof typeof ERRORS

const BY_RESET = new Map<number, ErrorCode>(
  (Object.keys(ERRORS) as ErrorCode[]).filter(code => ERRORS[code].reset > 0).map(code => [ERRORS[code].reset, code]),
)

/** The code for a number that came in a RESET or GOAWAY frame; an unknown number reads as INTERNAL. */
export const codeOfReset = (reset: number): ErrorCode => BY_RESET.get(reset) ?? 'INTERNAL'

/** What a client is told of a failure: its code, and what the answer has beside the usual fields. */
export interface Refusal {
  readonly code: ErrorCode
  /** Names and values in turn, such as Retry-After and 3. */
  readonly fields?: readonly string[]
}

const NO_FIELDS: readonly string[] = Object.freeze([])

/** An expected failure: `code` decides what each border does, `message` says what happened and where (for logs, never for clients). */
export class GatewayError extends Error implements Refusal {
  readonly fields: readonly string[]

  constructor(
    readonly code: ErrorCode,
    message: string = ERRORS[code].text,
    options?: { readonly cause?: unknown; readonly fields?: readonly string[] },
  ) {
    super(message, options)
    this.name = 'GatewayError'
    this.fields = options?.fields ?? NO_FIELDS
  }

  get facts(): ErrorEntry {
    return ERRORS[this.code]
  }
}

/** What `thrown` says of itself, on one line, for a log. */
export const messageOf = (thrown: unknown): string => {
  const text = thrown instanceof Error ? thrown.message : String(thrown)
  if (!text.includes('\n')) return text
  const lines = text.split('\n').map(line => line.trim())
  return lines.filter(line => line !== '').join(' ')
}

/** `thrown` as a GatewayError: itself, or `code` with the original as cause. */
export const asGatewayError = (thrown: unknown, code: ErrorCode = 'INTERNAL'): GatewayError =>
  thrown instanceof GatewayError ? thrown : new GatewayError(code, messageOf(thrown), { cause: thrown })
