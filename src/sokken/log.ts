import { printable } from '../telemetry/pretty.ts'

/** Levels of sokken, the least important first. */
const LEVELS = ['debug', 'info', 'warn', 'error', 'fatal'] as const
type Level = (typeof LEVELS)[number]

/** The fields of a message; `undefined` is left out. */
export type SokkenFields = Readonly<Record<string, string | number | undefined>>

/** The log of sokken: its messages and fields are part of what programs rely on. */
export type SokkenLog = Readonly<Record<Level, (message: string, fields?: SokkenFields) => void>>

/** Options of a log. */
export interface SokkenLogOptions {
  readonly debug: boolean
  /** Lines for people, with colours. */
  readonly pretty: boolean
  readonly write: (line: string) => void
  readonly now: () => Date
}

/** RFC 3339 in UTC, whole seconds. */
const timeOf = (date: Date): string => date.toISOString().replace(/\.\d+Z$/, 'Z')

const PAINT: Readonly<Record<Level, readonly [string, string]>> = {
  debug: ['33', 'DBG'],
  info: ['32', 'INF'],
  warn: ['31', 'WRN'],
  error: ['1;31', 'ERR'],
  fatal: ['1;31', 'FTL'],
}

const paint = (color: string, text: string): string => `\x1b[${color}m${text}\x1b[0m`

/** `3:04PM`, as sokken's console has it, in UTC. */
const kitchen = (date: Date): string => {
  const hours = date.getUTCHours()
  return `${hours % 12 === 0 ? 12 : hours % 12}:${String(date.getUTCMinutes()).padStart(2, '0')}${hours < 12 ? 'AM' : 'PM'}`
}

function prettyLine(level: Level, message: string, fields: SokkenFields, now: Date): string {
  const [color, word] = PAINT[level]
  const rest = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => {
      const text = printable(String(value))
      return ` ${paint('36', `${name}=`)}${/[\s"=]/.test(text) ? JSON.stringify(text) : text}`
    })
  return `${paint('90', kitchen(now))} ${paint(color, word)} ${printable(message)}${rest.join('')}\n`
}

/** Makes a log in the form of sokken: one JSON object a line with `level`, the fields, `time` and `message`. */
export function createSokkenLog({ debug, pretty, write, now }: SokkenLogOptions): SokkenLog {
  const least = debug ? 0 : 1
  const at =
    (level: Level) =>
    (message: string, fields: SokkenFields = {}): void => {
      if (LEVELS.indexOf(level) < least) return
      const date = now()
      write(pretty ? prettyLine(level, message, fields, date) : `${JSON.stringify({ level, ...fields, time: timeOf(date), message })}\n`)
    }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error'), fatal: at('fatal') }
}

/** A duration as Go prints it: `1.5s`, `2m0.25s`, `350µs`. */
export function goDuration(ms: number): string {
  const round = (value: number, digits: number): string => String(Number(value.toFixed(digits)))
  if (ms < 0.001) return '0s'
  if (ms < 1) return `${round(ms * 1000, 3)}µs`
  if (ms < 1000) return `${round(ms, 6)}ms`
  const minutes = Math.floor(ms / 60_000)
  const seconds = `${round((ms - minutes * 60_000) / 1000, 9)}s`
  if (minutes === 0) return seconds
  const hours = Math.floor(minutes / 60)
  return hours === 0 ? `${minutes}m${seconds}` : `${hours}h${minutes % 60}m${seconds}`
}
