/**
 * One error class and one catalogue of codes. Every border reads one column: the HTTP edge `status`, the link `reset`, the
 * dispatcher `retry`, the command line `exit`. `docs/errors.md` has a heading per code; a test holds the two together.
 */

/** The meaning of one code at each border. */
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

/** A row of the catalogue; what it does not say is as `USUAL` has it. */
type Row = Partial<ErrorEntry> & Pick<ErrorEntry, 'text'>

const USUAL = { status: 0, reset: 0, retry: 'never', exit: 1 } as const

const ROWS = {
  // --- refused at the edge, before any inner layer hears of it
  BAD_REQUEST: { status: 400, text: 'The request is not valid HTTP; send a well-formed request.' },
  BAD_HOST: { status: 400, text: 'The request needs exactly one valid Host header; send one host name with an optional port.' },
  BAD_TARGET: { status: 400, text: 'The request target is not valid; send a path that starts with a single slash.' },
  BAD_FRAMING: {
    status: 400,
    text: 'The length of the request body is ambiguous; send either Content-Length or Transfer-Encoding: chunked.',
  },
  BAD_HEADER: { status: 400, text: 'A header field of the request is not allowed; remove the field.' },
  BODY_MISMATCH: {
    status: 400,
    reset: 16,
    text: 'The request body does not have the announced length; send as many bytes as Content-Length says.',
  },
  TLS_REQUIRED: { status: 400, text: 'This port speaks HTTPS; use https:// in the URL instead of http://.' },
  AMBIGUOUS_PATH: {
    status: 400,
    text: 'The path can be read in more than one way; send it without encoded slashes, backslashes, "..;" or control characters.',
  },
  CREDENTIALS_REQUIRED: { status: 401, text: 'This host needs a name and a password, and these are missing or wrong; send valid ones.' },
  ADDRESS_REFUSED: { status: 403, text: 'This host does not take requests from your address; ask the operator to allow it.' },
  POLICY_REFUSED: { status: 403, text: 'The policy of this host does not allow this method and path; ask the operator to allow it.' },
  UNKNOWN_HOST: { status: 404, text: 'No target is configured for this host; the Host header decides, so check the host in the URL.' },
  NO_ROUTE: { status: 404, text: 'Nothing is configured for this path of the host; check the path in the URL.' },
  METHOD_REFUSED: { status: 405, text: 'This method is not supported here; use another method.' },
  REQUEST_TIMEOUT: { status: 408, text: 'The request did not arrive in time; send it again, faster.' },
  BODY_TOO_LARGE: { status: 413, text: 'The request body is larger than this host allows; send a smaller one.' },
  CLIENT_TLS: { text: 'No TLS connection with the client came about; the log says what was wrong with it.' },
  URI_TOO_LONG: { status: 414, text: 'The request target is too long; shorten the URL.' },
  EXPECTATION_FAILED: { status: 417, text: 'The only supported expectation is 100-continue; remove the Expect header.' },
  MISDIRECTED: { status: 421, text: 'The TLS connection was made for another host; open one for this host.' },
  RATE_LIMITED: { status: 429, text: 'There were too many requests of this client in a short time; wait as long as Retry-After says.' },
  HEADERS_TOO_LARGE: { status: 431, text: 'The header section has too many or too large fields; send fewer or smaller ones.' },
  CODING_UNSUPPORTED: {
    status: 501,
    text: 'The only supported transfer coding is chunked; send the body with chunked alone or with Content-Length.',
  },
  FOREIGN_DESTINATION: { status: 502, text: 'The request names a place that is not behind this host and route; copy or move within them.' },
  LOOP: { status: 508, text: 'The request came back to the gateway that sent it; ask the operator to check the target.' },
  // --- between the layers
  NO_INNER_LAYER: { status: 502, text: 'No inner layer is connected for this host; try again when it is back.' },
  INNER_LAYER_LOST: {
    status: 502,
    reset: 1,
    retry: 'idempotent',
    text: 'The connection to the inner layer was lost while the request was under way; try again.',
  },
  OUTER_LAYER_LOST: { text: 'The connection to the outer layer was lost, or none could be made; it is tried again.' },
  REFUSED_STREAM: {
    status: 503,
    reset: 2,
    retry: 'always',
    text: 'The inner layer does not take new requests at the moment; try again shortly.',
  },
  OVERLOADED: { status: 503, text: 'The gateway has no capacity for this request at the moment; try again shortly.' },
  INNER_EXHAUSTED: {
    status: 503,
    reset: 17,
    retry: 'always',
    text: 'The inner layer has no connection left for this request at the moment; try again shortly.',
  },
  DRAINING: { status: 503, reset: 3, retry: 'always', text: 'The gateway is shutting down; try again shortly.' },
  CLIENT_STALLED: { status: 408, text: 'The client stopped reading the response; read on, or ask for less at a time.' },
  CANCELLED: { status: 499, reset: 4, text: 'The client went away before the response was complete.' },
  INTERNAL: { status: 500, reset: 5, text: 'The gateway failed to handle this request; report the request id to the operator.' },
  // --- at the origin, as the inner layer saw it
  ORIGIN_FORBIDDEN: {
    status: 403,
    reset: 6,
    retry: 'always',
    text: 'The inner layer does not allow connections to the origin of this host; ask its operator to allow it.',
  },
  ORIGIN_REFUSED: { status: 502, reset: 7, text: 'The origin did not accept a connection; check that it is running.' },
  ORIGIN_DNS: { status: 502, reset: 8, text: 'The name of the origin could not be resolved; ask the operator to check the target.' },
  ORIGIN_TLS: {
    status: 502,
    reset: 9,
    retry: 'idempotent',
    text: 'No trusted TLS connection to the origin could be made; ask the operator to check its certificate.',
  },
  ORIGIN_CLOSED: { status: 502, reset: 10, text: 'The origin closed the connection before it had answered; try again.' },
  ORIGIN_BAD_RESPONSE: {
    status: 502,
    reset: 11,
    text: 'The origin sent a response that is not valid HTTP; ask the operator to check the origin.',
  },
  ORIGIN_CONNECT_TIMEOUT: { status: 504, reset: 12, text: 'The origin did not accept a connection in time; check that it is reachable.' },
  ORIGIN_TIMEOUT: { status: 504, reset: 13, text: 'The origin did not answer in time; try again later.' },
  ORIGIN_BAD_REQUEST: {
    status: 400,
    reset: 14,
    text: 'The request cannot be expressed to the origin; check method, path and header fields.',
  },
  IDLE_TIMEOUT: {
    reset: 15,
    text: 'Nothing moved on this connection within its idle limit; send pings, or ask the operator to raise the limit.',
  },
  // --- the link itself
  PROTOCOL: { status: 502, reset: 20, text: 'The peer broke the link protocol; use the same release on both sides.' },
  FLOW_EXCEEDED: { status: 502, reset: 21, text: 'The peer sent more than it had credit for; use the same release on both sides.' },
  VERSION: { reset: 22, text: 'The two layers have no protocol version in common; upgrade the older one.' },
  AUTH: { reset: 23, text: 'The proof of identity was refused; check key, identifier and clock.' },
  AUTH_TIMEOUT: { reset: 24, text: 'The proof of identity did not arrive in time.' },
  CALM: { reset: 25, text: 'The peer exceeded a limit of the link; see the log for which one.' },
  LINK_DEAD: { status: 502, reset: 26, retry: 'idempotent', text: 'The connection between the layers went silent and was given up.' },
  INVITATION_INVALID: {
    status: 403,
    text: 'This invitation is no good: it was used, its ten minutes are over, or it is another one; have the outer layer make a new one (--invite).',
  },
  GOING_AWAY: { reset: 27, retry: 'always', text: 'The peer is shutting down.' },
  KEY_REMOVED: { reset: 28, text: 'The key of this inner layer is no longer accepted.' },
  TAKEN_OVER: { reset: 29, retry: 'always', text: 'A newer login of this tunnel has taken its place.' },
  // --- tunnels: TCP connections that come as WebSockets
  UPGRADE_REQUIRED: { status: 426, text: 'This path is a tunnel; open it as a WebSocket, as "socket-gateway forward" does.' },
  TUNNEL_UNAUTHORIZED: { status: 401, text: 'The tunnel needs credentials, and these are not valid for it; check token, user or key.' },
  TUNNEL_FORBIDDEN: { status: 403, text: 'The tunnel may not be opened from here with these credentials; ask the operator to allow it.' },
  UNKNOWN_TUNNEL: { status: 404, text: 'No tunnel of this name is configured; check host and port behind /tunnel/ in the URL.' },
  TUNNEL_ATTEMPTS: { status: 429, text: 'There were too many attempts with wrong credentials from this address; wait a minute.' },
  TUNNEL_UNREACHABLE: { text: 'The far end of the tunnel did not answer; check the URL and that it is running.' },
  TUNNEL_REFUSED: { text: 'The far end refused to open the tunnel; it says why.' },
  TUNNEL_CLOSED: { text: 'The tunnel was broken off; the close code and the reason say by whom and why.' },
  // --- visitors: who may come
  VISITOR_LOGIN_MISSING: {
    status: 503,
    text: 'This address is for visitors who have logged in, and this gateway has no login for visitors; its operator has to add one (--visitors).',
  },
  VISITOR_REQUIRED: { status: 401, text: 'This address is not for everybody; log in, or send one of the credentials that are named here.' },
  VISITOR_CREDENTIALS: { status: 401, text: 'The credentials of the request are not valid here, or no longer; send others, or log in.' },
  VISITOR_SESSION_OVER: { status: 401, text: 'The session that this request came with is over; log in again.' },
  VISITOR_FORBIDDEN: { status: 403, text: 'You are known, and not among those who may come here; ask the operator to be let in.' },
  VISITOR_CROSS_SITE: {
    status: 403,
    text: 'The request was sent by a page of another site with the login of this one; ask the operator to name that site as an origin.',
  },
  VISITOR_SHARE_OVER: {
    status: 403,
    text: 'This link has expired, was used as often as it may, or was revoked; ask whoever gave it to you for another one.',
  },
  VISITOR_LOGIN_FAILED: { status: 400, text: 'The login could not be completed; begin again at the address that you wanted to see.' },
  USES_UNKNOWN: { status: 503, text: 'How often this link was used cannot be known at the moment; try again shortly.' },
  VISITOR_PROVIDER_AWAY: {
    status: 503,
    text: 'The provider of logins does not answer at the moment; who is logged in stays so, try again shortly.',
  },
  // --- the service: accounts, sockets, their tunnels
  NO_SOCKET: { status: 404, text: 'There is nothing at this address, or not any more; check it, or ask whoever gave it to you.' },
  NO_TUNNEL: { status: 502, text: 'No tunnel of this socket is connected; its owner has to connect one.' },
  QUOTA_REACHED: { status: 429, text: 'The bytes of this day are used up at this address; come back tomorrow (UTC), or ask its owner.' },
  INVALID: { status: 400, text: 'The request to the API is not valid; every fault is listed with its path.' },
  UNAUTHENTICATED: { status: 401, text: 'The call needs a valid token; log in again.' },
  LOGIN_FAILED: { status: 401, text: 'The e-mail address or the password is wrong, or the account is not active.' },
  FORBIDDEN: { status: 403, text: 'Your role or your token does not allow this; ask an admin of the service.' },
  LIMIT_REACHED: { status: 403, text: 'A limit of the account is reached; delete something, or ask an admin of the service for more.' },
  SIGN_UP_CLOSED: { status: 403, text: 'This service does not take sign-ups; ask its admin for an invitation.' },
  NOT_FOUND: { status: 404, text: 'There is no such thing, or it is not yours.' },
  CONFLICT: { status: 409, text: 'It was changed by somebody else in the meantime; fetch it again.' },
  PORTS_EXHAUSTED: {
    status: 503,
    text: 'The service has no free public port at the moment; delete a socket, or ask its admin for more ports.',
  },
  SERVICE_AWAY: {
    status: 503,
    text: 'The service is not there at the moment and is started again; try again in some seconds, and look first whether a change was made.',
  },
  STORE_UNAVAILABLE: { status: 503, text: 'The service cannot reach its database at the moment; nothing was changed, try again shortly.' },
  STORE_INVALID: { text: 'The database of the service cannot be used by this release; the message says why.' },
  SERVICE_UNREACHABLE: { text: 'The API of the service did not answer; check the URL and that it is running.' },
  // --- commands and configuration
  USAGE: { exit: 2, text: 'The command line is not valid; see --help.' },
  CONFIG_INVALID: { text: 'The configuration is not valid; every fault is listed with its place.' },
  FILE_UNREADABLE: { text: 'A file could not be read or written; check path and permissions.' },
  FILE_EXISTS: { text: 'The file exists and is not overwritten; choose another path or pass --force.' },
  KEY_INVALID: { text: 'The key or certificate cannot be used; mint a pair with "socket-gateway certificates".' },
  CERTIFICATE_REFUSED: { text: 'No certificate could be had of the authority (--acme); it is asked again later, and the log says why.' },
  ADMIN_FAILED: { text: 'The admin port of a layer gave no status; check its address and its password.' },
  LISTEN_FAILED: { text: 'The port could not be opened; choose another one or stop the program that uses it.' },
} satisfies Record<string, Row>

