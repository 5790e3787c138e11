/** The removal of a socket, and of all that goes with it: its name is retired, its port rests, its tunnels end, their keys are over. */
import type { StoreTransaction } from '../../store/store.ts'
import { freePorts } from './ports.ts'
import { isWeb } from './socket-input.ts'
import { lockAccount } from './socket-parts.ts'

/** Rows of one statement: databases bound its parameters. */
const CHUNK = 500

/** Removes sockets as part of a transaction. */
export async function removeSockets({ db, change }: StoreTransaction, socketIds: readonly string[], now: number): Promise<void> {
  if (socketIds.length === 0) return
  const sockets = await db.selectFrom('sockets').select(['id', 'type', 'dns_name', 'account_id']).where('id', 'in', socketIds).execute()
  // In one order, so that two that take the same accounts wait for each other and not in a circle.
  for (const accountId of [...new Set(sockets.map(socket => socket.account_id))].sort()) await lockAccount(db, accountId)
  const ending = await db
    .selectFrom('tunnels')
    .leftJoin('inner_keys', 'inner_keys.tunnel_id', 'tunnels.id')
    .select(['tunnels.id', 'inner_keys.kid'])
    .where('tunnels.socket_id', 'in', socketIds)
    .execute()
  if (sockets.some(({ type }) => !isWeb(type))) await freePorts(db, socketIds, now)
  for (let at = 0; at < sockets.length; at += CHUNK)
    await db
      .insertInto('retired_names')
      .values(sockets.slice(at, at + CHUNK).map(({ dns_name, account_id }) => ({ dns_name, account_id, retired_at: now })))
      .onConflict(conflict => conflict.column('dns_name').doUpdateSet({ retired_at: now }))
      .execute()
  await db.deleteFrom('sockets').where('id', 'in', socketIds).execute()
  for (const { id } of sockets) change('socket', id)
  for (const id of new Set(ending.map(tunnel => tunnel.id))) change('tunnel', id)
  for (const { kid } of ending) if (kid !== null) change('key', kid)
}
