import { messageOf } from '../../errors.ts'
import { SYSTEM } from '../core/audit-log.ts'
import { DAY_MS, HOUR_MS } from '../core/clock.ts'
import { domainGoneLetter, domainUnprovenLetter } from '../core/letters.ts'
import type { Parts } from '../core/parts.ts'
import { areDomainsChecked, isOwner, proofOf } from '../sockets/domain-owners.ts'

const EVERY_MS = 6 * HOUR_MS
/** The time that a record may be missing before the name is taken from its socket. */
const GRACE_MS = 3 * DAY_MS

/** A host name outside of the zone, and whose socket has it. */
interface Held {
  readonly domain: string
  readonly socketId: string
  readonly accountId: string
  readonly email: string
  readonly missingSince: number | null
}

/**
 * Asks again and again whether host names outside of the zone are still their owners': one that was sold, or whose record is gone, must not be served
 * for ever. Its owner is told, and has three days; a DNS that does not answer says nothing.
 */
export class DomainWatch {
  #stop: () => void = () => undefined
  #work: Promise<void> = Promise.resolve()
  #isClosed = false

  constructor(private readonly parts: Parts) {}

  start(): void {
    const { clock, log, store } = this.parts
    this.#stop = clock.every(EVERY_MS, () => {
      this.#work = this.#work
        .then(() => (store.isHealthy() ? this.#look() : undefined))
        .catch((thrown: unknown) =>
          log.warn({ reason: messageOf(thrown) }, 'host names outside of the zone could not be looked at; they are again'),
        )
    })
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#stop()
    await this.#work
  }

  async #look(): Promise<void> {
    const { clock, store } = this.parts
    if (!areDomainsChecked(this.parts)) return
    const rows: readonly Held[] = await store.db
      .selectFrom('custom_domains')
      .innerJoin('sockets', 'sockets.id', 'custom_domains.socket_id')
      .innerJoin('accounts', 'accounts.id', 'sockets.account_id')
      .select(['domain', 'sockets.id as socketId', 'accounts.id as accountId', 'accounts.email as email', 'missing_since as missingSince'])
      .orderBy('domain')
      .execute()
    for (const held of rows) {
      if (this.#isClosed) return
      const isTheirs = await isOwner(this.parts, held.accountId, held.domain)
      if (isTheirs === true && held.missingSince !== null) await this.#isBack(held)
      if (isTheirs !== false) continue
      if (held.missingSince === null) await this.#isMissing(held)
      else if (clock.now() - held.missingSince >= GRACE_MS) await this.#take(held)
    }
  }

  async #isBack({ domain, socketId }: Held): Promise<void> {
    const { log, store } = this.parts
    await store.db
      .updateTable('custom_domains')
      .set({ missing_since: null })
      .where('domain', '=', domain)
      .where('socket_id', '=', socketId)
      .execute()
    log.info({ domain, socketId }, `${domain} is shown to be its owner's again`)
  }

  async #isMissing(held: Held): Promise<void> {
    const { audit, clock, log, store } = this.parts
    const { domain, socketId, accountId } = held
    const isFirst = await store.transaction(async ({ db }) => {
      const row = await db
        .updateTable('custom_domains')
        .set({ missing_since: clock.now() })
        .where('domain', '=', domain)
        .where('socket_id', '=', socketId)
        .where('missing_since', 'is', null)
        .returning('domain')
        .executeTakeFirst()
      // Another process of the service has seen it first.
      if (row === undefined) return false
      await audit.note(db, { by: SYSTEM, action: 'domain.unproven', object: `socket:${socketId}`, accountId, details: { domain } })
      return true
    })
    if (!isFirst) return
    const { name, text } = proofOf(accountId, domain)
    log.warn({ domain, socketId }, `${name} has no TXT record "${text}" any more; ${domain} is taken from its socket in three days`)
    await this.#tell(held)
  }

  async #take(held: Held): Promise<void> {
    const { audit, log, store } = this.parts
    const { domain, socketId, accountId } = held
    const isTaken = await store.transaction(async ({ db, change }) => {
      const row = await db
        .deleteFrom('custom_domains')
        .where('domain', '=', domain)
        .where('socket_id', '=', socketId)
        .where('missing_since', '=', held.missingSince)
        .returning('domain')
        .executeTakeFirst()
      if (row === undefined) return false
      await db
        .updateTable('sockets')
        .set(({ eb }) => ({ version: eb('version', '+', 1) }))
        .where('id', '=', socketId)
        .execute()
      change('socket', socketId)
      await audit.note(db, { by: SYSTEM, action: 'domain.remove', object: `socket:${socketId}`, accountId, details: { domain } })
      return true
    })
    if (!isTaken) return
    log.warn({ domain, socketId }, `${domain} was not shown to be its owner's for three days, and was taken from its socket`)
    await this.#tell(held)
  }

  async #tell({ domain, accountId, email, missingSince }: Held): Promise<void> {
    const { apiUrl, config, log, mail } = this.parts
    const letter = missingSince === null ? domainUnprovenLetter : domainGoneLetter
    try {
      await mail.send(letter({ zone: config().zone, apiUrl }, email, { domain, ...proofOf(accountId, domain) }))
    } catch (err) {
      log.warn({ err }, 'a letter was not sent')
    }
  }
}
