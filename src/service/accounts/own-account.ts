/** The own account of people, as they manage it. */
import { needScope, needId, notFound, readsAll } from '../core/access.ts'
import { anonymous } from '../core/audit-log.ts'
import { endLogins } from '../core/ended-logins.ts'
import { passwordChangedLetter, resetLetter } from '../core/letters.ts'
import { createLink, needLink, useLink } from '../core/one-time-links.ts'
import { accountOf } from '../core/views.ts'
import { ServiceError } from '../input/service-error.ts'
import { emailKey } from '../input/texts.ts'
import type { Account, Actor } from '../model.ts'
import { checkEmail, checkName, checkPassword } from './account-input.ts'
import { frameOf, post, type AccountParts } from './account-parts.ts'

/** Name and password. */
export class OwnAccount {
  constructor(private readonly parts: AccountParts) {}

  async get(actor: Actor, accountId: string): Promise<Account> {
    const id = needId(accountId)
    if (id !== actor.accountId && !readsAll(actor)) throw notFound()
    // What an SSH client has to call itself is asked with any token.
    const row = await this.parts.store.db.selectFrom('accounts').selectAll().where('id', '=', id).executeTakeFirst()
    if (row === undefined) throw notFound()
    return accountOf(this.parts, row)
  }

  async rename(actor: Actor, name: string): Promise<Account> {
    const { audit, store } = this.parts
    const note = { by: actor, action: 'account.rename', object: `account:${actor.accountId}` }
    return audit.attempt(note, async () => {
      needScope(actor, 'account')
      const checked = checkName(name)
      return store.transaction(async ({ db }) => {
        const row = await db
          .updateTable('accounts')
          .set({ name: checked })
          .where('id', '=', actor.accountId)
          .returningAll()
          .executeTakeFirst()
        if (row === undefined) throw notFound()
        await audit.note(db, note)
        return accountOf(this.parts, row)
      })
    })
  }

  /** Ends all sessions, of visitors as well. */
  async changePassword(actor: Actor, { current, next }: { readonly current: string; readonly next: string }): Promise<void> {
    const { audit, attempts, clock, directory, passwords, store } = this.parts
    const note = { by: actor, action: 'account.password', object: `account:${actor.accountId}` }
    await audit.attempt(note, async () => {
      // A token, which lies in a file, must not be enough to take the account away.
      if (actor.kind !== 'session') throw new ServiceError('FORBIDDEN', 'The password can be changed after a login only; log in first.')
      const account = await store.db.selectFrom('accounts').selectAll().where('id', '=', actor.accountId).executeTakeFirst()
      if (account === undefined) throw notFound()
      const checked = checkPassword(next, 'next', account.name, account.email)
      const succeeded = attempts.take(actor.address, account.email_key)
      if (!(await passwords.verify(current, account.password_hash ?? undefined)))
        throw new ServiceError('LOGIN_FAILED', 'The current password is wrong.')
      succeeded()
      const hash = await passwords.hash(checked)
      const { seq } = await store.changing(async transaction => {
        const { db } = transaction
        await db
          .updateTable('accounts')
          .set(({ eb }) => ({ password_hash: hash, token_epoch: eb('token_epoch', '+', 1) }))
          .where('id', '=', account.id)
          .execute()
        await db.deleteFrom('one_time').where('account_id', '=', account.id).where('purpose', '=', 'reset').execute()
        await endLogins(transaction, account.id, clock.now())
        await audit.note(db, note)
      })
      await directory.inForce(seq)
      post(this.parts, account.email, () => passwordChangedLetter(frameOf(this.parts), account.email))
    })
  }

  async requestReset(email: string, address: string): Promise<void> {
    const { audit, attempts, clock, store } = this.parts
    const to = checkEmail(email)
    attempts.take(address, emailKey(to))
    const account = await store.db
      .selectFrom('accounts')
      .select(['id', 'email'])
      .where('email_key', '=', emailKey(to))
      .where('state', '=', 'active')
      .executeTakeFirst()
    if (account === undefined) return
    const note = { by: anonymous(address), action: 'account.reset-request', object: `account:${account.id}`, accountId: account.id }
    post(this.parts, account.email, async () => {
      const token = await store.transaction(async ({ db }) => {
        await audit.note(db, note)
        return createLink(db, account.id, 'reset', clock.now())
      })
      return resetLetter(frameOf(this.parts), account.email, token)
    })
  }

  async reset(token: string, password: string): Promise<void> {
    const { audit, clock, directory, passwords, store } = this.parts
    const checked = checkPassword(password, 'password')
    await needLink(store.db, token, 'reset', clock.now())
    const hash = await passwords.hash(checked)
    const { value: email, seq } = await store.changing(async transaction => {
      const { db, change } = transaction
      const id = await useLink(db, token, 'reset', clock.now())
      const row = await db
        .updateTable('accounts')
        .set(({ eb }) => ({ password_hash: hash, token_epoch: eb('token_epoch', '+', 1) }))
        .where('id', '=', id)
        .where('state', '=', 'active')
        .returning(['email', 'confirmed_at'])
        .executeTakeFirst()
      if (row === undefined) throw new ServiceError('NOT_FOUND')
      // The sign-up may have been a stranger's, whose key came with it; this link has proven whose the account is.
      const ofSignUp = await db
        .deleteFrom('ssh_keys')
        .where('account_id', '=', id)
        .where('created_at', '<', row.confirmed_at ?? 0)
        .returning('fingerprint')
        .execute()
      if (ofSignUp.length > 0) change('account', id)
      await endLogins(transaction, id, clock.now())
      const details = ofSignUp.length === 0 ? {} : { removedKeys: ofSignUp.map(({ fingerprint }) => fingerprint) }
      await audit.note(db, {
        by: { ...anonymous(''), accountId: id },
        action: 'account.reset',
        object: `account:${id}`,
        accountId: id,
        details,
      })
      return row.email
    })
    await directory.inForce(seq)
    post(this.parts, email, () => passwordChangedLetter(frameOf(this.parts), email))
  }
}
