/** Accounts by invitation, and the first admin of all. */
import type { Kysely } from 'kysely'
import type { Database } from '../../store/schema.ts'
import type { Store } from '../../store/store.ts'
import { needRole } from '../core/access.ts'
import { anonymous } from '../core/audit-log.ts'
import { invitationLetter, invitationLink } from '../core/letters.ts'
import { createLink, needLink, useLink } from '../core/one-time-links.ts'
import { accountOf } from '../core/views.ts'
import { invalid, ServiceError } from '../input/service-error.ts'
import type { Account, Actor, Invitation, Role } from '../model.ts'
import { checkEmail, checkPerson } from './account-input.ts'
import { insertKey } from './account-keys.ts'
import { frameOf, pendingAccount, post, type AccountParts } from './account-parts.ts'

const ROLES: readonly Role[] = ['user', 'auditor', 'admin']

/** @throws ServiceError INVALID */
export function checkRole(role: unknown): Role {
  const found = ROLES.find(known => known === role)
  if (found === undefined) throw invalid({ path: 'role', message: `expected ${ROLES.join(', ')}` })
  return found
}

/** Makes an account that waits for its owner, or another link for one that still waits. @returns undefined where somebody has it already */
async function inviteTo(db: Kysely<Database>, email: string, role: Role, now: number): Promise<{ id: string; token: string } | undefined> {
  const row = await db
    .insertInto('accounts')
    .values(pendingAccount(email, { name: email, role, password_hash: null, created_at: now }))
    // An invitation counts more than a sign-up that nobody has confirmed.
    .onConflict(conflict =>
      conflict
        .column('email_key')
        .doUpdateSet({ email, role, password_hash: null, created_at: now })
        .where('accounts.state', '=', 'pending'),
    )
    .returning('id')
    .executeTakeFirst()
  if (row === undefined) return undefined
  await db.deleteFrom('ssh_keys').where('account_id', '=', row.id).execute()
  await db.deleteFrom('one_time').where('account_id', '=', row.id).execute()
  return { id: row.id, token: await createLink(db, row.id, 'invite', now) }
}

/** Invitations by admins. */
export class Invitations {
  constructor(private readonly parts: AccountParts) {}

  async invite(actor: Actor, request: { readonly email: string; readonly role: Role }): Promise<Invitation> {
    const { audit, clock, store } = this.parts
    const note = { by: actor, action: 'account.invite', object: 'account' }
    return audit.attempt(note, async () => {
      needRole(actor, 'admin')
      const [email, role] = [checkEmail(request.email), checkRole(request.role)]
      const token = await store.transaction(async ({ db }) => {
        const invited = await inviteTo(db, email, role, clock.now())
        if (invited === undefined) throw new ServiceError('CONFLICT', 'Somebody has an account with this address already.')
        await audit.note(db, { ...note, object: `account:${invited.id}`, accountId: invited.id, details: { role } })
        return invited.token
      })
      const frame = frameOf(this.parts)
      const isMailed = post(this.parts, email, () => invitationLetter(frame, email, token, role))
      return { link: invitationLink(frame, token), isMailed }
    })
  }

  async accept(token: string, request: { readonly name: string; readonly password: string; readonly sshKey?: string }): Promise<Account> {
    const { audit, clock, passwords, store } = this.parts
    const person = checkPerson({ ...request, email: 'ada@example.com' }) // the address is that of the invitation
    await needLink(store.db, token, 'invite', clock.now())
    const hash = await passwords.hash(person.password)
    return store.transaction(async ({ db }) => {
      const now = clock.now()
      const id = await useLink(db, token, 'invite', now)
      const row = await db
        .updateTable('accounts')
        .set({ name: person.name, password_hash: hash, state: 'active', confirmed_at: now })
        .where('id', '=', id)
        .where('state', '=', 'pending')
        .returningAll()
        .executeTakeFirst()
      if (row === undefined) throw new ServiceError('NOT_FOUND')
      if (person.key !== undefined) await insertKey(db, id, person.key, now)
      const by = { ...anonymous(''), accountId: id }
      await audit.note(db, { by, action: 'account.accept-invitation', object: `account:${id}`, accountId: id, details: { role: row.role } })
      return accountOf(this.parts, row)
    })
  }
}

/**
 * Makes the first admin of a service, or another link for the one that has not come yet.
 * @param apiUrl  origin of the API
 * @returns the link of the invitation, seven days valid
 * @throws ServiceError CONFLICT when there is an active admin
 */
export async function inviteFirstAdmin(
  store: Store,
  { email, apiUrl, now }: { readonly email: string; readonly apiUrl: string; readonly now: number },
): Promise<string> {
  const checked = checkEmail(email)
  const token = await store.transaction(async ({ db }) => {
    const admin = await db
      .selectFrom('accounts')
      .select('id')
      .where('role', '=', 'admin')
      .where('state', '<>', 'pending')
      .executeTakeFirst()
    if (admin !== undefined) throw new ServiceError('CONFLICT', 'The service has an admin already, who invites others.')
    const invited = await inviteTo(db, checked, 'admin', now)
    if (invited === undefined) throw new ServiceError('CONFLICT', 'Somebody has an account with this address already.')
    return invited.token
  })
  return invitationLink({ zone: '', apiUrl }, token)
}
