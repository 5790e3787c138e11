/** The keys of a target beyond where it leads to: what they become, and what is wrong with them. */
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { ConfigError } from '../../src/config/document/fault.ts'
import { lintTargets } from '../../src/config/lint.ts'
import { routeSchema } from '../../src/config/schema.ts'
import { parseTargets } from '../../src/config/targets.ts'
import { mintKeyPair } from '../../src/identity/certificate.ts'
import { explain } from '../../src/config/explain.ts'
import type { Target } from '../../src/route/table.ts'
import { tempDir } from '../support/temp.ts'

const HASH = '$scrypt$ln=15,r=8,p=3$c29tZXNhbHRzYWx0MTIzNA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g'

const faultsOf = (text: string, file = 't.yaml'): readonly string[] => {
  try {
    parseTargets(text, file)
    return []
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    return (error as ConfigError).message.split('\n')
  }
}
/** One target of these keys, in YAML flow style. */
const targetOf = (keys: string, file?: string): Target =>
  parseTargets(`targets: {a.test: {hostname: x, ${keys}}}`, file ?? 't.yaml').targets[0]!
const routesOf = (target: string, routes: string): Target[] =>
  parseTargets(`targets: {a.test: {${target}, routes: [${routes}]}}`, 't.yaml').all.slice(1)

test('a target without any of them has none of it: the same path for its requests as ever', () => {
  const { name: _name, line: _line, hostname: _hostname, policy: _policy, protocol: _protocol, port: _port, ...rest } = targetOf('port: 1')
  expect(Object.values(rest).filter(value => value !== undefined)).toEqual([])
})

describe('values', () => {
  test('durations and sizes', () => {
    expect(targetOf('timeouts: {connect: 5, head: 3s, idle: 0}').timeouts).toEqual({ connectMs: 5, headMs: 3_000, idleMs: 0 })
    expect(targetOf('timeouts: {head: 2m, idle: 1h}').timeouts).toEqual({ headMs: 120_000, idleMs: 3_600_000 })
    expect(targetOf('limits: {body: 10MiB}').limits).toMatchObject({ bodyBytes: 10_485_760 })
    expect(targetOf('limits: {body: 10MB}').limits).toMatchObject({ bodyBytes: 10_000_000 })
    expect(targetOf('limits: {body: 0}').limits).toMatchObject({ bodyBytes: 0 })
  })

  test('rates', () => {
    expect(targetOf('limits: {rate: {perSecond: 0.5}}').treatment?.rate).toEqual({ perSecond: 0.5, burst: 1, header: undefined })
    expect(targetOf('limits: {rate: {perSecond: 9.5, header: X-Key}}').treatment?.rate).toEqual({
      perSecond: 9.5,
      burst: 10,
      header: 'x-key',
    })
  })

  test('the profile has what differs from the usual, and only that', () => {
    expect(targetOf('http2: false, tls: {verify: true}, timeouts: {}').profile).toBeUndefined()
    expect(targetOf('http2: true, tls: {verify: false, servername: b.test}, timeouts: {head: 1s}').profile).toEqual({
      http2: true,
      tls: { verify: false, servername: 'b.test' },
      timeouts: { headMs: 1_000 },
    })
  })

  test('balance, health, retries and upgrades', () => {
    expect(targetOf('balance: least').balance).toBeUndefined()
    expect(targetOf('balance: sticky').balance).toMatchObject({ kind: 'cookie', name: expect.stringMatching(/^sg-\w+$/) })
    expect(targetOf('balance: {header: X-User}').balance).toEqual({ kind: 'header', name: 'x-user' })
    expect(targetOf('health: false').health).toMatchObject({ check: undefined, failures: 0 })
    expect(targetOf('health: {path: /h}').health).toEqual({
      check: { path: '/h', intervalMs: 10_000, timeoutMs: 5_000, unhealthy: 3, healthy: 2 },
      failures: 5,
      ejectMs: 10_000,
    })
    expect(targetOf('retries: {}').retries).toEqual({ attempts: 2, budgetPercent: 20 })
    expect(targetOf('retries: false').retries).toMatchObject({ attempts: 0 })
    expect(targetOf('upgrades: [WebSocket, x]').upgrades).toEqual(['websocket', 'x'])
    expect(targetOf('upgrades: false').upgrades).toEqual([])
  })
})

