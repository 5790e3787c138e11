import fc, { type StringConstraints } from 'fast-check'

const SURROGATES_FROM = 0xd800
const SURROGATES = 0x800
const LAST = 0x10ffff

/** Any character but a half of a surrogate pair. */
const character = fc.integer({ min: 0, max: LAST - SURROGATES }).map(
  index => String.fromCodePoint(index < SURROGATES_FROM ? index : index + SURROGATES),
  text => {
    if (typeof text !== 'string') throw new Error('no character')
    const point = text.codePointAt(0)!
    if (text !== String.fromCodePoint(point) || (point >= SURROGATES_FROM && point < SURROGATES_FROM + SURROGATES))
      throw new Error('no character')
    return point < SURROGATES_FROM ? point : point - SURROGATES
  },
)

/**
 * Any text: what `fc.string({ unit: 'binary' })` gives. That one makes a table of the million characters at its first use, which takes a second, and
 * keeps it: each full collection of garbage of every test after it would go through a hundred megabytes more.
 */
export const anyText = (constraints: Omit<StringConstraints, 'unit'> = {}): fc.Arbitrary<string> =>
  fc.string({ ...constraints, unit: character })
