/** Public ports of sockets of type tcp and tls, and relay ports of tunnels. The constraints of the store decide, never what a process remembers. */
import type { Kysely } from 'kysely'
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

/** Gives the next relay port of an account that the transaction holds: they count up, so that an old one is not soon somebody else's. */
export async function takeRelayPort(db: Kysely<Database>, account: Pick<Row<'accounts'>, 'id' | 'next_relay_port'>): Promise<number> {
  let port = account.next_relay_port
  for (let tries = FIRST_RELAY_PORT; tries <= LAST_PORT; tries++) {
    const taken = await db
      .selectFrom('tunnels')
      .select('id')
      .where('account_id', '=', account.id)
      .where('relay_port', '=', port)
      .executeTakeFirst()
    if (taken === undefined) {
      await db
        .updateTable('accounts')
        .set({ next_relay_port: afterRelayPort(port) })
        .where('id', '=', account.id)
        .execute()
      return port
    }
    port = afterRelayPort(port)
  }
  throw new ServiceError('LIMIT_REACHED', 'This account has a tunnel on each of its relay ports; delete one first.')
}
