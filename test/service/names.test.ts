import { randomInt } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { ADJECTIVES } from '../../src/service/names/adjectives.ts'
import { faultOfLabel } from '../../src/service/names/label.ts'
import { NOUNS } from '../../src/service/names/nouns.ts'
import { RefusedWords } from '../../src/service/names/refused-words.ts'
import { SocketNames } from '../../src/service/names/socket-names.ts'
import { anyText } from '../support/any-text.ts'

const NONE = new RefusedWords()

describe('the words of names', () => {
  test('are ninety and more of each kind, plain, and none twice', () => {
    for (const words of [ADJECTIVES, NOUNS]) {
      expect(words.length).toBeGreaterThanOrEqual(90)
      for (const word of words) expect(word).toMatch(/^[a-z]{3,12}$/)
    }
    const all = [...ADJECTIVES, ...NOUNS]
    expect(all.filter((word, at) => all.indexOf(word) !== at)).toEqual([])
  })

  test('make labels that somebody could also have asked for, none of them refused', () => {
    const words = ADJECTIVES.flatMap(adjective => NOUNS.map(noun => `${adjective}-${noun}-7409`))
    expect(words.filter(label => faultOfLabel(label, NONE) !== undefined)).toEqual([])
  })
})

test('a name is adjective, noun and a number from 100 to 9999', () => {
  const names = new SocketNames(randomInt, NONE)
  for (let count = 0; count < 2_000; count++) {
    const [adjective, noun, number, ...more] = names.next().split('-')
    expect(ADJECTIVES).toContain(adjective)
    expect(NOUNS).toContain(noun)
    expect(number).toMatch(/^[1-9]\d{2,3}$/)
    expect(more).toEqual([])
  }
  expect(new SocketNames(() => 0, NONE).next()).toMatch(/-100$/)
  expect(new SocketNames(end => end - 1, NONE).next()).toMatch(/-9999$/)
})

test('no name has a word in it that the operator refuses', () => {
  const refused = new RefusedWords(['fox', 'Silent'])
  const names = new SocketNames(randomInt, refused)
  for (let count = 0; count < 3_000; count++) expect(names.next()).not.toMatch(/fox|silent/)
})

describe('a label of one’s own', () => {
  test.each(['my-app', 'abc', '123', 'a'.repeat(40), 'staging-7', 'Shop'])('%s is taken', label => {
    expect(faultOfLabel(label, NONE)).toBeUndefined()
  })

  test.each([
    ['ab', /3 to 40/],
    ['', /3 to 40/],
    ['a'.repeat(41), /3 to 40/],
    ['-abc', /beginning and ending/],
    ['abc-', /beginning and ending/],
    ['a_b', /letters, digits and hyphens/],
    ['_acme-challenge', /letters, digits and hyphens/],
    ['a.b', /letters, digits and hyphens/],
    ['müller', /letters, digits and hyphens/],
    ['abc\n', /letters, digits and hyphens/],
    ['xn--mller-kva', /reserved/],
    ['ab--cd', /reserved/],
    ['wpad', /reserved/],
    ['WPAD', /reserved/],
    ['api', /reserved/],
    ['auth', /reserved/],
    ['www', /reserved/],
    ['portal', /reserved/],
    ['ssh', /reserved/],
    ['link', /reserved/],
    ['download', /reserved/],
    ['admin', /reserved/],
    ['mail', /reserved/],
    ['smtp', /reserved/],
    ['autoconfig', /reserved/],
    ['isatap', /reserved/],
    ['localhost', /reserved/],
    ['autodiscover', /reserved/],
    ['mta-sts', /reserved/],
    ['ns1', /reserved/],
    ['ns123', /reserved/],
    ['my-login', /"login"/],
    ['l0gin-page', /"login"/],
    ['log-in', /"login"/],
    ['1ogin', /"login"/],
    ['s1gnin', /"signin"/],
    ['verify-me', /"verify"/],
    ['acc0unts', /"account"/],
  ])('%j is refused', (label, why) => {
    expect(faultOfLabel(label, NONE)).toMatch(why)
  })

  test('is refused for a brand of the operator, also where hyphens and digits hide it', () => {
    const refused = new RefusedWords(['PayPal', 'bank'])
    for (const label of ['paypal', 'pay-pal', 'p4ypa1', 'my-bank-7', 'xpaypalx']) expect(faultOfLabel(label, refused)).toMatch(/refused/)
    expect(faultOfLabel('river-shore', refused)).toBeUndefined()
  })

  test('never throws, and what is taken is one DNS label', () => {
    fc.assert(
      fc.property(fc.oneof(anyText({ maxLength: 50 }), fc.stringMatching(/^[a-z0-9-]{1,42}$/)), label => {
        if (faultOfLabel(label, NONE) === undefined) expect(label.toLowerCase()).toMatch(/^[a-z0-9][a-z0-9-]{1,38}[a-z0-9]$/)
      }),
    )
  })
})
