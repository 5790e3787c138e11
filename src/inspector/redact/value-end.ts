import { byteSet, COMMA, GREATER, LESS, QUOTE, SPACE } from './bytes.ts'
import { spelledAt, spelledQuoteAt, type SpelledQuote, type Spelling } from './spelled.ts'

const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d
const OPEN_LIST = 0x5b
const CLOSE_LIST = 0x5d
const AMPERSAND = 0x26
/** Bytes of a value that mean something: of a text, and of what is no text. */
const IN_TEXT = byteSet('%&\\"<>', [[0x00, 0x20]])
const IN_VALUE = byteSet('%&\\"<>{}[],', [[0x00, 0x20]])

/**
 * The JSON that is looked for. `spelled`: only where its quotes are escaped as in URLs or in markup. `escaped`: also where they stand behind
 * backslashes. `all`: also as it is. `binary`: all, between bytes that mean something else, so as many stars stand for what was taken out.
 */
export type WrittenJson = 'spelled' | 'escaped' | 'all' | 'binary'

/** A value of JSON that must not be kept. */
export interface DroppedValue {
  /** Its first byte; of a text, behind its first quote. */
  readonly at: number
  readonly kind: 'text' | 'nested' | 'bare'
  /** The quotes of its name. */
  readonly quote: SpelledQuote
}

/** Backslashes before the quote that ends a text belong to the text. */
function behindBackslashes(bytes: Uint8Array, from: number, count: number): number {
  let at = from
  for (let i = 0; i < count; i++) at = spelledAt(bytes, at)?.end ?? at
  return at
}

/** Finds the end of a value that is dropped, in pieces of any size: before the quote that ends a text, behind the bracket of other values. */
export class ValueEnd {
  readonly #kind: DroppedValue['kind']
  readonly #level: number
  readonly #spelling: Spelling
  readonly #isMeaningful: Uint8Array
  #depth = 0
  #isInText: boolean

  constructor(
    { kind, quote }: Omit<DroppedValue, 'at'>,
    private readonly where: WrittenJson,
  ) {
    this.#kind = kind
    this.#level = quote.level
    this.#spelling = quote.spelling
    this.#isInText = kind === 'text'
    this.#isMeaningful = kind === 'text' ? IN_TEXT : IN_VALUE
  }

  /** @returns the end of the value and whether that is all of it; what stands from there on comes again where it is not */
  read(bytes: Uint8Array, begin: number, isLast: boolean): { readonly at: number; readonly isOver: boolean } {
    let at = begin
    while (at < bytes.length) {
      while (at < bytes.length && this.#isMeaningful[bytes[at]!] === 0) at++
      if (at === bytes.length) break
      const quote = spelledQuoteAt(bytes, at)
      if (quote === undefined) return { at: isLast ? bytes.length : at, isOver: false }
      if (typeof quote !== 'number') {
        if (this.#kind === 'bare' || this.#isBroken(quote)) return { at, isOver: true }
        const isEdge = quote.spelling === this.#spelling && this.#isEdge(quote.level)
        if (isEdge && this.#kind === 'text') return { at: behindBackslashes(bytes, at, quote.level - this.#level), isOver: true }
        if (isEdge) this.#isInText = !this.#isInText
        at = quote.end
        continue
      }
      const next = spelledAt(bytes, at)
      if (next === undefined) return { at: isLast ? bytes.length : at, isOver: false }
      const { code, end, spelling } = next
      if (spelling === 'plain' && this.#isForeign(code)) return { at, isOver: true }
      if (!this.#isInText && this.#kind === 'nested') {
        if (code === OPEN_OBJECT || code === OPEN_LIST) this.#depth++
        else if ((code === CLOSE_OBJECT || code === CLOSE_LIST) && --this.#depth === 0) return { at: end, isOver: true }
      } else if (
        this.#kind === 'bare' &&
        (code === COMMA || code === CLOSE_OBJECT || code === CLOSE_LIST || code === AMPERSAND || code <= SPACE)
      )
        return { at, isOver: true }
      at = quote > end ? quote : end
    }
    return { at, isOver: false }
  }

  /** An edge of a text of this level, and neither a quote in it nor one behind a backslash that is its last. */
  #isEdge(level: number): boolean {
    // In strings of JSON the backslashes before a quote of markup stand doubled.
    if (this.where === 'spelled' && this.#spelling.startsWith('markup')) return level % 4 === 0
    return (level - this.#level) % (2 * (this.#level + 1)) === 0
  }

  /** A quote of what is around the JSON: the text or the whole ends there, so this one was broken. */
  #isBroken({ spelling, level }: SpelledQuote): boolean {
    if (spelling === this.#spelling) return this.#level > 0 && (level % 2 === 0 || level < this.#level)
    if (this.#spelling === 'plain') return false
    if (spelling === 'plain') return true
    return spelling.slice(0, -1) === this.#spelling.slice(0, -1) && spelling < this.#spelling
  }

  /** A byte that cannot stand in JSON that was written in this way. */
  #isForeign(code: number): boolean {
    if (this.where === 'binary' && code < SPACE && code !== 0x09 && code !== 0x0a && code !== 0x0d) return true
    if (this.#spelling === 'plain') return false
    if (code === LESS) return true
    return this.#spelling.startsWith('url') && (code === GREATER || code === QUOTE || code <= SPACE)
  }
}
