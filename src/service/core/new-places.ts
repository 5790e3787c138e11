import type { Kysely } from 'kysely'
import { networkKey } from '../../address/address-key.ts'
import { Recent } from '../../rates/recent.ts'
import type { Database } from '../../store/schema.ts'
import { DAY_MS } from './clock.ts'

/** Actions of the audit log by which somebody has come in. */
const SIGN_INS = ['session.login', 'visitor.login', 'ssh.serve', 'ssh.forward']
/** A place is known for so long. */
const KNOWN_MS = 400 * DAY_MS
const MAX_KNOWN = 1_000
/** A token that comes from more networks travels, as those of programs in a cloud do: another one is no news. */
const MAX_OF_TOKEN = 10
const KEPT = 10_000

/** The networks from which accounts sign in: /24 of IPv4, /48 of IPv6, as the audit log remembers them. */
export class NewPlaces {
  /** Pairs that need not be asked for again. */
  readonly #known: Recent<true>

  constructor(private readonly now: () => number) {
    this.#known = new Recent(KEPT, DAY_MS, now)
  }

  /** Has this account signed in before, and never from there? Ask before it is written down. */
  async isNew(db: Kysely<Database>, accountId: string, address: string): Promise<boolean> {
    const place = networkKey(address)
    const key = `${accountId} ${place}`
    if (this.#known.get(key) === true) return false
    const rows = await db
      .selectFrom('audit')
      .select('address')
      .distinct()
      .where('account_id', '=', accountId)
      .where('action', 'in', SIGN_INS)
      .where('is_refused', '=', 0)
      .where('at', '>', this.now() - KNOWN_MS)
      .limit(MAX_KNOWN)
      .execute()
    this.#known.set(key, true)
    return rows.length > 0 && !rows.some(row => networkKey(row.address) === place)
  }

  /**
   * Whence a token comes. Ask before it is written down.
   * @returns `known`: from there before; `first`: from nowhere so far; `many`: from so many places that one more is no news
   */
  async ofToken(
    db: Kysely<Database>,
    { accountId, tokenId }: { readonly accountId: string; readonly tokenId: string },
    address: string,
  ): Promise<'known' | 'first' | 'new' | 'many'> {
    const place = networkKey(address)
    const key = `${tokenId} ${place}`
    if (this.#known.get(key) === true) return 'known'
    const rows = await db
      .selectFrom('audit')
      .select('address')
      .distinct()
      .where('account_id', '=', accountId)
      .where('action', '=', 'token.use')
      .where('object', '=', `token:${tokenId}`)
      .where('at', '>', this.now() - KNOWN_MS)
      .limit(MAX_KNOWN)
      .execute()
    this.#known.set(key, true)
    const places = new Set(rows.map(row => networkKey(row.address)))
    if (places.has(place)) return 'known'
    if (places.size === 0) return 'first'
    return places.size < MAX_OF_TOKEN ? 'new' : 'many'
  }
}
