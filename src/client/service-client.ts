import { GatewayError } from '../errors.ts'
import { errorOfAnswer, parseJson } from './api-error.ts'
import { isEvent, isLogLine, isRequestsChange, readLines } from './log-lines.ts'
import type { Har, Replayed, ReplayRequest, RequestsChange, SeenMessages, SeenRequestDetail, SeenRequests } from './seen-requests.ts'
import { Transport, type Call, type TransportOptions } from './transport.ts'
import type {
  Account,
  AccountLimits,
  ApiToken,
  AccountEvent,
  AuditEntry,
  Connection,
  EventQuery,
  InnerKey,
  IssuedShare,
  IssuedToken,
  Joined,
  Jwk,
  LogLine,
  Login,
  Page,
  PageRequest,
  Role,
  Scope,
  Share,
  ShareRequest,
  Socket,
  SocketChange,
  SocketRequest,
  SshKey,
  Tunnel,
  TunnelCredentials,
  Usage,
  Version,
} from './wire.ts'

/** Options of a client. */
export interface ServiceClientOptions extends TransportOptions {
  /** Asked before each call; undefined: the call goes without one. */
  readonly token?: (() => string | undefined) | undefined
}

type Query = Readonly<Record<string, string | number | boolean | undefined>>

interface Request {
  readonly query?: Query
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal | undefined
}

/**
 * The calls of `/api/v1`. Each rejects with an `ApiError` (code, message, request id of the API) or with a GatewayError
 * SERVICE_UNREACHABLE when no API answers.
 */
export class ServiceClient {
  readonly #transport: Transport

  constructor(private readonly options: ServiceClientOptions) {
    this.#transport = new Transport(options)
  }

  // --- without a token
  version(): Promise<Version> {
    return this.#call('GET', '/version')
  }

  /** Resolves as well for an address that has an account. */
  signUp(request: { readonly name: string; readonly email: string; readonly password: string; readonly sshKey?: string }): Promise<void> {
    return this.#call('POST', '/accounts', { body: request })
  }

  confirm(token: string): Promise<Account> {
    return this.#call('POST', '/accounts/confirm', { body: { token } })
  }

  acceptInvitation(request: {
    readonly token: string
    readonly name: string
    readonly password: string
    readonly sshKey?: string
  }): Promise<Account> {
    return this.#call('POST', '/invitations/accept', { body: request })
  }

  requestPasswordReset(email: string): Promise<void> {
    return this.#call('POST', '/password-reset', { body: { email } })
  }

  resetPassword(token: string, password: string): Promise<void> {
    return this.#call('POST', '/password-reset/confirm', { body: { token, password } })
  }

  login(email: string, password: string): Promise<Login> {
    return this.#call('POST', '/sessions', { body: { email, password } })
  }

  join(token: string, jwk: Jwk): Promise<Joined> {
    return this.#call('POST', '/join', { body: { token, jwk } })
  }

  // --- sessions and the own account
  refresh(): Promise<Login> {
    return this.#call('POST', '/sessions/refresh')
  }

  /** Ends every session of the account. */
  endSessions(): Promise<void> {
    return this.#call('DELETE', '/sessions')
  }

  account(): Promise<Account> {
    return this.#call('GET', '/account')
  }

  rename(name: string): Promise<Account> {
    return this.#call('PATCH', '/account', { body: { name } })
  }

  changePassword(current: string, next: string): Promise<void> {
    return this.#call('PUT', '/account/password', { body: { current, next } })
  }

