/**
 * What the service does, said without HTTP and SSH: the API, the door and the composition ask for these. Each call checks the actor's
 * role and scopes, audits writes and refusals, and rejects with a GatewayError: UNAUTHENTICATED, LOGIN_FAILED, FORBIDDEN, NOT_FOUND (also
 * for what is somebody else's), INVALID (`details` has names of the request as it is here, such as `password.user`), LIMIT_REACHED, SIGN_UP_CLOSED, PORTS_EXHAUSTED, CONFLICT, RATE_LIMITED with Retry-After,
 * STORE_UNAVAILABLE. A write has been taken over by the data plane when it resolves (or 250 ms have passed).
 */
import type { DirectoryChange, DirectorySnapshot } from '../directory/directory.ts'
import type { Usage as SocketUsage } from '../directory/owner.ts'
import type {
  RequestsAnswer,
  RequestsChange,
  RequestsFollowing,
  RequestsQuestion,
  SeenMessage,
  SeenReplay,
  SeenRequest,
  SeenRequestDetail,
} from '../directory/socket-requests.ts'
import type { GatewayEvent, Severity } from '../events/event.ts'
import type { ServerCertificates } from './server-certificates.ts'
import type {
  Account,
  AccountLimits,
  Actor,
  ApiToken,
  AuditEntry,
  InnerKey,
  Invitation,
  IssuedToken,
  NewShare,
  NewSocket,
  Page,
  Role,
  Scope,
  SharedLink,
  Socket,
  SocketPatch,
  SshKey,
  Tunnel,
  TunnelCredentials,
} from './model.ts'

export type { RequestsChange, SeenMessage, SeenReplay, SeenRequest, SeenRequestDetail } from '../directory/socket-requests.ts'

/** A place in a list. @property limit  1 to 100, default 50 */
export interface PageRequest {
  readonly cursor?: string
  readonly limit?: number
}

/**
 * Links in mails lead to pages of the API: `https://API/user/confirm/TOKEN` for `confirm`, `https://API/invitation#TOKEN` for
 * `acceptInvitation`, `https://API/password#TOKEN` for `reset`. Tokens consist of letters, digits, `-` and `_`.
 */
export interface Accounts {
  /** Resolves for an address that has an account already as well; the mail says so. @param sshKey  line of authorized_keys, or empty */
  signUp(
    request: { readonly name: string; readonly email: string; readonly password: string; readonly sshKey?: string },
    address: string,
  ): Promise<void>
  confirm(token: string): Promise<Account>
  /** Resolves whether there is such an account or not. */
  requestReset(email: string, address: string): Promise<void>
  reset(token: string, password: string): Promise<void>
  /** The account of a one-time link of an invitation, made with a name and a password. */
  acceptInvitation(token: string, request: { readonly name: string; readonly password: string; readonly sshKey?: string }): Promise<Account>
  get(actor: Actor, accountId: string): Promise<Account>
  rename(actor: Actor, name: string): Promise<Account>
  changePassword(actor: Actor, request: { readonly current: string; readonly next: string }): Promise<void>
  keys(actor: Actor): Promise<readonly SshKey[]>
  addKey(actor: Actor, line: string): Promise<SshKey>
  removeKey(actor: Actor, keyId: string): Promise<void>
  // of admins (auditors may list)
  list(actor: Actor, page: PageRequest & { readonly email?: string }): Promise<Page<Account>>
  invite(actor: Actor, request: { readonly email: string; readonly role: Role }): Promise<Invitation>
  /** Ends sessions, takes the sockets out of force and cuts their tunnels. */
  suspend(actor: Actor, accountId: string): Promise<Account>
  resume(actor: Actor, accountId: string): Promise<Account>
  setLimits(actor: Actor, accountId: string, limits: AccountLimits): Promise<Account>
  setRole(actor: Actor, accountId: string, role: Role): Promise<Account>
  remove(actor: Actor, accountId: string): Promise<void>
}

/** The credentials that people type. */
export interface Credentials {
  readonly email: string
  readonly password: string
}

/** An account, as far as others than its owner may be told. The address was confirmed. */
export interface Identity {
  readonly accountId: string
  readonly email: string
  readonly name: string
  readonly role: Role
}

