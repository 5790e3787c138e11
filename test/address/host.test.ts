import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { GatewayError } from '../../src/errors.ts'
import { parseHost, parseHostPattern, parseOriginHost } from '../../src/address/host.ts'
import { anyText } from '../support/any-text.ts'

const BAD_HOST = expect.objectContaining({ code: 'BAD_HOST' })

describe('parseHost', () => {
  test.each([
    ['example.com', 'example.com', undefined],
    ['EXAMPLE.com.', 'example.com', undefined],
    ['example.com:8443', 'example.com', 8443],
    ['Example.com.:80', 'example.com', 80],
    ['example.com:', 'example.com', undefined],
    ['my_service-1', 'my_service-1', undefined],
    ['127.0.0.1:3000', '127.0.0.1', 3000],
    ['[::1]:80', '[::1]', 80],
    ['[2001:DB8:0:0::1]', '[2001:db8::1]', undefined],
    ['[::ffff:1.2.3.4]', '[::ffff:102:304]', undefined],
    ['bücher.example', 'xn--bcher-kva.example', undefined],
    ['BÜCHER.example:1', 'xn--bcher-kva.example', 1],
    [Buffer.from('bücher.example').toString('latin1'), 'xn--bcher-kva.example', undefined],
    ['XN--bcher-kva.example', 'xn--bcher-kva.example', undefined],
    ['日本。example', 'xn--wgv71a.example', undefined],
  ])('%s is %s (T2)', (value, host, port) => {
    expect(parseHost(value)).toEqual({ host, port })
  })

  test.each([
    '',
    '.',
    ':80',
    'a, b',
    'a,b',
    'user@a',
    'user:pw@a',
    'a/b',
    'a?b',
    'a#b',
    'a\\b',
    'a b',
    ' a',
    'a\t',
    'ü\t',
    'ü\n.b',
    'a..b',
    'a..',
    '.a',
    'a:0',
    'a:65536',
    'a:x',
    'a:+80',
    'a:-1',
    'a:000080',
    'a:80:80',
    'a%2eb',
    'ü%2eb',
    '::1',
    '[::1',
    '::1]',
    '[]',
    '[::1]x',
    '[::1%eth0]',
    '[fe80::1%25eth0]',
    '[v1.x]',
    '[1.2.3.4]',
    '１２７.1',
    'a／b.ü',
    '*',
    `${'a'.repeat(64)}.example`,
    `${'a.'.repeat(127)}a`,
    'a\u0000b',
  ])('refuses %j (T1)', value => {
    expect(() => parseHost(value)).toThrow(BAD_HOST)
  })

  test('throws nothing but BAD_HOST, and its result is canonical', () => {
    const value = fc.oneof(
      anyText(),
      fc.domain(),
      fc.ipV6().map(ip => `[${ip}]`),
      fc.webAuthority({ withPort: true }),
    )
    fc.assert(
      fc.property(value, text => {
        try {
          const { host } = parseHost(text)
          expect(parseHost(host)).toEqual({ host, port: undefined })
        } catch (error) {
          expect(error).toBeInstanceOf(GatewayError)
          expect(error).toEqual(BAD_HOST)
        }
      }),
      { numRuns: 2000 },
    )
  })
})

describe('parseHostPattern', () => {
  test.each([
    ['*', '*'],
    ['*.Example.com.', '*.example.com'],
    ['*.bücher.example', '*.xn--bcher-kva.example'],
    ['[::0001]', '[::1]'],
  ])('%s is %s', (pattern, canonical) => {
    expect(parseHostPattern(pattern)).toBe(canonical)
  })

  test.each(['', '*.', '**', '*.*.x', 'a.*', '*x.y', 'a:80', 'a:', '*.[::1]', '*.0.0.1', 'http://a', 'a/b'])('refuses %j', pattern => {
    expect(() => parseHostPattern(pattern)).toThrow(BAD_HOST)
  })
})

describe('parseOriginHost', () => {
  test.each([
    ['::1', '::1'],
    ['[::1]', '::1'],
    ['My.Private.API', 'my.private.api'],
    ['10.0.0.1', '10.0.0.1'],
  ])('%s is %s', (value, host) => {
    expect(parseOriginHost(value)).toBe(host)
  })

  test.each([
    '',
    'http://a',
    'a/b',
    'a b',
    'a:80',
    '[::1]:80',
    '127.1',
    '0x7f.1',
    '2130706433',
    '010.0.0.1',
    '1.2.3.256',
    '1.2.3.4.5',
    'fe80::1%eth0',
  ])('refuses %j', value => {
    expect(() => parseOriginHost(value)).toThrow(BAD_HOST)
  })
})
