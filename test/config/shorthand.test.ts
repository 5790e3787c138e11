import { parseTargets } from '../../src/config/targets.ts'
import { targetOfUrl } from '../../src/config/shorthand.ts'

const text = (line: string): string => `targets:\n  ${line}\n  other.example.com:\n    hostname: 10.0.0.7\n    port: 8443\n`

describe('a target that is a URL', () => {
  test.each([
    ['http://127.0.0.1:8080', 'http', '127.0.0.1', 8080],
    ['http://127.0.0.1:8080/', 'http', '127.0.0.1', 8080],
    ['https://my.private.api', 'https', 'my.private.api', 443],
    ['HTTP://my.private.api', 'http', 'my.private.api', 80],
    ['http://[::1]:8080', 'http', '::1', 8080],
  ])('%s', (url, protocol, hostname, port) => {
    const table = parseTargets(text(`api.example.com: ${url}`), 'targets.yaml')
    expect(table.match('api.example.com')).toMatchObject({ name: 'api.example.com', line: 2, protocol, hostname, port })
    // Everything is allowed, as in a target without a policy.
    expect(table.match('api.example.com')?.policy.rules).toEqual(
      table.match('other.example.com')?.policy.rules.map(rule => ({ ...rule, line: 2 })),
    )
    expect(table.match('other.example.com')).toMatchObject({ line: 3, hostname: '10.0.0.7', port: 8443 })
  })

  test.each(['127.0.0.1:8080', 'http://127.0.0.1/path', 'http://user@host', 'ftp://host', 'http://', 'http://a?b', '""'])(
    '%s is none, and said at its line with all other faults',
    url => {
      let message = ''
      try {
        parseTargets(`targets:\n  a.example.com: ${url}\n  b.example.com:\n    port: 8080\n`, 'targets.yaml')
      } catch (error) {
        message = (error as Error).message
      }
      expect(message).toContain('targets.yaml:2:3')
      expect(message).toContain('expected the URL of an origin without a path')
      expect(message).toContain('targets.yaml:3:3')
    },
  )

  test.each(['http://127.1:80', 'http://a:99999', 'http://a b', 'http://0x7f.1'])(
    '%s: host and port are judged as those of a target',
    url => {
      expect(() => parseTargets(text(`api.example.com: ${url}`), 'targets.yaml')).toThrow(/targets\.yaml:2:/)
    },
  )

  test('is read in linear time', () => {
    expect(targetOfUrl(`http://${'a'.repeat(1_000_000)}:`)).toBeUndefined()
    expect(targetOfUrl(`http://[${':'.repeat(1_000_000)}`)).toBeUndefined()
  })
})
