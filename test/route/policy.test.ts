import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { canonicalPath } from '../../src/route/path.ts'
import { Policy, PolicyRule } from '../../src/route/policy.ts'
import { anyText } from '../support/any-text.ts'
import { anyPath } from './arbitrary.ts'

const policyOf = (rules: Readonly<Record<string, string | readonly string[]>>): Policy =>
  Policy.of(
    Object.entries(rules).map(([pattern, methods], i) => ({
      pattern,
      methods: typeof methods === 'string' ? [methods] : methods,
      line: i + 1,
    })),
  )

const allows = (rules: Parameters<typeof policyOf>[0], path: string, method = 'GET'): boolean =>
  policyOf(rules).decide(method, path) !== undefined

describe('patterns', () => {
  test('a literal is compared exactly, nothing in it is special (W6)', () => {
    expect(allows({ '/v1.0/x': '*' }, '/v1.0/x')).toBe(true)
    for (const path of ['/v1X0/x', '/v1.0/x/', '/v1.0/xy', '/a/v1.0/x', '/V1.0/x']) expect(allows({ '/v1.0/x': '*' }, path)).toBe(false)
    expect(allows({ '/a|/b': '*' }, '/a')).toBe(false)
    expect(allows({ '/a|/b': '*' }, '/a%7C/b')).toBe(true)
  })

  test('a literal is compared in its canonical form', () => {
    for (const pattern of ['/café', '/caf%c3%a9', '/x/../caf%C3%A9', '//caf%C3%A9'])
      expect(allows({ [pattern]: '*' }, '/caf%C3%A9')).toBe(true)
    expect(allows({ '/a b': '*' }, '/a%20b')).toBe(true)
  })

  test('an expression matches the whole path, whatever stands at its top level (W7, N9)', () => {
    const either = { '^/a|/b': '*' }
    for (const path of ['/a', '/b']) expect(allows(either, path)).toBe(true)
    for (const path of ['/azzz', '/allowed/', '/a;x', '/x/b', '/ab', '/a/b']) expect(allows(either, path)).toBe(false)
    expect(allows({ '^/v1': '*' }, '/v1/x')).toBe(false)
    expect(allows({ '^/v1/.*': '*' }, '/v1/x')).toBe(true)
    expect(allows({ '^/v1/.*$': '*' }, '/v1/x')).toBe(true)
    expect(allows({ '^/pub/': '*' }, '/pub/x')).toBe(false)
    expect(allows({ '^(?m)/a$': '*' }, '/a%0A')).toBe(false)
  })

  test('* is any path', () => {
    expect(allows({ '*': ['GET'] }, '/x/y')).toBe(true)
    expect(allows({ '*': ['GET'] }, '/x/y', 'POST')).toBe(false)
  })

  test.each([
    ['^/a)|(/b', 'missing|unexpected'],
    ['^(', 'missing closing'],
    ['^[', 'missing closing'],
    ['^/a(?=b)', 'no lookaround'],
    ['^/a(?!b)', 'no lookaround'],
    ['^/(?<=a)b', 'no lookaround'],
    ['^/(a)\\1', 'no backreferences'],
    ['^/a{1001}', 'repeat count'],
    ['^/a\\', 'trailing backslash'],
    [`^${'('.repeat(5000)}`, 'regular expression'],
    ['', 'starts with "/"'],
    ['a', 'starts with "/"'],
    ['http://a/', 'starts with "/"'],
    ['/a?b', 'query'],
    ['/a#b', 'query'],
    ['/a%2fb', 'never matches'],
    ['/a/..;/b', 'never matches'],
    ['/a%', 'never matches'],
  ])('refuses %j (L10)', (pattern, words) => {
    expect(() => new PolicyRule({ pattern: pattern, methods: ['*'], line: 1 })).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringMatching(words) }),
    )
  })

  test('throws nothing but CONFIG_INVALID', () => {
    const pattern = fc.oneof(
      anyText(),
      fc.string().map(text => `^${text}`),
      fc.string().map(text => `/${text}`),
      fc.constant('/\ud800'),
    )
    fc.assert(
      fc.property(pattern, text => {
        try {
          new PolicyRule({ pattern: text, methods: ['GET'], line: 1 }).matchesPath('/a')
        } catch (error) {
          expect(error).toEqual(expect.objectContaining({ name: 'GatewayError', code: 'CONFIG_INVALID' }))
        }
      }),
      { numRuns: 2000 },
    )
  })
})

