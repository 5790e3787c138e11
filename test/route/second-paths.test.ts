/** Paths that a request names beside its own: judged as its own is, and told to the origin in its own terms. */
import { describe, expect, test } from '@jest/globals'
import { parseTargets } from '../../src/config/targets.ts'
import { admit } from '../../src/route/admit.ts'
import { withSecondPaths } from '../../src/route/second-paths.ts'
import { authorityOf } from '../../src/route/table.ts'

const table = parseTargets(
  `targets:
  dav.test:
    protocol: http
    hostname: 10.0.0.7
    port: 8080
    policy: { '^/dav/pub(/.*)?': [COPY, MOVE, PUT], '/both': [COPY] }
    routes:
      - path: /dav/pub/other
        hostname: 10.0.0.8
  prefix.test: { protocol: https, hostname: files.lan, port: 443, stripPrefix: /app }
  moved.test: { protocol: http, hostname: files.lan, port: 81, rewrite: /srv }
  kept.test: { protocol: http, hostname: files.lan, port: 81, preserveHost: true }
  any.test: { protocol: http, hostname: files.lan, port: 80 }
`,
  'targets.yaml',
)

/** What becomes of the fields of a request for `/dav/pub/a` (or `path`) of a host. */
function mapped(
  host: string,
  fields: readonly string[],
  { method = 'COPY', path = '/dav/pub/a', publicHost = host, forwardedHost = host } = {},
) {
  const target = table.match(host)!
  const located = admit(target, method, path)
  const request = { method, fields, names: fields.filter((_, i) => i % 2 === 0).map(name => name.toLowerCase()) }
  const originHost = target.treatment?.preserveHost === true ? publicHost : authorityOf(located.target)
  return withSecondPaths(request, { located, publicHosts: [publicHost, forwardedHost], originHost }).fields
}
const destination = (host: string, url: string, options = {}): string => mapped(host, ['Destination', url], options)[1]!

describe('Destination', () => {
  test.each([
    ['dav.test', 'http://dav.test/dav/pub/b', 'http://10.0.0.7:8080/dav/pub/b'],
    ['dav.test', 'https://dav.test/dav/pub/b', 'http://10.0.0.7:8080/dav/pub/b'],
    ['dav.test', 'HTTPS://DAV.test:443/dav/pub/b', 'http://10.0.0.7:8080/dav/pub/b'],
    ['dav.test', 'http://dav.test./dav/pub/b', 'http://10.0.0.7:8080/dav/pub/b'],
    ['dav.test', 'http://dav.test/dav/pub/x/../%62', 'http://10.0.0.7:8080/dav/pub/b'],
    ['dav.test', '/dav/pub/b', '/dav/pub/b'],
    ['prefix.test', 'https://prefix.test/app/x/%20y', 'https://files.lan/x/%20y'],
    ['prefix.test', '/app', '/'],
    ['moved.test', 'http://moved.test/x', 'http://files.lan:81/srv/x'],
    ['kept.test', 'https://kept.test/x', 'http://kept.test/x'],
    ['any.test', 'http://any.test', 'http://files.lan/'],
    ['any.test', 'http://any.test/a%2Fb', 'http://files.lan/a%2Fb'],
  ])('%s: %s → %s', (host, url, expected) => {
    expect(destination(host, url)).toBe(expected)
    expect(destination(host, url, { method: 'MOVE' })).toBe(expected)
  })

  test('the port that clients see counts, and so does the host that a trusted proxy names', () => {
    const at = { publicHost: 'any.test:8443' }
    expect(destination('any.test', 'https://any.test:8443/b', at)).toBe('http://files.lan/b')
    expect(destination('any.test', 'https://open.test/b', { forwardedHost: 'open.test' })).toBe('http://files.lan/b')
    expect(() => destination('any.test', 'https://any.test:8444/b', { publicHost: 'any.test', forwardedHost: 'any.test:8443' })).toThrow(
      expect.objectContaining({ code: 'FOREIGN_DESTINATION' }),
    )
  })

  test.each([
    ['the policy', 'dav.test', 'http://dav.test/dav/private/s.txt', 'POLICY_REFUSED'],
    ['the policy, by a detour', 'dav.test', 'http://dav.test/dav/pub/../private/s.txt', 'POLICY_REFUSED'],
    ['the policy, encoded', 'dav.test', 'http://dav.test/dav/pub/%2e%2e/private/s.txt', 'POLICY_REFUSED'],
    ['the policy, as a path', 'dav.test', '/dav/private/s.txt', 'POLICY_REFUSED'],
    ['two readings', 'dav.test', 'http://dav.test/dav/pub/..%2fprivate/s.txt', 'AMBIGUOUS_PATH'],
    ['two readings', 'dav.test', 'http://dav.test/dav/pub/..;/private/s.txt', 'AMBIGUOUS_PATH'],
    ['a fragment', 'dav.test', 'http://dav.test/dav/pub/b#c', 'BAD_TARGET'],
    ['another route', 'dav.test', 'http://dav.test/dav/pub/other/x', 'FOREIGN_DESTINATION'],
    ['another host', 'dav.test', 'http://any.test/dav/pub/b', 'FOREIGN_DESTINATION'],
    ['the origin itself', 'dav.test', 'http://10.0.0.7:8080/dav/pub/b', 'FOREIGN_DESTINATION'],
    ['another port', 'dav.test', 'http://dav.test:8080/dav/pub/b', 'FOREIGN_DESTINATION'],
    ['a name in front', 'dav.test', 'http://dav.test@evil.test/dav/pub/b', 'BAD_HOST'],
    ['no scheme', 'dav.test', '//dav.test/dav/pub/b', 'BAD_HEADER'],
    ['another scheme', 'dav.test', 'file:///dav/pub/b', 'BAD_HEADER'],
    ['nothing', 'dav.test', '', 'BAD_HEADER'],
  ])('is refused for %s (%s, %s)', (_, host, url, code) => {
    expect(() => destination(host, url)).toThrow(expect.objectContaining({ code }))
  })

  test('there is one, and of other methods it is nothing', () => {
    expect(() => mapped('any.test', ['Destination', '/a', 'destination', '/b'])).toThrow(expect.objectContaining({ code: 'BAD_HEADER' }))
    const fields = ['Destination', 'somewhere', 'X', 'y']
    expect(mapped('any.test', fields, { method: 'POST' })).toBe(fields)
  })

  test.each(['copy', 'Move', 'bcopy', 'BMOVE'])(
    'is judged for %s as well, which HTTP/2 brings and many origins take for COPY or MOVE',
    method => {
      expect(destination('prefix.test', 'https://prefix.test/app/x', { method, path: '/app/a' })).toBe('https://files.lan/x')
      expect(() => destination('prefix.test', 'https://files.lan/x', { method, path: '/app/a' })).toThrow(
        expect.objectContaining({ code: 'FOREIGN_DESTINATION' }),
      )
    },
  )

  test('the rules of the method count: what may be written to need not be a place to copy to', () => {
    expect(destination('dav.test', '/both', { method: 'COPY' })).toBe('/both')
    expect(() => destination('dav.test', '/both', { method: 'MOVE' })).toThrow(expect.objectContaining({ code: 'POLICY_REFUSED' }))
  })
})

