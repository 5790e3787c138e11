import { GREATER, LESS } from './bytes.ts'
import { redactUrls } from './fields.ts'
import { CENSOR, type SecretNames } from './secret-names.ts'
import type { Redactor, Sink } from './sink.ts'
import { TextRedactor } from './text.ts'

/** Most of a tag that is looked at, bytes; the rest of a longer one is dropped. */
const MAX_TAG = 16_384
/** Most tags are shorter, bytes. */
const FIRST_TAG = 128
const LESS_BYTES = Buffer.from('<')
const MASK = Buffer.from(CENSOR)

/** Begins a tag behind `<`: a letter, `/`, `!`, `?`. */
const beginsTag = (byte: number): boolean =>
  (byte >= 97 && byte <= 122) || (byte >= 65 && byte <= 90) || byte === 0x2f || byte === 0x21 || byte === 0x3f

/**
 * XML and HTML: the text of elements with secret names, the values of attributes with secret names, the value of an input that is named
 * like a secret. Text in between is read as text.
 */
export class MarkupRedactor implements Redactor {
  readonly #text: TextRedactor
  #tag = Buffer.allocUnsafeSlow(FIRST_TAG)
  #tagLength = 0
  #quote = 0
  /** The element whose text is dropped, and how many of that name are open; empty: none. */
  #secret = ''
  #depth = 0
  #count = 0

  constructor(
    private readonly names: SecretNames,
    private readonly sink: Sink,
  ) {
    this.#text = new TextRedactor(names, sink)
  }

  get count(): number {
    return this.#count + this.#text.count
  }

  push(chunk: Uint8Array): void {
    let from = 0
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i]!
      if (this.#tagLength > 0) {
        if (this.#tagLength === 1 && !beginsTag(byte)) {
          if (this.#secret === '') this.#text.push(LESS_BYTES)
          this.#tagLength = 0
          from = i
          continue
        }
        this.#addToTag(byte)
        if (this.#ends(byte)) {
          this.#read()
          this.#tagLength = 0
          from = i + 1
        }
      } else if (byte === LESS) {
        if (this.#secret === '' && i > from) this.#text.push(chunk.subarray(from, i))
        this.#text.pause()
        this.#tag[0] = byte
        this.#tagLength = 1
        this.#quote = 0
      }
    }
    if (this.#tagLength === 0 && this.#secret === '' && chunk.length > from) this.#text.push(chunk.subarray(from))
  }

  end(): void {
    // A tag that never ended is dropped.
    this.#text.end()
  }

  #addToTag(byte: number): void {
    if (this.#tagLength === MAX_TAG) return
    if (this.#tagLength === this.#tag.length) this.#tag = Buffer.concat([this.#tag], this.#tag.length * 2)
    this.#tag[this.#tagLength++] = byte
  }

  #ends(byte: number): boolean {
    if (this.#quote !== 0) {
      if (byte === this.#quote) this.#quote = 0
    } else if (byte === GREATER) return true
    else if ((byte === 0x22 || byte === 0x27) && this.#tag[1] !== 0x21 && this.#tag[this.#tagLength - 2] === 0x3d) this.#quote = byte
    return false
  }

  #read(): void {
    const tag = this.#tag.toString('latin1', 0, this.#tagLength)
    const isEnd = tag.startsWith('</')
    const name = tagName(tag, isEnd ? 2 : 1)
    if (this.#secret !== '') {
      if (name !== this.#secret) return
      if (isEnd) this.#depth--
      else if (!tag.endsWith('/>')) this.#depth++
      if (this.#depth > 0) return
      this.#secret = ''
      return this.#give(tag)
    }
    this.#give(isEnd ? tag : this.#withoutSecrets(tag))
    if (isEnd || tag.endsWith('/>') || !this.names.isSecret(localName(name))) return
    this.#secret = name
    this.#depth = 1
    this.#count++
    this.sink(MASK, 0, MASK.length)
  }

  #give(tag: string): void {
    const bytes = Buffer.from(tag, 'latin1')
    this.sink(bytes, 0, bytes.length)
  }

  /** The tag without the values of secret attributes. */
  #withoutSecrets(tag: string): string {
    if (!tag.includes('=')) return tag
    const attributes = attributesOf(tag)
    const isNamed = attributes.some(({ name, value }) => NAMING.has(name.toLowerCase()) && this.names.isSecret(value))
    let safe = ''
    let at = 0
    for (const { name, value, from, to } of attributes) {
      const isSecret = this.names.isSecret(localName(name)) || (isNamed && VALUES.has(name.toLowerCase()))
      const shown = isSecret ? CENSOR : redactUrls(value, this.names)
      if (shown === value || to === from) continue
      safe += tag.slice(at, from) + shown
      at = to
      this.#count++
    }
    return safe + tag.slice(at)
  }
}

const NAMING: ReadonlySet<string> = new Set(['name', 'id', 'property', 'key'])
const VALUES: ReadonlySet<string> = new Set(['value', 'content'])

function tagName(tag: string, from: number): string {
  let to = from
  while (to < tag.length && !isBlank(tag[to]!) && tag[to] !== '/' && tag[to] !== '>') to++
  return tag.slice(from, to)
}

const localName = (name: string): string => name.slice(name.indexOf(':') + 1)

interface Attribute {
  readonly name: string
  readonly value: string
  /** Where the value stands in the tag. */
  readonly from: number
  readonly to: number
}

function attributesOf(tag: string): Attribute[] {
  const found: Attribute[] = []
  let at = 0
  for (;;) {
    const equals = tag.indexOf('=', at)
    if (equals < 0) return found
    let end = equals
    while (end > at && isBlank(tag[end - 1]!)) end--
    let start = end
    while (start > at && !isBlank(tag[start - 1]!) && tag[start - 1] !== '"' && tag[start - 1] !== "'") start--
    let from = equals + 1
    while (from < tag.length && isBlank(tag[from]!)) from++
    const quote = tag[from]
    let to: number
    if (quote === '"' || quote === "'") {
      from++
      to = tag.indexOf(quote, from)
      if (to < 0) to = tag.length
      at = to + 1
    } else {
      to = from
      while (to < tag.length && !isBlank(tag[to]!) && tag[to] !== '>') to++
      at = Math.max(to, equals + 1)
    }
    found.push({ name: tag.slice(start, end), value: tag.slice(from, to), from, to })
  }
}

const isBlank = (char: string): boolean => char === ' ' || char === '\n' || char === '\t' || char === '\r'
