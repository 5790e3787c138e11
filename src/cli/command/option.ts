/** The vocabulary in which commands declare their options. */
import { DURATION, doubtOfDuration, formatDuration, LONGEST_TIMER_MS, parseDuration } from '../../units/durations.ts'
import { formatSize, parseSize, SIZE } from '../../units/sizes.ts'

/** Reads one value from text: `undefined` when it is not what was `expected`. */
export interface Reader<T> {
  /** Completes "expected …". */
  readonly expected: string
  readonly read: (text: string) => T | undefined
  /** Something that is read as it stands and was probably meant otherwise: what to say of it. */
  readonly doubt?: (text: string) => string | undefined
  /** A value as it would be written. */
  readonly show?: (value: T) => string
}

/** The properties that all options have in common. */
export interface OptionText {
  /** For --help, with the unit of the value. */
  readonly describe: string
  readonly aliases?: readonly string[]
  /** Its environment variable, where the usual one would be that of another command's option too, which is something else. */
  readonly variable?: string
  /** Names of other options: where one of them is given, this one need not be. */
  readonly unless?: string | readonly string[]
}

/** A declared option; `T` is what the command gets. */
export interface Option<T> extends OptionText {
  readonly kind: 'one' | 'many' | 'flag'
  readonly isRequired: boolean
  /** May the value be left out on the command line? It is read as an empty text then. */
  readonly mayBeEmpty?: boolean
  /** The default as --help shows it; undefined shows nothing. */
  readonly defaultText: string | undefined
  readonly expected: string
  /** The value when the option is given nowhere. */
  readonly fallback: T
  /** @param texts  one text, or all of them for `many`; undefined when one is not what was expected */
  readonly parse: (texts: readonly string[]) => T | undefined
  /** As that of the reader. */
  readonly doubt?: ((text: string) => string | undefined) | undefined
}

/** Options by their name on the command line, such as `app-port`. */
export type OptionTable = Readonly<Record<string, Option<unknown>>>

/** The values of the options of a command. */
export type ValuesOf<Table extends OptionTable> = { readonly [Name in keyof Table]: Table[Name] extends Option<infer T> ? T : never }

const one = <T, F>(reader: Reader<T>, facts: OptionText, rest: { isRequired: boolean; fallback: F; defaultText: string | undefined }) =>
  ({
    ...facts,
    ...rest,
    kind: 'one',
    expected: reader.expected,
    parse: ([text = '']) => reader.read(text),
    doubt: reader.doubt,
  }) satisfies Option<T | F>

/** An option that has to be given. */
export const required = <T>(reader: Reader<T>, facts: OptionText): Option<T> =>
  one(reader, facts, { isRequired: true, fallback: undefined as never, defaultText: undefined })

/** An option that has to be given, unless another one is. */
export const requiredUnless = <T>(unless: string | readonly string[], reader: Reader<T>, facts: OptionText): Option<T | undefined> =>
  one(reader, { ...facts, unless }, { isRequired: true, fallback: undefined, defaultText: undefined })

/** An option that may be left out. */
export const optional = <T>(reader: Reader<T>, facts: OptionText & { readonly defaultText?: string }): Option<T | undefined> =>
  one(reader, facts, { isRequired: false, fallback: undefined, defaultText: facts.defaultText })

/** An option with a default. */
export const withDefault = <T>(reader: Reader<T>, fallback: T, facts: OptionText & { readonly defaultText?: string }): Option<T> =>
  one(reader, facts, { isRequired: false, fallback, defaultText: facts.defaultText ?? (reader.show ?? String)(fallback) })

/** An option that may be given several times; required when it has no fallback. */
export const listOf = <T>(reader: Reader<T>, facts: OptionText & { readonly fallback?: readonly T[] }): Option<readonly T[]> => ({
  ...facts,
  kind: 'many',
  isRequired: facts.fallback === undefined,
  defaultText: facts.fallback?.length ? facts.fallback.join(', ') : undefined,
  expected: reader.expected,
  fallback: facts.fallback ?? [],
  parse: texts => {
    const values = texts.map(reader.read)
    return values.includes(undefined) ? undefined : (values as readonly T[])
  },
})

const YES: ReadonlySet<string> = new Set(['true', '1', 'yes', 'on'])
const NO: ReadonlySet<string> = new Set(['false', '0', 'no', 'off'])

/** An option without a value, off by default. */
export const flag = (describe: string): Option<boolean> => ({
  describe,
  kind: 'flag',
  isRequired: false,
  defaultText: undefined,
  expected: 'true or false',
  fallback: false,
  parse: ([text = '']) => {
    if (YES.has(text.toLowerCase())) return true
    return NO.has(text.toLowerCase()) ? false : undefined
  },
})

/** Whole numbers in decimal digits. */
export const integer = (from: number, to: number, noun = 'a whole number'): Reader<number> => ({
  expected: `${noun} from ${from} to ${to}`,
  read: text => {
    const value = /^\d{1,10}$/.test(text) ? Number(text) : NaN
    return value >= from && value <= to ? value : undefined
  },
})

/** A TCP port; 0 stands for a free one. */
export const PORT = integer(0, 65_535, 'a port')

/** A duration in ms: a number of them, or one with a unit. The longest that a timer can run is the end of all but ages of files. */
export const duration = (from: number, to = LONGEST_TIMER_MS): Reader<number> => ({
  expected: `${DURATION}, from ${formatDuration(from)} to ${formatDuration(to)}`,
  read: text => within(parseDuration(text), from, to),
  doubt: doubtOfDuration,
  show: formatDuration,
})

/** A number of bytes, or one with a unit. */
export const size = (from: number, to = Number.MAX_SAFE_INTEGER): Reader<number> => ({
  expected: to === Number.MAX_SAFE_INTEGER ? SIZE : `${SIZE}, from ${formatSize(from)} to ${formatSize(to)}`,
  read: text => within(parseSize(text), from, to),
  show: formatSize,
})

const within = (value: number | undefined, from: number, to: number): number | undefined =>
  value !== undefined && value >= from && value <= to ? value : undefined

/** Any text but the empty one. */
export const TEXT: Reader<string> = { expected: 'a text that is not empty', read: text => (text === '' ? undefined : text) }

/** The path of a file. */
export const FILE: Reader<string> = {
  expected: 'the path of a file',
  read: text => (text === '' || text.includes('\0') ? undefined : text),
}

/** One of a few words. */
export const choice = <Word extends string>(words: readonly Word[]): Reader<Word> => ({
  expected: `one of ${words.join(', ')}`,
  read: text => words.find(word => word === text),
})