export interface Sessions {
  /** @returns a JWT of 300 minutes: `user_id`, `exp`, `iss`, `epoch` */
  login(request: Credentials, address: string): Promise<{ readonly token: string; readonly accountId: string; readonly expiresAt: number }>
  /** Says whose password it is, without a session: for visitors of sockets, who log in by an account. Counted as logins are. */
  identify(request: Credentials, address: string): Promise<Identity>
  /**
   * Logs in the account of an address for which a provider vouches whose word counts here.
   * @returns undefined: there is none, or it is not active
   */
  vouched(
    request: { readonly email: string; readonly provider: string },
    address: string,
  ): Promise<{ readonly token: string; readonly expiresAt: number } | undefined>
  refresh(actor: Actor): Promise<{ readonly token: string; readonly expiresAt: number }>
  /** @param token  such a JWT or an API token */
  authenticate(token: string, address: string): Promise<Actor>
  /** Ends every session of the account. */
  endAll(actor: Actor): Promise<void>
}

export interface ApiTokens {
  create(
    actor: Actor,
    request: { readonly name: string; readonly scopes: readonly Scope[]; readonly expiresAt?: number },
  ): Promise<IssuedToken>
  list(actor: Actor): Promise<readonly ApiToken[]>
  revoke(actor: Actor, tokenId: string): Promise<void>
}

export interface Sockets {
  create(actor: Actor, socket: NewSocket): Promise<Socket>
  /** Of the actor's account; of all with `all`, for admins and auditors. @param page.name  the whole name */
  list(actor: Actor, page: PageRequest & { readonly name?: string; readonly all?: boolean }): Promise<Page<Socket>>
  get(actor: Actor, socketId: string): Promise<Socket>
  /** @param etag  of the socket that the caller has seen; CONFLICT when it is another one by now */
  update(actor: Actor, socketId: string, patch: SocketPatch, etag?: string): Promise<Socket>
  remove(actor: Actor, socketId: string): Promise<void>
  /**
   * A socket with one tunnel, and, with a key, what an inner layer needs, in one step.
   * @param request.idempotencyKey  a second call with the same key and request gets the first one's result, for a day
   */
  connect(
    actor: Actor,
    request: NewSocket & { readonly jwk?: Readonly<Record<string, string>>; readonly idempotencyKey?: string },
  ): Promise<{ readonly socket: Socket; readonly tunnel: Tunnel; readonly credentials: TunnelCredentials | null }>
}

/** Links that let visitors in at sockets that ask for a login. */
export interface Shares {
  /** @returns the link, and the secret in it, which is shown this once; CONFLICT where everybody may come */
  create(actor: Actor, socketId: string, wanted: NewShare): Promise<{ readonly share: SharedLink; readonly secret: string }>
  /** Those that are not over. */
  list(actor: Actor, socketId: string): Promise<readonly SharedLink[]>
  /** Ends what is open by it as well. */
  revoke(actor: Actor, socketId: string, shareId: string): Promise<void>
}

export interface Tunnels {
  create(actor: Actor, socketId: string): Promise<Tunnel>
  list(actor: Actor, socketId: string): Promise<readonly Tunnel[]>
  get(actor: Actor, socketId: string, tunnelId: string): Promise<Tunnel>
  remove(actor: Actor, socketId: string, tunnelId: string): Promise<void>
  /** Registers the key of an inner layer for the tunnel. @param jwk  public half: EC P-256, Ed25519 or RSA */
  credentials(
    actor: Actor,
    socketId: string,
    tunnelId: string,
    jwk: Readonly<Record<string, string>>,
    options?: { readonly isRenewal?: boolean | undefined },
  ): Promise<TunnelCredentials>
  /** @param publicKey  line of authorized_keys @returns line of a certificate of that key, five minutes valid, for the account's SSH user */
  certificate(actor: Actor, socketId: string, tunnelId: string, publicKey: string): Promise<string>
  /** The tunnel has come up or gone, as the data plane or the door says. Never rejects for an unknown one. */
  connected(tunnelId: string, address: string): Promise<void>
  disconnected(tunnelId: string): Promise<void>
}

/** A key that an SSH client offers. @property blob  as in the SSH protocol */
export interface OfferedKey {
  readonly algorithm: string
  readonly blob: Buffer
  /** The principal and the CA have been checked by the door when it is a certificate. */
  readonly certificateOf?: string
}

/** A request of an SSH client to forward. */
export interface ForwardRequest {
  readonly bindAddress: string
  readonly bindPort: number
  /** Tunnels that this SSH connection serves already. */
  readonly held: readonly string[]
}

