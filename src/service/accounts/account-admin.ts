/** Accounts, as admins manage them. */
import { sql } from '../../store/kysely.ts'
import type { Kysely } from 'kysely'
import type { Database, Row } from '../../store/schema.ts'
import type { StoreTransaction } from '../../store/store.ts'
import { changesAll, needId, needRole, needScope, notFound } from '../core/access.ts'
import { endLogins } from '../core/ended-logins.ts'
import { pageOf, readCursor, type Cursor } from '../core/pages.ts'
import { checkLimits } from '../core/socket-settings.ts'
import { accountOf } from '../core/views.ts'
import type { PageRequest } from '../contract.ts'
import { invalid, ServiceError } from '../input/service-error.ts'
import { emailKey } from '../input/texts.ts'
import type { Account, AccountLimits, Actor, Page, Role } from '../model.ts'
import type { AccountParts } from './account-parts.ts'
import { checkRole } from './invitations.ts'

/** Takes all sockets of an account away, as part of a transaction. */
export type RemoveSockets = (transaction: StoreTransaction, accountId: string) => Promise<void>

/** Suspension, limits, roles, removal. */
export class AccountAdmin {
  constructor(
    private readonly parts: AccountParts,
    private readonly removeSockets: RemoveSockets,
  ) {}

  async list(actor: Actor, page: PageRequest & { readonly email?: string }): Promise<Page<Account>> {
    needRole(actor, 'admin', 'auditor')
    const { limit, after } = readCursor(page)
    const rows = await this.parts.store.db
      .selectFrom('accounts')
      .selectAll()
      .$if(page.email !== undefined, query => query.where('email_key', '=', emailKey(page.email!)))
      .$if(after !== undefined, query => query.where(sql<boolean>`(created_at, id) > (${after!.at}, ${after!.id})`))
      .orderBy('created_at')
      .orderBy('id')
      .limit(limit + 1)
      .execute()
    return pageOf(
      rows,
      limit,
      row => accountOf(this.parts, row),
      (row): Cursor => ({ at: row.created_at, id: row.id }),
    )
  }

  async suspend(actor: Actor, accountId: string): Promise<Account> {
    return this.#change(actor, accountId, 'account.suspend', {}, async transaction => {
      if (accountId === actor.accountId) throw new ServiceError('CONFLICT', 'Nobody can suspend their own account; ask another admin.')
      // The epoch ends all sessions for good: after the account is resumed, people log in again.
      await endLogins(transaction, accountId, this.parts.clock.now())
      return transaction.db
        .updateTable('accounts')
        .set(({ eb }) => ({ state: 'suspended', token_epoch: eb('token_epoch', '+', 1) }))
        .where('id', '=', accountId)
        .where('state', '<>', 'pending')
        .returningAll()
        .executeTakeFirst()
    })
  }

  async resume(actor: Actor, accountId: string): Promise<Account> {
    return this.#change(actor, accountId, 'account.resume', {}, ({ db }) =>
      db
        .updateTable('accounts')
        .set({ state: 'active' })
        .where('id', '=', accountId)
        .where('state', '<>', 'pending')
        .returningAll()
        .executeTakeFirst(),
    )
  }

  async setLimits(actor: Actor, accountId: string, limits: AccountLimits): Promise<Account> {
    return this.#change(actor, accountId, 'account.limits', { limits }, ({ db }) => {
      const checked = checkLimits(limits)
      if (!checked.success)
        throw invalid(...checked.error.issues.map(({ path, message }) => ({ path: ['limits', ...path].join('.'), message })))
      return db
        .updateTable('accounts')
        .set({ limits: JSON.stringify(checked.data) })
        .where('id', '=', accountId)
        .returningAll()
        .executeTakeFirst()
    })
  }

  async setRole(actor: Actor, accountId: string, role: Role): Promise<Account> {
    return this.#change(actor, accountId, 'account.role', { role }, async transaction => {
      const { db } = transaction
      const checked = checkRole(role)
      if (checked !== 'admin') await this.#keepAnAdmin(db, accountId)
      // The role is the group of its visitors.
      await endLogins(transaction, accountId, this.parts.clock.now())
      return db.updateTable('accounts').set({ role: checked }).where('id', '=', accountId).returningAll().executeTakeFirst()
    })
  }

  /** By an admin, or by the owner after a login. */
  async remove(actor: Actor, accountId: string): Promise<void> {
    const { audit, clock, store, directory } = this.parts
    const note = { by: actor, action: 'account.remove', object: `account:${accountId}`, accountId }
    await audit.attempt(note, async () => {
      const id = needId(accountId)
      if (id !== actor.accountId && !changesAll(actor)) throw notFound()
      needScope(actor, id === actor.accountId ? 'account' : 'admin')
      if (id === actor.accountId && actor.kind !== 'session')
        throw new ServiceError('FORBIDDEN', 'An account can be removed after a login only; log in first.')
      const { seq } = await store.changing(async transaction => {
        await this.#keepAnAdmin(transaction.db, id)
        await this.removeSockets(transaction, id)
        const row = await transaction.db.deleteFrom('accounts').where('id', '=', id).returning('id').executeTakeFirst()
        if (row === undefined) throw notFound()
        await endLogins(transaction, id, clock.now())
        transaction.change('account', id)
        await audit.note(transaction.db, note)
      })
      await directory.inForce(seq)
    })
  }

  /** @throws ServiceError CONFLICT when nobody else could undo it */
  async #keepAnAdmin(db: Kysely<Database>, accountId: string): Promise<void> {
    const admins = await db.selectFrom('accounts').select('id').where('role', '=', 'admin').where('state', '=', 'active').limit(2).execute()
    if (admins.length === 1 && admins[0]!.id === accountId)
      throw new ServiceError('CONFLICT', 'This is the only admin of the service; make another one first.')
  }

  async #change(
    actor: Actor,
    accountId: string,
    action: string,
    details: Readonly<Record<string, unknown>>,
    work: (transaction: StoreTransaction) => Promise<Row<'accounts'> | undefined>,
  ): Promise<Account> {
    const { audit, store, directory } = this.parts
    const note = { by: actor, action, object: `account:${accountId}`, accountId, details }
    return audit.attempt(note, async () => {
      needRole(actor, 'admin')
      const id = needId(accountId)
      const { value, seq } = await store.changing(async transaction => {
        const row = await work(transaction)
        if (row === undefined) throw notFound()
        transaction.change('account', id)
        await audit.note(transaction.db, note)
        return accountOf(this.parts, row)
      })
      await directory.inForce(seq)
      return value
    })
  }
}
