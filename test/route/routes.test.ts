import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { createFixedAnswer, createRedirect, locationOf } from '../../src/route/fixed-answer.ts'
import { parsePrefix, PatternMap, PrefixMap } from '../../src/route/path-map.ts'
import { canonicalPath } from '../../src/route/path.ts'
import { RoutePath, Routes } from '../../src/route/routes.ts'
import { anyPath } from './arbitrary.ts'

const routesOf = (...texts: readonly string[]): Routes<{ readonly path: RoutePath }> =>
  new Routes(texts.map(text => ({ path: new RoutePath(text) })))

describe('Routes', () => {
  const routes = routesOf('/', '/v1', '/v1/users/', '/v1/users/me', '^/v1/[a-z]+', '^/v1/u.*', '/caf\u00e9')
  test.each([
    ['/', '/'],
    ['/x/y', '/'],
    ['/v1', '/v1'],
    ['/v1/', '/v1'],
    ['/v10', '/'],
    ['/v1/7', '/v1'],
    ['/v1/abc', '^/v1/[a-z]+'],
    ['/v1/users', '^/v1/[a-z]+'], // longer than ^/v1/u.*
    ['/v1/users/', '^/v1/u.*'],
    ['/caf%C3%A9/x', '/caf\u00e9'],
  ])('%s is for %s', (path, text) => {
    expect(routes.match(path)?.path.text).toBe(text)
  })

  test('a prefix with a slash at its end is for what is below it only', () => {
    const below = routesOf('/a/')
    expect([below.match('/a'), below.match('/a/')?.path.text, below.match('/a/b')?.path.text, below.match('/ab')]).toEqual([
      undefined,
      '/a/',
      '/a/',
      undefined,
    ])
  })

  test('both kinds of the same prefix stand beside each other', () => {
    const both = routesOf('/a', '/a/')
    expect([both.match('/a')?.path.text, both.match('/a/')?.path.text, both.match('/a/b')?.path.text]).toEqual(['/a', '/a/', '/a/'])
  })

  test('nothing matches where there is nothing', () => {
    expect(routesOf('/a', '^/b').match('/c')).toBeUndefined()
    expect(routesOf().match('/')).toBeUndefined()
  })

  test('the order never changes what matches', () => {
    const texts = ['/', '/a', '/a/', '/a/b', '^/a.*', '^/a/[bc]', '^/a/[cb]', '/b']
    fc.assert(
      fc.property(
        fc.subarray(texts),
        fc.array(fc.integer()),
        fc.constantFrom('/', '/a', '/a/', '/a/b', '/a/b/c', '/a/c', '/b', '/bb'),
        (some, keys, path) => {
          const shuffled = [...some].sort((x, y) => (keys[some.indexOf(x)] ?? 0) - (keys[some.indexOf(y)] ?? 0))
          expect(routesOf(...shuffled).match(path)?.path.text).toBe(routesOf(...some).match(path)?.path.text)
        },
      ),
    )
  })

  test('agrees with a slow, obvious search for the longest prefix', () => {
    const prefix = fc.array(fc.constantFrom('a', 'b', 'ab'), { maxLength: 3 }).map(parts => `/${parts.join('/')}`)
    const path = fc.array(fc.constantFrom('a', 'b', 'ab', ''), { maxLength: 4 }).map(parts => `/${parts.join('/')}`)
    fc.assert(
      fc.property(fc.uniqueArray(prefix, { maxLength: 8 }), path, (prefixes, asked) => {
        const covers = (each: string): boolean => asked === each || asked.startsWith(each === '/' ? '/' : `${each}/`)
        // A root that is written "/" covers everything.
        const wanted = prefixes.filter(covers).sort((x, y) => y.length - x.length)[0]
        expect(routesOf(...prefixes).match(asked)?.path.text).toBe(wanted)
      }),
    )
  })

  test('a path of thousands of slashes costs nothing', () => {
    const path = '/a'.repeat(4_000)
    for (let i = 0; i < 2_000; i++) expect(routesOf('/a/a').match(path)?.path.text).toBe('/a/a')
  })

  test.each(['', 'x', 'a/b', '/a?b', '/a#b', '/a%2fb', '/..;/', '^/(', `/${'x'.repeat(3_000)}`])('%.20j is no path of a route', text => {
    expect(() => new RoutePath(text)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }))
  })
})

