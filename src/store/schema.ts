/**
 * The tables, as kysely knows them. All three databases hold the same: booleans are 0 and 1, times are milliseconds since 1970, JSON is text,
 * ids are UUIDs with dashes. What `JSON.parse` makes of a text column is unknown to this room and checked by the rules.
 */
import type { Generated, Selectable } from 'kysely'

/** 0 is no, 1 is yes. */
export type Flag = 0 | 1

export interface AccountsTable {
  id: string
  email: string
  /** NFC, lower case; unique. */
  email_key: string
  name: string
  /** PHC; null until somebody has accepted the invitation. */
  password_hash: string | null
  role: 'user' | 'auditor' | 'admin'
  state: 'pending' | 'active' | 'suspended'
  /** JSON. */
  limits: Generated<string>
  /** Raised to end every session. */
  token_epoch: Generated<number>
  /** For the next tunnel of it: counts up from 6000 and wraps. */
  next_relay_port: Generated<number>
  created_at: number
  confirmed_at: number | null
}

/** Unique: (account_id, fingerprint). */
export interface SshKeysTable {
  id: string
  account_id: string
  fingerprint: string
  algorithm: string
  blob: Buffer
  comment: string
  created_at: number
  used_at: Generated<number | null>
}

export interface OneTimeTable {
  hash: string
  account_id: string
  purpose: 'confirm' | 'reset' | 'invite'
  expires_at: number
}

export interface ApiTokensTable {
  id: string
  account_id: string
  name: string
  /** Unique. */
  hash: string
  /** JSON. */
  scopes: string
  created_at: number
  expires_at: number | null
  used_at: number | null
  revoked_at: number | null
}

export interface SocketsTable {
  id: string
  account_id: string
  name: string
  type: 'http' | 'https' | 'tcp' | 'tls'
  /** Lower case; unique. */
  dns_name: string
  /** JSON. */
  settings: Generated<string>
  /** It goes by itself when no tunnel was up for so long; null: it stays. */
  ephemeral_ms: number | null
  state: Generated<'active' | 'suspended'>
  /** One more with each change. */
  version: Generated<number>
  created_at: number
  updated_at: number
  /** Since then no tunnel of it is up; null: one is. */
  idle_since: number | null
}

/** Host names outside of the zone. Go with their socket. */
export interface CustomDomainsTable {
  domain: string
  socket_id: string
  /** Since when no record shows any more whose it is. */
  missing_since: number | null
}

/** Names that are never given to anybody else than the account that had them. */
export interface RetiredNamesTable {
  dns_name: string
  /** Refers to nothing, so that it outlives the account. */
  account_id: string
  retired_at: number
}

export interface PortsTable {
  /** 1024 to 65535. */
  port: number
  /** Unique; becomes null when the socket goes. */
  socket_id: string | null
  changed_at: number
}

/** Unique: (account_id, relay_port). Go with their socket. */
export interface TunnelsTable {
  id: string
  socket_id: string
  account_id: string
  relay_port: number
  /** One more with each login; the newest one serves. */
  login_seq: Generated<number>
  last_node: string | null
  last_address: string | null
  last_connected_at: number | null
  created_at: number
}

/** Keys of inner layers: of a tunnel, with which they go, or of an enrolled one, which has identifiers instead. */
export interface InnerKeysTable {
  kid: string
  /** JSON. */
  jwk: string
  tunnel_id: string | null
  /** The account that enrolled it or made it. */
  account_id: string | null
  /** JSON. */
  identifiers: string | null
  created_at: number
  expires_at: number | null
  revoked_at: number | null
  seen_at: number | null
}

export interface JoinTokensTable {
  id: string
  /** Unique. */
  hash: string
  created_by: string
  /** JSON. */
  identifiers: string
  /** Never below 0: a check of the database. */
  uses_left: number
  created_at: number
  expires_at: number
}