export interface Forward {
  readonly socket: Socket
  readonly tunnel: Tunnel
  /** Made for this forward, and goes with it. */
  readonly isNew: boolean
  /** Its login among those of the tunnel, the newest with the highest number. */
  readonly login: number
}

/** For the SSH door. */
export interface SshAccess {
  /**
   * The account for a user name and a key: 32 hex digits name the account; any other name means the account whose key it is.
   * @returns undefined: not this key @throws GatewayError FORBIDDEN with the words that tell what user to give, when a key is of two accounts
   */
  identify(user: string, key: OfferedKey, address: string): Promise<Actor | undefined>
  /** Finds or makes the tunnel that is asked for (table in section 3 of the design). */
  forward(actor: Actor, request: ForwardRequest): Promise<Forward>
  /** PEM of the host key, and blobs of the authorities whose certificates count. */
  hostKeys(): Promise<readonly string[]>
  authorities(): Promise<readonly Buffer[]>
}

export interface Enrolment {
  createJoinToken(
    actor: Actor,
    request: { readonly identifiers: readonly string[]; readonly uses?: number; readonly expiresAt?: number },
  ): Promise<IssuedToken>
  /** @returns identifiers that the key may claim and URLs of the socket ports */
  join(
    token: string,
    jwk: Readonly<Record<string, string>>,
    address: string,
  ): Promise<{ readonly kid: string; readonly identifiers: readonly string[]; readonly linkUrls: readonly string[] }>
  keys(actor: Actor): Promise<readonly InnerKey[]>
  revoke(actor: Actor, kid: string): Promise<void>
  /** An enrolled inner layer has come or gone, as the data plane says. Never rejects. */
  connected(kid: string, address: string): Promise<void>
  disconnected(kid: string): Promise<void>
}

/** The use of one socket since the last time. */
export type UsageCount = SocketUsage

/** The use of a socket on one day. */
export interface UsageOfDay extends UsageCount {
  /** Such as 2026-11-28, in UTC. */
  readonly day: string
}

export interface Usage {
  /** Adds to the day that it is now. Never rejects: what cannot be written is kept for the next time. */
  add(counts: readonly UsageCount[]): Promise<void>
  /** Of the actor's account, or of another one for auditors and admins. @param since  first day */
  list(actor: Actor, request: { readonly since: string; readonly accountId?: string }): Promise<readonly UsageOfDay[]>
}

export interface Audit {
  /** Own entries; of all, for auditors and admins. */
  list(
    actor: Actor,
    page: PageRequest & { readonly accountId?: string; readonly action?: string; readonly since?: number },
  ): Promise<Page<AuditEntry>>
  /** Somebody has come in at a socket by a login, as the data plane says. Never rejects for an unknown one. */
  socketLogin(login: {
    readonly socketId: string
    readonly who: string
    readonly provider: string
    readonly by: 'browser' | 'program'
    readonly address: string
    /** The link that it was. */
    readonly shareId?: string
  }): Promise<void>
}

/** The events that somebody asks for. */
export interface EventRequest {
  /** Id: what came after it, the oldest first. */
  readonly after?: string
  /** Id: what came before it; so does neither of the two, from the end. The youngest first. */
  readonly before?: string
  /** 1 to 100, default 50. */
  readonly limit?: number
  /** Name of an event, or the first part of names with `.*`. */
  readonly name?: string
  /** This severe, or more. */
  readonly severity?: Severity
  /** Of another account, for auditors and admins. */
  readonly accountId?: string
  /** Of all accounts, for auditors and admins. */
  readonly isOfAll?: boolean
}

export interface Events {
  /** `next`: with `after` that of the next call, otherwise the `before` of the next page. */
  list(actor: Actor, request: EventRequest): Promise<Page<GatewayEvent>>
  /** Yields the events after `after`, then each as it happens, until the signal. */
  watch(actor: Actor, request: EventRequest, signal: AbortSignal): AsyncIterable<GatewayEvent>
}

/** A certificate for somebody whom the data plane lets in at a socket: it has asked who they are, and says what they are called. */
export interface HolderRequest {
  /** Of TLS, for a request in PEM; of SSH, for a line of authorized_keys. */
  readonly kind: 'tls' | 'ssh'
  readonly text: string
  /** For people who read it: an address, or a name. */
  readonly who: string
  /** E-mail addresses and URIs, in ASCII. */
  readonly names: readonly string[]
  /** Milliseconds since 1970. */
  readonly validUntil: number
}

