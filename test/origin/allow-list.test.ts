import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { AllowList } from '../../src/origin/allow-list.ts'

type Verdict = ReturnType<AllowList['check']>

describe('without entries', () => {
  const list = new AllowList([])

  test('every ordinary host is allowed, names by their addresses', () => {
    expect(list.open).toBe(true)
    const cases: [string, Verdict][] = [
      ['127.0.0.1', 'yes'],
      ['10.1.2.3', 'yes'],
      ['::1', 'yes'],
      ['[::1]', 'yes'],
      ['2001:db8::1', 'yes'],
      ['localhost', 'by-address'],
      ['my.private.api', 'by-address'],
      ['My_Api.Example.', 'by-address'],
    ]
    for (const [host, verdict] of cases) expect([host, list.check(host, 80)]).toEqual([host, verdict])
    expect(list.checkAddress('my.private.api', '10.1.2.3', 443)).toBe(true)
    expect(list.checkAddress('my.private.api', '2001:db8::1', 443)).toBe(true)
  })

  const guarded = [
    '169.254.169.254',
    '169.254.0.1',
    '169.254.170.2',
    '::ffff:169.254.169.254',
    '::ffff:a9fe:a9fe',
    '0:0:0:0:0:ffff:a9fe:a9fe',
    '::169.254.169.254',
    '64:ff9b::a9fe:a9fe',
    '2002:a9fe:a9fe::1',
    'fe80::1',
    'fe80::1%eth0',
    'febf:ffff::1',
    'fd00:ec2::254',
    'fd20:ce::254',
    'fd00:42::42',
    '100.100.100.200',
    '168.63.129.16',
    '192.0.0.192',
  ]
  test.each(guarded)('%s is refused, as an address and as what a name resolves to', address => {
    expect(list.check(address, 80)).toBe('no')
    expect(list.check(`[${address}]`, 80)).toBe('no')
    expect(list.checkAddress('innocent.example', address, 80)).toBe(false)
  })

  test.each(['metadata.google.internal', 'METADATA.google.internal.', 'metadata', 'instance-data'])('the name %s is refused', name => {
    expect(list.check(name, 80)).toBe('no')
  })

  test.each([
    '0x7f.1',
    '0x7f000001',
    '2130706433',
    '127.1',
    '0177.0.0.1',
    '127.0.0.1.0x1',
    '169.254.43518',
    '0xa9fea9fe',
    '1.2.3.256',
    '01.2.3.4',
  ])('the spelling %s of an address is refused', spelling => {
    expect(list.check(spelling, 80)).toBe('no')
    expect(list.checkAddress('a.example', spelling, 80)).toBe(false)
  })

  test.each(['', '.', 'a..b', '-a', 'a b', 'a/b', 'a:80', 'a@b', 'a%2eb', 'a\nb', 'a\0', '[a]', '[::1', '::g', 'x'.repeat(254)])(
    '%j is refused as a host',
    host => expect(list.check(host, 80)).toBe('no'),
  )
})

