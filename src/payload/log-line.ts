import type { LogLine } from './log-note.ts'

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'] as const

/** Characters that a terminal or a reader of lines might obey, and what ends a quoted text: C0, quote, backslash, DEL, C1, what Unicode cannot show or turns around. */
const UNSAFE = /["\\\p{C}\p{Zl}\p{Zp}]/gu

const escaped = (text: string): string =>
  text.replace(UNSAFE, character => {
    if (character === '"' || character === '\\') return `\\${character}`
    const code = character.codePointAt(0)!
    return code < 0x100 ? `\\x${code.toString(16).toUpperCase().padStart(2, '0')}` : `\\u{${code.toString(16)}}`
  })

const orDash = (text: string): string => (text === '' ? '-' : escaped(text))

const two = (value: number): string => String(value).padStart(2, '0')

/** The time as Apache writes it, UTC: `25/Nov/2020:17:13:06 +0000`. */
function timeOf(ms: number): string {
  const date = new Date(Math.min(ms, 8.64e15))
  const day = `${two(date.getUTCDate())}/${MONTHS[date.getUTCMonth()]!}/${date.getUTCFullYear()}`
  return `${day}:${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())} +0000`
}

const seconds = (ms: number): string => (ms / 1000).toFixed(3)

/**
 * A line for people, without an end of line: the combined format with `response_time` for a request, a format of its own for a
 * connection. What clients chose is escaped: it can neither break a line nor reach a terminal.
 */
export function formatLogLine(line: LogLine): string {
  if (line.kind === 'omitted') return `… ${line.count} more ${line.count === 1 ? 'was' : 'were'} left out here`
  if (line.kind === 'missing') return missingText(line.count)
  const client = orDash(line.client)
  const at = timeOf(line.at)
  if (line.kind === 'connection') {
    const bytes = `bytes_sent:${line.bytesOut} bytes_received:${line.bytesIn}`
    const who = line.visitor === undefined ? '' : ` visitor: ${orDash(line.visitor)}`
    return `${client} [${at}] TCP ${line.status} ${bytes} session_time: ${seconds(line.durationMs)}${who}`
  }
  const request = `${escaped(line.method)} ${escaped(line.path)} HTTP/${escaped(line.version)}`
  const { status, bytes, referer, agent, durationMs, visitor = '' } = line
  // The fields of the format end with blanks.
  const user = orDash(visitor).replaceAll(' ', '\\x20')
  return `${client} - ${user} [${at}] "${request}" ${status} ${bytes} "${orDash(referer)}" "${orDash(agent)}" response_time="${seconds(durationMs)} sec"`
}

const missingText = (count: number): string =>
  count === 0
    ? '… all nodes of the gateway answer again'
    : `… ${count} other ${count === 1 ? 'node' : 'nodes'} of the gateway ${count === 1 ? 'does' : 'do'} not answer: who comes in there is not shown`
