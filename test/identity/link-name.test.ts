import { describe, expect, test } from '@jest/globals'
import { isDialledAs, parseLinkName } from '../../src/identity/link-name.ts'

describe('a name of an outer layer', () => {
  test.each([
    ['link.example.com', 'link.example.com'],
    ['LINK.example.com.', 'link.example.com'],
    ['link.example.com:443', 'link.example.com:443'],
    ['link.example.com:80', 'link.example.com:80'],
    ['b\u00fccher.example:0443', 'xn--bcher-kva.example:443'],
    ['10.0.0.1:3001', '10.0.0.1:3001'],
    ['[2001:DB8::0:1]:3001', '[2001:db8::1]:3001'],
  ])('%s is kept as %s', (text, name) => {
    expect(parseLinkName(text)).toBe(name)
  })

  test.each([
    '',
    ':443',
    'wss://link.example.com',
    'a/b',
    'a b',
    'a@b',
    'a?b',
    'a#b',
    'a:',
    'a:0',
    'a:65536',
    'a:x',
    '2001:db8::1',
    '[::1',
    '[x]',
  ])('%j is none', text => {
    expect(parseLinkName(text)).toBeUndefined()
  })

  test('without a port stands for the port of the scheme, with one for that port', () => {
    expect(isDialledAs('wss://a.example', ['a.example'])).toBe(true)
    expect(isDialledAs('wss://a.example', ['a.example:443'])).toBe(true)
    expect(isDialledAs('ws://a.example:443', ['a.example:443'])).toBe(true)
    expect(isDialledAs('ws://a.example', ['a.example:443'])).toBe(false)
    expect(isDialledAs('wss://a.example:8443', ['a.example'])).toBe(false)
    expect(isDialledAs('wss://a.example.evil', ['a.example'])).toBe(false)
    expect(isDialledAs('ftp://a.example', ['a.example'])).toBe(false)
    expect(isDialledAs('a.example', ['a.example'])).toBe(false)
  })
})
