import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { GatewayError } from '../../src/errors.ts'
import { admit } from '../../src/route/admit.ts'
import { explain } from '../../src/config/explain.ts'
import { parseHost } from '../../src/address/host.ts'
import { Policy } from '../../src/route/policy.ts'
import { RouteTable, authorityOf, originOf } from '../../src/route/table.ts'
import type { Target } from '../../src/route/table.ts'
import { anyText } from '../support/any-text.ts'
import { anyPath } from './arbitrary.ts'

const targetOf = (name: string, facts: Partial<Target> = {}): Target => ({
  name,
  line: 1,
  protocol: 'https',
  hostname: 'origin.internal',
  port: 443,
  policy: Policy.any(1),
  identifiers: undefined,
  ...facts,
})

const pub = Policy.of([
  { pattern: '^/pub/.*', methods: ['GET'], line: 3 },
  { pattern: '/exact', methods: ['*'], line: 4 },
])

describe('RouteTable', () => {
  const table = new RouteTable(['*', '*.example.com', 'a.example.com', '[::1]', 'bücher.example'].map(name => targetOf(name)))
  const nameOf = (value: string): string | undefined => table.match(parseHost(value).host)?.name

  test.each([
    ['a.example.com', 'a.example.com'],
    ['A.EXAMPLE.com.:8443', 'a.example.com'],
    ['b.example.com', '*.example.com'],
    ['example.com', '*'],
    ['a.b.example.com', '*'],
    ['evilexample.com', '*'],
    ['a.example.com.evil', '*'],
    ['[0:0::1]:80', '[::1]'],
    ['xn--bcher-kva.example', 'bücher.example'],
    ['127.0.0.1', '*'],
  ])('%s finds %s (T2)', (value, name) => {
    expect(nameOf(value)).toBe(name)
  })

  test('an unknown host finds nothing without "*"', () => {
    const exact = new RouteTable([targetOf('example.com'), targetOf('*.x')])
    for (const host of ['evilexample.com', 'example.com.evil', 'x', 'constructor', '__proto__', 'a.b.x'])
      expect(exact.match(host)).toBeUndefined()
  })

  test('names that mean the same host are refused', () => {
    expect(() => new RouteTable([targetOf('a.b'), targetOf('A.B.')])).toThrow(GatewayError)
  })

  test('origins have IPv6 in brackets and no default port (T10)', () => {
    expect(originOf(targetOf('a'))).toBe('https://origin.internal')
    expect(originOf(targetOf('a', { protocol: 'http', hostname: '::1', port: 8080 }))).toBe('http://[::1]:8080')
    expect(authorityOf(targetOf('a', { protocol: 'http', port: 80 }))).toBe('origin.internal')
    expect(authorityOf(targetOf('a', { protocol: 'http', port: 443 }))).toBe('origin.internal:443')
  })
})

