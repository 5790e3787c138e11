import {
  AMPERSAND,
  APOSTROPHE,
  BACKSLASH,
  BACKTICK,
  byteSet,
  type ByteSet,
  COLON,
  EQUALS,
  HASH,
  NEWLINE,
  PERCENT,
  percentAt,
  QUESTION,
  QUOTE,
  RETURN,
  SEMICOLON,
  SPACE,
  TAB,
} from './bytes.ts'
import { IN_URL, isSecretParameter, nameStart, schemeEnd, userEnd } from './parameter.ts'
import { PieceReader } from './pieces.ts'
import type { SecretNames } from './secret-names.ts'
import type { Sink } from './sink.ts'
import type { SpelledQuote } from './spelled.ts'
import { ValueEnd } from './value-end.ts'

const OPEN_OBJECT = 0x7b
const OPEN_LIST = 0x5b
/** The quotes of JSON that is written as it is. */
const PLAIN_QUOTE: SpelledQuote = { spelling: 'plain', level: 0, end: 0 }
const NOTHING = new Uint8Array(0)
const STARS = new Uint8Array(1_024).fill(0x2a)

const MEANINGFUL = byteSet(':=%')
/** May stand between a name and its separator. */
const BETWEEN = byteSet(' \t"\'`')
const MAX_BETWEEN = 64
/** Ends a value without quotes behind `=`, one in a URL, one between bytes that are no text, and one behind a colon, which may be a credential with its scheme. */
const ENDS_VALUE = byteSet(' \t&;,\n\r<"\'`')
const ENDS_URL_VALUE = byteSet('&;#<>"\'`', [[0x00, 0x20]])
const ENDS_BINARY_VALUE = byteSet('&;#<>"\'`', [
  [0x00, 0x20],
  [0x7f, 0xff],
])
const ENDS_COLON_VALUE = byteSet('\n\r<"\'`}')
const ENDS_NESTED = byteSet(' \t&;,\n\r<"\'`}])')
const ENDS_INNER: ReadonlySet<number> = new Set([AMPERSAND, SEMICOLON, HASH, QUESTION])

const isQuote = (byte: number): boolean => byte === QUOTE || byte === APOSTROPHE || byte === BACKTICK
const isBlank = (byte: number): boolean => byte === SPACE || byte === TAB

/**
 * `separator`: behind the separator of a secret name. `quoted`, `bare`, `inner`, `nested`: in what is dropped, `inner` of a URL that is a value
 * of another one, `nested` an object or a list.
 */
type State = 'text' | 'separator' | 'quoted' | 'bare' | 'inner' | 'nested'

/**
 * The text that is read. `text`: of any kind, such as logs and scripts, with `name=value` and `name: value`; `urls`: only URLs in it are looked
 * at; `binary`: the same between bytes that mean something else, so as many stars stand for what was taken out.
 */
export type TextKind = 'text' | 'urls' | 'binary'

/** Text of any kind. A value in quotes ends with its quote, others with the line or what separates. */
export class TextRedactor extends PieceReader {
  #state: State = 'text'
  #separator = 0
  #quote = 0
  #isJson = false
  #isCount = false
  #isEscaped = false
  #ends: ByteSet = ENDS_VALUE
  #nested: ValueEnd | undefined
  /** Begin of what is kept and not yet given on. */
  #from = 0

  constructor(
    names: SecretNames,
    sink: Sink,
    private readonly kind: TextKind = 'text',
  ) {
    super(names, sink)
  }