/** Certificates of visitors, by authorities that no one but these rules can use. */
export interface VisitorCertificates {
  /** @returns PEM, or a line @throws GatewayError KEY_INVALID, INVALID for what is no request, STORE_UNAVAILABLE */
  certify(request: HolderRequest): Promise<string>
  /** PEM of the authorities that count. */
  authorities(): Promise<string>
  /** The authority of SSH, as a line for TrustedUserCAKeys. */
  sshAuthority(): Promise<string>
}

/** A letter to one person. */
export interface Letter {
  readonly to: string
  readonly subject: string
  readonly text: string
}

/** Brings letters on their way: mails, or files of an outbox. */
export interface Mail {
  /** @throws GatewayError when it could not be handed over; the rules log that, and never keep anybody waiting for a letter */
  send(letter: Letter): Promise<void>
}

/**
 * The data plane, as the service sees it. `apply` is called for one change after the other, but for several sockets with a port of their own at a
 * time; a change has the number of the last step that is in it, and several may have the same.
 */
export interface DataPlane {
  /** Resolves when the change is in force, or not to be waited for any longer. @throws GatewayError LISTEN_FAILED where a port cannot be opened */
  apply(change: DirectoryChange): Promise<void>
  /** Requests of sockets that were recorded; absent: none are. Never rejects. */
  requests?(question: RequestsQuestion): Promise<RequestsAnswer>
  /** Tells what changes among them. @returns ends it */
  followRequests?(following: RequestsFollowing, tell: (changes: readonly RequestsChange[]) => void): () => void
}

/** A page of recorded requests. */
export interface SeenRequests extends Page<SeenRequest> {
  /** Other nodes of a cluster that do not answer, whose requests are not among these; absent: none. */
  readonly missingNodes?: number
}

/** Messages of a WebSocket, an event stream or a gRPC call. */
export interface SeenMessages {
  readonly items: readonly SeenMessage[]
  /** Number of the next one; null: there is none. */
  readonly next: number | null
  /** Older ones, which are not kept any more. */
  readonly dropped: number
}

/** Requests that were recorded at sockets, for their owners and nobody else: admins of the service neither. CONFLICT: nothing is recorded here. */
export interface SocketRequests {
  /** The newest first. @param page.filter  as docs/inspector.md has it */
  list(actor: Actor, socketId: string, page: PageRequest & { readonly filter?: string }): Promise<SeenRequests>
  get(actor: Actor, socketId: string, requestId: string): Promise<SeenRequestDetail>
  messages(actor: Actor, place: RequestPlace, page: { readonly from?: number; readonly limit?: number }): Promise<SeenMessages>
  /** The changes of the list, from now on; ends with the socket. @throws LIMIT_REACHED */
  follow(actor: Actor, socketId: string, filter: string | undefined, signal: AbortSignal): Promise<AsyncIterable<RequestsChange>>
  /** Sends it again. @param edits  as docs/inspector.md has them */
  replay(actor: Actor, place: RequestPlace, edits: object): Promise<readonly SeenReplay[]>
  /** A HAR file, the oldest first. @param wanted.ids  none but these */
  har(actor: Actor, socketId: string, wanted: { readonly filter?: string; readonly ids?: readonly string[] }): Promise<object>
}

/** One recorded request of a socket. */
export interface RequestPlace {
  readonly socketId: string
  readonly requestId: string
}

/** All rules together. */
export interface Service {
  readonly accounts: Accounts
  readonly sessions: Sessions
  readonly apiTokens: ApiTokens
  readonly sockets: Sockets
  readonly tunnels: Tunnels
  readonly shares: Shares
  readonly requests: SocketRequests
  readonly ssh: SshAccess
  readonly enrolment: Enrolment
  readonly audit: Audit
  readonly events: Events
  readonly usage: Usage
  readonly visitorCertificates: VisitorCertificates
  readonly serverCertificates: ServerCertificates
  /** All that the data plane has to know. Whoever sends it on has to do so before anything else is awaited: the changes after it follow at once. */
  snapshot(): Promise<DirectorySnapshot>
  /** Begins with clean-up of ephemeral sockets and old rows, until `close`. */
  start(): Promise<void>
  /** The configuration has changed: the limits of all sockets follow. Never rejects. */
  reconfigured(): Promise<void>
  /** Is the store there? */
  isHealthy(): boolean
  close(): Promise<void>
}
