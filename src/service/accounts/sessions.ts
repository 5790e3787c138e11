/** Logins, and who brings a token. */
import { networkKey } from '../../address/address-key.ts'
import { needScope } from '../core/access.ts'
import { anonymous } from '../core/audit-log.ts'
import { MINUTE_MS } from '../core/clock.ts'
import { endLogins } from '../core/ended-logins.ts'
import { readTexts } from '../core/socket-settings.ts'
import type { Credentials, Identity, Sessions } from '../contract.ts'
import { invalid, ServiceError } from '../input/service-error.ts'
import { emailKey, parseEmail } from '../input/texts.ts'
import type { Actor, Scope } from '../model.ts'
import { hashSecret, isSecret } from '../proofs/secret-texts.ts'
import type { SessionTokens } from '../proofs/session-tokens.ts'
import { newPlaceLetter } from '../core/letters.ts'
import { frameOf, post, type AccountParts } from './account-parts.ts'

/** Characters of ASCII that can be seen. */
const PLAIN = /^[\x21-\x7e]+$/
/** More than any password may have, so that nobody has a mebibyte hashed. */
const MAX_PASSWORD_LENGTH = 1_024

/** Sessions of accounts. */
export class AccountSessions implements Sessions {
  constructor(
    private readonly parts: AccountParts,
    /** Asked each time, as keys may be added. */
    private readonly tokens: () => Promise<SessionTokens>,
  ) {}

  async login(
    credentials: Credentials,
    address: string,
  ): Promise<{ readonly token: string; readonly accountId: string; readonly expiresAt: number }> {
    const { id, token_epoch: epoch } = await this.#prove(credentials, address, 'session.login')
    return { ...(await this.tokens()).sign({ accountId: id, epoch }), accountId: id }
  }

  async vouched(
    { email, provider }: { readonly email: string; readonly provider: string },
    address: string,
  ): Promise<{ readonly token: string; readonly expiresAt: number } | undefined> {
    const { audit, places, store } = this.parts
    // Of two addresses that only Unicode takes for one, each may be somebody else at the provider.
    const key = PLAIN.test(email) ? emailKey(parseEmail(email) ?? '') : ''
    const account = await store.db.selectFrom('accounts').selectAll().where('email_key', '=', key).executeTakeFirst()
    if (account?.state !== 'active') return undefined
    const isNewPlace = await places.isNew(store.db, account.id, address)
    const by = { accountId: account.id, kind: 'session', address } as const
    await store.transaction(({ db }) =>
      audit.note(db, { by, action: 'session.login', object: `account:${account.id}`, accountId: account.id, details: { provider } }),
    )
    if (isNewPlace) this.#fromNewPlace(account, address, provider)
    return (await this.tokens()).sign({ accountId: account.id, epoch: account.token_epoch })
  }

  async identify(credentials: Credentials, address: string): Promise<Identity> {
    const { id, email, name, role } = await this.#prove(credentials, address, 'visitor.login')
    return { accountId: id, email, name, role }
  }

