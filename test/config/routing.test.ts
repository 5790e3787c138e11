import { describe, expect, test } from '@jest/globals'
import { explain } from '../../src/config/explain.ts'
import { parseTargets } from '../../src/config/targets.ts'
import { locate, withPart } from '../../src/route/admit.ts'
import type { Target } from '../../src/route/target.ts'
import { ConfigError } from '../../src/config/document/fault.ts'

const faultsOf = (text: string): readonly string[] => {
  try {
    parseTargets(text, 't.yaml')
    return []
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    return (error as ConfigError).message.split('\n')
  }
}

interface Asked {
  readonly method?: string
  readonly fields?: readonly string[]
}

/** Name of the route that a request is for. */
function routeFor(text: string, path: string, { method = 'GET', fields = [] }: Asked = {}): string {
  const names = fields.filter((_, i) => i % 2 === 0).map(name => name.toLowerCase())
  return locate(parseTargets(text, 't.yaml').match('a')!, path, { method, fields, names }).target.hostname
}

describe('conditions of routes', () => {
  const text = `
targets:
  a:
    hostname: rest
    routes:
      - { path: /, match: { headers: { Version: two } }, hostname: two }
      - { path: /, match: { headers: { version: two, color: orange } }, hostname: orange }
      - { path: /, match: { headers: { color: '^(?:blue|green)' } }, hostname: cold }
      - { path: /, match: { query: { animal: 'big whale' } }, hostname: whale }
      - { path: /, match: { methods: [PATCH] }, hostname: patch }
      - { path: /v2, match: { headers: { color: blue } }, hostname: v2-blue }
      - { path: /v2, match: { methods: [POST], headers: { color: blue } }, hostname: v2-post }
      - { path: '^/v2/exact', match: { methods: [GET] }, hostname: exact }
`
  test.each<readonly [path: string, expected: string, asked?: Asked]>([
    ['/', 'rest'],
    ['/', 'two', { fields: ['VERSION', 'two'] }],
    ['/', 'rest', { fields: ['version', 'two2'] }],
    ['/', 'rest', { fields: ['version', 'Two'] }],
    // RFC 9110 §5.3: two fields are one list.
    ['/', 'rest', { fields: ['version', 'two', 'version', 'two'] }],
    // More fields go before fewer.
    ['/', 'orange', { fields: ['version', 'two', 'color', 'orange'] }],
    // Of two that say as much the first in the list.
    ['/', 'two', { fields: ['version', 'two', 'color', 'blue'] }],
    ['/', 'cold', { fields: ['color', 'green'] }],
    ['/', 'rest', { fields: ['color', 'greenish'] }],
    ['/x?animal=big+whale', 'whale'],
    ['/x?animal=big%20whale&animal=other', 'whale'],
    ['/x?animal=other&animal=big+whale', 'rest'],
    ['/x?ANIMAL=big+whale', 'rest'],
    // A method goes before fields, fields before parameters.
    ['/x?animal=big+whale', 'patch', { method: 'PATCH', fields: ['version', 'two'] }],
    ['/x?animal=big+whale', 'two', { fields: ['version', 'two'] }],
    ['/', 'rest', { method: 'patch' }],
    // A longer path goes before whatever a shorter one asks for, and where none of its conditions is met the shorter one is asked.
    ['/v2/x', 'v2-blue', { fields: ['version', 'two', 'color', 'blue'] }],
    ['/v2/x', 'v2-post', { method: 'POST', fields: ['color', 'blue'] }],
    ['/v2/x', 'two', { fields: ['version', 'two'] }],
    ['/v2/x', 'rest'],
    ['/v2/exact', 'exact', { fields: ['color', 'blue'] }],
    ['/v2/exact', 'v2-post', { method: 'POST', fields: ['color', 'blue'] }],
    ['/v2/exact', 'patch', { method: 'PATCH' }],
  ])('%s is for %s (%j)', (path, expected, asked = {}) => {
    expect(routeFor(text, path, asked)).toBe(expected)
  })

  test('a path that another reader may read otherwise is refused where that would be another route', () => {
    const fenced = 'targets: { a: { hostname: rest, routes: [{ path: /v2, match: { headers: { x: y } }, hostname: v2 }] } }'
    expect(() => routeFor(fenced, '/v2;x', { fields: ['x', 'y'] })).toThrow('path has a parameter (;) where a route begins')
    expect(routeFor(fenced, '/v2;x')).toBe('rest')
  })

  test('what no condition is met for, and no target, is no route', () => {
    const narrow = 'targets: { a: { routes: [{ path: /, match: { headers: { x: y } }, hostname: b }] } }'
    expect(() => routeFor(narrow, '/')).toThrow('no route of a (line 1) is for /')
    expect(routeFor(narrow, '/', { fields: ['X', 'y'] })).toBe('b')
  })

  test('each route has a name of its own, without values, which may be secret', () => {
    const { all } = parseTargets(text.replace('green)', 'secret)'), 't.yaml')
    expect(all.map(({ name }) => name)).toEqual([
      'a',
      'a^/v2/exact (GET)',
      'a/v2 (POST, color)',
      'a/v2 (color)',
      'a/ (PATCH)',
      'a/ (color, version)',
      'a/ (version)',
      'a/ (color)',
      'a/ (?animal)',
    ])
    const twice = parseTargets(
      'targets: { a: { routes: [{ path: /, match: { headers: { x: a } }, hostname: b }, { path: /, match: { headers: { x: b } }, hostname: c }] } }',
      't.yaml',
    )
    expect(twice.all.map(({ name }) => name)).toEqual(['a', 'a/ (x)', 'a/ (x) 2'])
  })

  test.each([
    ['match: {}', 'expected at least one of methods, headers and query, with something in it'],
    ['match: { headers: {} }', 'expected at least one of methods, headers and query, with something in it'],
    ['match: { methods: [GET], header: { a: b } }', 'match.header: unknown key'],
    ['match: { headers: { host: b } }', 'headers.host: a target is for its host already; write a target for the other one'],
    ['match: { headers: { "a b": c } }', 'headers.a b: expected the name of a header field'],
    ['match: { headers: { a: b, A: c } }', 'headers: a is there twice'],
    ['match: { headers: { a: "^(" } }', 'headers.a: not a valid regular expression (RE2 syntax)'],
    ['match: { query: { a: "^(?=b)" } }', 'query.a: not a valid regular expression (RE2 syntax)'],
    ['match: { headers: { a: 1 } }', 'expected a text; a number in quotes'],
    ['match: { methods: [TRACE] }', 'methods: "TRACE" is no method of requests that are forwarded'],
    ['match: { methods: [] }', 'expected at least one of methods, headers and query, with something in it'],
    [`match: { headers: { a: ${'b'.repeat(4_097)} } }`, 'headers.a: expected a value of at most 4096 characters'],
    [`match: { query: { ${Array.from({ length: 17 }, (_, i) => `a${i}: b`).join(', ')} } }`, 'query: expected at most 16 names, got 17'],
  ])('%s is refused', (keys, message) => {
    const faults = faultsOf(`targets:\n  a:\n    routes:\n      - path: /\n        hostname: b\n        ${keys}\n`)
    expect(faults).toHaveLength(1)
    expect(faults[0]).toContain(message)
    expect(faults[0]).toMatch(/^t\.yaml:6:/)
  })

  test('the same condition for the same path is there once, however it is written', () => {
    const routes =
      '[{ path: /, match: { headers: { a: b, C: d } }, hostname: e }, { path: /, match: { headers: { c: d, A: b } }, hostname: f }]'
    expect(faultsOf(`targets: { a: { routes: ${routes} } }`)).toEqual([
      expect.stringContaining('duplicate path and match: the same as the one of line 1'),
    ])
  })

  test('a target has none', () => {
    expect(faultsOf('targets: { a: { hostname: b, match: { methods: [GET] } } }')[0]).toContain('targets.a.match: unknown key')
  })

  test('explain takes header fields and says which condition it was', () => {
    const table = parseTargets(text, 't.yaml')
    expect(explain(table, 'GET', 'http://a/', ['Version', 'two'])).toMatchObject({
      verdict: 'allowed',
      originUrl: 'https://two/',
      route: { path: '/', match: 'version: two' },
    })
    expect(explain(table, 'GET', 'http://a/')).toMatchObject({ originUrl: 'https://rest/', route: undefined })
  })
})

