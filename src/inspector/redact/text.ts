import { CENSOR, type SecretNames } from './secret-names.ts'
import type { Redactor, Sink } from './sink.ts'

const MAX_NAME = 256
const MASK = Buffer.from(CENSOR)
const NEWLINE = 0x0a
const RETURN = 0x0d
const QUOTES: ReadonlySet<number> = new Set([0x22, 0x27, 0x60])
const COLON = 0x3a
const EQUALS = 0x3d

const isWord = (byte: number): boolean =>
  (byte >= 97 && byte <= 122) || (byte >= 65 && byte <= 90) || (byte >= 48 && byte <= 57) || byte === 0x5f || byte === 0x2d || byte === 0x2e

/** `name=value` and `name: value` in text of any kind: logs, scripts, settings. A value in quotes ends with its quote, others with the line or what separates. */
export class TextRedactor implements Redactor {
  readonly #name = Buffer.allocUnsafeSlow(MAX_NAME)
  #nameLength = 0
  /** The name is whole: a separator may come. */
  #isNamed = false
  /** A secret value comes; its separator. */
  #separator = 0
  /** In a value that is dropped; the quote that ends it, 0 for none. */
  #isInValue = false
  #quote = 0
  #isEscaped = false
  #count = 0

  constructor(
    private readonly names: SecretNames,
    private readonly sink: Sink,
  ) {}

  get count(): number {
    return this.#count
  }

  push(chunk: Uint8Array): void {
    let from = 0
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i]!
      if (this.#isInValue) {
        if (!this.#ends(byte)) continue
        this.#isInValue = false
        from = i
      } else if (this.#separator !== 0) {
        if (byte === 0x20 || byte === 0x09) continue
        if (byte === NEWLINE || byte === RETURN) this.#separator = 0
        else if (QUOTES.has(byte)) this.#begin(chunk, from, i + 1, byte)
        else if (byte === COLON || byte === EQUALS) this.#separator = byte
        else this.#begin(chunk, from, i, 0)
      } else this.#read(byte)
    }
    if (!this.#isInValue) this.sink(chunk, from, chunk.length)
  }

  end(): void {
    // What was held back is a secret.
  }

  #begin(chunk: Uint8Array, from: number, to: number, quote: number): void {
    this.sink(chunk, from, to)
    this.sink(MASK, 0, MASK.length)
    this.#count++
    this.#isInValue = true
    this.#isEscaped = false
    this.#quote = quote
  }

  #ends(byte: number): boolean {
    if (this.#quote !== 0) {
      if (this.#isEscaped) this.#isEscaped = false
      else if (byte === 0x5c) this.#isEscaped = true
      else if (byte === this.#quote || byte === NEWLINE) return this.#over()
      return false
    }
    if (byte === NEWLINE || byte === RETURN || byte === 0x3c || QUOTES.has(byte)) return this.#over()
    // A value behind `=` ends like one in a query; one behind a colon may be a credential with its scheme.
    const isBare = this.#separator === EQUALS
    if (isBare ? byte === 0x20 || byte === 0x09 || byte === 0x26 || byte === 0x3b || byte === 0x2c : byte === 0x7d) return this.#over()
    return false
  }

  #over(): boolean {
    this.#separator = 0
    this.#nameLength = 0
    this.#isNamed = false
    return true
  }

  #read(byte: number): void {
    if (isWord(byte)) {
      if (this.#isNamed) {
        this.#nameLength = 0
        this.#isNamed = false
      }
      if (this.#nameLength < MAX_NAME) this.#name[this.#nameLength++] = byte
      return
    }
    if (this.#nameLength === 0) return
    if (byte === COLON || byte === EQUALS) {
      if (this.names.isSecret(this.#name.toString('latin1', 0, this.#nameLength))) this.#separator = byte
      this.#nameLength = 0
      this.#isNamed = false
      return
    }
    // The quote behind a name, and spaces before a separator.
    this.#isNamed = true
    if (byte !== 0x20 && byte !== 0x09 && !QUOTES.has(byte)) this.#nameLength = 0
  }
}
