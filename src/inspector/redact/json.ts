import { CENSOR, type SecretNames } from './secret-names.ts'
import type { Redactor, Sink } from './sink.ts'

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COLON = 0x3a
const COMMA = 0x2c
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d
const OPEN_LIST = 0x5b
const CLOSE_LIST = 0x5d

/** Most of a name that is looked at, bytes. */
const MAX_NAME = 300
const MASK = Buffer.from(`"${CENSOR}"`)

const isSpace = (byte: number): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09

/**
 * Where the reader is. `plain`: between tokens. `text`: in a string that may turn out to be a name. `named`: behind a string, where a colon
 * makes it a name. `value`: behind the colon of a secret name. `skip…`: in the value of one, which is dropped.
 */
type State = 'plain' | 'text' | 'named' | 'value' | 'skipText' | 'skipNested' | 'skipNestedText' | 'skipBare'

/**
 * JSON, also several texts one after the other, or one that is broken: whatever stands behind `"name":` is its value. No stack of what is
 * open is needed for that, so depth costs nothing. The value of a secret name is replaced whole, be it an object.
 */
export class JsonRedactor implements Redactor {
  #state: State = 'plain'
  readonly #name = Buffer.allocUnsafeSlow(MAX_NAME)
  #nameLength = 0
  #isEscaped = false
  #hasEscapes = false
  #depth = 0
  /** The name before the value that comes. */
  #secret = ''
  #count = 0

  constructor(
    private readonly names: SecretNames,
    private readonly sink: Sink,
  ) {}

  get count(): number {
    return this.#count
  }

  push(chunk: Uint8Array): void {
    let from = 0 // begin of what is kept and not yet given on
    let isKept = !this.#isSkipping
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i]!
      if (isKept) {
        if (this.#state === 'value' && !isSpace(byte)) {
          if (this.#keepsNumber(byte)) {
            this.#state = 'plain'
            continue
          }
          if (i > from) this.sink(chunk, from, i)
          this.#begin(byte)
          isKept = false
        } else this.#read(byte)
      } else if (!this.#skip(byte)) {
        // A bare value ends before this byte, any other with it.
        const isBare = this.#state === 'skipBare'
        this.#state = 'plain'
        from = isBare ? i : i + 1
        isKept = true
      }
    }
    if (isKept && chunk.length > from) this.sink(chunk, from, chunk.length)
  }

  end(): void {
    // What was held back is a secret.
  }

  get #isSkipping(): boolean {
    return this.#state.startsWith('skip')
  }

  /** A count under a name like `max_tokens`. */
  #keepsNumber(byte: number): boolean {
    return ((byte >= 0x30 && byte <= 0x39) || byte === 0x2d) && this.names.isCount(this.#secret)
  }

  /** The first byte of a secret value. */
  #begin(byte: number): void {
    this.#count++
    this.sink(MASK, 0, MASK.length)
    this.#isEscaped = false
    this.#depth = 1
    if (byte === QUOTE) this.#state = 'skipText'
    else if (byte === OPEN_OBJECT || byte === OPEN_LIST) this.#state = 'skipNested'
    else this.#state = 'skipBare'
  }

  /** @returns false when the value ends with this byte, or before it when it is bare */
  #skip(byte: number): boolean {
    switch (this.#state) {
      case 'skipText':
        return !this.#endsText(byte)
      case 'skipNestedText':
        if (this.#endsText(byte)) this.#state = 'skipNested'
        return true
      case 'skipNested':
        if (byte === QUOTE) {
          this.#isEscaped = false
          this.#state = 'skipNestedText'
        } else if (byte === OPEN_OBJECT || byte === OPEN_LIST) this.#depth++
        else if (byte === CLOSE_OBJECT || byte === CLOSE_LIST) return --this.#depth > 0
        return true
      default:
        return !(byte === COMMA || byte === CLOSE_OBJECT || byte === CLOSE_LIST || isSpace(byte))
    }
  }

  #endsText(byte: number): boolean {
    if (this.#isEscaped) this.#isEscaped = false
    else if (byte === BACKSLASH) this.#isEscaped = true
    else return byte === QUOTE
    return false
  }

  #read(byte: number): void {
    switch (this.#state) {
      case 'text':
        if (this.#isEscaped) this.#isEscaped = false
        else if (byte === BACKSLASH) this.#isEscaped = this.#hasEscapes = true
        else if (byte === QUOTE) {
          this.#state = 'named'
          return
        }
        if (this.#nameLength < MAX_NAME) this.#name[this.#nameLength++] = byte
        return
      case 'named':
        if (isSpace(byte)) return
        this.#state = byte === COLON && this.#isSecretName() ? 'value' : 'plain'
        if (byte === QUOTE) this.#beginText()
        return
      default:
        if (byte === QUOTE) this.#beginText()
    }
  }

  #beginText(): void {
    this.#state = 'text'
    this.#nameLength = 0
    this.#isEscaped = false
    this.#hasEscapes = false
  }

  #isSecretName(): boolean {
    let name = this.#name.toString('utf8', 0, this.#nameLength)
    if (this.#hasEscapes) name = unescaped(name)
    this.#secret = name
    return this.names.isSecret(name)
  }
}

function unescaped(name: string): string {
  return name.replace(/\\u([0-9a-f]{4})/gi, (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}
