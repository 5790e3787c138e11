/** The order of the logins of a tunnel, which has to survive every process: the newest one serves. */
import type { Kysely } from 'kysely'
import type { Database } from '../../store/schema.ts'

/**
 * Numbers one more login of a tunnel: with the time, and above the one before where a clock was set back.
 * @param now  milliseconds since 1970
 */
export async function numberLogin(db: Kysely<Database>, tunnelId: string, now: number): Promise<number> {
  const row = await db
    .updateTable('tunnels')
    .set(({ eb }) => ({
      login_seq: eb
        .case()
        .when('login_seq', '<', now)
        .then(now)
        .else(eb('login_seq', '+', 1))
        .end(),
    }))
    .where('id', '=', tunnelId)
    .returning('login_seq')
    .executeTakeFirst()
  return row?.login_seq ?? now
}
