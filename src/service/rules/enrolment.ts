/** Inner layers of the operator, which enrol themselves with a token. */
import { randomUUID } from 'node:crypto'
import { isIdentifier } from '../../identity/identifier.ts'
import { needRole, notFound } from '../core/access.ts'
import type { Attempts } from '../core/attempts.ts'
import { anonymous } from '../core/audit-log.ts'
import { DAY_MS, MINUTE_MS } from '../core/clock.ts'
import type { LiveTunnels } from '../core/live-tunnels.ts'
import type { Parts } from '../core/parts.ts'
import { readTexts } from '../core/socket-settings.ts'
import { innerKeyOf } from '../core/views.ts'
import type { Enrolment } from '../contract.ts'
import { invalid, ServiceError } from '../input/service-error.ts'
import type { Actor, InnerKey, IssuedToken } from '../model.ts'
import { hashSecret, isSecret, mintSecret } from '../proofs/secret-texts.ts'
import { checkJwk } from '../sockets/tunnel-keys.ts'

const DEFAULT_LIFE_MS = 10 * MINUTE_MS
const MAX_LIFE_MS = 30 * DAY_MS
const MAX_IDENTIFIERS = 50
const MAX_USES = 1_000

/** Join tokens, and the keys that came by them. */
export class InnerEnrolment implements Enrolment {
  constructor(
    private readonly parts: Parts,
    private readonly attempts: Attempts,
    /** Keys whose inner layers are connected. */
    private readonly liveKeys: LiveTunnels,
  ) {}

  async createJoinToken(
    actor: Actor,
    { identifiers, uses = 1, expiresAt }: { readonly identifiers: readonly string[]; readonly uses?: number; readonly expiresAt?: number },
  ): Promise<IssuedToken> {
    const { audit, clock, store } = this.parts
    return audit.attempt({ by: actor, action: 'join-token.create', object: 'join-token' }, async () => {
      needRole(actor, 'admin')
      const now = clock.now()
      const end = expiresAt ?? now + DEFAULT_LIFE_MS
      checkJoinToken(identifiers, uses, { end, now })
      const [id, token] = [randomUUID(), mintSecret('sgj')]
      await store.transaction(async ({ db }) => {
        await db
          .insertInto('join_tokens')
          .values({
            id,
            hash: hashSecret(token),
            created_by: actor.accountId,
            identifiers: JSON.stringify(identifiers),
            uses_left: uses,
            created_at: now,
            expires_at: end,
          })
          .execute()
        await audit.note(db, { by: actor, action: 'join-token.create', object: `join-token:${id}`, details: { identifiers, uses } })
      })
      return { id, token, expiresAt: end }
    })
  }

  async join(
    token: string,
    jwk: Readonly<Record<string, string>>,
    address: string,
  ): Promise<{ readonly kid: string; readonly identifiers: readonly string[]; readonly linkUrls: readonly string[] }> {
    const { audit, clock, directory, linkUrls, store } = this.parts
    const note = { by: anonymous(address), action: 'inner.join', object: 'inner' }
    return audit.attempt(note, async () => {
      const succeeded = this.attempts.take(address)
      const { kid, jwk: plain } = checkJwk(jwk)
      const { value, seq } = await store.changing(async ({ db, change }) => {
        const now = clock.now()
        const grant = isSecret(token, 'sgj')
          ? await db
              .updateTable('join_tokens')
              .set(({ eb }) => ({ uses_left: eb('uses_left', '-', 1) }))
              .where('hash', '=', hashSecret(token))
              .where('uses_left', '>', 0)
              .where('expires_at', '>', now)
              .returning(['id', 'identifiers', 'created_by'])
              .executeTakeFirst()
          : undefined
        if (grant === undefined)
          throw new ServiceError(
            'UNAUTHENTICATED',
            'This join token is not valid, or not any more; ask an admin of the service for another one.',
          )
        const values = { identifiers: grant.identifiers, account_id: grant.created_by, created_at: now, revoked_at: null }
        const held = await db.selectFrom('inner_keys').select('tunnel_id').where('kid', '=', kid).executeTakeFirst()
        await db
          .insertInto('inner_keys')
          .values({ kid, jwk: JSON.stringify(plain), tunnel_id: null, expires_at: null, seen_at: null, ...values })
          // The same key again, for what the new token says. Public keys are known: somebody may have given this one to a tunnel of theirs, which
          // they could never serve with it. What an admin has handed out counts more.
          .onConflict(conflict => conflict.column('kid').doUpdateSet({ ...values, tunnel_id: null, expires_at: null }))
          .execute()
        change('key', kid)
        const takenFromTunnel = held?.tunnel_id ?? undefined
        const details = { joinToken: grant.id, ...(takenFromTunnel !== undefined && { takenFromTunnel }) }
        await audit.note(db, { ...note, object: `inner:${kid}`, accountId: grant.created_by, details })
        return readTexts(grant.identifiers, `identifiers of join token ${grant.id}`)
      })
      succeeded()
      await directory.inForce(seq)
      return { kid, identifiers: value, linkUrls: linkUrls() }
    })
  }

