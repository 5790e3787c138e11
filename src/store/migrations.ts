/** The steps from an empty database to today's. Steps are only ever added: one that has been released is never changed. */

/** The words in which the two dialects differ. */
export interface Words {
  /** 64-bit integer. */
  readonly int: string
  /** Text that is compared by bytes, whatever the locale of the database: cursors of lists depend on it. */
  readonly text: string
  readonly blob: string
  /** Primary key that counts up and never comes back to a number. */
  readonly serial: string
  /** End of a table. */
  readonly end: string
}

export const SQLITE_WORDS: Words = {
  int: 'integer',
  text: 'text',
  blob: 'blob',
  serial: 'integer primary key autoincrement',
  end: ') strict',
}

export const POSTGRES_WORDS: Words = {
  int: 'bigint',
  text: 'text collate "C"',
  blob: 'bytea',
  serial: 'bigint generated always as identity primary key',
  end: ')',
}

/** Statements of one step, one string each. */
export type Migration = (words: Words) => readonly string[]

const first: Migration = ({ int, text, blob, serial, end }) => [
  `create table accounts (
    id ${text} primary key,
    email ${text} not null,
    email_key ${text} not null unique,
    name ${text} not null,
    password_hash ${text},
    role ${text} not null check (role in ('user', 'auditor', 'admin')),
    state ${text} not null check (state in ('pending', 'active', 'suspended')),
    limits ${text} not null default '{}',
    token_epoch ${int} not null default 0,
    next_relay_port ${int} not null default 6000,
    created_at ${int} not null,
    confirmed_at ${int}
  ${end}`,
  `create index accounts_by_age on accounts (created_at, id)`,
  `create table ssh_keys (
    id ${text} primary key,
    account_id ${text} not null references accounts (id) on delete cascade,
    fingerprint ${text} not null,
    algorithm ${text} not null,
    blob ${blob} not null,
    comment ${text} not null,
    created_at ${int} not null,
    unique (account_id, fingerprint)
  ${end}`,
  `create index ssh_keys_by_fingerprint on ssh_keys (fingerprint)`,
  `create table one_time (
    hash ${text} primary key,
    account_id ${text} not null references accounts (id) on delete cascade,
    purpose ${text} not null,
    expires_at ${int} not null
  ${end}`,
  `create index one_time_by_account on one_time (account_id)`,
  `create index one_time_by_expiry on one_time (expires_at)`,
  `create table api_tokens (
    id ${text} primary key,
    account_id ${text} not null references accounts (id) on delete cascade,
    name ${text} not null,
    hash ${text} not null unique,
    scopes ${text} not null,
    created_at ${int} not null,
    expires_at ${int},
    used_at ${int},
    revoked_at ${int}
  ${end}`,
  `create index api_tokens_by_account on api_tokens (account_id)`,
  // An account with sockets cannot go: their names have to be retired and their ports freed first.
  `create table sockets (
    id ${text} primary key,
    account_id ${text} not null references accounts (id),
    name ${text} not null,
    type ${text} not null check (type in ('http', 'https', 'tcp', 'tls')),
    dns_name ${text} not null unique,
    settings ${text} not null default '{}',
    ephemeral_ms ${int},
    state ${text} not null default 'active' check (state in ('active', 'suspended')),
    version ${int} not null default 1,
    created_at ${int} not null,
    updated_at ${int} not null,
    idle_since ${int}
  ${end}`,
  `create index sockets_by_account on sockets (account_id, created_at)`,
  `create index sockets_by_age on sockets (created_at, id)`,
  `create index sockets_idle on sockets (idle_since) where ephemeral_ms is not null`,
  `create table custom_domains (
    domain ${text} primary key,
    socket_id ${text} not null references sockets (id) on delete cascade
  ${end}`,
  `create index custom_domains_by_socket on custom_domains (socket_id)`,
  `create table retired_names (
    dns_name ${text} primary key,
    account_id ${text} not null,
    retired_at ${int} not null
  ${end}`,
  `create table ports (
    port ${int} primary key check (port between 1024 and 65535),
    socket_id ${text} unique references sockets (id) on delete set null,
    changed_at ${int} not null
  ${end}`,
  `create table tunnels (
    id ${text} primary key,
    socket_id ${text} not null references sockets (id) on delete cascade,
    account_id ${text} not null references accounts (id),
    relay_port ${int} not null check (relay_port between 1024 and 65535),
    login_seq ${int} not null default 0,
    last_node ${text},
    last_address ${text},
    last_connected_at ${int},
    created_at ${int} not null,
    unique (account_id, relay_port)
  ${end}`,
  `create index tunnels_by_socket on tunnels (socket_id)`,
  `create table inner_keys (
    kid ${text} primary key,
    jwk ${text} not null,
    tunnel_id ${text} references tunnels (id) on delete cascade,
    account_id ${text} references accounts (id) on delete set null,
    identifiers ${text},
    created_at ${int} not null,
    expires_at ${int},
    revoked_at ${int},
    seen_at ${int},
    check ((tunnel_id is null) <> (identifiers is null))
  ${end}`,
  `create index inner_keys_by_tunnel on inner_keys (tunnel_id)`,
  `create index inner_keys_by_account on inner_keys (account_id)`,
  `create table join_tokens (
    id ${text} primary key,
    hash ${text} not null unique,
    created_by ${text} not null references accounts (id) on delete cascade,
    identifiers ${text} not null,
    uses_left ${int} not null check (uses_left >= 0),
    created_at ${int} not null,
    expires_at ${int} not null
  ${end}`,
  `create index join_tokens_by_account on join_tokens (created_by)`,
  `create table service_tokens (
    id ${text} primary key,
    account_id ${text} not null references accounts (id) on delete cascade,
    socket_id ${text} references sockets (id) on delete cascade,
    target ${text},
    name ${text} not null,
    hash ${text} not null unique,
    methods ${text},
    paths ${text},
    created_at ${int} not null,
    expires_at ${int},
    used_at ${int},
    revoked_at ${int},
    check ((socket_id is null) <> (target is null))
  ${end}`,
  `create index service_tokens_by_account on service_tokens (account_id)`,
  `create index service_tokens_by_socket on service_tokens (socket_id)`,
  `create table secrets (
    id ${text} primary key,
    purpose ${text} not null,
    sealed ${text} not null,
    created_at ${int} not null,
    retired_at ${int}
  ${end}`,
  `create table audit (
    id ${serial},
    at ${int} not null,
    actor ${text} not null,
    actor_kind ${text} not null,
    address ${text} not null,
    action ${text} not null,
    object ${text} not null,
    account_id ${text},
    is_refused ${int} not null default 0 check (is_refused in (0, 1)),
    details ${text} not null default '{}'
  ${end}`,
  `create index audit_by_account on audit (account_id, at)`,
  `create index audit_by_time on audit (at)`,
  `create table usage (
    account_id ${text} not null,
    socket_id ${text} not null,
    day ${text} not null,
    requests ${int} not null default 0,
    connections ${int} not null default 0,
    bytes_in ${int} not null default 0,
    bytes_out ${int} not null default 0,
    primary key (account_id, socket_id, day)
  ${end}`,
  `create index usage_by_day on usage (day)`,
  `create table idempotency (
    account_id ${text} not null references accounts (id) on delete cascade,
    key ${text} not null,
    request_hash ${text} not null,
    result ${text} not null,
    expires_at ${int} not null,
    primary key (account_id, key)
  ${end}`,
  `create index idempotency_by_expiry on idempotency (expires_at)`,
  `create table changes (
    seq ${serial},
    at ${int} not null,
    kind ${text} not null,
    object_id ${text} not null
  ${end}`,
  `create index changes_by_time on changes (at)`,
  `create table nodes (
    id ${text} primary key,
    url ${text} not null,
    public_key ${text} not null,
    seen_at ${int} not null
  ${end}`,
]

