import { BACKSLASH, COLON, LETTER_U, PERCENT, percentAt, QUOTE, unicodeAt } from './bytes.ts'

const AMPERSAND = 0x26
/** Units of a run of backslashes: more than four levels of strings in strings have, where each is escaped as in URLs, and five else. */
const MAX_ENCODED_RUN = 16
const MAX_RUN = 64
/** An escape of an escape of an escape: `%252522`, `&amp;amp;quot;`. */
const MAX_DEPTH = 4
const UNICODE_BYTES = 6

/** The way a character is written: as it is, or by its escape in URLs or in markup, 1 for `%22`, 2 for `%2522` and so on. */
export type Spelling = 'plain' | `url ${number}` | `markup ${number}`

/** A character that was written in one of the ways. */
export interface Spelled {
  readonly spelling: Spelling
  readonly code: number
  /** Behind it. */
  readonly end: number
}

/** A quote with the backslashes before it, in JSON that was written into something else. */
export interface SpelledQuote {
  readonly spelling: Spelling
  /** Backslashes before it: one in JSON that is a string of JSON, three one level deeper. */
  readonly level: number
  readonly end: number
}

const URL_SPELLINGS = Array.from({ length: MAX_DEPTH + 1 }, (_each, depth): Spelling => `url ${depth}`)
const MARKUP_SPELLINGS = Array.from({ length: MAX_DEPTH + 1 }, (_each, depth): Spelling => `markup ${depth}`)

const AMP = Buffer.from('amp;')
/** Names and numbers of what means something in JSON (HTML §13.5). */
const ENTITIES = (
  [
    ['quot;', QUOTE],
    ['#34;', QUOTE],
    ['#x22;', QUOTE],
    ['#58;', COLON],
    ['#x3a;', COLON],
    ['#x3A;', COLON],
    ['#123;', 0x7b],
    ['#125;', 0x7d],
    ['lbrack;', 0x5b],
    ['#91;', 0x5b],
  ] as const
).map(([name, code]) => ({ name: Buffer.from(name), code }))

/** @returns undefined: the bytes end before it is known */
function startsWith(bytes: Uint8Array, at: number, word: Uint8Array): boolean | undefined {
  for (let i = 0; i < word.length; i++) {
    if (at + i === bytes.length) return undefined
    if (bytes[at + i] !== word[i]) return false
  }
  return true
}

/** The character at `at`. @returns undefined: the bytes end before it is known */
export function spelledAt(bytes: Uint8Array, at: number): Spelled | undefined {
  const byte = bytes[at]!
  if (byte === PERCENT) return escapeAt(bytes, at)
  if (byte === AMPERSAND) return entityAt(bytes, at)
  return { spelling: 'plain', code: byte, end: at + 1 }
}

function escapeAt(bytes: Uint8Array, begin: number): Spelled | undefined {
  let at = begin
  for (let depth = 1; depth <= MAX_DEPTH; depth++) {
    if (at + 2 >= bytes.length) return undefined
    const code = percentAt(bytes, at)
    if (code < 0) break
    if (code !== PERCENT || depth === MAX_DEPTH) return { spelling: URL_SPELLINGS[depth]!, code, end: at + 3 }
    // `%25`: the sign itself, so the digits behind it make the escape of the next depth.
    if (at + 4 >= bytes.length) return undefined
    if (percentAt(bytes, at + 2) < 0) return { spelling: URL_SPELLINGS[depth]!, code, end: at + 3 }
    at += 2
  }
  return { spelling: 'plain', code: PERCENT, end: begin + 1 }
}

function entityAt(bytes: Uint8Array, begin: number): Spelled | undefined {
  let at = begin + 1
  for (let depth = 1; depth <= MAX_DEPTH; depth++) {
    let isOpen = false
    for (const { name, code } of ENTITIES) {
      const is = startsWith(bytes, at, name)
      if (is === true) return { spelling: MARKUP_SPELLINGS[depth]!, code, end: at + name.length }
      isOpen ||= is === undefined
    }
    const isAmp = startsWith(bytes, at, AMP)
    if (isAmp === undefined || isOpen) return undefined
    if (!isAmp) break
    at += AMP.length
  }
  return { spelling: 'plain', code: AMPERSAND, end: begin + 1 }
}

/**
 * Reads the run of backslashes, with a quote, that begins at `at`.
 * @returns undefined: the bytes end before it is known; a number: there is no quote, and what follows begins there
 */
export function spelledQuoteAt(bytes: Uint8Array, at: number): SpelledQuote | number | undefined {
  let level = 0
  let end = at
  let spelling: Spelling | undefined
  for (;;) {
    if (end === bytes.length) return undefined
    const next = spelledAt(bytes, end)
    if (next === undefined) return undefined
    if (next.code === BACKSLASH && (spelling === undefined || next.spelling === spelling)) {
      spelling = next.spelling
      level++
      end = next.end
      if (level === (spelling === 'plain' ? MAX_RUN : MAX_ENCODED_RUN)) return end
      continue
    }
    // What stands before a quote in markup is no escape of markup itself.
    const isOfRun = spelling === undefined || next.spelling === spelling || (spelling === 'plain' && next.spelling.startsWith('markup'))
    if (next.code === QUOTE && isOfRun) return { spelling: next.spelling, level, end: next.end }
    if (level === 0) return next.end
    if (level % 2 === 0) return end
    if (next.code !== LETTER_U || spelling !== 'plain') return isOfRun ? next.end : end
    const last = end - 1 + UNICODE_BYTES
    if (last > bytes.length) return undefined
    const code = unicodeAt(bytes, end - 1)
    // The escape of a quote takes the last of the backslashes.
    return code === QUOTE ? { spelling, level, end: last } : code < 0 ? next.end : last
  }
}
