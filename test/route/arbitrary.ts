import fc from 'fast-check'

const piece = fc.oneof(
  fc.constantFrom(
    '/',
    '//',
    '.',
    '..',
    '%2e',
    '%2E.',
    ';',
    '..;',
    '%2f',
    '%5c',
    '\\',
    '%',
    '%25',
    '%252e',
    '%41',
    '%7E',
    '%c3%a9',
    '%c0%ae',
    '%00',
  ),
  fc.constantFrom('a', 'pub', 'secret', 'v1', '[', '{', '"', '|', '~', ':', '@', '\u00e9', '%3b'),
  fc.string({ maxLength: 3 }).map(text => text.replace(/[?#\s]/g, '')),
)

/** Paths made of what attackers play with, with a slash at the start. */
export const anyPath: fc.Arbitrary<string> = fc.array(piece, { maxLength: 12 }).map(pieces => `/${pieces.join('')}`)