describe('routes', () => {
  test('have every key of their target that they do not have themselves', () => {
    const [route] = routesOf(
      `hostname: x, protocol: http, port: 8080, identifier: lan, basicAuth: {users: {a: '${HASH}'}}, deny: loopback, policy: {/r: [GET]}, balance: sticky`,
      '{path: /r, preserveHost: true}',
    )
    expect(route).toMatchObject({ name: 'a.test/r', hostname: 'x', protocol: 'http', port: 8080, identifiers: ['lan'] })
    expect(route?.treatment).toMatchObject({ preserveHost: true, basicAuth: { realm: 'a.test' } })
    expect(route?.treatment?.deny?.has('127.0.0.1')).toBe(true)
    expect(route?.policy.decide('GET', '/r')).toBeDefined()
    expect(route?.policy.decide('GET', '/r/x')).toBeUndefined()
  })

  test('with an origin of their own take nothing of another one', () => {
    const [route] = routesOf('hostname: x, protocol: http, port: 8080, http2: true, health: {path: /h}', '{path: /r, hostname: y}')
    expect(route).toMatchObject({ hostname: 'y', protocol: 'https', port: 443, profile: undefined, health: undefined })
    const [own] = routesOf('redirect: https://b.test/', '{path: /r, hostname: y}')
    expect(own?.treatment).toBeUndefined()
  })

  test('switch off what their target has', () => {
    const [route] = routesOf(
      `hostname: x, basicAuth: {users: {a: '${HASH}'}}, stripPrefix: /r, maintenance: {body: x}, deny: loopback, headers: {request: {remove: [a]}}`,
      '{path: /r, basicAuth: false, stripPrefix: false, maintenance: false, deny: [], headers: {}}',
    )
    expect(route?.maintenance).toBeUndefined()
    expect(route?.treatment?.basicAuth).toBeUndefined()
    expect(route?.treatment?.pathMap).toBeUndefined()
    expect(route?.treatment?.requestFields).toBeUndefined()
    expect(route?.treatment?.deny?.has('127.0.0.1')).toBe(false)
  })

  test('share the cookie of their target only with the same inner layers', () => {
    const target = parseTargets(
      'targets: {a.test: {hostname: x, balance: sticky, routes: [{path: /r}, {path: /s, identifier: lan}]}}',
      't.yaml',
    ).targets[0]!
    const [r, s] = ['/r', '/s'].map(path => target.routes!.match(path)?.balance)
    expect(r).toEqual(target.balance)
    expect(s).not.toEqual(target.balance)
  })
})

