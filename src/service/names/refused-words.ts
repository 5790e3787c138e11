/** Words that phishing puts into names; the operator adds brands. */
const ALWAYS: readonly string[] = Object.freeze([
  'login',
  'signin',
  'secure',
  'account',
  'verify',
  'password',
  'passwort',
  'wallet',
  'webmail',
])

/** Digits that are read as letters. `1` is read as both of its. */
const READ_AS: ReadonlyMap<string, string> = new Map([
  ['0', 'o'],
  ['3', 'e'],
  ['4', 'a'],
  ['5', 's'],
  ['7', 't'],
])

const asRead = (text: string, one: string): string =>
  text.replaceAll('-', '').replace(/[013457]/g, digit => (digit === '1' ? one : (READ_AS.get(digit) ?? digit)))

/** Words that no name may have in it, also when hyphens or digits hide them. */
export class RefusedWords {
  readonly #words: readonly string[]

  /** @param words  of the operator, such as brands */
  constructor(words: readonly string[] = []) {
    this.#words = [...ALWAYS, ...words.map(word => word.toLowerCase().replaceAll('-', '')).filter(word => word !== '')]
  }

  /** Returns the first refused word in `label`, which is in lower case; undefined when there is none. */
  find(label: string): string | undefined {
    const texts = [label.replaceAll('-', ''), asRead(label, 'l'), asRead(label, 'i')]
    return this.#words.find(word => texts.some(text => text.includes(word)))
  }
}
