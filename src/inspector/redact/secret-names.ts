/** The text in place of something that was taken out. */
export const CENSOR = '***'

/** Names that give access wherever they stand in a name, in lower case without what joins words. */
const PARTS = [
  'password',
  'passwd',
  'passphrase',
  'secret',
  'apikey',
  'accesskey',
  'privatekey',
  'token',
  'credential',
  'authorization',
  'cookie',
  'sessionid',
  'jwt',
]
/** The same, as the whole name. */
const WHOLE = [
  'auth',
  'pwd',
  'pass',
  'pin',
  'otp',
  'totp',
  'cvv',
  'cvc',
  'cardnumber',
  'bearer',
  'session',
  'sid',
  'assertion',
  'samlresponse',
]
/** As names of parameters in a URL alone: elsewhere they mean too many other things. */
const IN_QUERY = ['sig', 'signature', 'key', 'code', 'ticket', 'xamzsignature', 'xamzcredential', 'xgoogsignature', 'xgoogcredential']
/** Fields of a head with a value that is looked into, or that only sound like it. */
const FIELDS = ['authentication', 'xcsrftoken']

/** A name that is longer is none that anybody has given to a secret, characters. */
const MAX_NAME = 256

/** Names that were judged lately: those of one application come again and again. */
const MAX_KNOWN = 1_000
/** Names as bytes that were judged lately, by a sum of their bytes; a power of two. */
const SLOTS = 1_024
const MAX_KNOWN_BYTES = 64

/** `count`: secret, but for a number, which is a count under a name like `max_tokens`. */
export type Verdict = 'open' | 'secret' | 'count'
/** Where a name stands: as it is, with the escapes of JSON, or of a form; or as a parameter of a URL, with these. */
export type NamePlace = 'plain' | 'json' | 'encoded' | 'url'

/** The way to redact a field of a head. `shown`: its value says nothing that is secret. */
export type FieldKind = 'open' | 'secret' | 'cookie' | 'set-cookie' | 'protocols' | 'shown'

interface Judged {
  readonly bytes: Uint8Array
  readonly place: NamePlace
  readonly verdict: Verdict
}

/** Which names have values that must not be kept. */
export interface SecretNameOptions {
  /** More of them: whole names in any case, `*` for any part. */
  readonly more?: readonly string[]
  /** Names that are shown after all. */
  readonly shown?: readonly string[]
}

/** Decides by its name whether a value must not be kept. */
export class SecretNames {
  readonly #whole: ReadonlySet<string>
  readonly #query: ReadonlySet<string>
  readonly #fields: ReadonlySet<string>
  readonly #parts: readonly string[]
  readonly #patterns: readonly Pattern[]
  readonly #shown: readonly Pattern[]
  readonly #fieldsKnown = new Map<string, FieldKind>()
  readonly #judged: (Judged | undefined)[] = new Array<Judged | undefined>(SLOTS).fill(undefined)

  constructor({ more = [], shown = [] }: SecretNameOptions = {}) {
    this.#whole = new Set(WHOLE)
    this.#query = new Set(IN_QUERY)
    this.#fields = new Set(FIELDS)
    this.#parts = PARTS
    this.#patterns = more.map(patternOf)
    this.#shown = shown.map(patternOf)
  }

  /** A name that stands in `bytes[from…to)`. Those of one application come again and again, so no text is made of most. */
  judge(bytes: Uint8Array, from: number, to: number, place: NamePlace): Verdict {
    const length = to - from
    if (length <= 0) return 'open'
    if (length > MAX_KNOWN_BYTES) return this.#judgeText(textOf(bytes, from, to), place)
    let sum = length
    for (let i = from; i < to; i++) sum = (Math.imul(sum, 31) + bytes[i]!) | 0
    const slot = (sum ^ (sum >>> 15)) & (SLOTS - 1)
    const known = this.#judged[slot]
    if (known !== undefined && known.place === place && known.bytes.length === length) {
      let i = 0
      while (i < length && known.bytes[i] === bytes[from + i]) i++
      if (i === length) return known.verdict
    }
    const verdict = this.#judgeText(textOf(bytes, from, to), place)
    this.#judged[slot] = { bytes: Uint8Array.prototype.slice.call(bytes, from, to), place, verdict }
    return verdict
  }

