/** The vocabulary in which commands declare their options. */

/** How one value is read from text: `undefined` when it is not what was `expected`. */
export interface Reader<T> {
  /** Completes "expected …". */
  readonly expected: string
  readonly read: (text: string) => T | undefined
}

/** What all options have in common. */
export interface OptionText {
  /** For --help, with the unit of the value. */
  readonly describe: string
  readonly aliases?: readonly string[]
}

/** A declared option; `T` is what the command gets. */
export interface Option<T> extends OptionText {
  readonly kind: 'one' | 'many' | 'flag'
  readonly isRequired: boolean
  /** May the value be left out on the command line? It is read as an empty text then. */
  readonly mayBeEmpty?: boolean
  /** What --help shows as default; undefined shows nothing. */
  readonly defaultText: string | undefined
  readonly expected: string
  /** The value when the option is given nowhere. */
  readonly fallback: T
  /** @param texts  one text, or all of them for `many`; undefined when one is not what was expected */
  readonly parse: (texts: readonly string[]) => T | undefined
}

/** Options by their name on the command line, such as `app-port`. */
export type OptionTable = Readonly<Record<string, Option<unknown>>>

/** What a command gets: the value of each option. */
export type ValuesOf<Table extends OptionTable> = { readonly [Name in keyof Table]: Table[Name] extends Option<infer T> ? T : never }

const one = <T, F>(reader: Reader<T>, facts: OptionText, rest: { isRequired: boolean; fallback: F; defaultText: string | undefined }) =>
  ({
    ...facts,
    ...rest,
    kind: 'one',
    expected: reader.expected,
    parse: ([text = '']) => reader.read(text),
  }) satisfies Option<T | F>

/** An option that has to be given. */
export const required = <T>(reader: Reader<T>, facts: OptionText): Option<T> =>
  one(reader, facts, { isRequired: true, fallback: undefined as never, defaultText: undefined })

/** An option that may be left out. */
export const optional = <T>(reader: Reader<T>, facts: OptionText & { readonly defaultText?: string }): Option<T | undefined> =>
  one(reader, facts, { isRequired: false, fallback: undefined, defaultText: facts.defaultText })

/** An option with a default. */
export const withDefault = <T>(reader: Reader<T>, fallback: T, facts: OptionText & { readonly defaultText?: string }): Option<T> =>
  one(reader, facts, { isRequired: false, fallback, defaultText: facts.defaultText ?? String(fallback) })

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

/** A duration in ms, as long as a timer can run. */
export const DURATION_MS = integer(1, 2 ** 31 - 1, 'milliseconds')

const BYTES_OF: Readonly<Record<string, number>> = { '': 1, k: 1024, kib: 1024, m: 1024 ** 2, mib: 1024 ** 2, g: 1024 ** 3, gib: 1024 ** 3 }

/** A number of bytes, with or without a unit. */
export const BYTES: Reader<number> = {
  expected: 'a number of bytes such as 1048576, 512KiB, 100MiB or 1GiB',
  read: text => {
    const [, digits = '', unit = ''] = /^(\d{1,12})([a-z]*)$/i.exec(text) ?? []
    const value = Number(digits) * (BYTES_OF[unit.toLowerCase()] ?? NaN)
    return digits !== '' && value > 0 && Number.isSafeInteger(value) ? value : undefined
  },
}

const MS_OF: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** An age in ms, as a number with a unit. */
export const AGE_MS: Reader<number> = {
  expected: 'a number with a unit such as 30m, 12h or 7d',
  read: text => {
    const [, digits = '', unit = ''] = /^(\d{1,6})([smhd])$/.exec(text) ?? []
    const value = Number(digits) * (MS_OF[unit] ?? NaN)
    return digits !== '' && value > 0 ? value : undefined
  },
}

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
