/** The directory for the data plane, read from the tables. */
import type { Kysely } from 'kysely'
import type { AccountQuota, DirectoryKey, DirectorySocket, EndedLogins } from '../../directory/directory.ts'
import type { Database, Row } from '../../store/schema.ts'
import type { ServiceConfig } from '../config.ts'
import { DAY_MS } from './clock.ts'
import { readLimits, readSettings, readTextMap, readTexts } from './socket-settings.ts'

/** PostgreSQL and SQLite bound the parameters of a statement. */
const CHUNK = 500

/** Values of `read` for all ids, some hundred at a time; undefined stands for all rows. */
async function inChunks<T>(
  ids: readonly string[] | undefined,
  read: (ids: readonly string[] | undefined) => Promise<readonly T[]>,
): Promise<T[]> {
  if (ids === undefined) return [...(await read(undefined))]
  const found: T[] = []
  for (let at = 0; at < ids.length; at += CHUNK) found.push(...(await read(ids.slice(at, at + CHUNK))))
  return found
}

const grouped = <T, V>(rows: readonly T[], keyOf: (row: T) => string, valueOf: (row: T) => V): ReadonlyMap<string, readonly V[]> => {
  const groups = new Map<string, V[]>()
  for (const row of rows) {
    const group = groups.get(keyOf(row))
    if (group === undefined) groups.set(keyOf(row), [valueOf(row)])
    else group.push(valueOf(row))
  }
  return groups
}

const sharedOf = (row: Row<'shares'>): NonNullable<DirectorySocket['shares']>[number] => ({
  id: row.id,
  hash: row.hash,
  path: row.path,
  methods: readTexts(row.methods, `methods of share ${row.id}`),
  expiresMs: row.expires_at,
  maxUses: row.max_uses,
  email: row.email,
})

/** Reads the sockets that are in force. @param ids  of these; undefined: all */
export async function directorySockets(db: Kysely<Database>, config: ServiceConfig, ids?: readonly string[]): Promise<DirectorySocket[]> {
  const rows = await inChunks(ids, some =>
    db
      .selectFrom('sockets')
      .innerJoin('accounts', 'accounts.id', 'sockets.account_id')
      .leftJoin('ports', 'ports.socket_id', 'sockets.id')
      .select(['sockets.id', 'sockets.account_id', 'sockets.type', 'sockets.dns_name', 'sockets.settings', 'accounts.limits', 'ports.port'])
      .where('sockets.state', '=', 'active')
      .where('accounts.state', '=', 'active')
      .$if(some !== undefined, query => query.where('sockets.id', 'in', some!))
      .execute(),
  )
  const tunnels = await inChunks(ids, some =>
    db
      .selectFrom('tunnels')
      .select(['id', 'socket_id'])
      .$if(some !== undefined, query => query.where('socket_id', 'in', some!))
      .orderBy('created_at')
      .orderBy('id')
      .execute(),
  )
  const domains = await inChunks(ids, some =>
    db
      .selectFrom('custom_domains')
      .selectAll()
      .$if(some !== undefined, query => query.where('socket_id', 'in', some!))
      .orderBy('domain')
      .execute(),
  )
  const shares = await inChunks(ids, some =>
    db
      .selectFrom('shares')
      .selectAll()
      .$if(some !== undefined, query => query.where('socket_id', 'in', some!))
      .orderBy('created_at')
      .orderBy('id')
      .execute(),
  )
  const sharesOf = grouped(shares, row => row.socket_id, sharedOf)
  const tunnelsOf = grouped(
    tunnels,
    row => row.socket_id,
    row => row.id,
  )
  const domainsOf = grouped(
    domains,
    row => row.socket_id,
    row => row.domain,
  )
  return rows.map(row => {
    const { password, visitors, balance, inspect, proxyProtocol, upstream } = readSettings(row.settings, row.id)
    const limits = { ...config.limits, ...readLimits(row.limits, row.account_id) }
    return {
      id: row.id,
      accountId: row.account_id,
      type: row.type,
      dnsName: row.dns_name,
      customDomains: domainsOf.get(row.id) ?? [],
      port: row.port,
      tunnelIds: tunnelsOf.get(row.id) ?? [],
      password,
      visitors,
      balance,
      ...(limits.interstitial && { interstitial: true }),
      ...(inspect && { inspect: true }),
      ...(proxyProtocol !== null && { proxyProtocol }),
      ...(upstream !== null && { upstream }),
      limits: {
        requestsPerSecond: limits.requestsPerSecond,
        concurrency: limits.concurrency,
        maxConnections: limits.maxConnections,
      },
      ...(sharesOf.has(row.id) && { shares: sharesOf.get(row.id) }),
    }
  })
}

