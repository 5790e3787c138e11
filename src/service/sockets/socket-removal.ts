/** The removal of a socket, and of all that goes with it: its name is retired, its port rests, its tunnels end, their keys are over. */
import type { StoreTransaction } from '../../store/store.ts'
import { freePorts } from './ports.ts'
import { lockAccount } from './socket-parts.ts'

/** Removes sockets as part of a transaction. */
export async function removeSockets({ db, change }: StoreTransaction, socketIds: readonly string[], now: number): Promise<void> {
  if (socketIds.length === 0) return
  const sockets = await db.selectFrom('sockets').select(['id', 'dns_name', 'account_id']).where('id', 'in', socketIds).execute()
  // In one order, so that two that take the same accounts wait for each other and not in a circle.
  for (const accountId of [...new Set(sockets.map(socket => socket.account_id))].sort()) await lockAccount(db, accountId)
  const tunnels = await db.selectFrom('tunnels').select('id').where('socket_id', 'in', socketIds).execute()
  const keys = await db
    .selectFrom('inner_keys')
    .innerJoin('tunnels', 'tunnels.id', 'inner_keys.tunnel_id')
    .select('kid')
    .where('tunnels.socket_id', 'in', socketIds)
    .execute()
  await freePorts(db, socketIds, now)
  for (const { dns_name, account_id } of sockets)
    await db
      .insertInto('retired_names')
      .values({ dns_name, account_id, retired_at: now })
      .onConflict(conflict => conflict.column('dns_name').doUpdateSet({ retired_at: now }))
      .execute()
  await db.deleteFrom('sockets').where('id', 'in', socketIds).execute()
  for (const { id } of sockets) change('socket', id)
  for (const { id } of tunnels) change('tunnel', id)
  for (const { kid } of keys) change('key', kid)
}
