/** Sizes as people write them: one grammar for the targets file, the options and the environment. */

/** The forms of a size in words; completes "expected …". */
export const SIZE = 'a number of bytes, or a text with a unit such as "64KiB", "10MiB" or "1GB"'

/** The form of a size, for schemas: digits, then B, a binary unit (K, KiB, …) or a decimal one (kB, …). Case does not count. */
export const SIZE_FORM = /^\d{1,15}(?:[bB]|[kKmMgG](?:[iI]?[bB])?)?$/

/** Powers of ten with a plain B, as SI has it; powers of two with "iB", and with the letter alone, as programs for servers have it. */
const BYTES: ReadonlyMap<string, number> = new Map<string, number>([
  ['', 1],
  ['b', 1],
  ['kb', 1_000],
  ['mb', 1_000_000],
  ['gb', 1_000_000_000],
  ['k', 1_024],
  ['kib', 1_024],
  ['m', 1_048_576],
  ['mib', 1_048_576],
  ['g', 1_073_741_824],
  ['gib', 1_073_741_824],
])

/** Reads a size in bytes: `1048576`, `64KiB`, `64K` (the same), `64kB` (64,000). @returns undefined when it is none */
export const parseSize = (text: string): number | undefined => {
  if (!SIZE_FORM.test(text)) return undefined
  const digits = /^\d+/.exec(text)![0]
  const bytes = Number(digits) * BYTES.get(text.slice(digits.length).toLowerCase())!
  return Number.isSafeInteger(bytes) ? bytes : undefined
}

const BINARY = { GiB: 1_073_741_824, MiB: 1_048_576, KiB: 1_024 } as const

/** A size as it would be written: `100MiB`, `32KiB`, `1000`. */
export const formatSize = (bytes: number): string => {
  const [unit, each] = Object.entries(BINARY).find(([, each]) => bytes >= each && bytes % each === 0) ?? ['', 1]
  return `${bytes / each}${unit}`
}
