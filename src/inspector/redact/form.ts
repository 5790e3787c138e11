import { AMPERSAND, byteSet, EQUALS, PERCENT, percentAt, SEMICOLON } from './bytes.ts'
import { isSecretParameter, MAX_NAME } from './parameter.ts'
import { PieceReader } from './pieces.ts'

const ENDS_PAIR = byteSet('&;')
/** Ends the value of a parameter of a URL that is a value itself. */
const ENDS_INNER: ReadonlySet<number> = new Set([AMPERSAND, SEMICOLON, 0x23])

/** `application/x-www-form-urlencoded`, with URLs as values. */
export class FormRedactor extends PieceReader {
  #state: 'name' | 'value' | 'secret' | 'innerSecret' = 'name'

  protected override read(bytes: Uint8Array, isLast: boolean): number {
    const { length } = bytes
    let from = 0
    let at = 0
    let pair = 0
    while (at < length) {
      const byte = bytes[at]!
      const isInner = byte === PERCENT && this.#state !== 'secret' && this.#state !== 'name'
      if (isInner && at + 2 >= length && !isLast) break
      const inner = isInner ? percentAt(bytes, at) : -1
      if (ENDS_PAIR[byte] === 1) {
        if (this.#drops) from = at
        this.#state = 'name'
        pair = at + 1
      } else if (this.#state === 'name') {
        if (byte === EQUALS) {
          const isSecret = at - pair <= MAX_NAME * 2 && this.names.judge(bytes, pair, at, 'encoded') !== 'open'
          if (isSecret) this.#begin(bytes, from, at + 1, 'secret')
          else this.#state = 'value'
        }
      } else if (this.#state === 'value') {
        if (inner === EQUALS && isSecretParameter(bytes, at, from, this.names, true) > 0) {
          at += 2
          this.#begin(bytes, from, at + 1, 'innerSecret')
        }
      } else if (this.#state === 'innerSecret' && ENDS_INNER.has(inner)) {
        from = at
        this.#state = 'value'
      }
      at++
    }
    // Of what is dropped an escape is read again that is not whole.
    if (this.#drops) return at
    let rest = length
    if (!isLast && this.#state === 'value') rest = Math.max(from, valueRest(bytes, from))
    else if (!isLast && length - pair <= MAX_NAME * 2) rest = pair
    this.keep(bytes, from, rest)
    return rest
  }

  get #drops(): boolean {
    return this.#state === 'secret' || this.#state === 'innerSecret'
  }

  #begin(bytes: Uint8Array, from: number, to: number, state: 'secret' | 'innerSecret'): void {
    this.keep(bytes, from, to)
    this.mask()
    this.#state = state
  }
}

/** Where the last name begins that may have its sign of equality in the next piece. */
function valueRest(bytes: Uint8Array, least: number): number {
  let at = bytes.length
  const end = Math.max(least, at - MAX_NAME)
  while (at > end && ENDS_PAIR[bytes[at - 1]!] === 0 && bytes[at - 1] !== EQUALS) at--
  return at
}
