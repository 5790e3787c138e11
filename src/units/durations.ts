/** Durations as people write them: one grammar for the targets file, the options and the environment. */

/** The forms of a duration in words; completes "expected …". */
export const DURATION = 'milliseconds, or a text with a unit such as "500ms", "30s", "5m", "1h" or "7d"'

/** The form of a duration, for schemas. */
export const DURATION_FORM = /^\d{1,13}(?:ms|s|m|h|d)?$/

/** The longest time that a timer of Node can run, milliseconds. */
export const LONGEST_TIMER_MS = 2 ** 31 - 1

const UNITS = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000, ms: 1 } as const

/** Below it, a number without a unit was probably meant in seconds. */
const DOUBTFUL_MS = 1_000

/** Reads a duration in milliseconds: `1500`, `1500ms`, `30s`, `5m`, `12h`, `7d`. @returns undefined when it is none */
export const parseDuration = (text: string): number | undefined => {
  if (!DURATION_FORM.test(text)) return undefined
  const digits = /^\d+/.exec(text)![0]
  const ms = Number(digits) * UNITS[(text.slice(digits.length) || 'ms') as keyof typeof UNITS]
  return Number.isSafeInteger(ms) ? ms : undefined
}

/**
 * A duration that is read as it stands and was probably meant otherwise: a small number without a unit.
 * @returns such as `5 milliseconds; did you mean 5s?`; undefined for all others
 */
export const doubtOfDuration = (text: string): string | undefined => {
  const value = /^\d+$/.test(text) ? Number(text) : 0
  if (value === 0 || value >= DOUBTFUL_MS) return undefined
  return `${value} ${value === 1 ? 'millisecond' : 'milliseconds'}; did you mean ${value}s? With a unit (${value}ms, ${value}s) it is certain`
}

/** A duration as it would be written: `90s`, `1500ms`, `1h`, `0`. */
export const formatDuration = (ms: number): string => {
  const [unit, each] = Object.entries(UNITS).find(([, each]) => ms >= each && ms % each === 0) ?? ['', 1]
  return `${ms / each}${unit}`
}
