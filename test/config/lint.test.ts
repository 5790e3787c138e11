import { describe, expect, test } from '@jest/globals'
import { lintTargets } from '../../src/config/lint.ts'
import { nearest } from '../../src/config/document/nearest.ts'
import { parseTargets } from '../../src/config/targets.ts'

const lint = (target: object, name = 'a.test'): readonly string[] =>
  lintTargets(parseTargets(JSON.stringify({ targets: { [name]: { hostname: 'x', ...target } } }), 't.yaml')).map(warning => warning.message)

const lintPattern = (pattern: string): readonly string[] => lint({ policy: { [pattern]: ['GET'] } })

describe('a pattern that is probably not what was meant is named', () => {
  test.each([
    ['^/v1', /only exactly \/v1; write "\^\/v1\/\.\*"/],
    ['^/v1/', /only exactly \/v1\/; write "\^\/v1\/\.\*"/],
    ['^/a\\.b', /only exactly \/a\.b;/],
    ['^/a|/b', /top level/],
    ['^/v1.0/.*', /unescaped "\."/],
    ['^/v1.*', /longer names/],
    ['^v1/.*', /never matches: every path/],
    ['^/a\\?b=.*', /never matches a query/],
    ['^/a%2fb/.*', /never matches: a path with an encoded slash/],
    ['^/caf%c3%a9/.*', /upper case/],
    ['^/a//.*', /runs of slashes/],
  ])('%s', (pattern, message) => {
    expect(lintPattern(pattern).join('\n')).toMatch(message)
  })

  test.each([
    '^/v1/.*',
    '^/v1(?:/.*)?',
    '^/(?:a|b)/.*',
    '^/[|.]+',
    '^/[^]|.]',
    '^/a\\.b\\|c/.*',
    '^/v[0-9]{1,2}/.+',
    '/v1.0',
    '/v1',
    '*',
    '^/caf%C3%A9/.*',
  ])('%s is fine', pattern => {
    expect(lintPattern(pattern)).toEqual([])
  })
})

describe('a target that is probably not what was meant is named', () => {
  test('the policy * on hosts with a star', () => {
    expect(lint({}, '*')).toEqual([expect.stringContaining('every host name')])
    expect(lint({}, '*.test')).toEqual([expect.stringContaining('every host below')])
    expect(lint({})).toEqual([])
  })

  test.each(['169.254.169.254', 'fe80::1', '::ffff:169.254.1.1', 'fd00:ec2::254', '100.100.100.200', 'metadata.google.internal'])(
    'link-local or metadata address %s',
    hostname => {
      expect(lint({ hostname })).toEqual([expect.stringContaining('metadata address')])
    },
  )

  test('protocol and port that contradict each other, an empty policy, methods in lower case', () => {
    expect(lint({ port: 80 })).toEqual([expect.stringContaining('is the protocol http?')])
    expect(lint({ protocol: 'http', port: 443 })).toEqual([expect.stringContaining('is the protocol https?')])
    expect(lint({ policy: {} })).toEqual([expect.stringContaining('every request is refused')])
    expect(lint({ policy: { '/a': ['get', 'POST'] } })).toEqual([expect.stringContaining('get is not GET')])
  })

  test('rules that add nothing to another, once of two that are the same', () => {
    expect(lint({ policy: { '/a': ['GET'], '*': ['GET', 'POST'] } })).toEqual([expect.stringContaining('the rule * of line 1')])
    expect(lint({ policy: { '/a': ['GET'], '/%61': '*' } })).toEqual([expect.stringContaining('the rule /%61')])
    expect(lint({ policy: { '/a': ['GET'], '/%61': ['GET'] } })).toEqual([expect.stringContaining('the rule /a ')])
    expect(lint({ policy: { '/v1/a': ['GET'], '^/v1/.*': ['GET'] } })).toEqual([expect.stringContaining('the rule ^/v1/.*')])
    expect(lint({ policy: { '/v1/a': ['GET', 'PUT'], '^/v1/.*': ['GET'], '/b': ['GET'] } })).toEqual([])
  })
})

test('a duration without a unit that is too short to be meant is named with its key and line', () => {
  const text = `targets:
  a.test:
    hostname: x
    timeouts: {connect: 5, head: 30s, idle: 0}
    routes:
      - path: /r
        health: {path: /h, interval: 10, timeout: '5'}
tcp:
  '5432':
    hostname: db
    idle: 600
tunnels:
  'db:1': {tokens: ['sha256:3P8mWqjPz3Yy0vJ2XJt0vQmJb1uGq9mYw1yq1nq3v0E'], idle: 60}
`
  expect(lintTargets(parseTargets(text, 't.yaml')).map(({ line, target, message }) => `${line} ${target}: ${message}`)).toEqual([
    expect.stringMatching(/^4 targets\."a\.test"\.timeouts\.connect: 5 milliseconds; did you mean 5s\?/),
    expect.stringMatching(/^7 targets\."a\.test"\.routes\[0\]\.health\.interval: 10 milliseconds; did you mean 10s\?/),
    expect.stringMatching(/^7 targets\."a\.test"\.routes\[0\]\.health\.timeout: 5 milliseconds/),
    expect.stringMatching(/^11 tcp\.5432\.idle: 600 milliseconds; did you mean 600s\?/),
    expect.stringMatching(/^13 tunnels\."db:1"\.idle: 60 milliseconds/),
  ])
})

