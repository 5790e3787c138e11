import type { Express, Request, Response } from 'express'
import { EVENTS, SEVERITIES, STATES, type Severity } from '../events/catalogue.ts'
import { isEventId, type EventBook, type EventQuery } from '../events/event-book.ts'
import { isNamePattern, matcherOf } from '../events/event-filter.ts'
import type { GatewayEvent } from '../events/event.ts'
import { GatewayError } from '../errors.ts'
import { guarded } from '../net/guard.ts'

const DEFAULT_LIMIT = 50
const MAX_LIMIT = 1_000
/** Between two empty lines of a stream, so that whoever is between keeps it open. */
const KEEP_ALIVE_MS = 15_000
/** A reader that is so far behind is cut; it may come again with the last id that it has. */
const MAX_BEHIND_BYTES = 1_048_576

/** Adds the events: a list with cursors, a stream of lines, and what there is at all. */
export function eventPages(app: Express, book: EventBook): void {
  app.get('/events/catalogue', (_req, res) => void res.json({ severities: SEVERITIES, events: EVENTS, states: STATES }))
  app.get('/events', (req, res) => {
    let query: AskedFor
    try {
      query = readQuery(req)
    } catch (thrown) {
      if (!(thrown instanceof GatewayError)) throw thrown
      return void res.status(400).json({ error: { code: thrown.code, message: thrown.message } })
    }
    if (query.isLive) return streamEvents(res, book, query)
    const { after } = query
    res.json({ ...book.list(query), ...(after !== undefined && { isIncomplete: book.hasLost(after) }) })
  })
}

interface AskedFor extends EventQuery {
  readonly fits: (event: GatewayEvent) => boolean
  readonly isLive: boolean
}

const KEYS: ReadonlySet<string> = new Set(['after', 'before', 'limit', 'name', 'severity', 'target', 'subject', 'account', 'live'])

const refuse = (message: string): never => {
  throw new GatewayError('INVALID', message)
}

/** @throws GatewayError INVALID */
function readQuery({ query }: Request): AskedFor {
  const odd = Object.keys(query).find(key => !KEYS.has(key))
  if (odd !== undefined) refuse(`unknown parameter ${JSON.stringify(odd)}; there are ${[...KEYS].join(', ')}`)
  const listOf = (key: string): readonly string[] | undefined => {
    const value = Object.hasOwn(query, key) ? query[key] : undefined
    if (value === undefined) return undefined
    const list = Array.isArray(value) ? value : [value]
    return list.map(each => (typeof each === 'string' ? each : refuse(`${key}: expected a text`)))
  }
  const textOf = (key: string): string | undefined => {
    const [first, second] = listOf(key) ?? []
    return second === undefined ? first : refuse(`${key}: expected it once`)
  }
  const idOf = (key: string): string | undefined => {
    const id = textOf(key)
    return id === undefined || isEventId(id) ? id : refuse(`${key}: expected the id of an event, or what \`next\` said`)
  }
  const [after, before, severity] = [idOf('after'), idOf('before'), textOf('severity')]
  if (after !== undefined && before !== undefined) refuse('after, before: give one of them')
  const names = listOf('name')
  const unknown = names?.find(name => !isNamePattern(name))
  if (unknown !== undefined) refuse(`name: ${JSON.stringify(unknown)} is no event; see /events/catalogue`)
  if (severity !== undefined && !(SEVERITIES as readonly string[]).includes(severity)) refuse(`severity: expected ${SEVERITIES.join(', ')}`)
  const [targets, subject, account] = [listOf('target'), textOf('subject'), textOf('account')]
  return {
    ...(after !== undefined && { after }),
    ...(before !== undefined && { before }),
    limit: limitOf(textOf('limit')),
    isLive: flagOf(textOf('live')),
    fits: matcherOf({
      ...(names !== undefined && { names }),
      ...(severity !== undefined && { severity: severity as Severity }),
      ...(targets !== undefined && { targets }),
      ...(subject !== undefined && { subject }),
      ...(account !== undefined && { account }),
    }),
  }
}

const flagOf = (text: string | undefined): boolean => {
  if (text === undefined || text === 'false') return false
  return text === 'true' || refuse('live: expected true or false')
}

function limitOf(text: string | undefined): number {
  if (text === undefined) return DEFAULT_LIMIT
  const limit = /^\d{1,4}$/.test(text) ? Number(text) : 0
  return limit >= 1 && limit <= MAX_LIMIT ? limit : refuse(`limit: expected 1 to ${MAX_LIMIT}`)
}

/** Sends what came after a place, then each event as it happens, one JSON object a line. */
function streamEvents(res: Response, book: EventBook, { after, fits }: AskedFor): void {
  res.status(200).setHeader('Content-Type', 'application/x-ndjson; charset=utf-8')
  res.setHeader('X-Accel-Buffering', 'no') // nginx would keep lines until it has many
  res.flushHeaders()
  const end = (): void => void res.destroy()
  const send = (event: GatewayEvent): void => {
    if (res.writableLength > MAX_BEHIND_BYTES) return end()
    if (fits(event)) res.write(`${JSON.stringify(event)}\n`)
  }
  const leave = book.listen(send)
  const keepAlive = guarded(end, () => {
    if (!res.writableNeedDrain) res.write('\n')
  })
  const timer = setInterval(keepAlive, KEEP_ALIVE_MS)
  timer.unref()
  res.once(
    'close',
    guarded(end, () => {
      clearInterval(timer)
      leave()
    }),
  )
  res.on('error', end)
  if (after !== undefined) for (const event of book.list({ after, limit: Infinity, fits }).items) res.write(`${JSON.stringify(event)}\n`)
}
