/** Public ports of sockets of type tcp and tls, and relay ports of tunnels. The constraints of the store decide, never what a process remembers. */
import { sql } from '../../store/kysely.ts'
import type { Insertable, Kysely } from 'kysely'
import type { Database, Row } from '../../store/schema.ts'
import type { ServiceConfig } from '../config.ts'
import { DAY_MS } from '../core/clock.ts'
import { ServiceError } from '../input/service-error.ts'
import type { RandomInteger } from '../names/socket-names.ts'

const TRIES = 20
/** A freed port is given to nobody for so long: whoever knows it must not meet somebody else there. */
export const PORT_REST_MS = DAY_MS

const FIRST_RELAY_PORT = 6_000
const LAST_PORT = 65_535

/**
 * Gives a free port to a socket.
 * @throws ServiceError PORTS_EXHAUSTED after 20 tries
 */
export async function takePort(
  db: Kysely<Database>,
  socketId: string,
  { ports: { from, to }, random, now }: { readonly ports: ServiceConfig['ports']; readonly random: RandomInteger; readonly now: number },
): Promise<number> {
  for (let tries = 0; tries < TRIES; tries++) {
    const row = await db
      .insertInto('ports')
      .values({ port: from + random(to - from + 1), socket_id: socketId, changed_at: now })
      .onConflict(conflict =>
        conflict
          .column('port')
          .doUpdateSet({ socket_id: socketId, changed_at: now })
          .where('ports.socket_id', 'is', null)
          .where('ports.changed_at', '<=', now - PORT_REST_MS),
      )
      .returning('port')
      .executeTakeFirst()
    if (row !== undefined) return row.port
  }
  throw new ServiceError('PORTS_EXHAUSTED')
}

/** Frees the ports of sockets; they rest from now on. */
export async function freePorts(db: Kysely<Database>, socketIds: readonly string[], now: number): Promise<void> {
  await db.updateTable('ports').set({ socket_id: null, changed_at: now }).where('socket_id', 'in', socketIds).execute()
}

const afterRelayPort = (port: number): number => (port >= LAST_PORT ? FIRST_RELAY_PORT : port + 1)
const beforeRelayPort = (port: number): number => (port <= FIRST_RELAY_PORT ? LAST_PORT : port - 1)

/** Columns of a tunnel but for its port. */
export type NewTunnel = Omit<Insertable<Database['tunnels']>, 'relay_port' | 'account_id'>

/**
 * Adds a tunnel with the next relay port of its account: they count up, so that an old one is not soon somebody else's.
 * @param account  as `holdAccount` gives it where it was told of a tunnel: the port before its next one is for this
 */
export async function insertWithRelayPort(
  db: Kysely<Database>,
  account: Pick<Row<'accounts'>, 'id' | 'next_relay_port'>,
  tunnel: NewTunnel,
): Promise<Row<'tunnels'>> {
  let port = beforeRelayPort(account.next_relay_port)
  for (let tries = FIRST_RELAY_PORT; tries <= LAST_PORT; tries++) {
    const row = await db
      .insertInto('tunnels')
      .values({ ...tunnel, account_id: account.id, relay_port: port })
      .onConflict(conflict => conflict.columns(['account_id', 'relay_port']).doNothing())
      .returningAll()
      .executeTakeFirst()
    port = afterRelayPort(port)
    if (row === undefined) continue
    if (port !== account.next_relay_port)
      await db.updateTable('accounts').set({ next_relay_port: port }).where('id', '=', account.id).execute()
    return row
  }
  throw new ServiceError('LIMIT_REACHED', 'This account has a tunnel on each of its relay ports; delete one first.')
}

/** The next relay port after one that is taken, in SQL. */
export const nextRelayPort = sql<number>`case when next_relay_port >= ${sql.lit(LAST_PORT)} then ${sql.lit(FIRST_RELAY_PORT)} else next_relay_port + 1 end`