describe('split', () => {
  const text = `
targets:
  a:
    preserveHost: true
    timeouts: { head: 3s }
    split:
      - { weight: 7, hostname: one, protocol: http, port: 81 }
      - { weight: 3, hostname: two, identifier: lan-b, headers: { request: { set: { X-Canary: 'yes' } } }, timeouts: { head: 5s } }
      - { weight: 0, hostname: three }
    routes:
      - { path: /same }
      - { path: /other, hostname: other }
      - { path: /half, split: [{ hostname: four }, { respond: { status: 500 } }] }
      - { path: /gone, respond: { status: 410 } }
`
  const table = parseTargets(text, 't.yaml')
  const chosen = (path: string) => withPart(locate(table.match('a')!, path, { method: 'GET', fields: [], names: [] })).target

  test('each part has its share, exactly', () => {
    const hosts = Array.from({ length: 1_000 }, () => chosen('/').hostname)
    const count = (name: string): number => hosts.filter(host => host === name).length
    expect(Math.abs(count('one') - 700)).toBeLessThanOrEqual(2)
    expect(count('one') + count('two')).toBe(1_000)
    // Also of few.
    expect(Math.abs(hosts.slice(500, 510).filter(host => host === 'one').length - 7)).toBeLessThanOrEqual(1)
  })

  test('a part has the keys of its target, but those of its own', () => {
    const [one, two, three] = table.match('a')!.split!.parts
    expect(one).toMatchObject({ name: 'a [1]', protocol: 'http', port: 81, treatment: { preserveHost: true }, timeouts: { headMs: 3_000 } })
    expect(two).toMatchObject({ name: 'a [2]', protocol: 'https', port: 443, identifiers: ['lan-b'], timeouts: { headMs: 5_000 } })
    expect(two?.treatment?.requestFields?.added).toEqual([['X-Canary', expect.anything()]])
    expect(one?.treatment?.requestFields).toBeUndefined()
    expect(three).toMatchObject({ hostname: 'three' })
    expect([one, two, three].every(part => part?.split === undefined)).toBe(true)
  })

  test('a route has the split of its target unless it says where it goes', () => {
    const parts = Array.from({ length: 20 }, () => chosen('/same').name)
    expect(new Set(parts)).toEqual(new Set(['a/same [1]', 'a/same [2]']))
    expect(chosen('/other').hostname).toBe('other')
    expect(chosen('/gone').name).toBe('a/gone')
    expect(new Set(Array.from({ length: 4 }, () => chosen('/half').treatment?.answer))).toEqual(
      new Set([undefined, expect.objectContaining({ status: 500 })]),
    )
  })

  test('a client keeps its part when others are put before it, or get other weights', () => {
    const partsOf = (list: string) => {
      const { split } = parseTargets(`targets: { a: { balance: sticky, split: [${list}] } }`, 't.yaml').match('a')!
      return split!
    }
    const one = partsOf('{ hostname: one }, { hostname: two, weight: 9 }')
    const other = partsOf('{ hostname: three }, { hostname: two }, { hostname: one }, { hostname: one }')
    const keyOf = (part: Target | undefined) => (part?.balance?.kind === 'cookie' ? part.balance.part : undefined)
    const key = keyOf(one.parts[1])!
    expect(other.named(key)?.hostname).toBe('two')
    expect(new Set(other.parts.map(keyOf)).size).toBe(4)
    expect(partsOf('{ hostname: two, weight: 0 }, { hostname: one }').named(key)).toBeUndefined()
    // Of 1,000 values those that leave a part go to the one that has come.
    for (let i = 0; i < 1_000; i++) {
      const [before, after] = [one.of(`v${i}`).hostname, other.of(`v${i}`).hostname]
      if (after === 'two') expect(before).toBe('two')
    }
  })

  test('every part is listed, since each is an origin', () => {
    expect(table.all.map(({ name }) => name).filter(name => name.includes('['))).toEqual([
      'a [1]',
      'a [2]',
      'a [3]',
      'a/half [1]',
      'a/half [2]',
      'a/same [1]',
      'a/same [2]',
      'a/same [3]',
    ])
  })

  test.each([
    ['split: []', 'expected at least one origin'],
    ['split: [{ weight: 0, hostname: b }]', 'expected a weight above 0'],
    ['split: [{ weight: -1, hostname: b }]', 'expected an integer from 0 to 1000000'],
    ['split: [{ weight: 1 }]', 'expected either hostname or respond'],
    ['split: [{ hostname: b, respond: { status: 500 } }]', 'expected either hostname or respond'],
    ['split: [{ hostname: b, policy: "*" }]', 'split[0].policy: unknown key'],
    ['split: [{ hostname: b }]\n    hostname: c', 'expected either hostname or split, not both'],
    [`split: [${Array.from({ length: 17 }, () => '{ hostname: b }').join(', ')}]`, 'expected at most 16 origins'],
  ])('%s is refused', (keys, message) => {
    expect(faultsOf(`targets:\n  a:\n    ${keys}\n`).join('\n')).toContain(message)
  })

  test('explain says the shares', () => {
    expect(explain(table, 'GET', 'http://a/').effects).toEqual(
      expect.arrayContaining([
        ['split', '70 % to http://one:81'],
        ['split', '30 % to https://two by lan-b'],
        ['split', '0 % to https://three'],
      ]),
    )
    expect(explain(table, 'GET', 'http://a/half').effects).toEqual(
      expect.arrayContaining([
        ['split', '50 % to https://four'],
        ['split', '50 % to 500 without an origin'],
      ]),
    )
  })
})

describe('hosts of any depth', () => {
  const table = parseTargets(
    `targets: { '**.b.example': { hostname: deep }, '**.a.b.example': { hostname: deeper }, '*.b.example': { hostname: one }, 'x.b.example': { hostname: exact }, '*': { hostname: any } }`,
    't.yaml',
  )
  test.each([
    ['x.b.example', 'exact'],
    ['y.b.example', 'one'],
    ['y.z.b.example', 'deep'],
    ['y.a.b.example', 'deeper'],
    ['v.w.y.a.b.example', 'deeper'],
    ['a.b.example', 'one'],
    ['b.example', 'any'],
    ['ab.example', 'any'],
  ])('%s is for %s', (host, expected) => {
    expect(table.match(host)?.hostname).toBe(expected)
  })

  test.each(['**', '**.', '*.**.b', '***.b', '**.1.2.3.4', '**b.example'])('%s is no host', name => {
    expect(faultsOf(`targets: { '${name}': { hostname: a } }`).join('\n')).toContain('expected a host such as')
  })

  test('is a wildcard to those who ask', () => {
    expect(explain(table, 'GET', 'http://y.z.b.example/')).toMatchObject({ hostRule: 'wildcard', originUrl: 'https://deep/' })
  })
})