describe('paths for the origin', () => {
  test('a prefix is exchanged by whole segments', () => {
    const map = new PrefixMap(parsePrefix('/app/'), parsePrefix('/in/side'))
    expect([map.map('/app'), map.map('/app/x'), map.map('/application')]).toEqual([
      { path: '/in/side', query: '', isMapped: true },
      { path: '/in/side/x', query: '', isMapped: true },
      { path: '/application', query: '', isMapped: false },
    ])
    expect(new PrefixMap(parsePrefix('/'), parsePrefix('/in')).map('/x').path).toBe('/in/x')
    expect(new PrefixMap(parsePrefix('/app'), '').map('/app').path).toBe('/')
  })

  test('a pattern has to match the whole path, and its groups go where "to" says', () => {
    const map = new PatternMap('^/u/([0-9]+)(/.*)?', '/users/$1$2')
    expect([map.map('/u/7').path, map.map('/u/7/x').path, map.map('/x/u/7').path]).toEqual(['/users/7', '/users/7/x', '/x/u/7'])
  })

  test('a result that is not canonical is refused: two harmless pieces may make a dot segment', () => {
    const map = new PatternMap('^/u(.*)', '/files/.$1')
    expect(() => map.map('/u/x')).toThrow(expect.objectContaining({ code: 'AMBIGUOUS_PATH' }))
    expect(() => map.map('/u./x')).toThrow(expect.objectContaining({ code: 'AMBIGUOUS_PATH' }))
    expect(() => new PatternMap('^/(.*)', '/a%$1').map('/2fx')).toThrow(expect.objectContaining({ code: 'AMBIGUOUS_PATH' }))
  })

  test('a result may have a query, to which the values of groups go as one value each', () => {
    const map = new PatternMap('^/enc/([^/]+)(/.*)?', '/view?ENC=$1&rest=$2')
    expect(map.map('/enc/a-b')).toEqual({ path: '/view', query: '?ENC=a-b&rest=', isMapped: false })
    expect(map.map('/enc/a-b/x', '?y=1').query).toBe('?ENC=a-b&rest=/x&y=1')
    expect(map.map('/enc/a&ENC=b;c+d%20e').query).toBe('?ENC=a%26ENC%3Db%3Bc%2Bd%20e&rest=')
    expect(map.map('/other', '?y=1')).toEqual({ path: '/other', query: '?y=1', isMapped: false })
    expect(new PatternMap('^/a', '/b?').map('/a', '?').query).toBe('?')
  })

  test('what can never become a path is refused at once', () => {
    for (const [to, reason] of [
      ['/a%2Fb/$1', /an encoded slash/],
      ['/a#b', /"#"/],
      ['/a b', /a space is %20/],
      ['/a/../$1', /it would have to be \/x/],
      ['/a//$1', /it would have to be \/a\/x/],
      ['/a\\$1', /a backslash/],
      ['/a%zz', /a percent sign/],
      ['/caf%c3%a9', /it would have to be \/caf%C3%A9/],
    ] as const)
      expect(() => new PatternMap('^/(.*)', to)).toThrow(reason)
    expect(new PatternMap('^/(.*)', '/caf\u00e9/$1').map('/x').path).toBe('/caf%C3%A9/x')
    expect(new PatternMap('^/(.*)', '/a%2Fb/$1', true).map('/c%2Fd').path).toBe('/a%2Fb/c%2Fd')
  })

  test('what comes out is canonical, whatever comes in', () => {
    const maps = [new PrefixMap('/a', '/b/c'), new PrefixMap('', '/b'), new PrefixMap('/a', ''), new PatternMap('^/(.*)', '/x/$1')]
    fc.assert(
      fc.property(anyPath, fc.constantFrom(...maps), (raw, map) => {
        const { path, ambiguous } = canonicalPath(raw, true)
        if (ambiguous !== undefined) return
        const mapped = map.map(path).path
        expect(canonicalPath(mapped, true)).toEqual({ path: mapped, ambiguous: undefined })
      }),
    )
  })

  test.each([
    ['/a', '/b', /starts with "\^"/],
    ['^/(', '/b', /not a valid regular expression/],
    ['^/a', 'b', /starts with "\/"/],
    ['^/a', '/$1', /the expression has 0 groups/],
  ])('pattern %s with %s is refused', (pattern, to, reason) => {
    expect(() => new PatternMap(pattern, to)).toThrow(reason)
  })
})

describe('answers without an origin', () => {
  test.each([
    ['<!DOCTYPE html><p>', 'text/html; charset=utf-8'],
    ['{"a":1}', 'application/json'],
    ['{not json', 'text/plain; charset=utf-8'],
    ['caf\u00e9', 'text/plain; charset=utf-8'],
  ])('%s is %s', (body, type) => {
    expect(createFixedAnswer({ status: 200, body }).fields).toEqual([
      'Content-Type',
      type,
      'Content-Length',
      String(Buffer.byteLength(body)),
    ])
  })

  test('a type that is given counts, and 204 and 304 have no body', () => {
    expect(createFixedAnswer({ status: 200, body: 'x', headers: { 'content-type': 'a/b' } }).fields).toEqual([
      'content-type',
      'a/b',
      'Content-Length',
      '1',
    ])
    expect(createFixedAnswer({ status: 304, body: 'x' })).toMatchObject({ fields: [], body: '' })
  })

  test('nothing that a client sends ends the field of a redirect', () => {
    const redirect = createRedirect('https://${host}${path}${query}', 302)
    const variables = { scheme: 'http', host: 'a.test', path: '/x', query: '?\r\nSet-Cookie: a\xe9 b${path}' }
    expect(locationOf(redirect, variables)).toBe('https://a.test/x?%0D%0ASet-Cookie:%20a%E9%20b${path}')
  })
})
