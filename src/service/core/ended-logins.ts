/** Logins of visitors by an account, which end with what the account was when they began. */
import type { StoreTransaction } from '../../store/store.ts'

/** Ends those that were begun until now, as part of a transaction. */
export async function endLogins({ db, change }: StoreTransaction, accountId: string, now: number): Promise<void> {
  await db
    .insertInto('ended_logins')
    .values({ account_id: accountId, at: now })
    .onConflict(conflict => conflict.column('account_id').doUpdateSet({ at: now }))
    .execute()
  change('logins', accountId)
}
