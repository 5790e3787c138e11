import { EVENTS, type EventName, type Severity } from './catalogue.ts'

export type { EventName, Severity } from './catalogue.ts'

/** Value of a field. */
export type FieldValue = string | number | readonly string[]

/** Something that has happened, as it is kept, shown and sent. */
export interface GatewayEvent {
  /** Rises with each event, also over a restart: its place in the list, for cursors. Digits. */
  readonly id: string
  /** When it happened, ISO 8601 in UTC; of several in one, the last. */
  readonly at: string
  readonly name: EventName
  readonly severity: Severity
  /** The one thing that it is about, such as an identifier, a target, a file or a tunnel. */
  readonly subject: string
  /** In one sentence. */
  readonly message: string
  /** Targets that are concerned, as they stand in the targets file; at most 100. */
  readonly targets: readonly string[]
  /** Account of the service that is concerned. */
  readonly account: string | null
  /** Happenings that are in this one. */
  readonly count: number
  /** When the first of these was; null where there is only one. */
  readonly since: string | null
  readonly fields: Readonly<Record<string, FieldValue>>
}

/** The part of an event that its teller gives. */
export interface EventNote {
  readonly subject: string
  readonly targets?: readonly string[]
  readonly account?: string
  readonly fields: Readonly<Record<string, FieldValue>>
  /** Of a state that is not well: it is so since the process began, so that nothing was lost where it is well soon. */
  readonly isFromStart?: boolean
}

const MAX_TEXT = 300
const MAX_LIST = 100

/** A text that a stranger may have had a hand in, fit for a line of a terminal, a log or a letter. */
export const plainText = (text: string): string => {
  const line = text.slice(0, MAX_TEXT + 1).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, ' ')
  return line.length > MAX_TEXT ? `${line.slice(0, MAX_TEXT)}…` : line
}

const plainValue = (value: FieldValue): FieldValue => {
  if (typeof value === 'string') return plainText(value)
  return typeof value === 'number' ? value : value.slice(0, MAX_LIST).map(plainText)
}

/** The facts of an event that are known when it happens. */
export interface EventFacts {
  readonly id: string
  readonly atMs: number
  readonly count: number
  readonly sinceMs?: number
}

/** Makes an event of what was said of it. */
export function createEvent(name: EventName, note: EventNote, { id, atMs, count, sinceMs }: EventFacts): GatewayEvent {
  const { severity, message } = EVENTS[name]
  const fields = Object.fromEntries(Object.entries(note.fields).map(([field, value]) => [field, plainValue(value)]))
  const subject = plainText(note.subject)
  const times = count > 1 ? ` ×${count}` : ''
  return {
    id,
    at: new Date(atMs).toISOString(),
    name,
    severity,
    subject,
    message: `${fill(message, { ...fields, subject })}${times}`,
    targets: (note.targets ?? []).slice(0, MAX_LIST).map(plainText),
    account: note.account ?? null,
    count,
    since: count > 1 && sinceMs !== undefined ? new Date(sinceMs).toISOString() : null,
    fields,
  }
}

const fill = (message: string, fields: Readonly<Record<string, FieldValue>>): string =>
  message.replace(/\{([\w-]+)\}/g, (_all, field: string) => {
    const value = Object.hasOwn(fields, field) ? fields[field]! : ''
    return Array.isArray(value) ? value.join(', ') : String(value)
  })