  async keys(actor: Actor): Promise<readonly InnerKey[]> {
    needRole(actor, 'admin', 'auditor')
    const rows = await this.parts.store.db
      .selectFrom('inner_keys')
      .selectAll()
      .where('tunnel_id', 'is', null)
      .orderBy('created_at')
      .orderBy('kid')
      .execute()
    return rows.map(row => innerKeyOf(row, this.liveKeys.addressOf(row.kid) !== undefined))
  }

  async revoke(actor: Actor, kid: string): Promise<void> {
    const { audit, clock, directory, store } = this.parts
    const note = { by: actor, action: 'inner.revoke', object: `inner:${kid}` }
    await audit.attempt(note, async () => {
      needRole(actor, 'admin')
      const { seq } = await store.changing(async ({ db, change }) => {
        const row = await db
          .updateTable('inner_keys')
          .set({ revoked_at: clock.now() })
          .where('kid', '=', kid)
          .where('tunnel_id', 'is', null)
          .where('revoked_at', 'is', null)
          .returning('kid')
          .executeTakeFirst()
        if (row === undefined) throw notFound()
        change('key', row.kid)
        await audit.note(db, note)
      })
      await directory.inForce(seq)
    })
  }

  async connected(kid: string, address: string): Promise<void> {
    this.liveKeys.connected(kid, address)
    const { clock, log, store } = this.parts
    await store.db
      .updateTable('inner_keys')
      .set({ seen_at: clock.now() })
      .where('kid', '=', kid)
      .where('tunnel_id', 'is', null)
      .execute()
      .catch((err: unknown) => log.warn({ err }, 'an inner layer that is connected could not be noted'))
  }

  async disconnected(kid: string): Promise<void> {
    this.liveKeys.disconnected(kid)
  }
}

/** @throws ServiceError INVALID */
function checkJoinToken(identifiers: unknown, uses: number, { end, now }: { readonly end: number; readonly now: number }): void {
  const isList =
    Array.isArray(identifiers) && identifiers.length > 0 && identifiers.length <= MAX_IDENTIFIERS && identifiers.every(isIdentifier)
  const isCount = Number.isInteger(uses) && uses >= 1 && uses <= MAX_USES
  const isTime = Number.isSafeInteger(end) && end > now && end <= now + MAX_LIFE_MS
  const faults = [
    ...(isList ? [] : [{ path: 'identifiers', message: `expected 1 to ${MAX_IDENTIFIERS} identifiers of inner layers` }]),
    ...(isCount ? [] : [{ path: 'uses', message: `expected a whole number from 1 to ${MAX_USES}` }]),
    ...(isTime ? [] : [{ path: 'expiresAt', message: 'expected a time within the next 30 days' }]),
  ]
  if (faults.length > 0) throw invalid(...faults)
}
