import {
  AMPERSAND,
  BACKSLASH,
  byteSet,
  COLON,
  COMMA,
  EQUALS,
  HASH,
  LETTER_U,
  PERCENT,
  percentAt,
  QUESTION,
  QUOTE,
  SEMICOLON,
  unicodeAt,
} from './bytes.ts'
import { nestedMask, NestedSkip, nestedValueOf, quoteAt, type Quote } from './nested-json.ts'
import { isSecretParameter, MAX_NAME, nameStart, schemeEnd, userEnd } from './parameter.ts'
import { PieceReader } from './pieces.ts'
import { CENSOR } from './secret-names.ts'

const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d
const OPEN_LIST = 0x5b
const CLOSE_LIST = 0x5d

const QUOTED_MASK = Buffer.from(`"${CENSOR}"`)
/** Bytes of a string that mean something. */
const IN_TEXT = byteSet('"\\=%:')
/** Ends the value of a parameter of a URL in a string. */
const ENDS_VALUE = byteSet('"&#; <>\'`', [[0x00, 0x1f]])
const ENDS_INNER: ReadonlySet<number> = new Set([AMPERSAND, SEMICOLON, HASH, QUESTION])
/** Escapes that stand for something that ends it. */
const ENDING_ESCAPES = byteSet('"nrtbf')
const UNICODE_BYTES = 6
/** A name of nested JSON, its quotes, and spaces between it and its value. */
const MAX_NESTED = MAX_NAME + 256

const isSpace = (byte: number): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09

/**
 * Where the reader is. `plain`: between tokens. `text`: in a string that began in an earlier piece, or has had something taken out. `named`:
 * behind a string, where a colon makes it a name. `value`: behind the colon of a secret name. `parameter`: in what is dropped of a URL in a
 * string, `inner`: of one that is a value of another, `nested`: of JSON in a string. `skip…`: in the value of a secret name, which is dropped.
 */
type State =
  'plain' | 'text' | 'named' | 'value' | 'parameter' | 'inner' | 'nested' | 'skipText' | 'skipNested' | 'skipNestedText' | 'skipBare'

/**
 * JSON, also several texts one after the other, or one that is broken: whatever stands behind `"name":` is its value. No stack of what is
 * open is needed for that, so depth costs nothing. The value of a secret name is replaced whole, be it an object; of other strings the
 * values of secret parameters, as URLs have them, and of secret names where the string is JSON again.
 */
export class JsonRedactor extends PieceReader {
  #state: State = 'plain'
  #isEscaped = false
  #depth = 0
  /** The string behind which the reader is, or in which it is since an earlier piece, is a secret name. */
  #isSecretName = false
  /** The value that comes may be a count. */
  #isCount = false
  /** Begin of what is kept and not yet given on. */
  #from = 0
  /** Begin of the string that is read, -1: in an earlier piece. */
  #start = -1
  /** Begin of an escape or a host that is not whole, -1: there is none. */
  #waitsAt = -1
  /** The last quote in the string that may stand before a name of nested JSON, with its backslashes; -1: there is none. */
  #quoteAt = -1
  #quoteEnd = -1
  #quoteLevel = 0
  #nested: NestedSkip | undefined