const events: Migration = ({ int, text, serial, end }) => [
  `create table events (
    id ${serial},
    at ${int} not null,
    account_id ${text} not null references accounts (id) on delete cascade,
    name ${text} not null,
    subject ${text} not null,
    count ${int} not null default 1,
    since ${int},
    fields ${text} not null default '{}'
  ${end}`,
  `create index events_by_account on events (account_id, id)`,
  `create index events_by_subject on events (account_id, subject, id)`,
  `create index events_by_time on events (at)`,
]

const proofsOfDomains: Migration = ({ int }) => [`alter table custom_domains add column missing_since ${int}`]

const endedLogins: Migration = ({ int, text, end }) => [
  `create table ended_logins (
    account_id ${text} primary key,
    at ${int} not null
  ${end}`,
]

const shares: Migration = ({ int, text, end }) => [
  `create table shares (
    id ${text} primary key,
    socket_id ${text} not null references sockets (id) on delete cascade,
    hash ${text} not null unique,
    path ${text} not null,
    methods ${text} not null,
    email ${text},
    max_uses ${int},
    uses ${int} not null default 0,
    created_at ${int} not null,
    expires_at ${int} not null,
    used_at ${int}
  ${end}`,
  `create index shares_by_socket on shares (socket_id, created_at)`,
  `create index shares_by_expiry on shares (expires_at)`,
]

const serverCertificates: Migration = ({ int, text, end }) => [
  `create table server_certificates (
    name ${text} primary key,
    sealed ${text} not null,
    expires_at ${int} not null
  ${end}`,
]

const useOfKeys: Migration = ({ int }) => [`alter table ssh_keys add column used_at ${int}`]

/** The first one makes version 1 of an empty database, and so on. */
export const MIGRATIONS: readonly Migration[] = [first, events, proofsOfDomains, endedLogins, shares, serverCertificates, useOfKeys]
