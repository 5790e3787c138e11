/** The sign-up: an account comes into being without an admin. */
import type { Kysely } from 'kysely'
import type { Database } from '../../store/schema.ts'
import { anonymous } from '../core/audit-log.ts'
import { confirmationLetter, knownAddressLetter } from '../core/letters.ts'
import { createLink, useLink } from '../core/one-time-links.ts'
import { accountOf } from '../core/views.ts'
import type { Letter } from '../contract.ts'
import { ServiceError } from '../input/service-error.ts'
import { emailKey } from '../input/texts.ts'
import type { Account } from '../model.ts'
import { checkPerson, type CheckedPerson } from './account-input.ts'
import { insertKey } from './account-keys.ts'
import { frameOf, pendingAccount, post, type AccountParts } from './account-parts.ts'

/** Sign-up and its confirmation. */
export class SignUps {
  constructor(private readonly parts: AccountParts) {}

  async signUp(
    request: { readonly name: string; readonly email: string; readonly password: string; readonly sshKey?: string },
    address: string,
  ): Promise<void> {
    const { audit, attempts, passwords, store } = this.parts
    const by = anonymous(address)
    await audit.attempt({ by, action: 'account.sign-up', object: 'account' }, async () => {
      attempts.take(address)
      this.#mayAnybody()
      const person = checkPerson(request)
      this.#may(person.email)
      // Hashed in any case: how long it takes must not tell whether there is such an account.
      const hash = await passwords.hash(person.password)
      const letter = await store.transaction(async ({ db }) => {
        const { letter: written, accountId } = await this.#enter(db, person, hash)
        await audit.note(db, { by, action: 'account.sign-up', object: `account:${accountId}`, accountId })
        return written
      })
      post(this.parts, letter.to, () => letter)
    })
  }

  /** Makes the account, or changes one that nobody has confirmed yet. */
  async #enter(db: Kysely<Database>, { name, email, key }: CheckedPerson, hash: string): Promise<{ letter: Letter; accountId: string }> {
    const now = this.parts.clock.now()
    const frame = frameOf(this.parts)
    const row = await db
      .insertInto('accounts')
      .values(pendingAccount(email, { name, role: 'user', password_hash: hash, created_at: now }))
      // Whoever signed up first may have been somebody else: with the link of the last letter, what was said last counts, and nothing of before.
      .onConflict(conflict =>
        conflict
          .column('email_key')
          .doUpdateSet({ name, email, password_hash: hash, created_at: now })
          .where('accounts.state', '=', 'pending')
          .where('accounts.password_hash', 'is not', null),
      )
      .returning('id')
      .executeTakeFirst()
    if (row === undefined) {
      const known = await db.selectFrom('accounts').select('id').where('email_key', '=', emailKey(email)).executeTakeFirstOrThrow()
      return { letter: knownAddressLetter(frame, email), accountId: known.id }
    }
    await db.deleteFrom('ssh_keys').where('account_id', '=', row.id).execute()
    if (key !== undefined) await insertKey(db, row.id, key, now)
    return { letter: confirmationLetter(frame, email, await createLink(db, row.id, 'confirm', now), key?.fingerprint), accountId: row.id }
  }

  async confirm(token: string): Promise<Account> {
    const { audit, clock, store } = this.parts
    return store.transaction(async ({ db }) => {
      const now = clock.now()
      const id = await useLink(db, token, 'confirm', now)
      const row = await db
        .updateTable('accounts')
        .set({ state: 'active', confirmed_at: now })
        .where('id', '=', id)
        .where('state', '=', 'pending')
        .returningAll()
        .executeTakeFirst()
      if (row === undefined) throw new ServiceError('NOT_FOUND')
      await audit.note(db, { by: { ...anonymous(''), accountId: id }, action: 'account.confirm', object: `account:${id}`, accountId: id })
      return accountOf(this.parts, row)
    })
  }

  #mayAnybody(): void {
    if (this.parts.config().signUp === 'closed') throw new ServiceError('SIGN_UP_CLOSED')
  }

  #may(email: string): void {
    const { signUp } = this.parts.config()
    if (typeof signUp === 'string' || signUp.domains.includes(email.slice(email.lastIndexOf('@') + 1))) return
    throw new ServiceError(
      'SIGN_UP_CLOSED',
      `This service takes sign-ups with addresses of ${signUp.domains.join(', ')} only; ask its admin for an invitation.`,
    )
  }
}