  /** The account of an address and its password, with an audit line of either outcome. */
  async #prove({ email, password }: Credentials, address: string, action: string) {
    const { audit, attempts, passwords, places, store } = this.parts
    if (typeof password !== 'string' || password.length > MAX_PASSWORD_LENGTH)
      throw invalid({ path: 'password', message: 'expected a text of at most 1024 characters' })
    const key = emailKey(parseEmail(email) ?? '')
    const succeeded = attempts.take(address, key)
    const account = await store.db.selectFrom('accounts').selectAll().where('email_key', '=', key).executeTakeFirst()
    // One verification in each case, so that neither words nor time tell which it was.
    const isRight = await passwords.verify(password, account?.password_hash ?? undefined)
    const note = {
      by: anonymous(address),
      action,
      object: account === undefined ? 'account' : `account:${account.id}`,
      accountId: account?.id,
    }
    return audit.attempt(note, async () => {
      if (account === undefined || !isRight || account.state !== 'active') throw new ServiceError('LOGIN_FAILED')
      succeeded()
      const rehashed = passwords.isOutdated(account.password_hash!) ? await passwords.hash(password) : undefined
      const isNewPlace = await places.isNew(store.db, account.id, address)
      await store.transaction(async ({ db }) => {
        // What has ended all sessions meanwhile ends this one as well.
        const now = await db.selectFrom('accounts').select('token_epoch').where('id', '=', account.id).executeTakeFirst()
        if (now?.token_epoch !== account.token_epoch) throw new ServiceError('LOGIN_FAILED')
        if (rehashed !== undefined)
          await db
            .updateTable('accounts')
            .set({ password_hash: rehashed })
            .where('id', '=', account.id)
            .where('password_hash', '=', account.password_hash)
            .execute()
        await audit.note(db, { ...note, by: { accountId: account.id, kind: 'session', address } })
      })
      if (isNewPlace) this.#fromNewPlace(account, address)
      return account
    })
  }

  /** Tells the owner, by a letter as well: whoever has the password may have it from them, or not. */
  #fromNewPlace({ id, email }: { readonly id: string; readonly email: string }, address: string, how = 'password'): void {
    const { clock, events } = this.parts
    events.tell('account.new-place', { subject: `${id} ${networkKey(address)}`, account: id, fields: { address, how } })
    post(this.parts, email, () => newPlaceLetter(frameOf(this.parts), email, { address, atMs: clock.now() }))
  }

  async refresh(actor: Actor): Promise<{ readonly token: string; readonly expiresAt: number }> {
    // An API token that made sessions would outlive its own end, and its scopes.
    if (actor.kind !== 'session') throw new ServiceError('FORBIDDEN', 'Only a session can be refreshed; log in first.')
    const account = await this.parts.store.db
      .selectFrom('accounts')
      .select('token_epoch')
      .where('id', '=', actor.accountId)
      .where('state', '=', 'active')
      .executeTakeFirst()
    if (account === undefined) throw new ServiceError('UNAUTHENTICATED')
    return (await this.tokens()).sign({ accountId: actor.accountId, epoch: account.token_epoch })
  }

  async authenticate(token: string, address: string): Promise<Actor> {
    return isSecret(token, 'sga') ? this.#byApiToken(token, address) : this.#bySession(token, address)
  }

  async #bySession(token: string, address: string): Promise<Actor> {
    const { accountId, epoch } = (await this.tokens()).read(token)
    const account = await this.parts.store.db
      .selectFrom('accounts')
      .select(['role', 'token_epoch'])
      .where('id', '=', accountId)
      .where('state', '=', 'active')
      .executeTakeFirst()
    if (account === undefined || account.token_epoch !== epoch) throw new ServiceError('UNAUTHENTICATED')
    return { accountId, role: account.role, scopes: undefined, kind: 'session', address }
  }

  async #byApiToken(token: string, address: string): Promise<Actor> {
    const { store, clock } = this.parts
    const now = clock.now()
    const row = await store.db
      .selectFrom('api_tokens')
      .innerJoin('accounts', 'accounts.id', 'api_tokens.account_id')
      .select(['api_tokens.id', 'account_id', 'role', 'scopes', 'used_at', 'expires_at', 'api_tokens.name'])
      .where('hash', '=', hashSecret(token))
      .where('revoked_at', 'is', null)
      .where(eb => eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', now)]))
      .where('accounts.state', '=', 'active')
      .executeTakeFirst()
    if (row === undefined) throw new ServiceError('UNAUTHENTICATED')
    // Once a minute is enough to see a token in use; where the database only reads, the token counts all the same.
    if (row.used_at === null || now - row.used_at > MINUTE_MS)
      await store.db
        .updateTable('api_tokens')
        .set({ used_at: now })
        .where('id', '=', row.id)
        .execute()
        .catch(() => undefined)
    await this.#placed({ accountId: row.account_id, tokenId: row.id, name: row.name }, address).catch(() => undefined)
    return {
      accountId: row.account_id,
      role: row.role,
      scopes: readTexts(row.scopes, `scopes of token ${row.id}`) as readonly Scope[],
      kind: 'token',
      address,
      ...(row.expires_at !== null && { endsAt: row.expires_at }),
    }
  }

  /** Writes down whence a token comes, once for each network, and tells its owner of one that is new. */
  async #placed(
    { accountId, tokenId, name }: { readonly accountId: string; readonly tokenId: string; readonly name: string },
    address: string,
  ): Promise<void> {
    const { audit, events, places, store } = this.parts
    const place = await places.ofToken(store.db, { accountId, tokenId }, address)
    if (place === 'known') return
    await audit.occasion({ by: { accountId, kind: 'token', address }, action: 'token.use', object: `token:${tokenId}`, accountId })
    if (place !== 'new') return
    const subject = `${accountId} ${tokenId} ${networkKey(address)}`
    events.tell('account.new-place', { subject, account: accountId, fields: { address, how: `token ${name}` } })
  }

  async endAll(actor: Actor): Promise<void> {
    const { audit, clock, directory, store } = this.parts
    const note = { by: actor, action: 'session.end-all', object: `account:${actor.accountId}` }
    await audit.attempt(note, async () => {
      needScope(actor, 'account')
      const { seq } = await store.changing(async transaction => {
        const { db } = transaction
        await db
          .updateTable('accounts')
          .set(({ eb }) => ({ token_epoch: eb('token_epoch', '+', 1) }))
          .where('id', '=', actor.accountId)
          .execute()
        await endLogins(transaction, actor.accountId, clock.now())
        await audit.note(db, note)
      })
      await directory.inForce(seq)
    })
  }
}