  async sshKeys(): Promise<readonly SshKey[]> {
    return (await this.#call<Page<SshKey>>('GET', '/account/ssh-keys')).items
  }

  /** @param line  one line of authorized_keys */
  addSshKey(line: string): Promise<SshKey> {
    return this.#call('POST', '/account/ssh-keys', { body: { line } })
  }

  removeSshKey(keyId: string): Promise<void> {
    return this.#call('DELETE', `/account/ssh-keys/${segment(keyId)}`)
  }

  async tokens(): Promise<readonly ApiToken[]> {
    return (await this.#call<Page<ApiToken>>('GET', '/account/tokens')).items
  }

  createToken(request: { readonly name: string; readonly scopes: readonly Scope[]; readonly expiresAt?: string }): Promise<IssuedToken> {
    return this.#call('POST', '/account/tokens', { body: request })
  }

  revokeToken(tokenId: string): Promise<void> {
    return this.#call('DELETE', `/account/tokens/${segment(tokenId)}`)
  }

  // --- sockets and tunnels
  createSocket(socket: SocketRequest): Promise<Socket> {
    return this.#call('POST', '/sockets', { body: socket })
  }

  /** @param page.name  the whole name @param page.all  of all accounts, for auditors and admins */
  sockets(page: PageRequest & { readonly name?: string; readonly all?: boolean } = {}): Promise<Page<Socket>> {
    return this.#call('GET', '/sockets', { query: { ...page } })
  }

  /** Every page of `sockets`, one after the other. */
  allSockets(filter: { readonly name?: string; readonly all?: boolean } = {}): Promise<Socket[]> {
    return everyPage(cursor => this.sockets({ ...filter, limit: 100, ...(cursor !== undefined && { cursor }) }))
  }

  socket(socketId: string): Promise<Socket> {
    return this.#call('GET', `/sockets/${segment(socketId)}`)
  }

  /** @param ifMatch  etag of the socket as the caller knows it: CONFLICT when it has been changed since */
  updateSocket(socketId: string, change: SocketChange, ifMatch?: string): Promise<Socket> {
    const headers: Record<string, string> = ifMatch === undefined ? {} : { 'If-Match': `"${ifMatch}"` }
    return this.#call('PATCH', `/sockets/${segment(socketId)}`, { body: change, headers })
  }

  deleteSocket(socketId: string, signal?: AbortSignal): Promise<void> {
    return this.#call('DELETE', `/sockets/${segment(socketId)}`, { signal })
  }

  /** @param idempotencyKey  a second call with the same key and request gets the first one's result */
  connect(request: SocketRequest & { readonly jwk?: Jwk }, idempotencyKey?: string, signal?: AbortSignal): Promise<Connection> {
    const headers: Record<string, string> = idempotencyKey === undefined ? {} : { 'Idempotency-Key': idempotencyKey }
    return this.#call('POST', '/connect', { body: request, headers, signal })
  }

  /** Requests that were recorded at a socket with `inspect`, the newest first. @param page.filter  as docs/inspector.md has it */
  requests(socketId: string, page: PageRequest & { readonly filter?: string } = {}): Promise<SeenRequests> {
    return this.#call('GET', `/sockets/${segment(socketId)}/requests`, { query: { ...page } })
  }

  request(socketId: string, requestId: string): Promise<SeenRequestDetail> {
    return this.#call('GET', `/sockets/${segment(socketId)}/requests/${segment(requestId)}`)
  }

  /** Changes among them. Ends as `log` does. @param onOpen  called when nothing is missed any more */
  async *liveRequests(
    socketId: string,
    filter?: string,
    signal?: AbortSignal,
    onOpen?: () => void,
  ): AsyncGenerator<RequestsChange, void, undefined> {
    const path = `/sockets/${segment(socketId)}/requests/live`
    const call = this.#request('GET', path, { query: { filter }, signal, headers: { Accept: 'application/x-ndjson' } })
    yield* readLines(this.#transport, call, isRequestsChange, onOpen)
  }

  /** @param ids  none but these */
  har(
    socketId: string,
    { filter, ids = [] }: { readonly filter?: string | undefined; readonly ids?: readonly string[] } = {},
  ): Promise<Har> {
    const query = [...ids.map(id => `id=${segment(id)}`), ...(filter === undefined ? [] : [`filter=${segment(filter)}`])]
    return this.#call('GET', `/sockets/${segment(socketId)}/requests/har?${query.join('&')}`)
  }

  messages(socketId: string, requestId: string, page: { readonly from?: number; readonly limit?: number } = {}): Promise<SeenMessages> {
    return this.#call('GET', `/sockets/${segment(socketId)}/requests/${segment(requestId)}/messages`, { query: { ...page } })
  }

  /** Sends it again. */
  replay(socketId: string, requestId: string, edits: ReplayRequest = {}): Promise<Replayed> {
    return this.#call('POST', `/sockets/${segment(socketId)}/requests/${segment(requestId)}/replay`, { body: edits })
  }

  async shares(socketId: string): Promise<readonly Share[]> {
    return (await this.#call<Page<Share>>('GET', `/sockets/${segment(socketId)}/shares`)).items
  }

  /** Makes a link that lets visitors in; it is shown this once. */
  createShare(socketId: string, share: ShareRequest = {}): Promise<IssuedShare> {
    return this.#call('POST', `/sockets/${segment(socketId)}/shares`, { body: share })
  }

  revokeShare(socketId: string, shareId: string): Promise<void> {
    return this.#call('DELETE', `/sockets/${segment(socketId)}/shares/${segment(shareId)}`)
  }

  createTunnel(socketId: string): Promise<Tunnel> {
    return this.#call('POST', `/sockets/${segment(socketId)}/tunnels`)
  }

  async tunnels(socketId: string): Promise<readonly Tunnel[]> {
    return (await this.#call<Page<Tunnel>>('GET', `/sockets/${segment(socketId)}/tunnels`)).items
  }

  tunnel(socketId: string, tunnelId: string): Promise<Tunnel> {
    return this.#call('GET', `/sockets/${segment(socketId)}/tunnels/${segment(tunnelId)}`)
  }

  deleteTunnel(socketId: string, tunnelId: string): Promise<void> {
    return this.#call('DELETE', `/sockets/${segment(socketId)}/tunnels/${segment(tunnelId)}`)
  }

  /** Registers the public key of an inner layer for the tunnel, in place of any other. */
  tunnelCredentials(socketId: string, tunnelId: string, jwk: Jwk, signal?: AbortSignal): Promise<TunnelCredentials> {
    return this.#call('POST', credentialsPath(socketId, tunnelId), { body: { jwk }, signal })
  }

  /** Registers it for longer. @throws GatewayError CONFLICT where a newer login has taken the tunnel over */
  renewCredentials(socketId: string, tunnelId: string, jwk: Jwk): Promise<TunnelCredentials> {
    return this.#call('POST', credentialsPath(socketId, tunnelId), { body: { jwk, renew: true } })
  }

  /** @param publicKey  line of authorized_keys @returns line of its certificate */
  async tunnelCertificate(socketId: string, tunnelId: string, publicKey: string): Promise<string> {
    const path = `/sockets/${segment(socketId)}/tunnels/${segment(tunnelId)}/certificates`
    return (await this.#call<{ readonly certificate: string }>('POST', path, { body: { publicKey } })).certificate
  }

  /**
   * The visitors of a socket from now on. It ends when the service ends it, throws SERVICE_UNREACHABLE when the connection is lost or silent, and
   * returns when `signal` is aborted; calling it again is up to the caller.
   */
  async *log(socketId: string, signal?: AbortSignal): AsyncGenerator<LogLine, void, undefined> {
    const call = this.#request('GET', `/sockets/${segment(socketId)}/log`, { signal, headers: { Accept: 'application/x-ndjson' } })
    yield* readLines(this.#transport, call, isLogLine)
  }

  // --- enrolment and audit
  createJoinToken(request: {
    readonly identifiers: readonly string[]
    readonly uses?: number
    readonly expiresAt?: string
  }): Promise<IssuedToken> {
    return this.#call('POST', '/join-tokens', { body: request })
  }

  async innerKeys(): Promise<readonly InnerKey[]> {
    return (await this.#call<Page<InnerKey>>('GET', '/inner-keys')).items
  }

  revokeInnerKey(kid: string): Promise<void> {
    return this.#call('DELETE', `/inner-keys/${segment(kid)}`)
  }

  /** @param page.since  RFC 3339 */
  audit(
    page: PageRequest & { readonly accountId?: string; readonly action?: string; readonly since?: string } = {},
  ): Promise<Page<AuditEntry>> {
    return this.#call('GET', '/audit', { query: { ...page } })
  }

  /** @param request.after  id @param request.before  id @param request.all  of all accounts, for auditors and admins */
  events(request: EventQuery & { readonly before?: string; readonly limit?: number } = {}): Promise<Page<AccountEvent>> {
    return this.#call('GET', '/events', { query: { ...request } })
  }

  /** The events since `after`, and each as it happens. Ends as `log` does. */
  async *liveEvents(request: EventQuery, signal?: AbortSignal): AsyncGenerator<AccountEvent, void, undefined> {
    const call = this.#request('GET', '/events/live', { query: { ...request }, signal, headers: { Accept: 'application/x-ndjson' } })
    yield* readLines(this.#transport, call, isEvent)
  }

  /** @param request.since  first day, such as 2026-11-28 */
  async usage(request: { readonly since: string; readonly accountId?: string }): Promise<readonly Usage[]> {
    return (await this.#call<Page<Usage>>('GET', '/usage', { query: { ...request } })).items
  }

  // --- of admins
  accounts(page: PageRequest & { readonly email?: string } = {}): Promise<Page<Account>> {
    return this.#call('GET', '/admin/accounts', { query: { ...page } })
  }

  allAccounts(): Promise<Account[]> {
    return everyPage(cursor => this.accounts({ limit: 100, ...(cursor !== undefined && { cursor }) }))
  }

  accountOf(accountId: string): Promise<Account> {
    return this.#call('GET', `/admin/accounts/${segment(accountId)}`)
  }

  /** @returns the one-time link, which is sent by mail too where `isMailed` does not say otherwise */
  invite(email: string, role: Role = 'user'): Promise<{ readonly link: string; readonly isMailed?: boolean }> {
    return this.#call('POST', '/admin/invitations', { body: { email, role } })
  }

  suspend(accountId: string): Promise<Account> {
    return this.#call('POST', `/admin/accounts/${segment(accountId)}/suspend`)
  }

  resume(accountId: string): Promise<Account> {
    return this.#call('POST', `/admin/accounts/${segment(accountId)}/resume`)
  }

  /** Replaces all limits of the account; what is absent is the service's default. */
  setLimits(accountId: string, limits: AccountLimits): Promise<Account> {
    return this.#call('PUT', `/admin/accounts/${segment(accountId)}/limits`, { body: limits })
  }

  setRole(accountId: string, role: Role): Promise<Account> {
    return this.#call('PUT', `/admin/accounts/${segment(accountId)}/role`, { body: { role } })
  }

  deleteAccount(accountId: string): Promise<void> {
    return this.#call('DELETE', `/admin/accounts/${segment(accountId)}`)
  }

  #request(method: string, path: string, { query = {}, body, headers = {}, signal }: Request): Call {
    const token = this.options.token?.()
    const search = new URLSearchParams()
    for (const [name, value] of Object.entries(query)) if (value !== undefined) search.set(name, String(value))
    const text = search.toString()
    return {
      method,
      path: `/api/v1${path}${text === '' ? '' : `?${text}`}`,
      headers: { ...(token !== undefined && { Authorization: `Bearer ${token}` }), ...headers },
      signal,
      ...(body !== undefined && { body: JSON.stringify(body) }),
    }
  }

  async #call<T>(method: string, path: string, request: Request = {}): Promise<T> {
    const call = this.#request(method, path, request)
    const answer = await this.#transport.send(call)
    if (answer.status < 200 || answer.status > 299) throw errorOfAnswer(answer, this.#transport.name(call))
    if (answer.status === 204) return undefined as T
    const value = parseJson(answer.body)
    if (typeof value !== 'object' || value === null)
      throw new GatewayError('SERVICE_UNREACHABLE', `${this.#transport.name(call)} was answered without JSON; check the URL of the server`)
    return value as T
  }
}

/** More pages than any list that is meant has. */
const MAX_PAGES = 1_000

async function everyPage<T>(fetch: (cursor: string | undefined) => Promise<Page<T>>): Promise<T[]> {
  const items: T[] = []
  let cursor: string | undefined
  for (let page = 0; page < MAX_PAGES; page++) {
    const { items: some, next } = await fetch(cursor)
    items.push(...some)
    if (next === null) return items
    cursor = next
  }
  return items
}

const credentialsPath = (socketId: string, tunnelId: string): string =>
  `/sockets/${segment(socketId)}/tunnels/${segment(tunnelId)}/credentials`

const segment = (id: string): string => encodeURIComponent(id)
