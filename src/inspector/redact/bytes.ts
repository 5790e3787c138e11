/** Bytes and where they stand, for readers that look at each once. */

export const QUOTE = 0x22
export const APOSTROPHE = 0x27
export const BACKTICK = 0x60
export const BACKSLASH = 0x5c
export const COLON = 0x3a
export const COMMA = 0x2c
export const EQUALS = 0x3d
export const AMPERSAND = 0x26
export const SEMICOLON = 0x3b
export const HASH = 0x23
export const QUESTION = 0x3f
export const PERCENT = 0x25
export const SLASH = 0x2f
export const AT = 0x40
export const LESS = 0x3c
export const GREATER = 0x3e
export const SPACE = 0x20
export const TAB = 0x09
export const NEWLINE = 0x0a
export const RETURN = 0x0d
export const LETTER_U = 0x75

/** A set of bytes. */
export type ByteSet = Readonly<Uint8Array>

/** The set of these characters, and of those between the ends of each range. */
export function byteSet(characters: string, ranges: readonly (readonly [number, number])[] = []): ByteSet {
  const set = new Uint8Array(256)
  for (const character of characters) set[character.charCodeAt(0)] = 1
  for (const [from, to] of ranges) set.fill(1, from, to + 1)
  return set
}

/** Characters of names, of their escapes in URLs, and of names with an index. */
export const NAME_BYTES = byteSet('_-.%~$[]', [
  [0x30, 0x39],
  [0x41, 0x5a],
  [0x61, 0x7a],
  [0x80, 0xff],
])

const hex = (byte: number | undefined): number => {
  if (byte === undefined) return -1
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30
  const lower = byte | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1
}

/** The byte that the escape `%XX` at `at` stands for; -1: there is none. */
export const percentAt = (bytes: Uint8Array, at: number): number => {
  const [high, low] = [hex(bytes[at + 1]), hex(bytes[at + 2])]
  return high < 0 || low < 0 ? -1 : high * 16 + low
}

/** The character of a `\u` escape at `at`, with its four digits; -1: there is none. */
export const unicodeAt = (bytes: Uint8Array, at: number): number => {
  let code = 0
  for (let i = at + 2; i < at + 6; i++) {
    const digit = hex(bytes[i])
    if (digit < 0) return -1
    code = code * 16 + digit
  }
  return code
}