describe('methods', () => {
  test('are compared exactly, GET implies nothing (T8)', () => {
    expect(allows({ '/a': ['GET'] }, '/a', 'GET')).toBe(true)
    for (const method of ['HEAD', 'OPTIONS', 'QUERY', 'get', 'GE', 'ET']) expect(allows({ '/a': ['GET'] }, '/a', method)).toBe(false)
  })

  test('* is all but CONNECT and TRACE, also in a list', () => {
    for (const rules of [{ '/a': '*' }, { '/a': ['GET', '*'] }]) {
      for (const method of ['GET', 'HEAD', 'PROPFIND']) expect(allows(rules, '/a', method)).toBe(true)
      for (const method of ['CONNECT', 'TRACE']) expect(allows(rules, '/a', method)).toBe(false)
    }
    for (const method of ['CONNECT', 'TRACE']) expect(Policy.any().decide(method, '/a')).toBeUndefined()
  })
})

describe('union', () => {
  test('any rule that allows, allows, and is named with its line', () => {
    const policy = policyOf({ '/a': ['GET'], '/%61': ['POST'], '^/.*': ['PUT'], '*': ['DELETE'] })
    expect(policy.decide('GET', '/a')?.line).toBe(1)
    expect(policy.decide('POST', '/a')?.line).toBe(2)
    expect(policy.decide('PUT', '/a')?.line).toBe(3)
    expect(policy.decide('DELETE', '/a')?.line).toBe(4)
    expect(policy.decide('PATCH', '/a')).toBeUndefined()
    expect(policy.rules.map(rule => rule.kind)).toEqual(['literal', 'literal', 'regex', 'any'])
  })

  test('no rules allow nothing', () => {
    expect(allows({}, '/')).toBe(false)
  })

  const rule = fc.record({
    pattern: fc.constantFrom('/a', '/pub/', '/secret', '^/pub/.*', '^/.*', '^/a|/b', '*', '/%61', '^(?:/v1)+'),
    methods: fc.subarray(['GET', 'POST', '*'], { minLength: 1 }),
    line: fc.nat(),
  })

  test('the order of rules never changes the verdict (N10)', () => {
    fc.assert(
      fc.property(
        fc
          .uniqueArray(rule, { selector: each => each.pattern })
          .chain(rules => fc.tuple(fc.constant(rules), fc.shuffledSubarray(rules, { minLength: rules.length }))),
        anyPath,
        fc.constantFrom('GET', 'POST', 'TRACE'),
        ([rules, shuffled], raw, method) => {
          const { path } = canonicalPath(raw, true)
          expect(Policy.of(shuffled).decide(method, path) === undefined).toBe(Policy.of(rules).decide(method, path) === undefined)
        },
      ),
    )
  })

  test('the verdict on a path is the one on its canonical form (N11)', () => {
    fc.assert(
      fc.property(fc.array(rule), anyPath, (rules, raw) => {
        const policy = Policy.of(rules)
        const once = canonicalPath(raw, true)
        const twice = canonicalPath(once.path, true)
        expect(twice.ambiguous).toBe(once.ambiguous)
        expect(policy.decide('GET', twice.path)?.line).toBe(policy.decide('GET', once.path)?.line)
      }),
    )
  })
})

describe('evil expressions on a path of 4 KiB have a result (L10)', () => {
  test.each([
    ['^(a+)+$', 'a'],
    ['^/(a|aa)+', 'a'],
    ['^/(a|a?)+', 'a'],
    ['^(.*a){20}', 'a'],
    ['^/([a-zA-Z]+)*', 'a'],
    ['^/(a*)*b', 'a'],
    ['^/(.*)(.*)(.*)(.*)(.*)x', 'a'],
    ['^/(a?){500}a{500}', 'a'],
  ])('%s', (pattern, character) => {
    expect(allows({ [pattern]: '*' }, `/${character.repeat(4094)}!`)).toBe(false)
  })

  test('the path check of the gateway itself', () => {
    for (const piece of ['/.', '../', '%2e', '..;', '//', 'a.', '%c3%a9', '[']) {
      const raw = `/${piece.repeat(4096)}!`
      expect(canonicalPath(canonicalPath(raw, true).path, true)).toEqual(canonicalPath(raw, true))
    }
  })
})