/** Reads the keys that are in force. @param kids  of these; undefined: all */
export async function directoryKeys(db: Kysely<Database>, now: number, kids?: readonly string[]): Promise<DirectoryKey[]> {
  const rows = await inChunks(kids, some =>
    db
      .selectFrom('inner_keys')
      .leftJoin('tunnels', 'tunnels.id', 'inner_keys.tunnel_id')
      .leftJoin('accounts', 'accounts.id', 'tunnels.account_id')
      .select(['kid', 'jwk', 'inner_keys.tunnel_id', 'identifiers', 'expires_at', 'inner_keys.created_at', 'accounts.state'])
      .where('revoked_at', 'is', null)
      .where(eb => eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', now)]))
      // The key of an enrolled inner layer has no tunnel: it is the operator's, whatever becomes of the account that enrolled it.
      .where(eb => eb.or([eb('inner_keys.tunnel_id', 'is', null), eb('accounts.state', '=', 'active')]))
      .$if(some !== undefined, query => query.where('kid', 'in', some!))
      .execute(),
  )
  return rows.map(row => ({
    kid: row.kid,
    jwk: readTextMap(row.jwk, `key ${row.kid}`),
    tunnelId: row.tunnel_id,
    identifiers: row.identifiers === null ? null : readTexts(row.identifiers, `identifiers of key ${row.kid}`),
    expiresAt: row.expires_at,
    ...(row.tunnel_id !== null && { login: row.created_at }),
  }))
}

/** Reads which logins of visitors are over. @param accountIds  of these; undefined: all */
export async function endedLoginsOf(db: Kysely<Database>, accountIds?: readonly string[]): Promise<EndedLogins[]> {
  const rows = await inChunks(accountIds, some =>
    db
      .selectFrom('ended_logins')
      .selectAll()
      .$if(some !== undefined, query => query.where('account_id', 'in', some!))
      .execute(),
  )
  return rows.map(row => ({ accountId: row.account_id, atMs: row.at }))
}

/**
 * Reads the quotas of accounts, with what they have used of this day.
 * @param accountIds  of these, those without a quota among them; undefined: all that have one
 */
export async function quotasOf(
  db: Kysely<Database>,
  { config, now }: { readonly config: ServiceConfig; readonly now: number },
  accountIds?: readonly string[],
): Promise<AccountQuota[]> {
  const day = Math.floor(now / DAY_MS)
  const accounts = await inChunks(accountIds, some =>
    db
      .selectFrom('accounts')
      .select(['id', 'limits'])
      // Where the service has no limit, those alone who have one of their own.
      .$if(some === undefined && config.limits.bytesPerDay === 0, query => query.where('limits', 'like', '%bytesPerDay%'))
      .$if(some !== undefined, query => query.where('id', 'in', some!))
      .execute(),
  )
  const quotas = accounts.map(({ id, limits }) => ({ accountId: id, ...config.limits, ...readLimits(limits, id) }))
  const limited = quotas.flatMap(({ accountId, bytesPerDay }) => (bytesPerDay > 0 ? [accountId] : []))
  const used = await inChunks(limited, some =>
    db
      .selectFrom('usage')
      .select(({ fn, eb }) => ['account_id', fn.sum<number>(eb('bytes_in', '+', eb.ref('bytes_out'))).as('bytes')])
      .where('day', '=', new Date(day * DAY_MS).toISOString().slice(0, 10))
      .where('account_id', 'in', some!)
      .groupBy('account_id')
      .execute(),
  )
  const usedBy = new Map(used.map(({ account_id, bytes }) => [account_id, bytes]))
  return quotas.map(({ accountId, bytesPerDay }) => ({ accountId, bytesPerDay, day, used: usedBy.get(accountId) ?? 0 }))
}

/** Which of these tunnels may be connected: there, and of an active account? */
export async function tunnelsInForce(db: Kysely<Database>, ids: readonly string[]): Promise<ReadonlySet<string>> {
  const rows = await inChunks(ids, some =>
    db
      .selectFrom('tunnels')
      .innerJoin('accounts', 'accounts.id', 'tunnels.account_id')
      .select('tunnels.id')
      .where('accounts.state', '=', 'active')
      .where('tunnels.id', 'in', some!)
      .execute(),
  )
  return new Set(rows.map(row => row.id))
}

/** All that belongs to accounts, which may have been suspended or resumed. */
export async function belongingsOf(
  db: Kysely<Database>,
  accountIds: readonly string[],
): Promise<{ readonly sockets: readonly string[]; readonly tunnels: readonly string[]; readonly kids: readonly string[] }> {
  const sockets = await inChunks(accountIds, some => db.selectFrom('sockets').select('id').where('account_id', 'in', some!).execute())
  const tunnels = await inChunks(accountIds, some => db.selectFrom('tunnels').select('id').where('account_id', 'in', some!).execute())
  const keys = await inChunks(accountIds, some =>
    db
      .selectFrom('inner_keys')
      .innerJoin('tunnels', 'tunnels.id', 'inner_keys.tunnel_id')
      .select('kid')
      .where('tunnels.account_id', 'in', some!)
      .execute(),
  )
  return { sockets: sockets.map(row => row.id), tunnels: tunnels.map(row => row.id), kids: keys.map(row => row.kid) }
}
