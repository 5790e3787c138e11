import picocolors from 'picocolors'

type Colors = ReturnType<typeof picocolors.createColors>

const LEVELS: ReadonlyMap<string, (colors: Colors) => string> = new Map<string, (colors: Colors) => string>([
  ['debug', colors => colors.gray('DEBUG')],
  ['info', colors => colors.green('INFO ')],
  ['warn', colors => colors.yellow('WARN ')],
  ['error', colors => colors.red('ERROR')],
])

/** Colours for a terminal, or functions that change nothing. */
export const colorsOf = (color: boolean): Colors => picocolors.createColors(color)

/**
 * `text` without anything that moves the cursor, starts a line or turns the writing direction: control characters of both sets, the
 * separators of Unicode and its format characters are written as escapes. A log line shows what a client sent, and is no terminal program.
 */
export const printable = (text: string): string =>
  /^[\x20-\x7e]*$/.test(text) ? text : text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, char => `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`)

/** Time of day in the time zone of this machine, such as `09:05:00.123`. */
export const clockTime = (date: Date): string => {
  const two = (number: number): string => String(number).padStart(2, '0')
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${String(date.getMilliseconds()).padStart(3, '0')}`
}

const isWord = (text: string): boolean => /^[\w./:@[\]-]+$/.test(text)

function valueOf(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? 'undefined')
  return typeof value === 'string' && !isWord(text) ? JSON.stringify(text) : text
}

/** Does the message say this value already, as a word of its own? Then the field would only repeat it. */
function isSaid(value: unknown, message: string): boolean {
  if (typeof value !== 'string' && typeof value !== 'number') return false
  const text = String(value)
  if (text === '') return false
  // Every occurrence counts: the 1 of "port 3001, 1 target" is the second one.
  for (let at = message.indexOf(text); at >= 0; at = message.indexOf(text, at + 1)) {
    if (!/\w/.test(message[at - 1] ?? ' ') && !/\w/.test(message[at + text.length] ?? ' ')) return true
  }
  return false
}

/**
 * A function that turns a JSON line of pino into `HH:MM:SS.mmm LEVEL message key=value …`, stacks on lines below it.
 * Fields whose value the message has already are left out.
 */
export function createPretty(color: boolean): (line: string) => string {
  const colors = colorsOf(color)
  return line => {
    const { level, time, msg, err, ...fields } = JSON.parse(line) as Record<string, unknown>
    const message = typeof msg === 'string' ? msg : ''
    const head = `${colors.dim(clockTime(new Date(String(time))))} ${LEVELS.get(String(level))?.(colors) ?? String(level)} ${printable(message)}`
    const rest = Object.entries(fields)
      .filter(([, value]) => !isSaid(value, message))
      .map(([key, value]) => printable(`${key}=${valueOf(value)}`))
    return `${head}${rest.length > 0 ? ` ${colors.dim(rest.join(' '))}` : ''}${errorOf(err, message, colors)}\n`
  }
}

function errorOf(err: unknown, message: string, colors: Colors): string {
  if (err === undefined) return ''
  if (typeof err !== 'object' || err === null) return ` ${printable(valueOf(err))}`
  const { code, message: text, stack } = err as Readonly<Record<string, unknown>>
  const said = isSaid(text, message) ? '' : `: ${printable(String(text))}`
  const lines =
    typeof stack === 'string'
      ? stack
          .split('\n')
          .slice(1)
          .map(line => `\n${printable(line)}`)
      : []
  return `${said}${code === undefined ? '' : ` ${colors.dim(`(${printable(valueOf(code))})`)}`}${colors.dim(lines.join(''))}`
}
