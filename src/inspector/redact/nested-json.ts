import { BACKSLASH, COMMA, LETTER_U, QUOTE, unicodeAt } from './bytes.ts'
import { MAX_NAME } from './parameter.ts'
import { CENSOR, type SecretNames } from './secret-names.ts'

const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d
const OPEN_LIST = 0x5b
const CLOSE_LIST = 0x5d
const MINUS = 0x2d
const SPACE = 0x20
const COLON = 0x3a
/** Literals of JSON begin with one of them: true, false, null. */
const LITERALS: ReadonlySet<number> = new Set([0x74, 0x66, 0x6e])
/** More backslashes in a row than five levels of nesting have; even. */
const MAX_RUN = 64
const UNICODE_BYTES = 6
/** Spaces between a name and its value that are waited for. */
const MAX_SPACES = 64

/** A quote with its backslashes, in a string of JSON. */
export interface Quote {
  /** Backslashes before it: one in JSON that is text of JSON, three one level deeper, seven then. */
  readonly level: number
  /** Behind it. */
  readonly end: number
}

/**
 * Reads the run of backslashes, with a quote, that begins at `at`.
 * @returns undefined: the piece ends before it is known; a number: there is no quote, and what follows begins there
 */
export function quoteAt(bytes: Uint8Array, at: number): Quote | number | undefined {
  let end = at
  while (end < bytes.length && bytes[end] === BACKSLASH && end - at < MAX_RUN) end++
  const level = end - at
  if (level === MAX_RUN) return end
  if (end === bytes.length) return undefined
  if (bytes[end] === QUOTE) return { level, end: end + 1 }
  if (level % 2 === 0) return end
  if (bytes[end] !== LETTER_U) return end + 1
  const last = end - 1 + UNICODE_BYTES
  if (last > bytes.length) return undefined
  return unicodeAt(bytes, end - 1) === QUOTE ? { level, end: last } : last
}

/** Where a value under a secret name of nested JSON begins, or why there is none. */
export interface NestedValue {
  /** Begin of the value. */
  readonly at: number
  readonly level: number
  readonly kind: 'text' | 'nested' | 'bare'
}

/**
 * Looks for the value of a secret name in JSON that is a string of other JSON, such as `\"password\":\"…\"`.
 * @param name   behind the quote before the name
 * @param quote  the one behind the name, which begins at `end`
 * @returns undefined: there is none; `wait`: the piece ends before it is known
 */
export function nestedValueOf(
  bytes: Uint8Array,
  { name, end, quote, names }: { readonly name: number; readonly end: number; readonly quote: Quote; readonly names: SecretNames },
): NestedValue | 'wait' | undefined {
  const colon = spacesEnd(bytes, quote.end)
  if (colon === undefined) return 'wait'
  if (bytes[colon] !== COLON) return undefined
  const verdict = names.judge(bytes, name, Math.min(end, name + MAX_NAME), 'json')
  if (verdict === 'open') return undefined
  const at = spacesEnd(bytes, colon + 1)
  if (at === undefined) return 'wait'
  const byte = bytes[at]!
  const { level } = quote
  if (byte === BACKSLASH) {
    const begin = quoteAt(bytes, at)
    if (begin === undefined) return 'wait'
    return typeof begin !== 'number' && begin.level === level ? { at, level, kind: 'text' } : undefined
  }
  if (byte === OPEN_OBJECT || byte === OPEN_LIST) return { at, level, kind: 'nested' }
  const isNumber = byte === MINUS || (byte >= 0x30 && byte <= 0x39)
  if (isNumber ? verdict === 'count' : !LITERALS.has(byte)) return undefined
  return { at, level, kind: 'bare' }
}

/** @returns undefined: the piece ends in them */
function spacesEnd(bytes: Uint8Array, from: number): number | undefined {
  let at = from
  while (at < bytes.length && bytes[at] === SPACE && at - from < MAX_SPACES) at++
  return at === bytes.length ? undefined : at
}

/** Stands for a value of this level. */
export const nestedMask = (level: number): Buffer => {
  const quote = `${'\\'.repeat(level)}"`
  return Buffer.from(`${quote}${CENSOR}${quote}`)
}

/** Finds the end of a value that is dropped, in pieces of any size. */
export class NestedSkip {
  readonly #level: number
  readonly #kind: NestedValue['kind']
  #depth = 0
  #isBegun = false
  #isInText = false

  constructor({ level, kind }: NestedValue) {
    this.#level = level
    this.#kind = kind
  }

  /** @returns the end of the value and whether that is all of it; what stands from there on comes again where it is not */
  read(bytes: Uint8Array, begin: number, isLast: boolean): { readonly at: number; readonly isOver: boolean } {
    let at = begin
    while (at < bytes.length) {
      const byte = bytes[at]!
      if (byte === BACKSLASH || byte === QUOTE) {
        if (this.#kind === 'bare') return { at, isOver: true }
        const quote = quoteAt(bytes, at)
        if (quote === undefined) return { at: isLast ? bytes.length : at, isOver: false }
        if (typeof quote === 'number') {
          at = quote
          continue
        }
        // The string around it ends here, so this one was broken.
        if (quote.level % 2 === 0 || quote.level < this.#level) return { at, isOver: true }
        at = quote.end
        // An edge of a text of this level, and neither a quote in it nor one behind a backslash that is its last.
        if ((quote.level - this.#level) % (2 * (this.#level + 1)) !== 0) continue
        if (this.#kind === 'text' && this.#isBegun) return { at, isOver: true }
        this.#isBegun = true
        this.#isInText = !this.#isInText
        continue
      }
      if (this.#kind === 'nested' && !this.#isInText) {
        if (byte === OPEN_OBJECT || byte === OPEN_LIST) this.#depth++
        else if ((byte === CLOSE_OBJECT || byte === CLOSE_LIST) && --this.#depth === 0) return { at: at + 1, isOver: true }
      } else if (this.#kind === 'bare' && (byte === COMMA || byte === CLOSE_OBJECT || byte === CLOSE_LIST || byte <= SPACE))
        return { at, isOver: true }
      at++
    }
    return { at, isOver: false }
  }
}