describe('a route beside its target', () => {
  const HASH = '$scrypt$ln=15,r=8,p=3$c29tZXNhbHRzYWx0MTIzNA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g'
  const auth = { users: { a: HASH } }

  test('that is stricter than the rest of the same origin is no fence', () => {
    expect(lint({ routes: [{ path: '/admin', basicAuth: auth }] })).toEqual([
      expect.stringMatching(/basicAuth of this route is no fence: .* such as \/ADMIN/),
    ])
    expect(lint({ routes: [{ path: '/admin', access: { tokens: true } }] })).toEqual([
      expect.stringMatching(/access of this route is no fence: .* such as \/ADMIN/),
    ])
    expect(lint({ routes: [{ path: '/admin', allow: '10.0.0.0/8', policy: { '/admin': ['GET'] } }] })).toEqual([
      expect.stringMatching(/allow and policy of this route are no fence/),
    ])
  })

  test('is one for another origin, below a target that is as strict, or where it answers by itself', () => {
    expect(lint({ routes: [{ path: '/admin', hostname: 'y', basicAuth: auth }] })).toEqual([])
    expect(
      lint({
        basicAuth: auth,
        routes: [
          { path: '/open', basicAuth: false },
          { path: '/a', basicAuth: auth },
        ],
      }),
    ).toEqual([])
    expect(lint({ routes: [{ path: '/a', basicAuth: auth, respond: { body: 'x' } }] })).toEqual([])
    expect(lint({ policy: { '/x': ['GET'] }, routes: [{ path: '/a', basicAuth: auth, policy: '*' }] })).toEqual([])
  })

  test('may be for exactly one path: only an expression can say so', () => {
    expect(
      lint({
        routes: [
          { path: '/nr/', stripPrefix: '/nr' },
          { path: '^/nr', redirect: '/nr/' },
        ],
      }),
    ).toEqual([])
    expect(
      lint({
        routes: [
          { path: '/nr/', stripPrefix: '/nr' },
          { path: '^/nr', hostname: 'y' },
        ],
      }),
    ).toEqual([])
    expect(lint({ routes: [{ path: '^/nr', hostname: 'y' }] })).toEqual([expect.stringMatching(/only exactly \/nr/)])
  })
})

test('encoded slashes in an expression match where they are kept', () => {
  expect(lint({ encodedSlash: 'keep', policy: { '^/a%2Fb/.*': ['GET'] } })).toEqual([])
  expect(lint({ encodedSlash: 'keep', policy: { '^/a%5Cb/.*': ['GET'] } })).toEqual([expect.stringMatching(/backslash/)])
})

test('methods that nobody uses, and a port without a protocol', () => {
  expect(lint({ policy: { '/a': ['GETT', 'PROPFIND', 'X-OWN'] } })).toEqual([expect.stringMatching(/GETT, did you mean GET\?/)])
  expect(lint({ port: 8080 })).toEqual([expect.stringMatching(/https on port 8080, since no protocol is given; .* protocol: http/)])
  expect(lint({ port: 8080, protocol: 'https' })).toEqual([])
  expect(lint({ port: 8443 })).toEqual([])
  expect(lint({ protocol: 'http', routes: [{ path: '/r', port: 8080 }] })).toEqual([])
})

test('warnings have their lines, in the order of the file', () => {
  const text = 'targets:\n  "*":\n    hostname: x\n  a:\n    policy:\n      "^/v1": ["GET"]\n    hostname: 169.254.169.254\n'
  expect(lintTargets(parseTargets(text, 't.yaml')).map(({ line, target, pattern }) => [line, target, pattern])).toEqual([
    [2, '*', undefined],
    [4, 'a', undefined],
    [6, 'a', '^/v1'],
  ])
})

test('the nearest key is suggested, and none that is far', () => {
  const keys = ['protocol', 'hostname', 'port', 'policy', 'identifier']
  expect(['host', 'hostName', 'prot', 'polciy', 'identifiers', 'x', 'certificate', ''].map(word => nearest(word, keys))).toEqual([
    'hostname',
    'hostname',
    'protocol',
    'policy',
    'identifier',
    undefined,
    undefined,
    undefined,
  ])
})
