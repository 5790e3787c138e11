/** The use of each socket, by day. */
import { quotasOf } from '../core/directory-rows.ts'
import { needScope, notFound, readsAll } from '../core/access.ts'
import type { Parts } from '../core/parts.ts'
import type { Usage, UsageCount, UsageOfDay } from '../contract.ts'
import { invalid } from '../input/service-error.ts'
import type { Actor } from '../model.ts'

const MAX_ROWS = 10_000

/** Counts that wait for a database that is away. */
const MAX_WAITING = 20_000

/** Adds up what the data plane has counted. */
export class UsageBook implements Usage {
  /** By day and socket. */
  #waiting = new Map<string, UsageOfDay>()

  /** Accounts of which it was told on this day that their bytes are used up. */
  #told = { day: 0, accounts: new Set<string>() }

  constructor(private readonly parts: Parts) {}

  async add(counts: readonly UsageCount[]): Promise<void> {
    const day = new Date(this.parts.clock.now()).toISOString().slice(0, 10)
    for (const count of counts) this.#wait({ ...count, day })
    const writing = this.#waiting
    if (writing.size === 0) return
    this.#waiting = new Map()
    try {
      await this.#write([...writing.values()])
      await this.#tellOfQuotas([...new Set(counts.map(({ accountId }) => accountId))])
    } catch (err) {
      for (const count of writing.values()) this.#wait(count)
      this.parts.log.warn({ err, sockets: writing.size }, 'usage could not be written; it is kept and tried again')
    }
  }

  /** Tells whose bytes of this day are used up, and the data planes of other processes as well. */
  async #tellOfQuotas(accountIds: readonly string[]): Promise<void> {
    const { clock, config, events, store } = this.parts
    if (accountIds.length === 0) return
    const quotas = await quotasOf(store.db, { config: config(), now: clock.now() }, accountIds)
    const reached = quotas.filter(({ bytesPerDay, used }) => bytesPerDay > 0 && used >= bytesPerDay).filter(quota => this.#isNews(quota))
    if (reached.length === 0) return
    await store.changing(async ({ change }) => reached.forEach(({ accountId }) => change('quota', accountId)))
    for (const { accountId, bytesPerDay, day } of reached) {
      const fields = { limit: `${bytesPerDay} bytes in a day, until midnight (UTC)`, code: 'QUOTA_REACHED' }
      events.tell('limit.reached', { subject: `${accountId} bytes ${day}`, account: accountId, fields })
    }
  }

  #isNews({ accountId, day, bytesPerDay }: { readonly accountId: string; readonly day: number; readonly bytesPerDay: number }): boolean {
    if (day !== this.#told.day) this.#told = { day, accounts: new Set() }
    const key = `${accountId} ${bytesPerDay}`
    const isNews = !this.#told.accounts.has(key)
    this.#told.accounts.add(key)
    return isNews
  }

  #wait(count: UsageOfDay): void {
    const key = `${count.day} ${count.socketId}`
    const known = this.#waiting.get(key)
    if (known === undefined && this.#waiting.size >= MAX_WAITING) return
    const sum = (name: 'requests' | 'connections' | 'bytesIn' | 'bytesOut'): number => count[name] + (known?.[name] ?? 0)
    this.#waiting.set(key, {
      ...count,
      requests: sum('requests'),
      connections: sum('connections'),
      bytesIn: sum('bytesIn'),
      bytesOut: sum('bytesOut'),
    })
  }

  async #write(counts: readonly UsageOfDay[]): Promise<void> {
    // One order, so that two processes wait for each other and not in a circle.
    const sorted = [...counts].sort((one, other) => (one.socketId < other.socketId ? -1 : 1))
    await this.parts.store.transaction(async ({ db }) => {
      for (const { accountId, socketId, day, requests, connections, bytesIn, bytesOut } of sorted)
        await db
          .insertInto('usage')
          .values({ account_id: accountId, socket_id: socketId, day, requests, connections, bytes_in: bytesIn, bytes_out: bytesOut })
          .onConflict(conflict =>
            conflict.columns(['account_id', 'socket_id', 'day']).doUpdateSet(eb => ({
              requests: eb(eb.ref('usage.requests'), '+', requests),
              connections: eb(eb.ref('usage.connections'), '+', connections),
              bytes_in: eb(eb.ref('usage.bytes_in'), '+', bytesIn),
              bytes_out: eb(eb.ref('usage.bytes_out'), '+', bytesOut),
            })),
          )
          .execute()
    })
  }

  async list(
    actor: Actor,
    { since, accountId = actor.accountId }: { readonly since: string; readonly accountId?: string },
  ): Promise<readonly UsageOfDay[]> {
    needScope(actor, 'read', 'account', 'admin')
    if (accountId !== actor.accountId && !readsAll(actor)) throw notFound()
    if (!/^\d{4}-\d{2}-\d{2}$/.test(since)) throw invalid({ path: 'since', message: 'expected a day such as 2026-11-28' })
    const rows = await this.parts.store.db
      .selectFrom('usage')
      .selectAll()
      .where('account_id', '=', accountId)
      .where('day', '>=', since)
      .orderBy('day')
      .orderBy('socket_id')
      .limit(MAX_ROWS)
      .execute()
    return rows.map(row => ({
      accountId: row.account_id,
      socketId: row.socket_id,
      day: row.day,
      requests: row.requests,
      connections: row.connections,
      bytesIn: row.bytes_in,
      bytesOut: row.bytes_out,
    }))
  }
}
