import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { emailKey, faultOfName, faultOfPassword, parseEmail, parseMailDomain } from '../../src/service/input/texts.ts'
import { anyText } from '../support/any-text.ts'

describe('an address', () => {
  test.each([
    ['ada@example.com', 'ada@example.com'],
    ['Ada.Lovelace+gateway@Mail.Example.COM', 'Ada.Lovelace+gateway@mail.example.com'],
    ["o'brien@example.com", "o'brien@example.com"],
    ['demo@localhost', 'demo@localhost'],
    ['jürgen@bücher.example', 'jürgen@xn--bcher-kva.example'],
    ['ju\u0308rgen@example.com', 'jürgen@example.com'],
  ])('%s is taken', (text, expected) => {
    expect(parseEmail(text)).toBe(expected)
  })

  test.each([
    '',
    'ada',
    '@example.com',
    'ada@',
    'ada@@example.com',
    'ada lovelace@example.com',
    '"ada"@example.com',
    'ada@example.com\r\nBcc: all@example.com',
    'ada\0@example.com',
    'ada@exa%2emple.com',
    'ada@[192.0.2.1]',
    'ada@192.0.2.1',
    'ada@example..com',
    'ada@-example.com',
    'ada@example.com.',
    '.ada@example.com',
    'a..b@example.com',
    'Ada <ada@example.com>',
    'ada@example.com,bob@example.com',
    `${'a'.repeat(65)}@example.com`,
    `ada@${'a'.repeat(250)}.com`,
    undefined,
    null,
    7,
    {},
  ])('%j is refused', text => {
    expect(parseEmail(text)).toBeUndefined()
  })

  test('is the same account however it is written', () => {
    expect(emailKey(parseEmail('ADA@Example.com')!)).toBe(emailKey(parseEmail('ada@example.COM')!))
    expect(emailKey(parseEmail('JÜRGEN@example.com')!)).toBe(emailKey(parseEmail('ju\u0308rgen@example.com')!))
  })

  test('never throws; what comes out has one spelling, and nothing in it that a mail header, a log line or a table could break on', () => {
    const near = fc.tuple(anyText({ maxLength: 12 }), anyText({ maxLength: 12 })).map(parts => parts.join('@'))
    fc.assert(
      fc.property(fc.oneof(near, fc.emailAddress()), text => {
        const email = parseEmail(text)
        if (email === undefined) return
        expect(email).not.toMatch(/[\p{C}\p{Z}<>,;:"()[\]\\]/u)
        expect(parseEmail(email)).toBe(email)
      }),
    )
  })
})

test('a domain of visitors is one name', () => {
  expect(parseMailDomain('Example.COM')).toBe('example.com')
  for (const text of ['', '*.example.com', 'example.com/', '@example.com', 'exa mple.com', '1.2.3.4', 'a\tb.com', '..', null])
    expect(parseMailDomain(text)).toBeUndefined()
})

describe('a label for people', () => {
  test.each(['my test service', 'k8s default.web', 'Kasse für Köln', '日本語', 'a/b <c> & "d"'])('%s is taken', name => {
    expect(faultOfName(name)).toBeUndefined()
  })

  test.each(['', '  ', 'a\nb', 'a\u001b[31mb', 'a\0b', 'a\u202eb', 'a\u2028b', 'a\u200bb', 'x'.repeat(201), 7, null, undefined, ['a']])(
    '%j is refused',
    name => {
      expect(faultOfName(name)).toEqual(expect.any(String))
    },
  )
})

test('a password is long enough, not endless, and not the name or the address', () => {
  expect(faultOfPassword('correct horse')).toBeUndefined()
  expect(faultOfPassword('1234567')).toMatch(/at least 8/)
  expect(faultOfPassword('x'.repeat(257))).toMatch(/at most 256/)
  expect(faultOfPassword('aaaaaaaaaaaa')).toMatch(/over and over/)
  expect(faultOfPassword('Ada@example.com', 'ada@example.com')).toMatch(/something else/)
  expect(faultOfPassword(12345678)).toMatch(/text/)
})
