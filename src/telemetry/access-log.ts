import type { ErrorCode } from '../errors.ts'
import type { Log } from './log.ts'
import { clockTime, colorsOf, printable } from './pretty.ts'

/** One request when it has ended. */
export interface AccessRecord {
  readonly requestId: string
  /** Address of the client, as far as it can be trusted. */
  readonly client: string
  /** Host, method and path are `-` where nothing could be parsed. */
  readonly host: string
  readonly method: string
  /** A query is cut off: it is where people put tokens. */
  readonly path: string
  readonly status: number
  /** Body bytes from the client. */
  readonly bytesIn: number
  /** Body bytes to the client. */
  readonly bytesOut: number
  readonly durationMs: number
  /** From the start of the request to the first byte of the answer; undefined when there was none. */
  readonly firstByteMs: number | undefined
  /** Host key of its target in the targets file, undefined when none matched. */
  readonly target: string | undefined
  /** Of a socket of the service, of which there are too many for numbers of their own. */
  readonly isOfSocket?: boolean | undefined
  /** The visitor, where the target asks; `-` for nobody known. */
  readonly visitor?: string | undefined
  /** Inner layer that served it, undefined when none did. */
  readonly identifier: string | undefined
  readonly error: ErrorCode | undefined
  /** The number of times it was moved to another inner layer. */
  readonly repeats?: number | undefined
  /** The exact reason, where `error` is set: may name the origin, so it is for the operator alone. */
  readonly reason?: string | undefined
}

const MAX_LENGTH = 1024

// What JSON has to escape, and what a terminal or a line reader might obey: C0, DEL, C1, the separators of Unicode, lone surrogates.
const UNSAFE = /["\\\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]/
const UNSAFE_IN_JSON = /[\x7f-\x9f\u2028\u2029]/g

const escapeCharacter = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`

/** A JSON string that is safe in a line, whatever a client put into it. Twenty times as fast as JSON.stringify for what is common. */
function quote(text: string): string {
  const short = text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH)}…` : text
  return UNSAFE.test(short) ? JSON.stringify(short).replace(UNSAFE_IN_JSON, escapeCharacter) : `"${short}"`
}

const withoutQuery = (path: string): string => {
  const mark = path.indexOf('?')
  return mark < 0 ? path : path.slice(0, mark)
}

const number = (value: number): number => (Number.isFinite(value) ? Math.round(value * 1000) / 1000 : 0)

// The date is written anew once a millisecond only.
function createClock(): (ms: number) => string {
  let last = NaN
  let text = ''
  return ms => {
    if (ms !== last) {
      last = ms
      text = new Date(ms).toISOString()
    }
    return text
  }
}

/** The JSON line of a record. Built by hand, since it is written for every request. */
const createJsonLine = (): ((record: AccessRecord, nowMs: number) => string) => {
  const timeOf = createClock()
  return (record, nowMs) =>
    `{"level":"info","time":"${timeOf(nowMs)}","requestId":${quote(record.requestId)},"client":${quote(record.client)},"host":${quote(record.host)},"method":${quote(record.method)},"path":${quote(withoutQuery(record.path))},"status":${number(record.status)},"bytesIn":${number(record.bytesIn)},"bytesOut":${number(record.bytesOut)},"durationMs":${number(record.durationMs)}${
      record.firstByteMs === undefined ? '' : `,"firstByteMs":${number(record.firstByteMs)}`
    }${record.visitor === undefined ? '' : `,"visitor":${quote(record.visitor)}`}${record.identifier === undefined ? '' : `,"identifier":${quote(record.identifier)}`}${
      record.error === undefined ? '' : `,"error":"${record.error}"`
    }${record.reason === undefined ? '' : `,"reason":${quote(record.reason)}`},"msg":"request"}\n`
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const

/** Bytes for people: `0 B`, `1.5 KiB`, `100 MiB`. */
export function formatBytes(bytes: number): string {
  const power = bytes < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(bytes) / 10))
  const value = bytes / 1024 ** power
  return `${value >= 10 || power === 0 ? Math.round(value) : value.toFixed(1)} ${UNITS[power] ?? ''}`
}

const createPrettyLine = (color: boolean): ((record: AccessRecord, nowMs: number) => string) => {
  const colors = colorsOf(color)
  const paint = (status: number): string => {
    if (status >= 500 || status === 0) return colors.red(String(status))
    return status >= 400 ? colors.yellow(String(status)) : colors.green(String(status))
  }
  const shorten = (text: string): string => printable(text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH)}…` : text)
  return (record, nowMs) => {
    const times = `${record.durationMs.toFixed(1)} ms${record.firstByteMs === undefined ? '' : ` (first byte ${record.firstByteMs.toFixed(1)} ms)`}`
    const by = record.identifier === undefined ? '' : ` by ${shorten(record.identifier)}`
    const visitor = record.visitor === undefined ? '' : ` visitor ${shorten(record.visitor)}`
    const error =
      record.error === undefined ? '' : ` ${colors.red(record.error)}${record.reason === undefined ? '' : ` (${shorten(record.reason)})`}`
    const facts = colors.dim(
      `${times} in ${formatBytes(record.bytesIn)} out ${formatBytes(record.bytesOut)} from ${shorten(record.client)}${visitor}${by} id ${shorten(record.requestId)}`,
    )
    // Both are "-" where nothing could be parsed.
    const host = record.host === record.path ? '' : shorten(record.host)
    const request = `${shorten(record.method)} ${host}${shorten(withoutQuery(record.path))}`
    return `${colors.dim(clockTime(new Date(nowMs)))} ${paint(record.status)}   ${request}${error} ${facts}\n`
  }
}

/**
 * A function that writes the access line of one request, at level info. Control characters in what a client sent cannot break a line or
 * reach a terminal.
 * @param now  clock in ms since 1970
 */
export function createAccessLog(log: Log, now: () => number = Date.now): (record: AccessRecord) => void {
  if (!log.isEnabled('info')) return () => undefined
  const line = log.format === 'json' ? createJsonLine() : createPrettyLine(log.color)
  return record => log.write(line(record, now()))
}
