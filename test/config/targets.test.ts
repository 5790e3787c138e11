import { readFile } from 'node:fs/promises'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { ConfigError } from '../../src/config/document/fault.ts'
import { targetsJsonSchema } from '../../src/config/json-schema.ts'
import { lintTargets } from '../../src/config/lint.ts'
import { targetSchema } from '../../src/config/schema.ts'
import { parseTargets } from '../../src/config/targets.ts'
import { canonicalPath } from '../../src/route/path.ts'
import { anyText } from '../support/any-text.ts'

const ROOT = new URL('../../', import.meta.url)

const faultsOf = (text: string): readonly string[] => {
  try {
    parseTargets(text, 't.yaml')
    return []
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    return (error as ConfigError).message.split('\n')
  }
}

describe('a good file', () => {
  test('in JSON on one line, as in the quick start', () => {
    const table = parseTargets('{"targets":{"localhost":{"protocol":"http","hostname":"127.0.0.1","port":8080}}}\n', 't.yaml')
    expect(table.match('localhost')).toMatchObject({
      name: 'localhost',
      line: 1,
      protocol: 'http',
      hostname: '127.0.0.1',
      port: 8080,
      identifiers: undefined,
    })
    expect(table.match('localhost')?.policy.any).toBe(true)
  })

  test('has its defaults, its lines and its identifiers', () => {
    const table = parseTargets(
      '# comment\r\ntargets:\r\n  a: {hostname: "[::1]"}\r\n  b:\r\n    hostname: X.Internal\r\n    protocol: http\r\n    identifier: one\r\n    policy:\r\n      /a: [GET]\r\n      "^/b": "*"\r\n  c: {hostname: x, identifier: [one, two, one]}\r\n',
      't.yaml',
    )
    expect(table.match('a')).toMatchObject({ line: 3, protocol: 'https', hostname: '::1', port: 443 })
    expect(table.match('b')).toMatchObject({ line: 4, protocol: 'http', hostname: 'x.internal', port: 80, identifiers: ['one'] })
    expect(table.match('b')?.policy.rules.map(rule => [rule.pattern, rule.line, rule.methods])).toEqual([
      ['/a', 9, ['GET']],
      ['^/b', 10, ['*']],
    ])
    expect(table.match('c')?.identifiers).toEqual(['one', 'two'])
  })

  test('may have no targets, a byte order mark, and aliases', () => {
    expect(parseTargets('targets: {}', 't.yaml').targets).toEqual([])
    expect(parseTargets('\uFEFFtargets: {}', 't.yaml').targets).toEqual([])
    const table = parseTargets('targets:\n  a: {hostname: x, policy: &p {/a: [GET]}}\n  b: {hostname: y, policy: *p}\n', 't.yaml')
    expect(table.match('b')?.policy.decide('GET', '/a')).toBeDefined()
  })
})

