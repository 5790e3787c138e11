/** Tokens for programs. */
import { randomUUID } from 'node:crypto'
import { needId, needScope, notFound } from '../core/access.ts'
import type { Parts } from '../core/parts.ts'
import { apiTokenOf } from '../core/views.ts'
import type { ApiTokens } from '../contract.ts'
import { invalid, ServiceError } from '../input/service-error.ts'
import { faultOfName } from '../input/texts.ts'
import type { Actor, ApiToken, IssuedToken, Scope } from '../model.ts'
import { hashSecret, mintSecret } from '../proofs/secret-texts.ts'

const SCOPES: readonly Scope[] = ['read', 'sockets', 'connect', 'account', 'admin']
const MAX_TOKENS = 50

/** Tokens of accounts, each with a part of the rights of its account. */
export class AccountTokens implements ApiTokens {
  constructor(private readonly parts: Parts) {}

  async create(
    actor: Actor,
    { name, scopes, expiresAt }: { readonly name: string; readonly scopes: readonly Scope[]; readonly expiresAt?: number },
  ): Promise<IssuedToken> {
    const { audit, clock, store } = this.parts
    return audit.attempt({ by: actor, action: 'token.create', object: 'token' }, async () => {
      needScope(actor, 'account')
      const now = clock.now()
      this.#check(name, scopes, expiresAt)
      // A token makes none that can do more, or longer, than it.
      needEach(actor, scopes)
      needEnd(actor, expiresAt)
      const [id, token] = [randomUUID(), mintSecret('sga')]
      await store.transaction(async ({ db }) => {
        const { count } = await db
          .selectFrom('api_tokens')
          .select(({ fn }) => fn.countAll<number>().as('count'))
          .where('account_id', '=', actor.accountId)
          .where('revoked_at', 'is', null)
          .executeTakeFirstOrThrow()
        if (count >= MAX_TOKENS) throw new ServiceError('LIMIT_REACHED', `An account may have ${MAX_TOKENS} tokens; revoke one first.`)
        await db
          .insertInto('api_tokens')
          .values({
            id,
            account_id: actor.accountId,
            name: name.trim(),
            hash: hashSecret(token),
            scopes: JSON.stringify(scopes),
            created_at: now,
            expires_at: expiresAt ?? null,
            used_at: null,
            revoked_at: null,
          })
          .execute()
        await audit.note(db, { by: actor, action: 'token.create', object: `token:${id}`, details: { scopes } })
      })
      return { id, token, expiresAt: expiresAt ?? null }
    })
  }

  #check(name: unknown, scopes: unknown, expiresAt: unknown): void {
    const now = this.parts.clock.now()
    const fault = faultOfName(name)
    const isList = Array.isArray(scopes) && scopes.length > 0 && scopes.every(scope => SCOPES.includes(scope as Scope))
    const isTime = expiresAt === undefined || (typeof expiresAt === 'number' && Number.isSafeInteger(expiresAt) && expiresAt > now)
    const faults = [
      ...(fault === undefined ? [] : [{ path: 'name', message: fault }]),
      ...(isList ? [] : [{ path: 'scopes', message: `expected at least one of ${SCOPES.join(', ')}` }]),
      ...(isTime ? [] : [{ path: 'expiresAt', message: 'expected a time in the future' }]),
    ]
    if (faults.length > 0) throw invalid(...faults)
  }

  async list(actor: Actor): Promise<readonly ApiToken[]> {
    needScope(actor, 'read', 'account')
    const rows = await this.parts.store.db
      .selectFrom('api_tokens')
      .selectAll()
      .where('account_id', '=', actor.accountId)
      .where('revoked_at', 'is', null)
      .orderBy('created_at')
      .orderBy('id')
      .execute()
    return rows.map(apiTokenOf)
  }

  async revoke(actor: Actor, tokenId: string): Promise<void> {
    const { audit, clock, store } = this.parts
    const note = { by: actor, action: 'token.revoke', object: `token:${tokenId}` }
    await audit.attempt(note, async () => {
      needScope(actor, 'account')
      const id = needId(tokenId)
      await store.transaction(async ({ db }) => {
        const row = await db
          .updateTable('api_tokens')
          .set({ revoked_at: clock.now() })
          .where('id', '=', id)
          .where('account_id', '=', actor.accountId)
          .where('revoked_at', 'is', null)
          .returning('id')
          .executeTakeFirst()
        if (row === undefined) throw notFound()
        await audit.note(db, note)
      })
    })
  }
}

const needEach = (actor: Actor, scopes: readonly Scope[]): void => {
  for (const scope of scopes) needScope(actor, scope)
}

function needEnd({ endsAt }: Actor, wanted: number | undefined): void {
  if (endsAt === undefined || (wanted !== undefined && wanted <= endsAt)) return
  const end = new Date(endsAt).toISOString()
  throw new ServiceError('FORBIDDEN', `This token ends at ${end}, and makes none that lasts longer; give an end until then.`)
}