describe('with entries', () => {
  const list = new AllowList([
    'api.internal:8080',
    '*.svc.internal:80',
    'db-*:5432',
    '10.0.0.0/8:443',
    '[2001:db8::1]:81',
    '[fd00::/8]:7000-7099',
    '192.168.1.1:9000-9001',
  ])

  test('only what they name is allowed', () => {
    const cases: [string, number, Verdict][] = [
      ['api.internal', 8080, 'by-address'],
      ['API.Internal.', 8080, 'by-address'],
      ['api.internal', 80, 'no'],
      ['xapi.internal', 8080, 'no'],
      ['apixinternal', 8080, 'no'],
      ['a.svc.internal', 80, 'by-address'],
      ['a.b.svc.internal', 80, 'no'],
      ['svc.internal', 80, 'no'],
      ['db-1', 5432, 'by-address'],
      ['db-1.evil.example', 5432, 'no'],
      ['10.1.2.3', 443, 'yes'],
      ['11.1.2.3', 443, 'no'],
      ['::ffff:10.1.2.3', 443, 'yes'],
      ['any.example', 443, 'by-address'],
      ['any.example', 444, 'no'],
      ['2001:db8:0::1', 81, 'yes'],
      ['2001:db8::2', 81, 'no'],
      ['fd12::1', 7000, 'yes'],
      ['fd12::1', 7099, 'yes'],
      ['fd12::1', 7100, 'no'],
      ['192.168.1.1', 9000, 'yes'],
      ['192.168.1.1', 9001, 'yes'],
      ['192.168.1.1', 9002, 'no'],
    ]
    for (const [host, port, verdict] of cases) expect([host, port, list.check(host, port)]).toEqual([host, port, verdict])
    expect(list.open).toBe(false)
  })

  test('a name that no entry has is allowed at the addresses of a range, and nowhere else', () => {
    expect(list.checkAddress('any.example', '10.1.2.3', 443)).toBe(true)
    expect(list.checkAddress('any.example', '12.1.2.3', 443)).toBe(false)
    expect(list.checkAddress('any.example', '10.1.2.3', 80)).toBe(false)
  })

  test('a named host is allowed wherever it resolves to, but not at a guarded address', () => {
    expect(list.checkAddress('api.internal', '203.0.113.9', 8080)).toBe(true)
    expect(list.checkAddress('api.internal', '169.254.169.254', 8080)).toBe(false)
    expect(list.checkAddress('api.internal', '::ffff:169.254.169.254', 8080)).toBe(false)
  })

  test('a guarded address needs an entry of its own: neither * nor a range around it opens it', () => {
    for (const entry of ['*:*', '0.0.0.0/0:*', '168.0.0.0/6:*', '[::/0]:*']) {
      const wide = new AllowList([entry])
      for (const address of ['169.254.169.254', '::ffff:169.254.169.254', 'fe80::1', '64:ff9b::a9fe:a9fe'])
        expect(wide.check(address, 80)).toBe('no')
    }
    expect(new AllowList(['169.254.169.254:80']).check('169.254.169.254', 80)).toBe('yes')
    expect(new AllowList(['169.254.0.0/16:80']).check('169.254.1.1', 80)).toBe('yes')
    expect(new AllowList(['[fe80::/10]:80']).check('fe80::1', 80)).toBe('yes')
    expect(new AllowList(['*:80']).check('metadata.google.internal', 80)).toBe('no')
    expect(new AllowList(['metadata.google.internal:80']).check('metadata.google.internal', 80)).toBe('by-address')
  })

  test('* alone is every host, also one that is an address', () => {
    const every = new AllowList(['*:80'])
    expect(every.check('a.b.c', 80)).toBe('by-address')
    expect(every.checkAddress('a.b.c', '203.0.113.9', 80)).toBe(true)
    expect(every.check('203.0.113.9', 80)).toBe('yes')
    expect(every.check('2001:db8::1', 80)).toBe('yes')
    expect(every.check('203.0.113.9', 81)).toBe('no')
    expect(every.checkAddress('203.0.113.9', '203.0.113.9', 80)).toBe(true)
  })

  test('international names are compared as A-labels', () => {
    const list = new AllowList(['büro.example:80'])
    expect(list.check('xn--bro-hoa.example', 80)).toBe('by-address')
    expect(list.check('BÜRO.example', 80)).toBe('by-address')
  })
})

describe('an entry', () => {
  const bad: [string, RegExp][] = [
    ['', /no port/],
    ['api.internal', /no port/],
    ['api.internal:', /"" is no port/],
    ['api.internal:http', /"http" is no port/],
    ['api.internal:65536', /"65536" is no port/],
    ['api.internal:90-80', /"90-80" is no port/],
    ['api.internal:-1', /"-1" is no port/],
    [':80', /no port/],
    ['::1:80', /in brackets/],
    ['[::g]:80', /"::g" is no IPv6 address/],
    ['[a]:80', /"a" is no IPv6 address/],
    ['10.0.0.0/33:80', /no range/],
    ['10.0.0.0/:80', /no range/],
    ['10.1.2.3/8:80', /did you mean 10\.0\.0\.0\/8/],
    ['0x7f.1/32:80', /no range/],
    ['[fd12::1/8]:80', /did you mean fd00::\/8/],
    ['[::ffff:10.0.0.0/104]:80', /as an IPv4 range/],
    ['0x7f.1:80', /unusual spelling/],
    ['127.1:80', /unusual spelling/],
    ['http://api:80', /it is a URL, give api:80 instead/],
    ['a b:80', /no host name/],
    ['a..b:80', /no host name/],
  ]
  test.each(bad)('%j is refused with what was expected', (entry, why) => {
    expect(() => new AllowList([entry])).toThrow(expect.objectContaining({ code: 'USAGE', message: expect.stringMatching(why) }))
    expect(() => new AllowList([entry])).toThrow(/expected HOST:PORT/)
  })

  test('may be an IPv6 range in any of its spellings', () => {
    for (const entry of ['[fd00::/8]:80', '[fd00::]/8:80', 'fd00::/8:80']) expect(new AllowList([entry]).check('fd12::1', 80)).toBe('yes')
  })
})

test('no host whatsoever makes the list throw or give a guarded address away', () => {
  const lists = [new AllowList([]), new AllowList(['*:*', '0.0.0.0/0:*', '[::/0]:*'])]
  const v4 = fc.ipV4().map(address => address.replace(/^\d+\.\d+/, '169.254'))
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.domain(), fc.ipV4(), fc.ipV4Extended(), fc.ipV6(), v4), fc.nat(65535), (host, port) => {
      for (const list of lists) {
        expect(['yes', 'no', 'by-address']).toContain(list.check(host, port))
        if (/^(::ffff:)?169\.254\.\d+\.\d+$/.test(host)) expect(list.check(host, port)).toBe('no')
      }
    }),
    { numRuns: 500 },
  )
})