describe('faults', () => {
  test.each([
    ['stripPrefix: true', /stripPrefix: expected a path such as "\/app": only a route has a path/],
    ['stripPrefix: app', /stripPrefix: expected a path that starts with "\/"/],
    ['stripPrefix: /a, rewrite: /b', /expected either stripPrefix or rewrite, not both/],
    ['rewrite: {pattern: ^/a, to: $1}', /expected a path that starts with "\/"/],
    ['rewrite: {pattern: "^/(", to: /b}', /not a valid regular expression/],
    ['redirect: https://b, respond: {}', /expected either redirect or respond, not both/],
    ['redirect: ftp://b', /redirect: expected an address/],
    ['redirect: "https://b/${nothing}"', /expected another variable than \$\{nothing\}/],
    ['redirect: {to: /b, status: 200}', /expected 301, 302, 303, 307 or 308, got 200/],
    ['respond: {status: 101}', /expected an integer from 200 to 599/],
    ['respond: {body: a, file: b}', /expected either body or file, not both/],
    ['respond: {headers: {Content-Length: "1"}}', /the gateway sets Content-Length itself/],
    ['maintenance: {file: nowhere.html}', /maintenance\.file: .*nowhere\.html: cannot be read: .*ENOENT/],
    ['headers: {request: {set: {Host: b}}}', /headers\.request\.set\.Host: .*preserveHost/],
    ['headers: {request: {set: {Transfer_Encoding: b}}}', /concerns one connection only/],
    ['headers: {request: {remove: [x-forwarded-for]}}', /the gateway sets x-forwarded-for itself/],
    ['headers: {request: {add: {X-SG-A: b}}}', /the gateway sets X-SG-A itself/],
    ['headers: {request: {set: {"a b": c}}}', /expected the name of a header field/],
    ['headers: {response: {set: {A: "b\\nSet-Cookie: c"}}}', /without control characters/],
    ['headers: {response: {set: {A: caf\u00e9}}}', /in ASCII/],
    [
      'headers: {response: {set: {A: "${cookie}"}}}',
      /expected another variable than \$\{cookie\}: one of \$\{client\}, \$\{host\}, \$\{scheme\}/,
    ],
    ['headers: {response: {set: {A: "${client"}}}', /expected a "}" behind each/],
    ['headers: {set: {A: b}}', /headers\.set: unknown key/],
    ['basicAuth: {users: {}}', /expected at least one user/],
    [`basicAuth: {users: {"a:b": '${HASH}'}}`, /without a colon/],
    ['basicAuth: {users: {alice: secret}}', /users\.alice: expected a hash .*hash-password/],
    ['basicAuth: true', /expected a map with the key users, or false, got true/],
    ['allow: 10.0.0.0/33', /allow: expected an address, a CIDR/],
    ['deny: [localhost]', /deny\[0\]: expected an address, a CIDR .*got "localhost"/],
    ['balance: random', /balance: expected "least", "round-robin", "sticky"/],
    ['balance: {cookie: "a b"}', /expected the name of a header field/],
    ['health: {path: h}', /health\.path: expected a path/],
    ['health: {interval: 5 s}', /expected milliseconds, or a text with a unit/],
    ['health: {interval: 5s}', /health\.interval: expected path as well/],
    ['health: true', /expected a map with keys such as path and interval, or false/],
    ['retries: {attempts: 9}', /expected an integer from 0 to 5, got 9/],
    ['timeouts: {head: 0}', /expected milliseconds/],
    ['timeouts: {head: 999h999}', /expected milliseconds/],
    ['timeouts: {head: 9999999999h}', /expected milliseconds/],
    ['rewrite: {pattern: ^/a, to: /b%2Fc}', /rewrite\.to: never becomes a path that is forwarded: it has an encoded slash/],
    ['rewrite: {pattern: ^/a, to: "/b#c"}', /rewrite\.to: .*fragment/],
    ['rewrite: {pattern: ^/a, to: "/b c"}', /rewrite\.to: .*a space is %20/],
    ['rewrite: {pattern: ^/a, to: /b/../c}', /rewrite\.to: .*it would have to be \/c/],
    ['rewrite: {pattern: "^/(", to: /b}', /rewrite\.pattern: not a valid regular expression/],
    ['encodedSlash: yes', /expected "refuse" or "keep"/],
    ['limits: {body: 10tib}', /expected a number of bytes/],
    ['limits: {rate: {perSecond: 0}}', /expected a number above 0/],
    ['limits: {rat: {}}', /limits\.rat: unknown key, did you mean "rate"/],
    ['tls: {certificate: a}', /expected certificate and key together/],
    ['tls: {servername: "https://x"}', /tls\.servername: expected a host name/],
    ['upgrades: [h2c]', /upgrades\[0\]: expected another protocol/],
    ['upgrades: websocket', /upgrades: expected a list of protocols/],
    ['routes: [{path: /a}, {path: /%61}]', /routes\[1\]\.path: duplicate path: the same as the one of line 1/],
    ['routes: [{path: a}]', /routes\[0\]\.path: expected a path that starts with "\/"/],
    ['routes: [{}]', /routes\[0\]\.path: expected .*but the key is missing/],
    ['routes: [{path: "^/a", stripPrefix: true}]', /stripPrefix: expected a path such as "\/app": the path of this route is an expression/],
    ['routes: [{path: /a, stripPrefix: /b}]', /expected the path of the route or a part of it/],
    ['routes: [{path: /a, policy: {b: [GET]}}]', /routes\[0\]\.policy\.b: expected a path that starts/],
    ['routes: [{path: /a, routes: []}]', /routes\[0\]\.routes: unknown key/],
    ['routes: [{path: /a, hostname: "x:80"}]', /routes\[0\]\.hostname: .*has a port/],
  ])('%#: %s', (keys, reason) => {
    const faults = faultsOf(`targets: {a.test: {hostname: x, ${keys}}}`)
    expect(faults.join('\n')).toMatch(reason)
    expect(faults[0]).toMatch(/^t\.yaml:1:\d+: targets\."a\.test"/)
  })

  test('a target needs an origin, or something that answers instead', () => {
    expect(faultsOf('targets: {a: {routes: [{path: /a}]}}')[0]).toMatch(/routes\[0\]\.hostname: expected .*but the key is missing/)
    expect(faultsOf('targets: {a: {respond: false}}')[0]).toMatch(/a\.hostname: expected .*but the key is missing/)
    expect(faultsOf('targets: {a: {routes: [{path: /a, respond: {}}]}}')).toEqual([])
    expect(faultsOf('targets: {a: {redirect: https://b/}}')).toEqual([])
  })
})

