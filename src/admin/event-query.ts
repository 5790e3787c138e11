import { SEVERITIES, type Severity } from '../events/catalogue.ts'
import { isEventId, type EventQuery } from '../events/event-book.ts'
import { isNamePattern, matcherOf } from '../events/event-filter.ts'
import type { GatewayEvent } from '../events/event.ts'
import { GatewayError } from '../errors.ts'

const DEFAULT_LIMIT = 50
const MAX_LIMIT = 1_000

/** The events that somebody asks for. */
export interface AskedFor extends EventQuery {
  readonly fits: (event: GatewayEvent) => boolean
  readonly isLive: boolean
}

/** A query by name: a name that comes several times is a list. */
export type EventQuerySource = Readonly<Record<string, unknown>>

const KEYS: ReadonlySet<string> = new Set(['after', 'before', 'limit', 'name', 'severity', 'target', 'subject', 'account', 'live'])

const refuse = (message: string): never => {
  throw new GatewayError('INVALID', message)
}

/** Reads which events somebody asks for. @throws GatewayError INVALID */
export function readEventQuery(query: EventQuerySource): AskedFor {
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