  /** A key of JSON, of a form, of XML. */
  isSecret(name: string): boolean {
    const plain = plainName(name)
    return this.#isShown(plain) ? false : this.#isNamed(plain)
  }

  /** A parameter in a URL. */
  isSecretInQuery(name: string): boolean {
    const plain = plainName(name)
    return this.#isShown(plain) ? false : this.#query.has(plain) || this.#isNamed(plain)
  }

  /** The kind of a field of a head, by its name in any case. */
  fieldKind(name: string): FieldKind {
    const known = this.#fieldsKnown.get(name)
    if (known !== undefined) return known
    const kind = this.#kindOf(name.toLowerCase())
    if (this.#fieldsKnown.size >= MAX_KNOWN) this.#fieldsKnown.clear()
    // A text of its own: one that was cut out of a larger one would keep that, with what is secret in it.
    if (name.length <= MAX_KNOWN_BYTES) this.#fieldsKnown.set(Buffer.from(name).toString(), kind)
    return kind
  }

  #kindOf(name: string): FieldKind {
    if (name === 'sec-websocket-protocol') return 'protocols'
    if (name.endsWith('authenticate')) return 'shown'
    const plain = plainName(name)
    if (this.#isShown(plain) || !(this.#fields.has(plain) || this.#isNamed(plain))) return 'open'
    return name === 'cookie' || name === 'set-cookie' ? name : 'secret'
  }

  #judgeText(text: string, place: NamePlace): Verdict {
    if (place === 'url') return this.isSecretInQuery(decoded(text)) ? 'secret' : 'open'
    const name = place === 'json' ? unescaped(text) : place === 'encoded' ? decoded(text) : text
    if (!this.isSecret(name)) return 'open'
    return plainName(name).endsWith('tokens') ? 'count' : 'secret'
  }

  #isShown(plain: string): boolean {
    return this.#shown.some(pattern => matches(pattern, plain))
  }

  #isNamed(plain: string): boolean {
    if (this.#whole.has(plain)) return true
    for (const part of this.#parts) if (plain.includes(part)) return true
    return this.#patterns.some(pattern => matches(pattern, plain))
  }
}

/** The pieces between the stars of a pattern. */
type Pattern = readonly string[]

const patternOf = (text: string): Pattern => text.split('*').map(plainName)

/** Does `name` begin with the first piece, end with the last, and have the others in between, in their order? */
function matches(pieces: Pattern, name: string): boolean {
  const [first = '', ...rest] = pieces
  if (rest.length === 0) return name === first
  const last = rest.pop() ?? ''
  if (name.length < first.length + last.length || !name.startsWith(first) || !name.endsWith(last)) return false
  let at = first.length
  for (const piece of rest) {
    const found = name.indexOf(piece, at)
    if (found < 0) return false
    at = found + piece.length
  }
  return at <= name.length - last.length
}

/** The name in lower case, with letters and digits alone. */
function plainName(name: string): string {
  let plain = ''
  const length = Math.min(name.length, MAX_NAME)
  for (let i = 0; i < length; i++) {
    const code = name.charCodeAt(i)
    if ((code >= 97 && code <= 122) || (code >= 48 && code <= 57) || code > 127) plain += name[i]!
    else if (code >= 65 && code <= 90) plain += String.fromCharCode(code + 32)
  }
  return plain
}

const textOf = (bytes: Uint8Array, from: number, to: number): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset + from, Math.min(to - from, MAX_NAME)).toString('utf8')

/** A name of a form or a query; as it is when its escapes are not valid. */
function decoded(name: string): string {
  if (!name.includes('%') && !name.includes('+')) return name
  try {
    return decodeURIComponent(name.replaceAll('+', ' '))
  } catch {
    return name
  }
}

function unescaped(name: string): string {
  if (!name.includes('\\')) return name
  return name.replace(/\\u([0-9a-f]{4})/gi, (_all, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)))
}