test('whatever stands at the keys, there are faults or a table', () => {
  const text = fc.constantFrom(
    '/a',
    '^/a',
    'a',
    '*',
    '10s',
    '10MiB',
    'GET',
    '${host}',
    'https://b/',
    '10.0.0.0/8',
    'least',
    'sticky',
    HASH,
    '',
  )
  const leaf = fc.oneof(text, fc.boolean(), fc.integer({ min: -1, max: 400 }), fc.constant(null))
  const inner = [
    'to',
    'status',
    'path',
    'pattern',
    'users',
    'request',
    'set',
    'add',
    'remove',
    'body',
    'rate',
    'perSecond',
    'header',
    'ca',
    'idle',
  ]
  const value = fc.letrec<{ any: unknown }>(tie => ({
    any: fc.oneof(
      { maxDepth: 3 },
      leaf,
      fc.array(tie('any'), { maxLength: 2 }),
      fc.dictionary(fc.constantFrom(...inner), tie('any'), { maxKeys: 3 }),
    ),
  })).any
  const keys = fc.dictionary(fc.constantFrom(...Object.keys(routeSchema.shape)), value, { maxKeys: 5 })
  fc.assert(
    fc.property(keys, fc.array(keys, { maxLength: 3 }), (target, routes) => {
      const { path: _path, ...rest } = target
      faultsOf(JSON.stringify({ targets: { 'a.test': { hostname: 'x', ...rest, routes } } }))
      faultsOf(
        JSON.stringify({ targets: { 'a.test': { hostname: 'x', routes: routes.map(route => ({ ...route, path: '/r' })).slice(0, 1) } } }),
      )
    }),
    { numRuns: 2_000 },
  )
})