describe('If', () => {
  const tags = (host: string, value: string): string => mapped(host, ['If', value], { method: 'PUT' })[1]!

  test.each([
    ['(<opaquelocktoken:a>)', '(<opaquelocktoken:a>)'],
    ['(<urn:a> ["x"]) (Not <DAV:no-lock> [W/"<y)"])', '(<urn:a> ["x"]) (Not <DAV:no-lock> [W/"<y)"])'],
    ['<http://dav.test/dav/pub/b> (<urn:a>)', '<http://10.0.0.7:8080/dav/pub/b> (<urn:a>)'],
    ['</dav/pub/b>(<http://dav.test/token>)', '</dav/pub/b>(<http://dav.test/token>)'],
    [
      '<http://dav.test/dav/pub/b> (["(<"]) <https://dav.test/dav/pub/c> (<urn:c>)',
      '<http://10.0.0.7:8080/dav/pub/b> (["(<"]) <http://10.0.0.7:8080/dav/pub/c> (<urn:c>)',
    ],
    ['', ''],
  ])('%s → %s', (value, expected) => {
    expect(tags('dav.test', value)).toBe(expected)
  })

  test.each([
    ['<http://dav.test/dav/private/b> (<urn:a>)', 'POLICY_REFUSED'],
    ['<http://other.test/dav/pub/b> (<urn:a>)', 'FOREIGN_DESTINATION'],
    ['(<urn:a>) <http://10.0.0.7:8080/dav/pub/b> (<urn:a>)', 'FOREIGN_DESTINATION'],
    ['<http://dav.test/dav/pub/b', 'BAD_HEADER'],
    ['(<urn:a>', 'BAD_HEADER'],
    ['((<urn:a>))', 'BAD_HEADER'],
    ['(["a" <http://x>])', 'BAD_HEADER'],
    ['("a")', 'BAD_HEADER'],
    ['<urn:a> (<urn:a>)', 'BAD_HEADER'],
    ['x', 'BAD_HEADER'],
  ])('%s is refused: %s', (value, code) => {
    expect(() => tags('dav.test', value)).toThrow(expect.objectContaining({ code }))
  })
})
