import type { Kysely } from 'kysely'
import { addressKey } from '../../address/address-key.ts'
import { GatewayError, type ErrorCode } from '../../errors.ts'
import { RateMeter } from '../../rates/rate-meter.ts'
import type { EventSink } from '../../events/event-sink.ts'
import type { Database } from '../../store/schema.ts'
import type { Store } from '../../store/store.ts'
import type { Log } from '../../telemetry/log.ts'
import type { AuditEntry } from '../model.ts'

/** The one who did it: an actor, somebody who has not proven anything, or the service itself. */
export interface Doer {
  readonly accountId: string
  readonly kind: AuditEntry['actorKind']
  readonly address: string
}

/** Somebody at an address who has not proven anything. */
export const anonymous = (address: string): Doer => ({ accountId: 'anonymous', kind: 'anonymous', address })

/** The service itself. */
export const SYSTEM: Doer = Object.freeze({ accountId: 'system', kind: 'system', address: '' })

/** A line of the audit log. Whatever stands in it is no secret. */
export interface Note {
  readonly by: Doer
  /** Such as `socket.create`. */
  readonly action: string
  /** Such as `socket:UUID`. */
  readonly object: string
  /** Account that it concerns, by which it is found; default: the doer's own. */
  readonly accountId?: string | undefined
  readonly details?: Readonly<Record<string, unknown>>
}

/** Refusals that tell of an attempt; faults of form and what is too fast do not. */
const ATTEMPTS: ReadonlySet<ErrorCode> = new Set([
  'LOGIN_FAILED',
  'FORBIDDEN',
  'NOT_FOUND',
  'LIMIT_REACHED',
  'SIGN_UP_CLOSED',
  'PORTS_EXHAUSTED',
])

/** Refusals that say that somebody has all that they may have. */
const LIMITS: ReadonlySet<ErrorCode> = new Set(['LIMIT_REACHED', 'PORTS_EXHAUSTED'])

const isOfAccount = ({ kind }: Doer): boolean => kind !== 'anonymous' && kind !== 'system'

/** Refusals of one address, and visitors of one object, that are kept: a flood of them must not fill the database. */
const KEPT = { perSecond: 1, burst: 120 }
/** Occasions of one object that are kept: a client that comes back each second is one story, not a thousand. */
const OCCASIONS = { perSecond: 1 / 60, burst: 20 }

/** Writes the audit log: what was done in the transaction that did it, what was refused afterwards. */
export class AuditLog {
  readonly #kept: RateMeter
  readonly #occasions: RateMeter
  readonly #visits: RateMeter

  constructor(
    private readonly store: Store,
    private readonly now: () => number,
    private readonly log: Log,
    private readonly events: Pick<EventSink, 'tell'>,
  ) {
    this.#kept = new RateMeter(KEPT, now)
    this.#visits = new RateMeter(KEPT, now)
    this.#occasions = new RateMeter(OCCASIONS, now)
  }

  /** Writes one line as part of a transaction. */
  async note(db: Kysely<Database>, { by, action, object, accountId, details = {} }: Note, isRefused = false): Promise<void> {
    await db
      .insertInto('audit')
      .values({
        at: this.now(),
        actor: by.accountId,
        actor_kind: by.kind,
        address: by.address,
        action,
        object,
        account_id: accountId ?? (isOfAccount(by) ? by.accountId : null),
        is_refused: isRefused ? 1 : 0,
        details: JSON.stringify(details),
      })
      .execute()
  }

  /** Does `work`; where that is refused, the attempt is written down. */
  async attempt<T>(note: Note, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (thrown) {
      if (thrown instanceof GatewayError) {
        if (LIMITS.has(thrown.code)) this.#limited(note, thrown)
        if (ATTEMPTS.has(thrown.code)) await this.#refused(note, thrown.code)
      }
      throw thrown
    }
  }

  /** Writes down that somebody has come, apart from any transaction; where the database is away, it goes on without. */
  async occasion(note: Note): Promise<void> {
    if (this.#occasions.take(`${note.by.accountId} ${note.object}`) === 0) await this.#apart(note, false)
  }

  /** The same for visitors of an object, of whom there may be many. */
  async visit(note: Note): Promise<void> {
    if (this.#visits.take(note.object) === 0) await this.#apart(note, false)
  }

  #limited({ by, action, accountId }: Note, { code, message }: GatewayError): void {
    const account = accountId ?? (isOfAccount(by) ? by.accountId : undefined)
    const fields = { limit: message, code }
    this.events.tell('limit.reached', { subject: `${account ?? 'service'} ${action}`, ...(account !== undefined && { account }), fields })
  }

  async #refused(note: Note, code: ErrorCode): Promise<void> {
    if (this.#kept.take(addressKey(note.by.address)) === 0) await this.#apart({ ...note, details: { ...note.details, code } }, true)
  }

  async #apart(note: Note, isRefused: boolean): Promise<void> {
    try {
      await this.note(this.store.db, note, isRefused)
    } catch (err) {
      this.log.warn({ err, action: note.action }, 'a line of the audit log could not be written')
    }
  }
}