/** A code of the catalogue. */
export type ErrorCode = keyof typeof ROWS

/** The catalogue, frozen. */
export const ERRORS: Readonly<Record<ErrorCode, ErrorEntry>> = Object.freeze(
  Object.fromEntries(Object.entries(ROWS).map(([code, row]) => [code, Object.freeze({ ...USUAL, ...row })])) as Record<
    ErrorCode,
    ErrorEntry
  >,
)

const BY_RESET = new Map<number, ErrorCode>(
  (Object.keys(ERRORS) as ErrorCode[]).filter(code => ERRORS[code].reset > 0).map(code => [ERRORS[code].reset, code]),
)

/** The code for a number that came in a RESET or GOAWAY frame; an unknown number reads as INTERNAL. */
export const codeOfReset = (reset: number): ErrorCode => BY_RESET.get(reset) ?? 'INTERNAL'

/** The answer to a client about a failure: its code, and the fields beside the usual ones. */
export interface Refusal {
  readonly code: ErrorCode
  /** Names and values in turn, such as Retry-After and 3. */
  readonly fields?: readonly string[]
}

/** One fault of a request to the API. */
export interface Fault {
  /** Names of the request with dots between them, such as `password.user`; empty: all of it. */
  readonly path: string
  /** The fault there, and its remedy. */
  readonly message: string
}