describe('files that are named', () => {
  const setUp = async (): Promise<{ file: string; folder: string }> => {
    const folder = tempDir()
    const pair = await mintKeyPair({ type: 'ec', commonName: 'client', validityYears: 1 })
    writeFileSync(join(folder, 'client.crt'), pair.certificatePem)
    writeFileSync(join(folder, 'client.key'), pair.privateKeyPem, { mode: 0o600 })
    writeFileSync(join(folder, 'page.html'), '<!doctype html>\u00e9')
    return { folder, file: join(folder, 'targets.yaml') }
  }

  test('are read with the targets file, relative to its folder', async () => {
    const { file } = await setUp()
    const target = targetOf('tls: {ca: client.crt, certificate: ./client.crt, key: client.key}, maintenance: {file: page.html}', file)
    expect(target.profile?.tls?.ca).toMatch(/^-----BEGIN CERTIFICATE-----/)
    expect(target.profile?.tls?.key).toMatch(/^-----BEGIN (?:EC )?PRIVATE KEY-----/)
    expect(target.maintenance).toMatchObject({
      status: 503,
      body: '<!doctype html>\u00e9',
      fields: ['Content-Type', 'text/html; charset=utf-8', 'Content-Length', '17'],
    })
  })

  test('a key that others can read is refused, and so is what is no key or certificate', async () => {
    const { file, folder } = await setUp()
    const faults = (keys: string): string => faultsOf(`targets: {a.test: {hostname: x, tls: {${keys}}}}`, file).join('\n')
    expect(faults('certificate: page.html, key: client.crt')).toMatch(
      /tls\.certificate: .*page\.html: expected certificates in PEM format\n.*tls\.key: .*client\.crt: expected a private key/,
    )
    chmodSync(join(folder, 'client.key'), 0o640)
    expect(faults('certificate: client.crt, key: client.key')).toMatch(
      /client\.key: the private key can be used by other accounts \(mode 0640\)/,
    )
    expect(faults('ca: .')).toMatch(/expected a file/)
  })
})

describe('warnings', () => {
  const warningsOf = (text: string): string[] => lintTargets(parseTargets(text, 't.yaml')).map(({ line, message }) => `${line} ${message}`)

  test('tell of certificates that are not verified, of tls without effect, and of paths that mean less than they look like', () => {
    const warnings = warningsOf(
      'targets:\n  a.test:\n    hostname: x\n    tls: {verify: false}\n    routes:\n      - path: ^/v1\n        protocol: http\n        policy: {/a: [GET]}\n',
    )
    expect(warnings).toEqual([
      expect.stringMatching(/^2 the certificate of the origin is not verified/),
      expect.stringMatching(/^6 the certificate of the origin is not verified/),
      expect.stringMatching(/^6 tls has no effect/),
      expect.stringMatching(/^6 an expression matches the whole path/),
    ])
  })

  test('of a policy that several routes share come once', () => {
    const warnings = warningsOf('targets:\n  a.test:\n    hostname: x\n    policy: {"^/v1": [GET]}\n    routes: [{path: /r}, {path: /s}]\n')
    expect(warnings).toHaveLength(1)
  })
})

describe('explain', () => {
  const table = parseTargets(
    `
targets:
  a.test:
    hostname: x
    preserveHost: true
    routes:
      - {path: /app, stripPrefix: true, policy: {'^/app/.*': [GET]}, balance: {header: X-User}}
      - {path: /old, redirect: {to: '/new\${query}', status: 301}}
  none.test: {routes: [{path: /here, respond: {body: hi}}]}
`,
    't.yaml',
  )

  test('names route, effects and what the origin is asked for', () => {
    expect(explain(table, 'GET', 'http://a.test/app/x?y')).toMatchObject({
      verdict: 'allowed',
      route: { path: '/app', line: 7 },
      path: '/app/x',
      originUrl: 'https://x/x?y',
      effects: [
        ['path', '/app becomes /'],
        ['preserveHost', 'Host is a.test'],
        ['balance', 'the same inner layer for the same value of x-user'],
      ],
    })
  })

  test('names the answer where there is no origin', () => {
    const old = explain(table, 'GET', 'https://a.test/old?q')
    expect([old.verdict, old.originUrl]).toEqual(['allowed', undefined])
    expect(old.effects).toContainEqual(['redirect', '301 /new?q'])
    expect(explain(table, 'GET', 'none.test/here').effects).toEqual([['respond', '200, 2 bytes']])
  })

  test('refuses what nothing is said about, and what is ambiguous', () => {
    expect(explain(table, 'GET', 'none.test/')).toMatchObject({ verdict: 'refused', code: 'NO_ROUTE' })
    expect(explain(table, 'GET', 'a.test/app%2fx')).toMatchObject({ verdict: 'refused', code: 'AMBIGUOUS_PATH' })
    expect(explain(table, 'POST', 'a.test/app/x')).toMatchObject({ verdict: 'refused', code: 'POLICY_REFUSED', route: { path: '/app' } })
  })
})
