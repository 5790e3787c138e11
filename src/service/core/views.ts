/** Rows of the tables as the borders show them. */
import type { Kysely } from 'kysely'
import type { Database, Row } from '../../store/schema.ts'
import type { Account, ApiToken, AuditEntry, InnerKey, Scope, Socket, SshKey, Tunnel } from '../model.ts'
import { lineOf } from '../ssh-keys/public-key.ts'
import type { Parts } from './parts.ts'
import { readLimits, readSettings, readTexts } from './socket-settings.ts'

export const accountOf = ({ config }: Pick<Parts, 'config'>, row: Row<'accounts'>): Account => {
  const limits = readLimits(row.limits, row.id)
  return {
    id: row.id,
    name: row.name,
    email: row.email,
    role: row.role,
    state: row.state,
    limits,
    limitsInForce: { ...config().limits, ...limits },
    createdAt: row.created_at,
    confirmedAt: row.confirmed_at,
  }
}

export const sshKeyOf = (row: Row<'ssh_keys'>): SshKey => ({
  id: row.id,
  fingerprint: row.fingerprint,
  algorithm: row.algorithm,
  line: lineOf(row),
  comment: row.comment,
  createdAt: row.created_at,
  usedAt: row.used_at,
})

export const apiTokenOf = (row: Row<'api_tokens'>): ApiToken => ({
  id: row.id,
  name: row.name,
  scopes: readTexts(row.scopes, `scopes of token ${row.id}`) as readonly Scope[],
  createdAt: row.created_at,
  expiresAt: row.expires_at,
  usedAt: row.used_at,
})

export const auditEntryOf = (row: Row<'audit'>): AuditEntry => ({
  id: row.id,
  at: row.at,
  actor: row.actor,
  actorKind: row.actor_kind,
  address: row.address,
  action: row.action,
  object: row.object,
  isRefused: row.is_refused === 1,
  details: JSON.parse(row.details) as Readonly<Record<string, unknown>>,
})

export const innerKeyOf = (row: Row<'inner_keys'>, isConnected: boolean): InnerKey => ({
  kid: row.kid,
  identifiers: row.identifiers === null ? [] : readTexts(row.identifiers, `identifiers of key ${row.kid}`),
  createdAt: row.created_at,
  seenAt: row.seen_at,
  revokedAt: row.revoked_at,
  isConnected,
})

export function tunnelOf({ live, serverAddress }: Pick<Parts, 'live' | 'serverAddress'>, row: Row<'tunnels'>): Tunnel {
  const address = live.addressOf(row.id)
  return {
    id: row.id,
    socketId: row.socket_id,
    relayPort: row.relay_port,
    server: row.last_connected_at === null ? '' : serverAddress,
    isConnected: address !== undefined,
    connectedFrom: address ?? null,
    lastConnectedAt: row.last_connected_at,
    createdAt: row.created_at,
  }
}

/** Ports of http and https, which all sockets share. */
const WEB_PORTS: readonly number[] = Object.freeze([80, 443])

/** Reads what belongs to the sockets, in a few statements however many they are. */
export async function socketsOf(parts: Parts, db: Kysely<Database>, rows: readonly Row<'sockets'>[]): Promise<Socket[]> {
  if (rows.length === 0) return []
  const ids = rows.map(({ id }) => id)
  const owners = [...new Set(rows.map(row => row.account_id))]
  const tunnels = await db
    .selectFrom('tunnels')
    .selectAll()
    .where('socket_id', 'in', ids)
    .orderBy('created_at')
    .orderBy('relay_port')
    .execute()
  const withPorts = rows.flatMap(({ id, type }) => (type === 'http' || type === 'https' ? [] : [id]))
  const ports = withPorts.length === 0 ? [] : await db.selectFrom('ports').selectAll().where('socket_id', 'in', withPorts).execute()
  const domains = await db.selectFrom('custom_domains').selectAll().where('socket_id', 'in', ids).orderBy('domain').execute()
  const accounts = await db.selectFrom('accounts').select(['id', 'state', 'limits']).where('id', 'in', owners).execute()
  return rows.map(row => {
    const { password, visitors, balance, inspect, proxyProtocol, upstream } = readSettings(row.settings, row.id)
    const owner = accounts.find(({ id }) => id === row.account_id)
    const limits = { ...parts.config().limits, ...readLimits(owner?.limits ?? '{}', row.account_id) }
    return {
      id: row.id,
      accountId: row.account_id,
      name: row.name,
      type: row.type,
      dnsName: row.dns_name,
      customDomains: domains.filter(({ socket_id }) => socket_id === row.id).map(({ domain }) => domain),
      ports:
        row.type === 'http' || row.type === 'https'
          ? WEB_PORTS
          : ports.filter(({ socket_id }) => socket_id === row.id).map(({ port }) => port),
      password: password === null ? null : { user: password.user, password: '' },
      visitors,
      balance,
      inspect,
      proxyProtocol,
      upstream,
      limits: { requestsPerSecond: limits.requestsPerSecond, concurrency: limits.concurrency, maxConnections: limits.maxConnections },
      isEphemeral: row.ephemeral_ms !== null,
      state: owner?.state === 'active' ? row.state : 'suspended',
      tunnels: tunnels.filter(({ socket_id }) => socket_id === row.id).map(tunnel => tunnelOf(parts, tunnel)),
      createdAt: row.created_at,
      updatedAt: row.updated_at,
      etag: String(row.version),
    }
  })
}