describe('admit', () => {
  const target = targetOf('pol.test', { policy: pub })

  test.each([
    ['/pub/a?x=/../..', '/pub/a', '?x=/../..'],
    ['/pub/./a', '/pub/a', ''],
    ['/x/../pub/a', '/pub/a', ''],
    ['//pub//a', '/pub/a', ''],
    ['/exact', '/exact', ''],
  ])('forwards %s as exactly what was approved', (requestTarget, path, query) => {
    expect(admit(target, 'GET', requestTarget)).toMatchObject({ path, query })
  })

  test.each([
    ['/pub/../secret', 'POLICY_REFUSED'],
    ['/pub/%2e%2e/secret', 'POLICY_REFUSED'],
    ['/pub/%2E./secret', 'POLICY_REFUSED'],
    ['/pub//../secret', 'POLICY_REFUSED'],
    ['/secret?x=/pub/', 'POLICY_REFUSED'],
    ['/PUB/a', 'POLICY_REFUSED'],
    ['/exact/', 'POLICY_REFUSED'],
    ['//open.test/forbidden', 'POLICY_REFUSED'],
    ['/pub/..%2fsecret', 'AMBIGUOUS_PATH'],
    ['/pub/..%5csecret', 'AMBIGUOUS_PATH'],
    ['/pub/..\\secret', 'AMBIGUOUS_PATH'],
    ['/pub/..;/secret', 'AMBIGUOUS_PATH'],
    ['/pub/%00', 'AMBIGUOUS_PATH'],
    ['/pub/%c0%ae%c0%ae/secret', 'AMBIGUOUS_PATH'],
    ['/pub/#/../secret', 'BAD_TARGET'],
    ['http://open.test/pub/', 'BAD_TARGET'],
    ['*', 'BAD_TARGET'],
  ])('refuses %s with %s (W4, W5, W8, N1 to N8)', (requestTarget, code) => {
    expect(() => admit(target, 'GET', requestTarget)).toThrow(expect.objectContaining({ code }))
  })

  test('a double encoding is decoded once and goes on as it is (N5)', () => {
    expect(admit(target, 'GET', '/pub/%252e%252e/x').path).toBe('/pub/%252e%252e/x')
  })

  test('with the policy * an ambiguous path goes on as it was sent, and # does not', () => {
    const open = targetOf('open.test')
    for (const path of ['/a/..%2fb', '/a//b', '/%2E%2f', '/..;/%7e', '/%']) expect(admit(open, 'GET', path).path).toBe(path)
    expect(() => admit(open, 'GET', '/#')).toThrow(expect.objectContaining({ code: 'BAD_TARGET' }))
  })
})

describe('explain', () => {
  const table = new RouteTable([
    targetOf('pol.test', { line: 2, policy: pub, identifiers: ['lan'] }),
    targetOf('*.wild.test', { line: 7, protocol: 'http', hostname: '::1', port: 8080 }),
  ])

  test('names host rule, path, rule with its line, origin and identifiers', () => {
    expect(explain(table, 'GET', 'https://POL.test:8443/x/../pub/a?q#'.slice(0, -1))).toMatchObject({
      host: 'pol.test',
      target: { name: 'pol.test', line: 2 },
      hostRule: 'exact',
      path: '/pub/a',
      query: '?q',
      rule: { pattern: '^/pub/.*', line: 3 },
      originUrl: 'https://origin.internal/pub/a?q',
      identifiers: ['lan'],
      verdict: 'allowed',
      code: undefined,
    })
    expect(explain(table, 'GET', 'a.wild.test')).toMatchObject({
      hostRule: 'wildcard',
      originUrl: 'http://[::1]:8080/',
      verdict: 'allowed',
    })
  })

  test('of a refusal shows how every rule reads the request', () => {
    const { rules, code, verdict, originUrl } = explain(table, 'POST', 'pol.test/pub/a')
    expect({ code, verdict, originUrl }).toEqual({ code: 'POLICY_REFUSED', verdict: 'refused', originUrl: undefined })
    expect(rules.map(rule => [rule.line, rule.matchesPath, rule.allowsMethod])).toEqual([
      [3, true, false],
      [4, false, true],
    ])
  })

  test.each([
    ['GET', 'http://other/', 'UNKNOWN_HOST'],
    ['GET', 'http://a@b/', 'BAD_HOST'],
    ['GET', '', 'BAD_HOST'],
    ['GET', 'ftp://pol.test/', 'BAD_TARGET'],
    ['GET', 'pol.test/#x', 'BAD_TARGET'],
    ['GET', 'pol.test/a%2fb', 'AMBIGUOUS_PATH'],
    ['TRACE', 'pol.test/', 'METHOD_REFUSED'],
  ])('%s %s is %s', (method, url, code) => {
    expect(explain(table, method, url)).toMatchObject({ verdict: 'refused', code })
  })

  test('agrees with admit and never throws', () => {
    const target = table.match('pol.test')
    fc.assert(
      fc.property(anyPath, fc.constantFrom('GET', 'POST'), (path, method) => {
        let verdict = 'allowed'
        try {
          if (target) admit(target, method, path)
        } catch {
          verdict = 'refused'
        }
        expect(explain(table, method, `http://pol.test${path}`).verdict).toBe(verdict)
      }),
    )
    fc.assert(fc.property(anyText(), fc.string(), (url, method) => expect(explain(table, method, url)).toHaveProperty('verdict')))
  })
})
