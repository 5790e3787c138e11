import { EVENTS, SEVERITIES, type EventName, type Severity } from './catalogue.ts'
import type { GatewayEvent } from './event.ts'

/** Which events somebody wants; what is absent is no condition. */
export interface EventFilter {
  /** Names, or the first part of names with `.*`, such as `certificate.*`. */
  readonly names?: readonly string[]
  /** This severe, or more. */
  readonly severity?: Severity
  /** Targets as in the targets file; an event is wanted that concerns one of them, or no target in particular. */
  readonly targets?: readonly string[]
  readonly subject?: string
  readonly account?: string
}

/** Is it the name of an event, or a pattern that fits one? */
export const isNamePattern = (text: string): boolean =>
  text === '*' || (text.endsWith('.*') ? Object.keys(EVENTS).some(name => name.startsWith(text.slice(0, -1))) : Object.hasOwn(EVENTS, text))

/** The names that patterns stand for. */
export function namesOf(patterns: readonly string[]): ReadonlySet<EventName> {
  const fits = (name: string): boolean =>
    patterns.some(pattern => pattern === '*' || pattern === name || (pattern.endsWith('.*') && name.startsWith(pattern.slice(0, -1))))
  return new Set((Object.keys(EVENTS) as EventName[]).filter(fits))
}

/** Makes a test of a filter. */
export function matcherOf({ names, severity, targets, subject, account }: EventFilter): (event: GatewayEvent) => boolean {
  const wanted = names === undefined ? undefined : namesOf(names)
  const least = severity === undefined ? 0 : SEVERITIES.indexOf(severity)
  return event =>
    (wanted === undefined || wanted.has(event.name)) &&
    SEVERITIES.indexOf(event.severity) >= least &&
    (targets === undefined || event.targets.length === 0 || event.targets.some(target => targets.includes(target))) &&
    (subject === undefined || event.subject === subject) &&
    (account === undefined || event.account === account)
}
