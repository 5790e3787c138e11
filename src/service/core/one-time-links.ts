import type { Kysely } from 'kysely'
import type { Database, Row } from '../../store/schema.ts'
import { ServiceError } from '../input/service-error.ts'
import { hashSecret, isSecret, mintSecret } from '../proofs/secret-texts.ts'
import { DAY_MS, HOUR_MS } from './clock.ts'

/** The purpose of a link. */
export type LinkPurpose = Row<'one_time'>['purpose']

const LIFE_MS: Readonly<Record<LinkPurpose, number>> = { confirm: DAY_MS, reset: HOUR_MS, invite: 7 * DAY_MS }

const OVER: Readonly<Record<LinkPurpose, string>> = {
  confirm: 'This link is not valid, or not any more; sign up again to get another one.',
  reset: 'This link is not valid, or not any more; ask for another one.',
  invite:
    'This invitation is not valid, or not any more; ask an admin of the service for another one. ' +
    'Its operator makes that of the first admin with: socket-gateway service admin-link',
}

/** Makes the token of a link; earlier ones of the account for the same are over. Only its hash is stored. */
export async function createLink(db: Kysely<Database>, accountId: string, purpose: LinkPurpose, now: number): Promise<string> {
  const token = mintSecret('sgo')
  await db.deleteFrom('one_time').where('account_id', '=', accountId).where('purpose', '=', purpose).execute()
  await db
    .insertInto('one_time')
    .values({ hash: hashSecret(token), account_id: accountId, purpose, expires_at: now + LIFE_MS[purpose] })
    .execute()
  return token
}

/**
 * Looks whether a link is still good, before anything that costs much is done for it.
 * @throws ServiceError NOT_FOUND
 */
export async function needLink(db: Kysely<Database>, token: unknown, purpose: LinkPurpose, now: number): Promise<void> {
  const row = isSecret(token, 'sgo')
    ? await db
        .selectFrom('one_time')
        .select('hash')
        .where('hash', '=', hashSecret(token))
        .where('purpose', '=', purpose)
        .where('expires_at', '>', now)
        .executeTakeFirst()
    : undefined
  if (row === undefined) throw new ServiceError('NOT_FOUND', OVER[purpose])
}

/**
 * Uses up the token of a link.
 * @returns the account that it is for
 * @throws ServiceError NOT_FOUND
 */
export async function useLink(db: Kysely<Database>, token: unknown, purpose: LinkPurpose, now: number): Promise<string> {
  // One statement takes it away, so that it works once, whoever else uses it at the same time.
  const row = isSecret(token, 'sgo')
    ? await db
        .deleteFrom('one_time')
        .where('hash', '=', hashSecret(token))
        .where('purpose', '=', purpose)
        .where('expires_at', '>', now)
        .returning('account_id')
        .executeTakeFirst()
    : undefined
  if (row === undefined) throw new ServiceError('NOT_FOUND', OVER[purpose])
  return row.account_id
}
