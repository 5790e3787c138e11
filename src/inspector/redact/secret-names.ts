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
const MAX_KNOWN_NAME = 40

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
  readonly #known = new Map<string, boolean>()

  constructor({ more = [], shown = [] }: SecretNameOptions = {}) {
    this.#whole = new Set(WHOLE)
    this.#query = new Set(IN_QUERY)
    this.#fields = new Set(FIELDS)
    this.#parts = PARTS
    this.#patterns = more.map(patternOf)
    this.#shown = shown.map(patternOf)
  }

  /** A key of JSON, of a form, of XML. */
  isSecret(name: string): boolean {
    const known = this.#known.get(name)
    if (known !== undefined) return known
    const plain = plainName(name)
    const isSecret = this.#isShown(plain) ? false : this.#isNamed(plain)
    if (name.length <= MAX_KNOWN_NAME) {
      if (this.#known.size >= MAX_KNOWN) this.#known.clear()
      // A text of its own: one that was cut out of a tag would keep the tag, with what is secret in it.
      this.#known.set(Buffer.from(name).toString(), isSecret)
    }
    return isSecret
  }

  /** A parameter in a URL. */
  isSecretInQuery(name: string): boolean {
    const plain = plainName(name)
    return this.#isShown(plain) ? false : this.#query.has(plain) || this.#isNamed(plain)
  }

  /** A field of a head. */
  isSecretField(name: string): boolean {
    const plain = plainName(name)
    return this.#isShown(plain) ? false : this.#fields.has(plain) || this.#isNamed(plain)
  }

  /** Numbers under names like `max_tokens` are counts. */
  isCount(name: string): boolean {
    return plainName(name).endsWith('tokens')
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
