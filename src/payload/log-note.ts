/** Notes about who comes to a socket: an inner layer says that it wants to see them, the outer layer tells. */
import { GatewayError } from '../errors.ts'
import { encodeNote } from './origin-profile.ts'

/** A request that has ended. Every text of it may be what a client chose. */
export interface RequestLine {
  readonly kind: 'request'
  /** Milliseconds since 1970. */
  readonly at: number
  /** Address of the visitor. */
  readonly client: string
  readonly method: string
  /** Without its query: it is where people put tokens. */
  readonly path: string
  /** Such as 1.1. */
  readonly version: string
  readonly status: number
  /** Of the body that went out. */
  readonly bytes: number
  readonly referer: string
  readonly agent: string
  readonly durationMs: number
  /** The visitor, where visitors log in; a dash for somebody unknown. */
  readonly visitor?: string | undefined
}

/** A connection that has ended. */
export interface ConnectionLine {
  readonly kind: 'connection'
  readonly at: number
  readonly client: string
  /** 200, or what the failure would be as a status of HTTP. */
  readonly status: number
  /** To the visitor. */
  readonly bytesOut: number
  /** From the visitor. */
  readonly bytesIn: number
  readonly durationMs: number
  /** Somebody who has proven who they are. */
  readonly visitor?: string | undefined
}

/** Lines that were left out here: there were too many, or the link had more important things to carry. */
export interface OmittedLine {
  readonly kind: 'omitted'
  readonly at: number
  readonly count: number
}

/** So many other nodes of a cluster do not answer, so that who comes in there is not shown; 0: all are shown again. */
export interface MissingLine {
  readonly kind: 'missing'
  readonly at: number
  readonly count: number
}

/** One line of a live log, as facts. */
export type LogLine = RequestLine | ConnectionLine | OmittedLine | MissingLine

/** Kinds that came with a later release: only whoever says so is sent them. */
const LATER_KINDS: readonly LogLine['kind'][] = ['missing']

/** Characters of one text of a line. */
export const MAX_LOG_TEXT = 1_024
/** Lines in one note. */
const MAX_LINES = 100
const MAX_KINDS = 16

/** The note by which an inner layer says that it wants to see who comes to the socket of its tunnel. */
export const encodeWatchLog = (): Buffer => encodeNote({ note: 'watch-log', kinds: LATER_KINDS } as { note: string })

/** Says of a line whether whoever has sent a note of the kind `watch-log` understands it. */
export function understoodBy({ kinds }: Raw): (line: LogLine) => boolean {
  const known: readonly unknown[] = Array.isArray(kinds) ? kinds.slice(0, MAX_KINDS) : []
  return ({ kind }) => !LATER_KINDS.includes(kind) || known.includes(kind)
}

/** The note with lines. */
export const encodeLogNote = (lines: readonly LogLine[]): Buffer => encodeNote({ note: 'log', lines } as { note: string })

type Raw = Readonly<Record<string, unknown>>

const NUMBERS = ['at', 'status', 'bytes', 'bytesIn', 'bytesOut', 'durationMs', 'count'] as const
const TEXTS = ['client', 'method', 'path', 'version', 'referer', 'agent'] as const
const OF_KIND = {
  request: ['at', 'client', 'method', 'path', 'version', 'status', 'bytes', 'referer', 'agent', 'durationMs'],
  connection: ['at', 'client', 'status', 'bytesOut', 'bytesIn', 'durationMs'],
  omitted: ['at', 'count'],
  missing: ['at', 'count'],
} as const

const isOneOf = (list: readonly string[], name: string): boolean => list.includes(name)

function parseLine(value: unknown): LogLine {
  const raw = (typeof value === 'object' && value !== null ? value : {}) as Raw
  const { kind } = raw
  if (kind !== 'request' && kind !== 'connection' && kind !== 'omitted' && kind !== 'missing')
    throw new GatewayError('PROTOCOL', 'a line of a log of no known kind')
  const line: Record<string, unknown> = { kind }
  for (const name of OF_KIND[kind]) {
    const given = raw[name]
    const isSound = isOneOf(NUMBERS, name)
      ? typeof given === 'number' && Number.isFinite(given) && given >= 0
      : isOneOf(TEXTS, name) && typeof given === 'string' && given.length <= MAX_LOG_TEXT
    if (!isSound) throw new GatewayError('PROTOCOL', `a line of a log without a valid "${name}"`)
    line[name] = given
  }
  const { visitor } = raw
  if ((kind === 'request' || kind === 'connection') && visitor !== undefined) {
    if (typeof visitor !== 'string' || visitor.length > MAX_LOG_TEXT)
      throw new GatewayError('PROTOCOL', 'a line of a log without a valid "visitor"')
    line['visitor'] = visitor
  }
  return line as unknown as LogLine
}

/** The lines of a note of the kind `log`, checked. @throws GatewayError PROTOCOL */
export function parseLogNote({ lines }: Raw): readonly LogLine[] {
  if (!Array.isArray(lines) || lines.length > MAX_LINES) throw new GatewayError('PROTOCOL', 'a log that is no list of lines')
  return lines.map(parseLine)
}
