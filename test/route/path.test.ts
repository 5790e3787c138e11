import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { canonicalPath, otherReadings, parseRequestTarget } from '../../src/route/path.ts'
import { anyPath } from './arbitrary.ts'

describe('parseRequestTarget', () => {
  test.each([
    ['/', '/', ''],
    ['/a?b=c?d', '/a', '?b=c?d'],
    ['/a?', '/a', '?'],
    ['//open.test/forbidden', '//open.test/forbidden', ''],
    ['/a?u=http://x/%2f', '/a', '?u=http://x/%2f'],
    ['/a?x=\u00c3\u00a0', '/a', '?x=\u00c3\u00a0'],
  ])('%s is a path and a query', (target, path, query) => {
    expect(parseRequestTarget(target)).toEqual({ path, query })
  })

  test.each(['', '*', 'a', 'http://a/', '?x', '#', '/pub/#/../forbidden', '/a?b#c', '/a b', '/a?b c', '/a\u0000', '/a\n', '/a\u007f'])(
    'refuses %j (W5, N7)',
    target => {
      expect(() => parseRequestTarget(target)).toThrow(expect.objectContaining({ code: 'BAD_TARGET' }))
    },
  )
})

describe('canonicalPath', () => {
  test.each([
    ['/', '/'],
    ['/a/b/', '/a/b/'],
    ['/pub/../secret', '/secret'],
    ['/pub/%2e%2e/secret', '/secret'],
    ['/pub/.%2e/secret', '/secret'],
    ['/pub/%2E./secret', '/secret'],
    ['/../../secret', '/secret'],
    ['/a/./b', '/a/b'],
    ['/a/.', '/a/'],
    ['/a/..', '/'],
    ['/..', '/'],
    ['/.', '/'],
    ['/a/...', '/a/...'],
    ['/.well-known/x', '/.well-known/x'],
    ['/a;v=1/b;', '/a;v=1/b;'],
    ['/%61%7e%2D', '/a~-'],
    ['/caf%c3%a9', '/caf%C3%A9'],
    ['/a%3bb%3f%23', '/a%3Bb%3F%23'],
    ['/%252e%252e/x', '/%252e%252e/x'],
    ['/a"<>^`{}|[]b', '/a%22%3C%3E%5E%60%7B%7D%7C%5B%5Db'],
  ])('%s is %s whatever happens to slashes (N1, N5, N8)', (raw, path) => {
    expect(canonicalPath(raw, true)).toEqual({ path, ambiguous: undefined })
    expect(canonicalPath(raw, false)).toEqual({ path, ambiguous: undefined })
  })

  test.each([
    ['//open.test/x', '/open.test/x', '//open.test/x'],
    ['/pub//../secret', '/secret', '/pub/secret'],
    ['/a///b//', '/a/b/', '/a///b//'],
    ['/a/..//b', '/b', '//b'],
  ])('%s is %s with slashes merged and %s without (N3)', (raw, merged, kept) => {
    expect(canonicalPath(raw, true).path).toBe(merged)
    expect(canonicalPath(raw, false).path).toBe(kept)
  })

  test.each([
    ['/pub/..%2fsecret', 'slash'],
    ['/pub/..%2Fsecret', 'slash'],
    ['/pub/..%5csecret', 'backslash'],
    ['/pub/..\\secret', 'backslash'],
    ['/pub/..;/secret', 'dot segment'],
    ['/pub/..;x=y/secret', 'dot segment'],
    ['/pub/.;/secret', 'dot segment'],
    ['/pub/%2e.;/secret', 'dot segment'],
    ['/pub/..%3b/secret', 'dot segment'],
    ['/pub/..;', 'dot segment'],
    ['/a#b', '"#"'],
    ['/%', 'percent'],
    ['/%4', 'percent'],
    ['/%zz', 'percent'],
    ['/%u0041', 'percent'],
    ['/%00', 'control'],
    ['/%0a', 'control'],
    ['/%1F', 'control'],
    ['/%7f', 'control'],
    ['/\u0001', 'control'],
    ['/\u00e9', 'beyond ASCII'],
    ['/%c0%ae%c0%ae/secret', 'UTF-8'],
    ['/%e0%80%af', 'UTF-8'],
    ['/%ff', 'UTF-8'],
    ['/%e9', 'UTF-8'],
    ['/%ed%a0%80', 'UTF-8'],
    ['/%f4%90%80%80', 'UTF-8'],
    ['', 'slash'],
    ['x', 'slash'],
  ])('%j is ambiguous and stays as it is (W8, N2, N4, N6)', (raw, words) => {
    expect(canonicalPath(raw, true)).toEqual({ path: raw, ambiguous: expect.stringContaining(words) })
  })

  test('is idempotent', () => {
    fc.assert(
      fc.property(anyPath, fc.boolean(), (raw, merge) => {
        const once = canonicalPath(raw, merge)
        expect(canonicalPath(once.path, merge)).toEqual(once)
      }),
      { numRuns: 5000 },
    )
  })

  test('leaves no dot segment, no run of slashes and nothing that has to be encoded', () => {
    fc.assert(
      fc.property(anyPath, raw => {
        const { path, ambiguous } = canonicalPath(raw, true)
        if (ambiguous === undefined) expect(path).toMatch(/^\/(?:(?!\.\.?(?:[;/]|$))(?:[\w.~!$&'()*+,;=:@-]|%[0-9A-F]{2})+(?:\/|$))*$/)
      }),
      { numRuns: 5000 },
    )
  })

  test('means the same file as the URL parser of Node, or is refused (N11)', () => {
    fc.assert(
      fc.property(anyPath, raw => {
        const { path, ambiguous } = canonicalPath(raw, false)
        if (ambiguous !== undefined) return
        const url = new URL(`http://x${raw}`).pathname
        expect(decodeURIComponent(path)).toBe(decodeURIComponent(url))
      }),
      { numRuns: 5000 },
    )
  })
})

describe('otherReadings', () => {
  test.each([
    ['/admin', undefined],
    ['/admin;x', '/admin'],
    ['/admin%3Bx/y', '/admin/y'],
    // Tomcat takes the parameters off, and then merges the slashes.
    ['/;x/admin', '/admin'],
    ['/pub/;/admin', '/pub/admin'],
    ['/pub%2Fadmin', '/pub/admin'],
    ['/pub;a%2Fadmin', '/pub'],
    // The slash first, the parameters then.
    ['/pub;a%2Fadmin', '/pub/admin'],
    ['/pub%2F;a%2Fadmin', '/pub/admin'],
    ['/%2F;/%2Fadmin', '/admin'],
  ])('of %s: %s', (path, reading) => {
    if (reading === undefined) expect(otherReadings(path)).toEqual([])
    else expect(otherReadings(path)).toContain(reading)
  })
})
