import { messageOf } from '../../errors.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from '../core/clock.ts'
import type { Parts } from '../core/parts.ts'
import type { Liveness } from '../sockets/liveness.ts'

const IDLE_EVERY_MS = 5 * SECOND_MS
const OLD_EVERY_MS = 10 * MINUTE_MS
const AUDIT_LIFE_MS = 400 * DAY_MS
const EVENTS_LIFE_MS = 90 * DAY_MS
const CHANGES_LIFE_MS = DAY_MS
/** Revoked and expired tokens are shown no more; they are kept a while for whoever reads the tables. */
const TOKEN_LIFE_MS = 30 * DAY_MS
/** No login of a visitor lasts longer than 30 days. */
const ENDED_LOGINS_LIFE_MS = 31 * DAY_MS

/** Takes away what has had its time. */
export class CleanUp {
  #stops: (() => void)[] = []
  #work: Promise<unknown> = Promise.resolve()
  #isClosed = false

  constructor(
    private readonly parts: Parts,
    private readonly liveness: Liveness,
  ) {}

  start(): void {
    const { clock } = this.parts
    this.#stops = [
      clock.every(IDLE_EVERY_MS, () => this.#then('sockets without a tunnel', () => this.liveness.removeIdle())),
      clock.every(OLD_EVERY_MS, () => this.#then('old rows', () => this.#removeOld())),
    ]
  }

  async close(): Promise<void> {
    this.#isClosed = true
    for (const stop of this.#stops) stop()
    await this.#work
  }

  async #removeOld(): Promise<void> {
    const { clock, store } = this.parts
    const now = clock.now()
    await store.transaction(async ({ db }) => {
      await db.deleteFrom('one_time').where('expires_at', '<=', now).execute()
      // Whoever has signed up or was invited and did not come in time may do so again.
      await db
        .deleteFrom('accounts')
        .where('state', '=', 'pending')
        .where('created_at', '<', now - HOUR_MS)
        .where(eb => eb.not(eb.exists(eb.selectFrom('one_time').select('hash').whereRef('one_time.account_id', '=', 'accounts.id'))))
        .execute()
      await db.deleteFrom('shares').where('expires_at', '<=', now).execute()
      await db.deleteFrom('server_certificates').where('expires_at', '<=', now).execute()
      await db.deleteFrom('idempotency').where('expires_at', '<=', now).execute()
      await db
        .deleteFrom('join_tokens')
        .where('expires_at', '<=', now - TOKEN_LIFE_MS)
        .execute()
      await db
        .deleteFrom('api_tokens')
        .where(eb => eb.or([eb('expires_at', '<=', now - TOKEN_LIFE_MS), eb('revoked_at', '<=', now - TOKEN_LIFE_MS)]))
        .execute()
      await db.deleteFrom('inner_keys').where('expires_at', '<=', now).execute()
      await db
        .deleteFrom('audit')
        .where('at', '<', now - AUDIT_LIFE_MS)
        .execute()
      await db
        .deleteFrom('ended_logins')
        .where('at', '<', now - ENDED_LOGINS_LIFE_MS)
        .execute()
      await db
        .deleteFrom('events')
        .where('at', '<', now - EVENTS_LIFE_MS)
        .execute()
    })
    await store.pruneChanges(now - CHANGES_LIFE_MS)
    await this.liveness.prolongKeys()
  }

  /** One after the other, and none at all while the database is away: it is tried again soon. */
  #then(what: string, action: () => Promise<unknown>): void {
    this.#work = this.#work
      .then(() => (this.#isClosed || !this.parts.store.isHealthy() ? undefined : action()))
      .catch((thrown: unknown) => {
        this.parts.log.warn({ reason: messageOf(thrown) }, `clean-up of ${what} failed; it is tried again`)
      })
  }
}