/** For visitors that are programs: of a socket, with which they go, or of a target. */
export interface ServiceTokensTable {
  id: string
  account_id: string
  socket_id: string | null
  target: string | null
  name: string
  /** Unique. */
  hash: string
  /** JSON; null: all. */
  methods: string | null
  /** JSON; null: all. */
  paths: string | null
  created_at: number
  expires_at: number | null
  used_at: number | null
  revoked_at: number | null
}

/** Links that let visitors in at a socket, with which they go. */
export interface SharesTable {
  id: string
  socket_id: string
  /** Unique. */
  hash: string
  path: string
  /** JSON. */
  methods: string
  /** Of whom it is for; null: whoever has it. */
  email: string | null
  max_uses: number | null
  uses: Generated<number>
  created_at: number
  expires_at: number
  used_at: number | null
}

/** Certificates of hosts that were ordered, with their keys. */
export interface ServerCertificatesTable {
  /** As certificates have it: a host, or a wildcard. */
  name: string
  /** JSON of both in PEM, under a key outside of the database. */
  sealed: string
  /** The end of the certificate. */
  expires_at: number
}

export interface SecretsTable {
  id: string
  /** Such as jwt, ssh-host, ssh-ca, cookie, identity. */
  purpose: string
  /** Under a key outside of the database. */
  sealed: string
  created_at: number
  retired_at: number | null
}

/** Append only; refers to nothing, so that it outlives what it tells of. */
export interface AuditTable {
  id: Generated<number>
  at: number
  actor: string
  actor_kind: 'session' | 'token' | 'ssh' | 'anonymous' | 'system'
  address: string
  action: string
  object: string
  account_id: string | null
  is_refused: Generated<Flag>
  /** JSON. */
  details: Generated<string>
}

/** Events of accounts, as docs/events.md has them. */
export interface EventsTable {
  id: Generated<number>
  at: number
  account_id: string
  name: string
  subject: string
  count: number
  since: number | null
  /** JSON. */
  fields: string
}

/** Primary key: (account_id, socket_id, day). Outlives the socket. */
export interface UsageTable {
  account_id: string
  socket_id: string
  /** Such as 2026-11-28. */
  day: string
  requests: Generated<number>
  connections: Generated<number>
  bytes_in: Generated<number>
  bytes_out: Generated<number>
}

/** The result of a call that may be repeated. Primary key: (account_id, key). */
export interface IdempotencyTable {
  account_id: string
  key: string
  /** Of the request; another request under the same key is a conflict. */
  request_hash: string
  /** JSON. */
  result: string
  expires_at: number
}

/** Until when logins of visitors by an account are over. */
export interface EndedLoginsTable {
  /** Refers to nothing, so that it outlives the account. */
  account_id: string
  at: number
}

/** Changes, in the order in which it was committed. Written by `StoreTransaction.change` alone. */
export interface ChangesTable {
  seq: Generated<number>
  at: number
  kind: string
  object_id: string
}

/** The outer layers of one service. */
export interface NodesTable {
  id: string
  url: string
  public_key: string
  seen_at: number
}

export interface Database {
  accounts: AccountsTable
  ssh_keys: SshKeysTable
  one_time: OneTimeTable
  api_tokens: ApiTokensTable
  sockets: SocketsTable
  custom_domains: CustomDomainsTable
  retired_names: RetiredNamesTable
  ports: PortsTable
  tunnels: TunnelsTable
  shares: SharesTable
  inner_keys: InnerKeysTable
  join_tokens: JoinTokensTable
  service_tokens: ServiceTokensTable
  secrets: SecretsTable
  server_certificates: ServerCertificatesTable
  audit: AuditTable
  events: EventsTable
  usage: UsageTable
  idempotency: IdempotencyTable
  ended_logins: EndedLoginsTable
  changes: ChangesTable
  nodes: NodesTable
}

/** A row as it is read. */
export type Row<Table extends keyof Database> = Selectable<Database[Table]>
