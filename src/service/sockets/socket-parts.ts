import type { Kysely } from 'kysely'
import type { Database, Row } from '../../store/schema.ts'
import type { ServiceConfig } from '../config.ts'
import type { Attempts } from '../core/attempts.ts'
import type { Parts } from '../core/parts.ts'
import { readLimits } from '../core/socket-settings.ts'
import { changesAll, needId, notFound, readsAll } from '../core/access.ts'
import { ServiceError } from '../input/service-error.ts'
import type { AccountLimits, Actor } from '../model.ts'
import type { Passwords } from '../proofs/passwords.ts'
import { nextRelayPort } from './ports.ts'

/** Parts that the rules of sockets share. */
export interface SocketParts extends Parts {
  readonly passwords: Passwords
  readonly attempts: Attempts
}

/** Hashes the password of a socket, few for each account. @throws ServiceError RATE_LIMITED */
export async function hashForEdge({ attempts, passwords }: SocketParts, accountId: string, password: string): Promise<string> {
  attempts.takeHash(accountId)
  return passwords.hashForEdge(password)
}

/** The limits of an account: its own, else those of the service. */
export const limitsOf = (account: Pick<Row<'accounts'>, 'id' | 'limits'>, config: ServiceConfig): Required<AccountLimits> => ({
  ...config.limits,
  ...readLimits(account.limits, account.id),
})

/**
 * Takes an account for the rest of the transaction: what is counted of it, nobody else can change meanwhile.
 * @param getsTunnel  takes its next relay port as well, for `insertWithRelayPort`
 * @returns undefined: it is gone
 */
export const lockAccount = (db: Kysely<Database>, accountId: string, getsTunnel = false): Promise<Row<'accounts'> | undefined> =>
  // A write that changes nothing locks the row in both databases.
  db
    .updateTable('accounts')
    .set(eb => ({ next_relay_port: getsTunnel ? nextRelayPort : eb.ref('next_relay_port') }))
    .where('id', '=', accountId)
    .returningAll()
    .executeTakeFirst()

/** The same for an account that gets something new. @throws ServiceError FORBIDDEN unless it is active */
export async function holdAccount(db: Kysely<Database>, accountId: string, getsTunnel = false): Promise<Row<'accounts'>> {
  const row = await lockAccount(db, accountId, getsTunnel)
  if (row?.state !== 'active') throw new ServiceError('FORBIDDEN', 'The account is not active; ask an admin of the service.')
  return row
}

/** A socket that the actor may see, or with `write` change. @throws ServiceError NOT_FOUND */
export async function socketFor(db: Kysely<Database>, actor: Actor, socketId: string, access: 'read' | 'write'): Promise<Row<'sockets'>> {
  const row = await db.selectFrom('sockets').selectAll().where('id', '=', needId(socketId)).executeTakeFirst()
  const mayAll = access === 'read' ? readsAll(actor) : changesAll(actor)
  if (row === undefined || (row.account_id !== actor.accountId && !mayAll)) throw notFound()
  return row
}

/** A tunnel of a socket that the actor may see or change. @throws ServiceError NOT_FOUND */
export async function tunnelFor(
  db: Kysely<Database>,
  actor: Actor,
  { socketId, tunnelId }: { readonly socketId: string; readonly tunnelId: string },
  access: 'read' | 'write',
): Promise<Row<'tunnels'>> {
  const socket = await socketFor(db, actor, socketId, access)
  const row = await db
    .selectFrom('tunnels')
    .selectAll()
    .where('id', '=', needId(tunnelId))
    .where('socket_id', '=', socket.id)
    .executeTakeFirst()
  if (row === undefined) throw notFound()
  return row
}
