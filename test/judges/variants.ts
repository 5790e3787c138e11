/** Spellings of paths: what attackers try in order to be read in one way by the gateway and in another by the origin. */
import type { Chance } from '../support/random.ts'

/** Where the origins have what nobody may get, and what anybody may get. */
export const SECRET = '/secret/data.txt'
export const PUBLIC = '/pub/a.txt'

const SLASHES = [
  '//',
  '///',
  '/./',
  '/%2e/',
  '/;/',
  '/;x=1/',
  '%2f',
  '%2F',
  '\\',
  '%5c',
  '%5C',
  '/%00/',
  '/x/../',
  '/x/%2e%2e/',
  '%252f',
  '/.;/',
  '/%20/',
  '%c0%af',
]
const UPS = [
  '..',
  '%2e%2e',
  '%2E.',
  '.%2e',
  '..;',
  '..;x',
  '%2e%2e;',
  '%252e%252e',
  '%c0%ae%c0%ae',
  '%uff0e%uff0e',
  '..%00',
  '..%3b',
  '. .',
  '...',
  '..%20',
  '..%09',
  '.%00.',
]
const ENDS = [
  '',
  '/',
  '.',
  '/.',
  '/..',
  ';',
  ';x=1',
  ';/',
  '%00',
  '%00.txt',
  '%20',
  '%09',
  '%0a',
  '%0d%0aX: 1',
  '?',
  '?x=/pub/a',
  '#',
  '#/pub/',
  '%23',
  '%3f',
  '~',
  '.bak',
  '::$DATA',
  '/index.html',
  '/a.txt',
  '%2e',
  '\\',
  '\xff',
  '%ff',
  '/;x',
]
const PIECES = [
  '/',
  '//',
  '.',
  '..',
  'pub',
  'secret',
  'a.txt',
  'data.txt',
  ';',
  ';x',
  '%2e',
  '%2f',
  '%5c',
  '\\',
  '%25',
  '%00',
  'SECRET',
  'Pub',
  '%',
  '%41',
  '~',
  '*',
  ':',
  '@',
  '&',
  '\xe9',
  '%c3%a9',
  '?',
  '#',
  '%3b',
  '%c0%af',
  'index.html',
  '$',
  '%u002f',
]
/** Two texts in the place of one character that Unicode or a file system might fold onto it. */
const FOLDED: Readonly<Record<string, readonly string[]>> = {
  s: ['%c5%bf', '\u017f'.normalize()],
  e: ['%ef%bd%85', '%65', '%45'],
  c: ['%63', '%43'],
  t: ['%74', '%54'],
  r: ['%72'],
}

const hexOf = (character: string): string => `%${character.charCodeAt(0).toString(16).padStart(2, '0')}`

/** One character of a path spelt in another way. */
const respelt = (chance: Chance, character: string): string => {
  switch (chance.below(7)) {
    case 0:
      return hexOf(character)
    case 1:
      return hexOf(character).toUpperCase()
    case 2:
      return `%25${hexOf(character).slice(1)}`
    case 3:
      return character === character.toUpperCase() ? character.toLowerCase() : character.toUpperCase()
    case 4:
      return chance.one(FOLDED[character] ?? [hexOf(character)])
    case 5:
      return `${character}${chance.one(['\\', '%00', '%0a', ';', '%20'])}`
    default:
      // The same byte with more bytes than it needs (overlong UTF-8).
      return `%c${((character.charCodeAt(0) >> 6) & 3).toString(16)}%${((character.charCodeAt(0) & 0x3f) | 0x80).toString(16)}`
  }
}

const mutate = (chance: Chance, path: string): string => {
  const slashes = [...path.matchAll(/\//g)].map(({ index }) => index)
  switch (chance.below(5)) {
    case 0: {
      const at = chance.one(slashes.length === 0 ? [0] : slashes)
      return path.slice(0, at) + chance.one(SLASHES) + path.slice(at + 1)
    }
    case 1: {
      const at = chance.below(path.length)
      return path.slice(0, at) + respelt(chance, path[at]!) + path.slice(at + 1)
    }
    case 2: {
      const at = chance.below(path.length + 1)
      return path.slice(0, at) + chance.one(PIECES) + path.slice(at)
    }
    case 3:
      return path + chance.one(ENDS)
    default:
      return path.replace('..', chance.one(UPS))
  }
}

const skeleton = (chance: Chance, open: string): string => {
  switch (chance.below(9)) {
    case 0:
    case 1:
      return SECRET
    case 6:
    case 7:
      return `${open}/${chance.one(['a.txt', 'deep/b.txt', '', 'deep/', 'deep'])}`
    case 8:
      return `${open}/x${SECRET}`
    case 2:
      return `${open}/../secret/data.txt`
    case 3:
      return `${open}/deep/../../secret/`
    case 4:
      return chance.one([
        '/secret',
        '/secret/',
        '/secret/deep/x.txt',
        '/secret/index.html',
        `${open}/%2e%2e/secret/data.txt`,
        `${open}..${SECRET}`,
        `${open}/..;${SECRET}`,
      ])
    default:
      return `/${Array.from({ length: chance.between(1, 8) }, () => chance.one(PIECES)).join('')}`
  }
}

/**
 * Request targets in latin-1, in the form of a path or, now and then, absolute; the same for the same seed.
 * @param open  the path below which everything is allowed
 */
export function* variants(chance: Chance, count: number, open: string, host: string): Generator<string> {
  for (let n = 0; n < count; n++) {
    let path = skeleton(chance, open)
    for (let times = chance.below(4); times > 0; times--) path = mutate(chance, path)
    if (chance.rarely(25))
      path = `${chance.one(['http://', 'https://', 'HTTP://'])}${chance.one([host, host, 'other.test', `user@${host}`])}${path}`
    yield path
  }
}
