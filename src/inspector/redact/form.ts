import { CENSOR, type SecretNames } from './secret-names.ts'
import type { Redactor, Sink } from './sink.ts'

const AMPERSAND = 0x26
const SEMICOLON = 0x3b
const EQUALS = 0x3d
const MAX_NAME = 600
const MASK = Buffer.from(CENSOR)

/** `application/x-www-form-urlencoded`. */
export class FormRedactor implements Redactor {
  readonly #name = Buffer.allocUnsafeSlow(MAX_NAME)
  #nameLength = 0
  #isInName = true
  #isSecret = false
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
      if (byte === AMPERSAND || byte === SEMICOLON) {
        if (this.#isSecret) from = i
        this.#isInName = true
        this.#isSecret = false
        this.#nameLength = 0
      } else if (this.#isInName && byte === EQUALS) {
        this.#isInName = false
        if (!this.names.isSecret(decoded(this.#name.toString('latin1', 0, this.#nameLength)))) continue
        this.sink(chunk, from, i + 1)
        this.sink(MASK, 0, MASK.length)
        this.#count++
        this.#isSecret = true
      } else if (this.#isInName && this.#nameLength < MAX_NAME) this.#name[this.#nameLength++] = byte
    }
    if (!this.#isSecret) this.sink(chunk, from, chunk.length)
  }

  end(): void {
    // What was held back is a secret.
  }
}

/** A name of a form or a query; as it is when its escapes are not valid. */
export function decoded(name: string): string {
  if (!name.includes('%') && !name.includes('+')) return name
  try {
    return decodeURIComponent(name.replaceAll('+', ' '))
  } catch {
    return name
  }
}
