import { byteSet, COLON, SPACE } from './bytes.ts'
import { MAX_NAME } from './parameter.ts'
import { PieceReader } from './pieces.ts'
import { CENSOR, type NamePlace, type SecretNames } from './secret-names.ts'
import type { Redactor } from './sink.ts'
import { spelledAt, spelledQuoteAt, type SpelledQuote, type Spelling } from './spelled.ts'
import { type DroppedValue, ValueEnd, type WrittenJson } from './value-end.ts'

const OPEN_OBJECT = 0x7b
const OPEN_LIST = 0x5b
const MINUS = 0x2d
const PLUS = 0x2b
/** Literals of JSON begin with one of them: true, false, null. */
const LITERALS: ReadonlySet<number> = new Set([0x74, 0x66, 0x6e])
/** Spaces between a name and its value. */
const MAX_SPACES = 32
const STARS = new Uint8Array(1_024).fill(0x2a)

const IN_URL = byteSet('%&')
const IN_ESCAPED = byteSet('%&\\')
const IN_ALL = byteSet('%&\\"')

/**
 * JSON that was written into something else, be it a value of a form, a query, an attribute, a line of a log or a string: the values of secret
 * names are taken out of it, all else goes on to the reader of what is around it, byte for byte. What is around needs not be understood: a name
 * has the same quotes on either side, and a colon behind it.
 */
export class WrittenJsonRedactor extends PieceReader {
  readonly #meaningful: Uint8Array
  /** Begin of what is kept and not yet given on. */
  #from = 0
  /** The last quote, which may stand before a name, in the bytes that are read; -1: there is none. */
  #quoteAt = -1
  #quote: SpelledQuote | undefined
  #skip: ValueEnd | undefined

  constructor(
    names: SecretNames,
    private readonly around: Redactor,
    private readonly kind: WrittenJson,
  ) {
    super(names, (bytes, from, to) => around.push(bytes.subarray(from, to)))
    this.#meaningful = kind === 'spelled' ? IN_URL : kind === 'escaped' ? IN_ESCAPED : IN_ALL
  }

  override get count(): number {
    return super.count + this.around.count
  }

  override end(): void {
    super.end()
    this.around.end()
  }

  protected override read(bytes: Uint8Array, isLast: boolean): number {
    const { length } = bytes
    this.#from = 0
    this.#quoteAt = -1
    let at = 0
    while (at < length) {
      if (this.#skip !== undefined) {
        const { at: end, isOver } = this.#skip.read(bytes, at, isLast)
        if (this.kind === 'binary') this.#stars(end - at)
        if (!isOver) return end
        this.#skip = undefined
        this.#from = at = end
        continue
      }
      while (at < length && this.#meaningful[bytes[at]!] === 0) at++
      if (at === length) break
      const quote = spelledQuoteAt(bytes, at)
      if (quote === undefined) {
        if (isLast) break
        return this.#wait(bytes, at)
      }
      if (typeof quote === 'number') {
        at = quote
        continue
      }
      const next = this.#atQuote(bytes, at, quote, isLast)
      if (next < 0) return this.#wait(bytes, at)
      at = next
    }
    if (this.#skip !== undefined) return length
    if (!isLast) return this.#wait(bytes, length)
    this.keep(bytes, this.#from, length)
    return length
  }

  /** The text from `to` on is read again, with the name that may stand before it. */
  #wait(bytes: Uint8Array, to: number): number {
    const isName = this.#quoteAt >= this.#from && to - this.#quote!.end <= MAX_NAME
    const rest = isName ? Math.min(to, this.#quoteAt) : to
    this.keep(bytes, this.#from, rest)
    return rest
  }

  /** At a quote, behind which a name may end or begin. @returns where to go on; -1: what follows is needed */
  #atQuote(bytes: Uint8Array, at: number, quote: SpelledQuote, isLast: boolean): number {
    const last = this.#quote
    const isEnd =
      this.#quoteAt >= this.#from &&
      last?.spelling === quote.spelling &&
      last.level === quote.level &&
      at - last.end <= MAX_NAME &&
      this.#isMeant(quote)
    const value = isEnd ? this.#valueOf(bytes, last.end, at, quote) : undefined
    if (value === 'wait') {
      if (!isLast) return -1
    } else if (value !== undefined) {
      this.#quoteAt = -1
      this.keep(bytes, this.#from, value.at)
      // The quotes of a text stay as they are written, others are those of the name.
      if (this.kind === 'binary') this.mask(STARS.subarray(0, 0))
      else if (value.kind === 'text') this.mask()
      else this.mask(Buffer.concat([bytes.subarray(at, quote.end), Buffer.from(CENSOR), bytes.subarray(at, quote.end)]))
      this.#skip = new ValueEnd(value, this.kind)
      return value.at
    }
    this.#quoteAt = at
    this.#quote = quote
    return quote.end
  }

  #isMeant({ spelling, level }: SpelledQuote): boolean {
    if (spelling !== 'plain' || this.kind === 'all' || this.kind === 'binary') return true
    return this.kind === 'escaped' && level > 0
  }

  /** Looks for the value of the name `bytes[name…end)`, behind which a quote stands. `wait`: the bytes end before it is known. */
  #valueOf(bytes: Uint8Array, name: number, end: number, quote: SpelledQuote): DroppedValue | 'wait' | undefined {
    const colonAt = spacesEnd(bytes, quote.end)
    const colon = colonAt === undefined ? undefined : spelledAt(bytes, colonAt)
    if (colon === undefined) return 'wait'
    if (colon.code !== COLON) return undefined
    const verdict = this.names.judge(bytes, name, end, placeOf(quote.spelling))
    if (verdict === 'open') return undefined
    const at = spacesEnd(bytes, colon.end)
    const first = at === undefined ? undefined : spelledAt(bytes, at)
    if (at === undefined || first === undefined) return 'wait'
    const begin = spelledQuoteAt(bytes, at)
    if (begin === undefined) return 'wait'
    if (typeof begin !== 'number')
      return begin.spelling === quote.spelling && begin.level === quote.level ? { at: begin.end, kind: 'text', quote } : undefined
    if (first.code === OPEN_OBJECT || first.code === OPEN_LIST) return { at, kind: 'nested', quote }
    const isNumber = first.code === MINUS || (first.code >= 0x30 && first.code <= 0x39)
    if (isNumber ? verdict === 'count' : !LITERALS.has(first.code)) return undefined
    return { at, kind: 'bare', quote }
  }

  #stars(count: number): void {
    for (let left = count; left > 0; left -= STARS.length) this.around.push(STARS.subarray(0, Math.min(left, STARS.length)))
  }
}

const placeOf = (spelling: Spelling): NamePlace => (spelling === 'plain' ? 'json' : spelling.startsWith('url') ? 'encoded' : 'plain')

/** @returns undefined: the bytes end in them */
function spacesEnd(bytes: Uint8Array, from: number): number | undefined {
  let at = from
  for (let count = 0; count < MAX_SPACES; count++) {
    if (at === bytes.length) return undefined
    const next = spelledAt(bytes, at)
    if (next === undefined) return undefined
    const { code, end } = next
    // A space of a form, which may have been written into a URL once more.
    if (code !== SPACE && code !== 0x0a && code !== 0x0d && code !== 0x09 && code !== PLUS) return at
    at = end
  }
  return at === bytes.length ? undefined : at
}