const NO_FIELDS: readonly string[] = Object.freeze([])
const NO_DETAILS: readonly Fault[] = Object.freeze([])

/** An expected failure: `code` decides what each border does, `message` says what happened and where (for logs, never for clients). */
export class GatewayError extends Error implements Refusal {
  readonly fields: readonly string[]
  /** Of INVALID, for those who sent the request. */
  readonly details: readonly Fault[]

  constructor(
    readonly code: ErrorCode,
    message: string = ERRORS[code].text,
    options?: { readonly cause?: unknown; readonly fields?: readonly string[]; readonly details?: readonly Fault[] },
  ) {
    super(message, options)
    this.name = 'GatewayError'
    this.fields = options?.fields ?? NO_FIELDS
    this.details = options?.details ?? NO_DETAILS
  }

  get facts(): ErrorEntry {
    return ERRORS[this.code]
  }
}

/** Returns the message of `thrown` on one line, for a log. */
export const messageOf = (thrown: unknown): string => {
  // Errors of another realm, such as those of Node.js within a test, are no instances of this one's class.
  const said = (thrown as { readonly message?: unknown } | null | undefined)?.message
  const text = typeof said === 'string' ? said : String(thrown)
  if (!text.includes('\n')) return text
  const lines = text.split('\n').map(line => line.trim())
  return lines.filter(line => line !== '').join(' ')
}

/** `thrown` as a GatewayError: itself, or `code` with the original as cause. */
export const asGatewayError = (thrown: unknown, code: ErrorCode = 'INTERNAL'): GatewayError =>
  thrown instanceof GatewayError ? thrown : new GatewayError(code, messageOf(thrown), { cause: thrown })
