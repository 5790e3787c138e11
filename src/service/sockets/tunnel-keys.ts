/** Keys of inner layers that serve a tunnel. */
import { createPublicKey, type KeyObject } from 'node:crypto'
import type { Row } from '../../store/schema.ts'
import type { StoreTransaction } from '../../store/store.ts'
import { GatewayError } from '../../errors.ts'
import { algorithmsOf, thumbprintOf } from '../../identity/key.ts'
import { DAY_MS } from '../core/clock.ts'
import { invalid } from '../input/service-error.ts'
import { numberLogin } from './logins.ts'

/** The life of a key; it is prolonged while its tunnel is connected. */
export const KEY_LIFE_MS = 30 * DAY_MS

/** A public key of an inner layer. */
export interface CheckedJwk {
  readonly kid: string
  /** Only what the key consists of. */
  readonly jwk: Readonly<Record<string, string>>
}

/** Members of a public key, by its type (RFC 7518 §6). */
const MEMBERS: ReadonlyMap<unknown, readonly string[]> = new Map([
  ['EC', ['kty', 'crv', 'x', 'y']],
  ['RSA', ['kty', 'n', 'e']],
])
const MAX_JWK_LENGTH = 4_096

/** @throws ServiceError INVALID unless it is the public half of a key that an inner layer can prove itself with: EC P-256, or RSA of 2048 to 8192 bits */
export function checkJwk(jwk: unknown, path = 'jwk'): CheckedJwk {
  const refuse = (message: string): never => {
    throw invalid({ path, message })
  }
  if (typeof jwk !== 'object' || jwk === null || JSON.stringify(jwk).length > MAX_JWK_LENGTH)
    return refuse('expected a public key in JSON (RFC 7517)')
  if ('d' in jwk || 'k' in jwk) return refuse('this is a secret key, which nobody else may ever see; expected its public half')
  const { kty } = jwk as { readonly kty?: unknown }
  const members = MEMBERS.get(kty)
  if (members === undefined) return refuse('expected a key of type EC (P-256) or RSA')
  const plain = Object.fromEntries(members.map(name => [name, (jwk as Readonly<Record<string, unknown>>)[name]]))
  if (Object.values(plain).some(value => typeof value !== 'string')) return refuse(`expected the members ${members.join(', ')} as texts`)
  let key: KeyObject
  try {
    key = createPublicKey({ key: plain as Record<string, string>, format: 'jwk' })
    algorithmsOf(key, 'the key')
  } catch (thrown) {
    return refuse(thrown instanceof GatewayError ? thrown.message : 'the key is damaged')
  }
  return { kid: thumbprintOf(key), jwk: plain as Record<string, string> }
}

interface KeyRegistration {
  readonly now: number
  /** The tunnel is new, so that it has no other. */
  readonly isFirst?: boolean
  /** The key was registered before: it must not take the place of one that came since. */
  readonly isRenewal?: boolean
}

/** Each login of a tunnel registers a key, and removes the others: another one is a newer one. */
async function refuseAfterNewer(db: StoreTransaction['db'], tunnel: Row<'tunnels'>, kid: string): Promise<void> {
  const newer = await db
    .selectFrom('inner_keys')
    .select('kid')
    .where('tunnel_id', '=', tunnel.id)
    .where('kid', '<>', kid)
    .executeTakeFirst()
  if (newer !== undefined) throw new GatewayError('CONFLICT', 'a newer login has taken this tunnel over, and its key is another one')
}

/**
 * Registers a key for a tunnel as part of a transaction. The newest one wins: the others of the tunnel prove nothing any more, and what they have
 * proven goes on until the newest one is used, so that whoever used one is told and does not fight for the tunnel.
 * @throws ServiceError INVALID when the key is registered for something else, CONFLICT when a renewal comes after a newer key
 */
export async function registerKey(
  { db, change }: StoreTransaction,
  tunnel: Row<'tunnels'>,
  { kid, jwk }: CheckedJwk,
  { now, isFirst = false, isRenewal = false }: KeyRegistration,
): Promise<number> {
  const expiresAt = now + KEY_LIFE_MS
  const login = isRenewal ? now : await numberLogin(db, tunnel.id, now)
  if (isRenewal) await refuseAfterNewer(db, tunnel, kid)
  const older = isFirst
    ? []
    : await db.deleteFrom('inner_keys').where('tunnel_id', '=', tunnel.id).where('kid', '<>', kid).returning('kid').execute()
  const row = await db
    .insertInto('inner_keys')
    .values({
      kid,
      jwk: JSON.stringify(jwk),
      tunnel_id: tunnel.id,
      account_id: tunnel.account_id,
      identifiers: null,
      created_at: login,
      expires_at: expiresAt,
      revoked_at: null,
      seen_at: null,
    })
    .onConflict(conflict =>
      conflict
        .column('kid')
        .doUpdateSet({ expires_at: expiresAt, ...(!isRenewal && { created_at: login }) })
        .where('inner_keys.tunnel_id', '=', tunnel.id),
    )
    .returning('kid')
    .executeTakeFirst()
  if (row === undefined) throw invalid({ path: 'jwk', message: 'this key is in use for another tunnel or inner layer; make a new one' })
  for (const gone of older) change('key', gone.kid)
  change('key', kid)
  return expiresAt
}