  protected override read(bytes: Uint8Array, isLast: boolean): number {
    this.#from = 0
    this.#start = -1
    this.#waitsAt = -1
    this.#quoteAt = -1
    let at = 0
    while (at < bytes.length) {
      switch (this.#state) {
        case 'plain':
          while (at < bytes.length && bytes[at] !== QUOTE) at++
          if (at === bytes.length) break
          this.#state = 'text'
          this.#start = ++at
          this.#quoteAt = -1
          break
        case 'text': {
          const next = this.#text(bytes, at, isLast)
          if (next < 0) return this.#wait(bytes)
          at = next
          break
        }
        case 'named':
        case 'value':
          at = this.#behindText(bytes, at)
          break
        case 'parameter':
        case 'inner': {
          const next = this.#parameter(bytes, at, isLast)
          if (next < 0) return -next - 1
          at = next
          break
        }
        case 'nested': {
          const { at: end, isOver } = this.#nested!.read(bytes, at, isLast)
          if (!isOver) return end
          this.#state = 'text'
          this.#from = at = end
          break
        }
        default:
          at = this.#skip(bytes, at)
      }
    }
    if (this.#drops) return bytes.length
    if (this.#state === 'text' && !isLast) return this.#wait(bytes)
    this.keep(bytes, this.#from, bytes.length)
    return bytes.length
  }

  get #drops(): boolean {
    return this.#state.startsWith('skip') || this.#state === 'parameter' || this.#state === 'inner' || this.#state === 'nested'
  }

  /** The piece ends in a string: one that may be a name is read again, of others the end that may mean something. */
  #wait(bytes: Uint8Array): number {
    const { length } = bytes
    let rest: number
    if (this.#start >= 0 && length - this.#start <= MAX_NAME) {
      rest = this.#start - 1
      this.#state = 'plain'
    } else {
      if (this.#start >= 0) this.#isSecretName = this.#judge(bytes, this.#start + MAX_NAME)
      this.#start = -1
      rest = textRest(bytes, this.#waitsAt < 0 ? length : this.#waitsAt, this.#from)
      // A name of nested JSON may begin there, or be whole and its value not be there yet.
      if (this.#quoteAt >= this.#from && length - this.#quoteAt <= MAX_NESTED) rest = Math.min(rest, this.#quoteAt)
    }
    this.keep(bytes, this.#from, rest)
    return rest
  }

  /** Reads a string. @returns where to go on; -1: what follows is needed */
  #text(bytes: Uint8Array, begin: number, isLast: boolean): number {
    const { length } = bytes
    for (let at = begin; at < length; at++) {
      const byte = bytes[at]!
      if (IN_TEXT[byte] === 0) continue
      if (byte === QUOTE) return this.#endText(bytes, at)
      let value = at + 1
      let isInner = false
      if (byte === COLON) {
        const slashes = schemeEnd(bytes, at, isLast)
        if (slashes === 0) continue
        const host = at + slashes
        const end = slashes < 0 ? -2 : userEnd(bytes, host, isLast)
        if (end === -2) return this.#waitAt(bytes, at, isLast)
        if (end < 0) continue
        this.keep(bytes, this.#from, host)
        this.mask()
        this.#endStart(bytes, at)
        this.#from = end
        at = end
        continue
      }
      if (byte === BACKSLASH) {
        const quote = quoteAt(bytes, at)
        if (quote === undefined && !isLast) return this.#waitAt(bytes, at, isLast)
        if (typeof quote === 'object' && quote.level % 2 === 1) {
          const next = this.#atQuote(bytes, at, quote, isLast)
          if (next < 0 || this.#state === 'nested') return next
          at = next - 1
          continue
        }
        // An even number of backslashes stands for half as many.
        while (bytes[at] === BACKSLASH && bytes[at + 1] === BACKSLASH) at += 2
        if (bytes[at] !== BACKSLASH) {
          at--
          continue
        }
        const isUnicode = bytes[at + 1] === LETTER_U
        const size = isUnicode ? UNICODE_BYTES : 2
        if (at + size > length) return this.#waitAt(bytes, at, isLast)
        if (!isUnicode || unicodeAt(bytes, at) !== EQUALS) {
          at += size - 1
          continue
        }
        value = at + size
      } else if (byte === PERCENT) {
        if (at + 2 >= length && !isLast) return -1
        if (percentAt(bytes, at) !== EQUALS) continue
        value = at + 3
        isInner = true
      }
      if (isSecretParameter(bytes, at, Math.max(this.#from, this.#start), this.names, isInner) === 0) continue
      this.keep(bytes, this.#from, value)
      this.mask()
      this.#endStart(bytes, at)
      this.#state = isInner ? 'inner' : 'parameter'
      return value
    }
    return length
  }

  /** At a quote in a string, behind which a name of nested JSON may end or begin. @returns as `#text` */
  #atQuote(bytes: Uint8Array, at: number, quote: Quote, isLast: boolean): number {
    const isName = this.#quoteAt >= 0 && this.#quoteLevel === quote.level && this.#quoteEnd >= this.#from
    const value = isName ? nestedValueOf(bytes, { name: this.#quoteEnd, end: at, quote, names: this.names }) : undefined
    if (value === 'wait') {
      if (!isLast && bytes.length - this.#quoteAt <= MAX_NESTED) return -1
    } else if (value !== undefined) {
      this.keep(bytes, this.#from, value.at)
      this.mask(nestedMask(value.level))
      this.#endStart(bytes, at)
      this.#nested = new NestedSkip(value)
      this.#state = 'nested'
      this.#quoteAt = -1
      return value.at
    }
    this.#quoteAt = at
    this.#quoteEnd = quote.end
    this.#quoteLevel = quote.level
    return quote.end
  }

  /** An escape or a host that begins at `at` is not whole. */
  #waitAt(bytes: Uint8Array, at: number, isLast: boolean): number {
    if (isLast) return bytes.length
    if (this.#start >= 0 && bytes.length - this.#start <= MAX_NAME) return -1
    // Names end before it; what stands from it on is read again.
    this.#waitsAt = at
    return -1
  }

  /** Something of the string was taken out, so it is not read again. */
  #endStart(bytes: Uint8Array, end: number): void {
    if (this.#start >= 0) this.#isSecretName = this.#judge(bytes, end)
    this.#start = -1
  }

  #endText(bytes: Uint8Array, end: number): number {
    let at = end + 1
    while (at < bytes.length && isSpace(bytes[at]!)) at++
    if (at < bytes.length && bytes[at] !== COLON) {
      this.#state = 'plain'
      return at
    }
    if (this.#start >= 0) this.#isSecretName = this.#judge(bytes, end)
    else this.#isCount = false
    this.#state = 'named'
    return at
  }

  #judge(bytes: Uint8Array, end: number): boolean {
    const verdict = this.names.judge(bytes, this.#start, Math.min(end, this.#start + MAX_NAME), 'json')
    this.#isCount = verdict === 'count'
    return verdict !== 'open'
  }

  /** Behind a string, or the colon behind a secret name. */
  #behindText(bytes: Uint8Array, begin: number): number {
    let at = begin
    while (at < bytes.length && isSpace(bytes[at]!)) at++
    if (at === bytes.length) return at
    const byte = bytes[at]!
    if (this.#state === 'named') {
      this.#state = byte === COLON && this.#isSecretName ? 'value' : 'plain'
      return byte === COLON ? at + 1 : at
    }
    if (this.#isCount && ((byte >= 0x30 && byte <= 0x39) || byte === 0x2d)) {
      this.#state = 'plain'
      return at
    }
    this.keep(bytes, this.#from, at)
    this.mask(QUOTED_MASK)
    this.#isEscaped = false
    this.#depth = 1
    if (byte === QUOTE) this.#state = 'skipText'
    else if (byte === OPEN_OBJECT || byte === OPEN_LIST) this.#state = 'skipNested'
    else this.#state = 'skipBare'
    return this.#state === 'skipBare' ? at : at + 1
  }

  /** In the value of a secret parameter. @returns where to go on; -1 - N: from N on it is read again */
  #parameter(bytes: Uint8Array, begin: number, isLast: boolean): number {
    const isInner = this.#state === 'inner'
    let at = begin
    for (; at < bytes.length; at++) {
      const byte = bytes[at]!
      if (ENDS_VALUE[byte] === 1) break
      if (byte === BACKSLASH) {
        const isUnicode = bytes[at + 1] === LETTER_U
        const size = isUnicode ? UNICODE_BYTES : 2
        if (at + size > bytes.length) return isLast ? bytes.length : -1 - at
        const ends = isUnicode ? ENDS_VALUE[unicodeAt(bytes, at) & 0xff] === 1 : ENDING_ESCAPES[bytes[at + 1]!] === 1
        if (ends) break
        at += size - 1
      } else if (isInner && byte === PERCENT) {
        if (at + 2 >= bytes.length) return isLast ? bytes.length : -1 - at
        if (ENDS_INNER.has(percentAt(bytes, at))) break
      }
    }
    if (at === bytes.length) return at
    this.#state = 'text'
    this.#from = at
    return at
  }

  /** In the value of a secret name. */
  #skip(bytes: Uint8Array, begin: number): number {
    for (let at = begin; at < bytes.length; at++) {
      const byte = bytes[at]!
      switch (this.#state) {
        case 'skipText':
          if (this.#endsText(byte)) return this.#keepsFrom(at + 1)
          break
        case 'skipNestedText':
          if (this.#endsText(byte)) this.#state = 'skipNested'
          break
        case 'skipNested':
          if (byte === QUOTE) {
            this.#isEscaped = false
            this.#state = 'skipNestedText'
          } else if (byte === OPEN_OBJECT || byte === OPEN_LIST) this.#depth++
          else if ((byte === CLOSE_OBJECT || byte === CLOSE_LIST) && --this.#depth === 0) return this.#keepsFrom(at + 1)
          break
        default:
          if (byte === COMMA || byte === CLOSE_OBJECT || byte === CLOSE_LIST || isSpace(byte)) return this.#keepsFrom(at)
      }
    }
    return bytes.length
  }

  #keepsFrom(at: number): number {
    this.#state = 'plain'
    this.#from = at
    return at
  }

  #endsText(byte: number): boolean {
    if (this.#isEscaped) this.#isEscaped = false
    else if (byte === BACKSLASH) this.#isEscaped = true
    else return byte === QUOTE
    return false
  }
}

/** Where the last name begins, with what stands before it, that goes on behind `to`. */
function textRest(bytes: Uint8Array, to: number, least: number): number {
  const at = nameStart(bytes, to, least)
  return at > least ? at - 1 : at
}
