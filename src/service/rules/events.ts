/** Events of accounts, as they are read. */
import { EVENTS, isEventName, SEVERITIES, type EventName } from '../../events/catalogue.ts'
import { isEventId } from '../../events/event-book.ts'
import { isNamePattern, namesOf } from '../../events/event-filter.ts'
import { createEvent, type GatewayEvent } from '../../events/event.ts'
import type { Row } from '../../store/schema.ts'
import { needId, needScope, notFound, readsAll } from '../core/access.ts'
import type { AccountEvents } from '../core/account-events.ts'
import { SECOND_MS } from '../core/clock.ts'
import type { Parts } from '../core/parts.ts'
import type { EventRequest, Events } from '../contract.ts'
import { invalid, ServiceError } from '../input/service-error.ts'
import type { Actor, Page } from '../model.ts'

const DEFAULT_LIMIT = 50
const MAX_LIMIT = 100
/** Of other processes of the same service nobody here hears, so that the table is looked at in any case. */
const LOOK_MS = 5 * SECOND_MS

/** Streams of one account at a time: each looks at the table now and then. */
const MAX_WATCHERS = 8

/** Reads the events of accounts. */
export class EventReader implements Events {
  readonly #watchers = new Map<string, number>()

  constructor(
    private readonly parts: Parts,
    private readonly events: Pick<AccountEvents, 'listen'>,
  ) {}

  async list(actor: Actor, request: EventRequest): Promise<Page<GatewayEvent>> {
    const of = accountOf(actor, request)
    const { after, limit = DEFAULT_LIMIT } = checked(request)
    const rows = await this.#rows(of, request, limit + 1)
    const shown = rows.slice(0, limit)
    const last = shown.at(-1)
    const hasMore = rows.length > limit && last !== undefined
    const next = after === undefined ? (hasMore ? String(last.id) : null) : String(last?.id ?? after)
    return { items: shown.flatMap(eventOf), next }
  }

  watch(actor: Actor, request: EventRequest, signal: AbortSignal): AsyncIterable<GatewayEvent> {
    const of = accountOf(actor, request)
    checked(request)
    this.#enter(actor)
    return this.#watch(actor, of, request, signal)
  }

  async *#watch(
    actor: Actor,
    of: string | undefined,
    request: EventRequest,
    signal: AbortSignal,
  ): AsyncGenerator<GatewayEvent, void, undefined> {
    let wake = (): void => undefined
    const onNews = (): void => wake()
    const leave = this.events.listen(onNews)
    signal.addEventListener('abort', onNews)
    try {
      let after = request.after ?? (await this.#last())
      while (!signal.aborted) {
        const woken = new Promise<void>(resolve => (wake = resolve))
        const rows = await this.#rows(of, { ...request, after }, MAX_LIMIT)
        for (const row of rows) {
          after = String(row.id)
          yield* eventOf(row)
        }
        if (rows.length === MAX_LIMIT || signal.aborted) continue
        const timer = setTimeout(onNews, LOOK_MS)
        await woken
        clearTimeout(timer)
      }
    } finally {
      leave()
      signal.removeEventListener('abort', onNews)
      this.#leave(actor)
    }
  }

  #enter({ accountId }: Actor): void {
    const count = this.#watchers.get(accountId) ?? 0
    if (count >= MAX_WATCHERS) throw new ServiceError('LIMIT_REACHED', `This account may watch its events ${MAX_WATCHERS} times at once.`)
    this.#watchers.set(accountId, count + 1)
  }

  #leave({ accountId }: Actor): void {
    const count = (this.#watchers.get(accountId) ?? 1) - 1
    if (count === 0) this.#watchers.delete(accountId)
    else this.#watchers.set(accountId, count)
  }

  async #last(): Promise<string> {
    const row = await this.parts.store.db.selectFrom('events').select('id').orderBy('id', 'desc').limit(1).executeTakeFirst()
    return String(row?.id ?? 0)
  }

  #rows(of: string | undefined, { after, before, name, severity }: EventRequest, limit: number): Promise<readonly Row<'events'>[]> {
    const names = name === undefined && severity === undefined ? undefined : namesFor(name, severity)
    return (
      this.parts.store.db
        .selectFrom('events')
        .selectAll()
        .$if(of !== undefined, query => query.where('account_id', '=', of!))
        // Never empty, which some databases refuse.
        .$if(names !== undefined, query => query.where('name', 'in', [...names!, '']))
        .$if(after !== undefined, query => query.where('id', '>', Number(after)))
        .$if(before !== undefined, query => query.where('id', '<', Number(before)))
        .orderBy('id', after === undefined ? 'desc' : 'asc')
        .limit(limit)
        .execute()
    )
  }
}

/** The account whose events are asked for; undefined: all. @throws ServiceError FORBIDDEN, NOT_FOUND */
function accountOf(actor: Actor, { accountId, isOfAll }: EventRequest): string | undefined {
  needScope(actor, 'read', 'account', 'admin')
  if (isOfAll !== true && (accountId === undefined || accountId === actor.accountId)) return actor.accountId
  if (!readsAll(actor)) throw notFound()
  return accountId === undefined ? undefined : needId(accountId)
}

/** @throws ServiceError INVALID */
function checked(request: EventRequest): EventRequest {
  const { after, before, name, limit = DEFAULT_LIMIT } = request
  for (const [path, id] of Object.entries({ after, before }))
    if (id !== undefined && !isEventId(id)) throw invalid({ path, message: 'expected the id of an event, or the value of "next"' })
  if (after !== undefined && before !== undefined) throw invalid({ path: 'before', message: 'expected only one of after and before' })
  if (name !== undefined && !isNamePattern(name))
    throw invalid({ path: 'name', message: 'expected the name of an event, such as tunnel.lost or tunnel.*' })
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT)
    throw invalid({ path: 'limit', message: `expected a whole number from 1 to ${MAX_LIMIT}` })
  return request
}

function namesFor(pattern: string | undefined, severity: EventRequest['severity']): readonly EventName[] {
  const least = severity === undefined ? 0 : SEVERITIES.indexOf(severity)
  return [...namesOf([pattern ?? '*'])].filter(name => SEVERITIES.indexOf(EVENTS[name].severity) >= least)
}

/** None for one that only a newer release knows. */
function eventOf({ id, at, account_id, name, subject, count, since, fields }: Row<'events'>): readonly GatewayEvent[] {
  if (!isEventName(name)) return []
  const note = { subject, account: account_id, fields: JSON.parse(fields) as GatewayEvent['fields'] }
  return [createEvent(name, note, { id: String(id), atMs: at, count, ...(since !== null && { sinceMs: since }) })]
}
