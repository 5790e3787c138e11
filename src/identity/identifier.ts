/** Longest identifier of an inner layer, in UTF-16 code units. */
export const MAX_IDENTIFIER_LENGTH = 255

// \p{C}: control, format (bidi, zero width), surrogate, private use, unassigned; \p{Zl}\p{Zp}: line and paragraph separators.
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/u

/**
 * May `value` name an inner layer: a string of 1 to 255 printable characters, no space at either end.
 * Identifiers are compared exactly, so what cannot be seen must not be in them.
 */
export const isIdentifier = (value: unknown): value is string =>
  typeof value === 'string' &&
  value.length >= 1 &&
  value.length <= MAX_IDENTIFIER_LENGTH &&
  !UNPRINTABLE.test(value) &&
  value.trim() === value