describe('a bad file', () => {
  test('is refused with all its faults, each with its place', () => {
    const text = `targets:
  "api.example.com":
    protocol: ftp
    hostname: https://x/
    port: "x"
    identifer: a
    policy:
      /a: GET
      "^/(": [GET, 1]
      /c?d: [TRACE]
      e: []
  API.example.com.: {port: 0, hostname: 127.0.0.1, port: 1}
  a:80: {identifier: []}
Targets: {}
`
    expect(faultsOf(text)).toEqual([
      't.yaml:3:5: targets."api.example.com".protocol: expected "http" or "https", got "ftp"',
      expect.stringMatching(/^t\.yaml:4:5: targets\."api\.example\.com"\.hostname: expected a host name or IP address: .*has a scheme/),
      't.yaml:5:5: targets."api.example.com".port: expected an integer from 1 to 65535, got "x"',
      't.yaml:6:5: targets."api.example.com".identifer: unknown key, did you mean "identifier"?',
      't.yaml:8:7: targets."api.example.com".policy."/a": expected a list of methods such as ["GET", "POST"], or "*", got "GET"; a text is not a list, write ["GET"]',
      expect.stringMatching(
        /^t\.yaml:9:7: targets\."api\.example\.com"\.policy\."\^\/\(": not a valid regular expression: missing closing \)/,
      ),
      't.yaml:9:20: targets."api.example.com".policy."^/("[1]: expected a method name such as "GET", or "*", got 1',
      expect.stringMatching(/^t\.yaml:10:7: .*the query is never part of the match/),
      expect.stringMatching(/^t\.yaml:10:14: .*CONNECT and TRACE are never forwarded/),
      expect.stringMatching(/^t\.yaml:11:7: .*expected at least one method/),
      expect.stringMatching(/^t\.yaml:11:7: .*starts with "\/"/),
      expect.stringMatching(/^t\.yaml:12:3: .*duplicate host: the same as the one of line 2/),
      expect.stringMatching(/^t\.yaml:12:22: targets\."API\.example\.com\."\.port: expected an integer from 1 to 65535, got 0/),
      expect.stringMatching(/^t\.yaml:12:52: .*port: duplicate key, first at line 12/),
      expect.stringMatching(/^t\.yaml:13:3: .*hostname: .*the key is missing/),
      expect.stringMatching(/^t\.yaml:13:3: .*has a port/),
      expect.stringMatching(/^t\.yaml:13:10: .*expected at least one identifier, got an empty list/),
      't.yaml:14:1: Targets: unknown key, did you mean "targets"?',
    ])
  })

  test('has its faults as data, sorted by place', () => {
    try {
      parseTargets('targets:\n  a:\n    port: 0\n', 'dir/t.yaml')
    } catch (error) {
      expect(error).toMatchObject({ code: 'CONFIG_INVALID' })
      expect((error as ConfigError).faults).toEqual([
        { file: 'dir/t.yaml', line: 2, column: 3, path: 'targets.a.hostname', message: expect.stringContaining('missing') },
        { file: 'dir/t.yaml', line: 3, column: 5, path: 'targets.a.port', message: 'expected an integer from 1 to 65535, got 0' },
      ])
    }
    expect.assertions(2)
  })

  test.each([
    ['', /1:1: expected a map, got an empty file/],
    ['# only a comment\n', /expected a map, got an empty file/],
    ['targets:\n', /1:1: targets: expected a map of public hosts to targets, got nothing/],
    ['[]', /expected a map with the keys targets, tcp, tunnels and blind, got an empty list/],
    ['{}', /at least one of the keys targets, tcp, tunnels/],
    ['targets: {a: }', /targets\.a: expected a map with the key hostname, got nothing/],
    ['targets: {a: {hostname: x, port: "443"}}', /got "443"; remove the quotes/],
    ['targets: {a: {hostname: x, port: 443.5}}', /got 443\.5/],
    ['targets: {a: {hostname: x, port: 65536}}', /got 65536/],
    ['targets: {a: {hostname: x, policy: }}', /policy: expected "\*" or a map of path patterns to methods, got nothing/],
    ['targets: {a: {hostname: x, policy: GET}}', /policy: expected "\*" or a map/],
    ['targets: {a: {hostname: x, policy: ["/a"]}}', /policy: expected "\*" or a map .* got a list/],
    ['targets: {a: {hostname: x, policy: {/a: ["GET,POST"]}}}', /"\/a"\[0\]: expected a method name/],
    ['targets: {a: {hostname: x, identifier: {b: c}}}', /identifier: expected .* got a map/],
    ['targets: {a: {hostname: x, identifier: ["a", ""]}}', /identifier\[1\]: expected the identifier/],
    ['targets: {a: {hostname: 127.1}}', /hostname: expected .*got 127\.1/],
    ['targets: {a: {hostname: "127.1"}}', /four decimal parts/],
    ['targets: {a: {hostname: "x:80"}}', /has a port/],
    ['targets: {"*.*.a": {hostname: x}}', /neither alone nor the whole first label/],
    ['targets: {__proto__: {hostname: x}}', /expected another key/],
    ['targets: {"a b": {hostname: x}}', /expected a host such as/],
    ['targets: {? [a] : {hostname: x}}', /expected a text as key/],
    ['targets: {<<: {hostname: x}}', /merge keys are not supported/],
    ['targets: !foo {}', /YAML tag/],
    ['a: 1\na: 2\ntargets: {}\n', /2:1: a: duplicate key, first at line 1/],
    ['targets: {}\n---\ntargets: {}\n', /one document/],
    ['targets: {a: [\n', /not valid YAML/],
    ['targets: {a: {hostname: x}\nb: 1\n', /^t\.yaml:2:1: not valid YAML: .*\{ or \[ of a line before not closed\?/],
    ['targets:\n\ta: 1\n', /not valid YAML/],
    ['targets: \u0000', /not valid YAML/],
    ['targets: *x', /no anchor &x/],
    ['targets: &x {a: *x}', /inside what it stands for/],
    ['['.repeat(100), /not valid YAML: nesting/],
    [`a: ${'x'.repeat(9_000_000)}`, /expected at most/],
  ])('%#: %.60j is refused with its reason (T9)', (text, reason) => {
    expect(faultsOf(text).join('\n')).toMatch(reason)
  })

  test('with an alias bomb is refused, not expanded', () => {
    const levels = Array.from({ length: 12 }, (_, i) => `l${i + 1}: &l${i + 1} [${`*l${i},`.repeat(9)}]`)
    expect(faultsOf(['l0: &l0 [x]', ...levels].join('\n'))[0]).toMatch(/stand for more than/)
    expect(faultsOf(`a: &a x\nb: [${'*a,'.repeat(2000)}]`)[0]).toMatch(/more than 1000 aliases/)
  })

  test('never throws anything but a ConfigError', () => {
    const yaml = fc.array(
      fc.oneof(
        fc.constantFrom(
          'targets:',
          '\n',
          '  ',
          'a: ',
          '{',
          '}',
          '[',
          ']',
          '"',
          "'",
          ': ',
          '- ',
          '&a ',
          '*a',
          '!!str ',
          '|',
          '>',
          '? ',
          '#',
          'hostname: x',
          ',',
        ),
        anyText({ maxLength: 4 }),
      ),
      { maxLength: 20 },
    )
    const value = fc.record({
      targets: fc.dictionary(fc.string(), fc.record({ hostname: fc.anything(), policy: fc.jsonValue(), port: fc.jsonValue() })),
    })
    const text = fc.oneof(
      yaml.map(pieces => pieces.join('')),
      fc.jsonValue().map(json => JSON.stringify(json)),
      value.map(json => JSON.stringify(json, (_, each: unknown) => (typeof each === 'bigint' ? 1 : each))),
    )
    fc.assert(
      fc.property(text, source => {
        faultsOf(source)
      }),
      { numRuns: 3000 },
    )
  })
})

test('the order of keys never changes the verdict (N10)', () => {
  const rules = ['"/a": [GET]', '"^/a/.*": [POST]', '"*": [HEAD]', '"^/(?:a|b)/c": ["*"]']
  const hosts = ['a.test', '"*.test"', '"*"']
  fc.assert(
    fc.property(
      fc.shuffledSubarray(rules, { minLength: rules.length }),
      fc.shuffledSubarray(hosts, { minLength: hosts.length }),
      fc.constantFrom('a.test', 'b.test', 'a.b.test'),
      fc.constantFrom('GET', 'POST', 'HEAD', 'PUT'),
      fc.constantFrom('/a', '/a/c', '/b/c', '/x'),
      (someRules, someHosts, host, method, path) => {
        const verdict = (r: readonly string[], h: readonly string[]): readonly unknown[] => {
          const table = parseTargets(
            `targets: {${h.map(name => `${name}: {hostname: x, policy: {${r.join(', ')}}}`).join(', ')}}`,
            't.yaml',
          )
          const target = table.match(host)
          return [target?.name, target?.policy.decide(method, canonicalPath(path, true).path) !== undefined]
        }
        expect(verdict(someRules, someHosts)).toEqual(verdict(rules, hosts))
      },
    ),
  )
})

describe('what ships beside the code', () => {
  test('targets.example.yaml shows every key, is valid and has no warnings', async () => {
    const text = await readFile(new URL('targets.example.yaml', ROOT), 'utf8')
    expect(lintTargets(parseTargets(text, 'targets.example.yaml'))).toEqual([])
    for (const key of Object.keys(targetSchema.shape)) expect(text).toMatch(new RegExp(`^    ${key}:`, 'm'))
  })

  test('targets.schema.json is what scripts/targets-schema.ts writes', async () => {
    expect(JSON.parse(await readFile(new URL('targets.schema.json', ROOT), 'utf8'))).toEqual(targetsJsonSchema())
  })

  test('docs/targets.md has every key', async () => {
    const text = await readFile(new URL('docs/targets.md', ROOT), 'utf8')
    for (const key of Object.keys(targetSchema.shape)) expect(text).toMatch(new RegExp(`^\\| \`${key}\``, 'm'))
  })
})

describe('a text that YAML does not take without quotes is named, in its line', () => {
  test.each([
    ['targets:\n  *.shop.example.com:\n    hostname: x\n', /^t\.yaml:2:3: '\*\.shop\.example\.com' has to be quoted/],
    ['targets:\n  *.shop.example.com: {hostname: x}\n', /^t\.yaml:2:\d+: .*has to be quoted/],
    ['targets:\n  *:\n    hostname: x\n', /^t\.yaml:2:3: '\*' has to be quoted/],
    ['targets:\n  a:\n    hostname: x\n    policy:\n      ^/v1/.*: *\n', /^t\.yaml:5:16: '\*' has to be quoted/],
    ['targets:\n  a:\n    policy: *\n    hostname: x\n', /^t\.yaml:3:13: '\*' has to be quoted/],
    ['targets:\n  a:\n    policy:\n      *: [GET]\n    hostname: x\n', /^t\.yaml:4:7: '\*' has to be quoted/],
    ['targets: {a: {hostname: x, policy: {^/v1/.*: *}}}', /^t\.yaml:1:46: '\*' has to be quoted/],
    ['targets:\n  a:\n    hostname: x\n    policy: {^/a: [*]}\n', /^t\.yaml:4:\d+: '\*' has to be quoted/],
    ['targets:\n  a:\n    hostname: @x\n', /^t\.yaml:3:15: '@x' has to be quoted/],
    ['targets:\n  [::1]:\n    hostname: x\n', /has to be quoted/],
  ])('%j', (text, message) => {
    expect(() => parseTargets(text, 't.yaml')).toThrow(message)
  })

  test('other syntax errors keep their words', () => {
    expect(() => parseTargets("targets:\n  '*':\n    hostname: x: y\n", 't.yaml')).toThrow(/not valid YAML/)
  })
})

test('a file needs one section, whichever', () => {
  expect(parseTargets("tcp: {'22': {hostname: a}}", 't.yaml').tcp).toHaveLength(1)
  expect(parseTargets('targets: {}', 't.yaml').targets).toEqual([])
  for (const text of ['{}', '$schema: x'])
    expect(() => parseTargets(text, 't.yaml')).toThrow(/at least one of the keys targets, tcp, tunnels/)
})