  protected override read(bytes: Uint8Array, isLast: boolean): number {
    const { length } = bytes
    this.#from = 0
    let at = 0
    while (at < length) {
      let next: number
      if (this.#state === 'text') {
        while (at < length && MEANINGFUL[bytes[at]!] === 0) at++
        if (at === length) break
        next = this.#meaning(bytes, at, isLast)
        if (next < 0) return this.#wait(bytes, at)
      } else if (this.#state === 'separator') next = this.#behindSeparator(bytes, at)
      else if (this.#state === 'nested') {
        const { at: end, isOver } = this.#nested!.read(bytes, at, isLast)
        if (!isOver) return end
        // A password may begin like a list.
        this.#state = 'bare'
        this.#ends = ENDS_NESTED
        next = end
      } else {
        next = this.#inValue(bytes, at, isLast)
        if (next < 0) return -next - 1
      }
      at = next
    }
    if (this.#state === 'text' && !isLast) return this.#wait(bytes, length)
    if (this.#state === 'text' || this.#state === 'separator') this.keep(bytes, this.#from, length)
    return length
  }

  /** Bytes that may be the begin of a name, and from `to` on, is read again. */
  #wait(bytes: Uint8Array, to: number): number {
    const rest = nameRest(bytes, to, this.#from)
    this.keep(bytes, this.#from, rest)
    return rest
  }

  /** A colon, a sign of equality, or an escape that may be one. @returns where to go on; -1: what follows is needed */
  #meaning(bytes: Uint8Array, at: number, isLast: boolean): number {
    const byte = bytes[at]!
    const isUrls = this.kind !== 'text'
    if (byte === COLON) {
      const slashes = schemeEnd(bytes, at, isLast)
      if (slashes < 0) return -1
      if (slashes > 0) return this.#host(bytes, at + slashes, isLast)
      return isUrls ? at + 1 : this.#colon(bytes, at)
    }
    if (byte === PERCENT) {
      if (at + 2 >= bytes.length && !isLast) return -1
      if (percentAt(bytes, at) !== EQUALS || isSecretParameter(bytes, at, this.#from, this.names, true) === 0) return at + 1
      return this.#begin(bytes, at + 3, 'inner', this.#urlEnds)
    }
    const end = isUrls ? at : beforeBlanks(bytes, at, this.#from)
    const secret = isSecretParameter(bytes, end, this.#from, this.names, isUrls)
    if (secret === 0) return at + 1
    return secret === IN_URL ? this.#begin(bytes, at + 1, 'bare', this.#urlEnds) : this.#behindName(byte, at)
  }

  get #urlEnds(): ByteSet {
    return this.kind === 'binary' ? ENDS_BINARY_VALUE : ENDS_URL_VALUE
  }

  #colon(bytes: Uint8Array, at: number): number {
    const end = beforeBlanks(bytes, at, this.#from)
    const verdict = this.names.judge(bytes, nameStart(bytes, end, this.#from), end, 'plain')
    if (verdict === 'open') return at + 1
    this.#behindName(COLON, at)
    // In JSON a value ends at the comma, and a number may be a count.
    this.#isJson = bytes[end] === QUOTE
    this.#isCount = this.#isJson && verdict === 'count'
    return at + 1
  }

  #behindName(separator: number, at: number): number {
    this.#state = 'separator'
    this.#separator = separator
    this.#isJson = this.#isCount = false
    return at + 1
  }

  #host(bytes: Uint8Array, at: number, isLast: boolean): number {
    const end = userEnd(bytes, at, isLast)
    if (end === -2) return -1
    if (end < 0) return at
    this.keep(bytes, this.#from, at)
    if (this.kind === 'binary') this.#stars(end - at)
    this.mask(this.kind === 'binary' ? NOTHING : undefined)
    this.#from = end
    return end
  }

  #behindSeparator(bytes: Uint8Array, begin: number): number {
    let at = begin
    while (at < bytes.length && isBlank(bytes[at]!)) at++
    if (at === bytes.length) return at
    const byte = bytes[at]!
    if (byte === NEWLINE || byte === RETURN) {
      this.#state = 'text'
      return at
    }
    if (byte === COLON || byte === EQUALS) {
      this.#separator = byte
      return at + 1
    }
    if (byte === OPEN_OBJECT || byte === OPEN_LIST) {
      this.#nested = new ValueEnd({ kind: 'nested', quote: PLAIN_QUOTE }, 'all')
      return this.#begin(bytes, at, 'nested', ENDS_VALUE)
    }
    if (this.#isCount && byte >= 0x30 && byte <= 0x39) {
      this.#state = 'text'
      return at
    }
    if (!isQuote(byte))
      return this.#begin(bytes, at, 'bare', this.#isJson ? ENDS_NESTED : this.#separator === EQUALS ? ENDS_VALUE : ENDS_COLON_VALUE)
    this.#quote = byte
    this.#isEscaped = false
    return this.#begin(bytes, at + 1, 'quoted', ENDS_VALUE)
  }

  /** A value begins at `at` that is dropped. */
  #begin(bytes: Uint8Array, at: number, state: 'quoted' | 'bare' | 'inner' | 'nested', ends: ByteSet): number {
    this.keep(bytes, this.#from, at)
    this.mask(this.kind === 'binary' ? NOTHING : undefined)
    this.#state = state
    this.#ends = ends
    return at
  }

  /** @returns where to go on; -1 - N: from N on it is read again */
  #inValue(bytes: Uint8Array, begin: number, isLast: boolean): number {
    let at = begin
    let isOver = false
    let isWaiting = false
    for (; at < bytes.length && !isOver && !isWaiting; at++) {
      const byte = bytes[at]!
      if (this.#state === 'quoted') isOver = this.#endsQuoted(byte)
      else if (this.#ends[byte] === 1) isOver = true
      else if (this.#state === 'inner' && byte === PERCENT) {
        isWaiting = at + 2 >= bytes.length && !isLast
        isOver = !isWaiting && ENDS_INNER.has(percentAt(bytes, at))
      }
    }
    if (isOver || isWaiting) at--
    if (this.kind === 'binary') this.#stars(at - begin)
    if (isWaiting) return -1 - at
    if (isOver) {
      this.#state = 'text'
      this.#from = at
    }
    return at
  }

  #endsQuoted(byte: number): boolean {
    if (this.#isEscaped) this.#isEscaped = false
    else if (byte === BACKSLASH) this.#isEscaped = true
    else return byte === this.#quote || byte === NEWLINE
    return false
  }

  #stars(count: number): void {
    for (let left = count; left > 0; left -= STARS.length) this.keep(STARS, 0, Math.min(left, STARS.length))
  }
}

/** Where a name ends that stands before `at`, perhaps with blanks and a quote between. */
function beforeBlanks(bytes: Uint8Array, at: number, least: number): number {
  const end = Math.max(least, at - MAX_BETWEEN)
  let to = at
  while (to > end && BETWEEN[bytes[to - 1]!] === 1) to--
  return to
}

/** Where the last name begins, with what stands before it, that may have its separator at `to` or behind it. */
function nameRest(bytes: Uint8Array, to: number, least: number): number {
  const at = nameStart(bytes, beforeBlanks(bytes, to, least), least)
  return at > least ? at - 1 : at
}
