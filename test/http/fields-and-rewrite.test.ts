import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { acceptsHtml, acceptsJson } from '../../src/http/accept.ts'
import { admitRequest } from '../../src/http/admission.ts'
import { identifyClient, type Peer } from '../../src/http/client.ts'
import { unmapped } from '../../src/address/mapped.ts'
import { allowedTrailers, HOP_BY_HOP, nominated } from '../../src/http/hop-by-hop.ts'
import { requestFields } from '../../src/http/request-fields.ts'
import { interimHead, responseHead, type ResponseContext } from '../../src/http/response-fields.ts'
import { rewriteLink, rewriteRefresh, rewriteSetCookie, rewriteUrl, type PublicOrigin } from '../../src/http/rewrite.ts'

const names: PublicOrigin = {
  private: { protocol: 'http', hostname: 'api', port: 8080 },
  public: { scheme: 'https', host: 'www.example.com' },
}
const tls: PublicOrigin = { ...names, private: { protocol: 'https', hostname: 'api', port: 443 } }

describe('rewriteUrl', () => {
  test.each([
    ['http://api:8080/x?y#z', 'https://www.example.com/x?y#z'],
    ['HTTP://API:8080', 'https://www.example.com'],
    ['//api:8080/x', '//www.example.com/x'],
    ['/x', '/x'],
    ['x/../y', 'x/../y'],
    ['', ''],
    ['http://api/x', 'http://api/x'],
    ['https://api:8080/x', 'https://www.example.com/x'], // the public scheme, believed, with our own authority
    ['https://api/x', 'https://api/x'],
    ['http://api.evil:8080/x', 'http://api.evil:8080/x'],
    ['http://api:80801/x', 'http://api:80801/x'],
    ['http://api:8080@evil/x', 'http://api:8080@evil/x'],
    ['http://evil/?u=http://api:8080/', 'http://evil/?u=http://api:8080/'],
    ['http://u:p@api:8080/x', 'http://u:p@api:8080/x'],
    ['mailto:api:8080', 'mailto:api:8080'],
    ['http://[api]:8080/', 'http://[api]:8080/'],
  ])('%s → %s', (value, expected) => {
    expect(rewriteUrl(value, names)).toBe(expected)
  })

  test('the default port may be there or not', () => {
    for (const value of ['https://api/x', 'https://api:443/x', '//api/x'])
      expect(rewriteUrl(value, tls)).toMatch(/\/\/www\.example\.com\/x$/)
    expect(rewriteUrl('http://api/x', tls)).toBe('https://www.example.com/x') // its authority, under the other scheme
    expect(rewriteUrl('http://api:81/x', tls)).toBe('http://api:81/x')
  })

  describe('the public name, from an origin that has not learned all of it', () => {
    const at = (port: number, publicScheme = 'https', host = 'www.example.com', isHostPreserved = true): PublicOrigin => ({
      private: { protocol: 'http', hostname: '127.0.0.1', port },
      public: { scheme: publicScheme, host },
      isHostPreserved,
    })

    test.each([
      [
        'uvicorn: our scheme, its authority',
        'https://127.0.0.1:4003/slash/',
        at(4003, 'https', 'www.example.com', false),
        'https://www.example.com/slash/',
      ],
      ['the default port, which Host leaves out', 'https://127.0.0.1/x', at(80), 'https://www.example.com/x'],
      ['nginx: its scheme and port', 'http://www.example.com:8001/x?y', at(8001), 'https://www.example.com/x?y'],
      ['Apache: its scheme', 'http://www.example.com/x', at(8001), 'https://www.example.com/x'],
      ['our scheme, its port', 'https://www.example.com:8001/x', at(8001), 'https://www.example.com/x'],
      ['without a scheme', '//www.example.com:8001/x', at(8001), '//www.example.com/x'],
      ['its port under plain HTTP', 'http://www.example.com:8001/x', at(8001, 'http'), 'http://www.example.com/x'],
      [
        'without preserveHost, by X-Forwarded-Host',
        'http://www.example.com:8001/x',
        at(8001, 'https', 'www.example.com', false),
        'https://www.example.com/x',
      ],
      ['a public port', 'http://www.example.com:8443/x', at(8001, 'https', 'www.example.com:8443'), 'https://www.example.com:8443/x'],
      ['another port is another service', 'http://www.example.com:9999/x', at(8001), 'http://www.example.com:9999/x'],
      ['another name', 'http://example.com:8001/x', at(8001), 'http://example.com:8001/x'],
      ['from http to https is meant', 'https://www.example.com/x', at(8001, 'http'), 'https://www.example.com/x'],
      ['as it should be', 'https://www.example.com/x', at(8001), 'https://www.example.com/x'],
    ])('%s', (_, value, names, expected) => {
      expect(rewriteUrl(value, names)).toBe(expected)
      expect(rewriteRefresh(`0; url=${value}`, names)).toBe(`0; url=${expected}`)
      expect(rewriteLink(`<${value}>; rel=next`, names)).toBe(`<${expected}>; rel=next`)
      const fields = ['Location', value, 'Content-Location', value]
      const head = responseHead(
        { status: 302, reason: '', body: { kind: 'none' }, fields },
        { method: 'GET', canChunk: true, removeCsps: false, names },
      )
      expect(head.fields).toEqual(['Location', expected, 'Content-Location', expected])
    })

    test('an upgrade keeps its scheme, and its path is mapped', () => {
      const names = { ...at(8001, 'http'), prefixes: { public: '/app', private: '' } }
      expect(rewriteUrl('https://www.example.com/x', names)).toBe('https://www.example.com/app/x')
      expect(rewriteUrl('http://www.example.com:8001/x', names)).toBe('http://www.example.com/app/x')
    })
  })

  test('a client that named no host gets a path', () => {
    const nameless = { ...names, public: { scheme: 'http', host: '' } }
    expect(rewriteUrl('http://api:8080/x?y', nameless)).toBe('/x?y')
    expect(rewriteUrl('http://api:8080', nameless)).toBe('/')
    expect(rewriteUrl('//api:8080//x', nameless)).toBe('/.//x') // never an authority
  })

  test('whatever comes, no line break is added and a foreign URL stays', () => {
    fc.assert(
      fc.property(fc.webUrl(), url => {
        expect(rewriteUrl(url, names)).toBe(url)
      }),
    )
    fc.assert(fc.property(fc.string(), text => expect(rewriteUrl(text, names).includes('\n')).toBe(text.includes('\n'))))
  })
})

test.each([
  ['5; url=http://api:8080/x', '5; url=https://www.example.com/x'],
  ['0;URL="http://api:8080/x"', '0;URL="https://www.example.com/x"'],
  ["0; url='http://api:8080/x'", "0; url='https://www.example.com/x'"],
  [`0; url="http://api:8080/x" z`, `0; url="https://www.example.com/x" z`],
  ['0; url="http://api:8080/x', '0; url="https://www.example.com/x'],
  ['0; url=http://api:8080/x  ', '0; url=https://www.example.com/x  '],
  ['5', '5'],
  ['5; url=/x', '5; url=/x'],
  ['5; url=http://other/?u=http://api:8080/', '5; url=http://other/?u=http://api:8080/'],
])('rewriteRefresh: %s → %s', (value, expected) => {
  expect(rewriteRefresh(value, names)).toBe(expected)
})

describe('rewriteSetCookie', () => {
  const of = (hostname: string, host = 'www.example.com'): PublicOrigin => ({
    private: { protocol: 'http', hostname, port: 80 },
    public: { scheme: 'http', host },
  })

  test.each([
    ['a=b', 'api.lan', 'a=b'],
    ['a=b; Domain=api.lan; Path=/', 'api.lan', 'a=b; Domain=www.example.com; Path=/'],
    ['a=b; domain=.API.lan', 'api.lan', 'a=b; Domain=www.example.com'],
    ['a=b; Domain=lan', 'api.lan', 'a=b'],
    ['a=b; Domain=other.lan', 'api.lan', 'a=b; Domain=other.lan'],
    ['a=b; Domain=pi.lan', 'api.lan', 'a=b; Domain=pi.lan'],
    ['a=b; Domain=example.com', 'api.lan', 'a=b; Domain=example.com'],
    ['a="x; Domain=api.lan"', 'api.lan', 'a="x; Domain=api.lan"'],
    ['domain=api.lan', 'api.lan', 'domain=api.lan'],
    ['__Host-a=b; Secure; Path=/', 'api.lan', '__Host-a=b; Secure; Path=/'],
  ])('%s of %s → %s', (value, hostname, expected) => {
    expect(rewriteSetCookie(value, of(hostname))).toBe(expected)
  })

  test('behind an address or a single label the cookie belongs to the host alone', () => {
    for (const host of ['192.0.2.1:8080', '[2001:db8::1]:80', 'localhost']) {
      expect(rewriteSetCookie('a=b; Domain=api.lan', of('api.lan', host))).toBe('a=b')
    }
  })
})

describe('request fields', () => {
  const fieldsOf = (...fields: readonly string[]): string[] => {
    const request = admitRequest({ method: 'GET', target: '/', httpVersion: '1.1', fields: ['Host', 'a.test', ...fields] })
    const client = { address: '2001:db8::1', hops: ['10.0.0.1'], scheme: 'https', host: 'a.test:8443', port: '8443' }
    return requestFields(request, { client, isTrustedPeer: false, pseudonym: 'sg-1' })
  }

  test('ours come last, whatever is nominated', () => {
    expect(fieldsOf('Connection', 'via, forwarded, x-real-ip, X-A', 'X-A', '1', 'X-B', '2')).toEqual([
      'X-B',
      '2',
      'Forwarded',
      'for="[2001:db8::1]";host="a.test:8443";proto=https, for=10.0.0.1',
      'X-Forwarded-For',
      '2001:db8::1, 10.0.0.1',
      'X-Forwarded-Host',
      'a.test:8443',
      'X-Forwarded-Proto',
      'https',
      'X-Forwarded-Port',
      '8443',
      'X-Real-IP',
      '2001:db8::1',
      'X-SG-Passed',
      'sg-1',
    ])
  })

  test('our own name in what a request has passed, or in Via, is a circle', () => {
    const circle = expect.objectContaining({ code: 'LOOP' })
    expect(() => fieldsOf('Via', '1.1 other, 1.1 sg-1')).toThrow(circle)
    expect(() => fieldsOf('X-SG-Passed', 'sg-2, sg-1')).toThrow(circle)
    expect(() => fieldsOf('x-sg-passed', 'sg-2', 'X-SG-Passed', 'sg-1')).toThrow(circle)
    expect(() => fieldsOf('X-SG-Passed', 'sg-2,'.repeat(16))).toThrow(circle)
    expect(fieldsOf('X-SG-Passed', 'sg-2, <script>', 'X-SG-Passed', 'sg-3').slice(-1)).toEqual(['sg-2, sg-3, sg-1'])
  })

  test('Via of others passes, and ours only where it is wanted', () => {
    expect(fieldsOf('Via', '1.1 other').slice(-2)).toEqual(['Via', '1.1 other'])
    const request = admitRequest({ method: 'GET', target: '/', httpVersion: '1.1', fields: ['Host', 'a.test', 'Via', '1.0 x'] })
    const client = { address: '192.0.2.1', hops: [], scheme: 'http', host: 'a.test', port: '80' }
    const edits = { fields: undefined, variables: {}, dropsAuthorization: false, cookie: undefined, prefix: '', addsVia: true }
    expect(requestFields(request, { client, isTrustedPeer: false, pseudonym: 'sg-1', edits }).slice(-2)).toEqual(['Via', '1.0 x, 1.1 sg-1'])
  })

  test('no field that frames or routes gets through, in any case', () => {
    const name = fc
      .constantFrom(...HOP_BY_HOP, 'x-sg-a', 'x-real-ip', 'x-forwarded-user', 'content-length')
      .filter(field => field !== 'transfer-encoding' && field !== 'content-length')
    fc.assert(
      fc.property(name, fc.array(fc.boolean(), { minLength: 40, maxLength: 40 }), (field, upper) => {
        const mixed = [...field].map((letter, i) => (upper[i] === true ? letter.toUpperCase() : letter)).join('')
        for (const disguise of [mixed, mixed.replaceAll('-', '_')]) {
          const given = fieldsOf(disguise, 'spoofed').filter((_, i) => i % 2 === 1)
          expect(given).not.toContain('spoofed')
        }
      }),
    )
  })
})

describe('response fields', () => {
  const context: ResponseContext = { method: 'GET', canChunk: true, removeCsps: false, names }

  test('framing is set from the body kind alone', () => {
    const fields = ['Content-Length', '7', 'Transfer-Encoding', 'chunked', 'Connection', 'x-a', 'X-A', '1', 'X-B', '2']
    const head = { status: 200, reason: 'OK', fields }
    expect(responseHead({ ...head, body: { kind: 'length', length: 3 } }, context)).toEqual({
      status: 200,
      reason: 'OK',
      fields: ['X-B', '2', 'Content-Length', '3'],
      length: 3,
      hasBody: true,
      hasLength: true,
    })
    expect(responseHead({ ...head, body: { kind: 'stream' } }, context)).toMatchObject({
      fields: ['X-B', '2'],
      length: undefined,
      hasBody: true,
    })
  })

  test.each([
    ['HEAD', 200, false, true],
    ['GET', 204, false, false],
    ['GET', 304, false, true],
    ['GET', 205, true, true],
    ['GET', 200, true, true],
  ])('%s %d: has it a body %s, and a length %s', (method, status, hasBody, hasLength) => {
    const head = responseHead({ status, reason: '', fields: [], body: { kind: 'length', length: 3 } }, { ...context, method })
    expect(head).toMatchObject({ hasBody, hasLength })
  })

  test('CSP fields go when asked for, and no others', () => {
    const fields = ['Content-Security-Policy', 'a', 'content-security-policy-report-only', 'b', 'X-WebKit-CSP', 'c', 'X-Frame-Options', 'd']
    const head = { status: 200, reason: '', body: { kind: 'stream' } as const, fields }
    expect(responseHead(head, context).fields).toEqual(fields)
    expect(responseHead(head, { ...context, removeCsps: true }).fields).toEqual(['X-Frame-Options', 'd'])
  })

  test('only 100 and 102 to 199 are interim', () => {
    for (const status of [99, 101, 200]) {
      expect(() => interimHead({ status, reason: '', body: { kind: 'none' }, fields: [] }, context)).toThrow(
        expect.objectContaining({ code: 'ORIGIN_BAD_RESPONSE' }),
      )
    }
    expect(interimHead({ status: 103, reason: 'Early', body: { kind: 'none' }, fields: ['Link', '</a>'] }, context)).toEqual({
      status: 103,
      reason: 'Early',
      fields: ['Link', '</a>'],
    })
  })
})

test('nominations are read from every Connection field, and never reach what is end-to-end', () => {
  const fields = [
    'Connection',
    'X-A, close',
    'connection',
    ' x-b ,,keep-alive',
    'X-C',
    '1',
    'Connection',
    'Cookie, content-type, Sec-X, X-Forwarded-For',
  ]
  const lower = fields.filter((_, i) => i % 2 === 0).map(name => name.toLowerCase())
  expect([...(nominated(fields, lower) ?? [])]).toEqual(['x-a', 'x-b'])
  expect(nominated(['X', 'y'], ['x'])).toBeUndefined()
})

test('trailers lose what frames, routes, authenticates or describes the content', () => {
  const bad = [
    'Host',
    'Content-Length',
    'Transfer-Encoding',
    'TE',
    'Trailer',
    'Set-Cookie',
    'Authorization',
    'X-Forwarded-For',
    'Content-Type',
    'Connection',
    'Location',
    'Age',
  ]
  expect(allowedTrailers(bad.flatMap(name => [name, 'x']))).toEqual([])
  expect(allowedTrailers(bad.flatMap(name => [name.replaceAll('-', '_'), 'x']))).toEqual([])
  expect(allowedTrailers(['X-T', '1', 'Server-Timing', 'a', 'ETag', '"x"', 'Digest', 'd'])).toEqual([
    'X-T',
    '1',
    'Server-Timing',
    'a',
    'ETag',
    '"x"',
    'Digest',
    'd',
  ])
})

describe('who the client is', () => {
  const isTrusted = (address: string): boolean => address.startsWith('10.')
  const facts = (peerAddress: string, ...fields: readonly string[]): ReturnType<typeof identifyClient> => {
    const peer: Peer = { address: peerAddress, isTrusted: isTrusted(peerAddress), scheme: 'http', localPort: 3000 }
    return identifyClient(
      peer,
      { fields, names: fields.filter((_, i) => i % 2 === 0).map(name => name.toLowerCase()), host: 'a.test' },
      isTrusted,
    )
  }

  test('a stranger is its own word', () => {
    expect(facts('192.0.2.1', 'X-Forwarded-For', '6.6.6.6', 'X-Forwarded-Proto', 'https')).toEqual({
      address: '192.0.2.1',
      hops: [],
      scheme: 'http',
      host: 'a.test',
      port: '80',
    })
  })

  test('a proxy of ours is believed up to the first address that is not', () => {
    const { address, hops, scheme } = facts('10.0.0.1', 'X-Forwarded-For', '6.6.6.6, 192.0.2.7, 10.0.0.2', 'X-Forwarded-Proto', 'https')
    expect({ address, hops, scheme }).toEqual({ address: '192.0.2.7', hops: ['10.0.0.2', '10.0.0.1'], scheme: 'https' })
  })

  test('a mapped IPv4 address is an IPv4 address', () => {
    expect(unmapped('::ffff:192.0.2.1')).toBe('192.0.2.1')
    expect(unmapped('::1')).toBe('::1')
  })

  test.each([
    ['wss', 'https'],
    ['WS', 'http'],
    ['HTTPS', 'https'],
    ['javascript', 'http'],
  ])('X-Forwarded-Proto: %s is %s', (sent, scheme) => {
    expect(facts('10.0.0.1', 'X-Forwarded-For', '192.0.2.7', 'X-Forwarded-Proto', sent).scheme).toBe(scheme)
    expect(facts('10.0.0.1', 'Forwarded', `for=192.0.2.7;proto=${sent}`).scheme).toBe(scheme)
    expect(facts('192.0.2.1', 'X-Forwarded-Proto', sent).scheme).toBe('http')
  })

  test('whatever a chain holds, the client is one address of it or the peer', () => {
    const entry = fc.oneof(
      fc.ipV4(),
      fc.ipV6(),
      fc.constantFrom('10.0.0.9', 'unknown', '', '_hidden', '6.6.6.6:80', '[::1]:443'),
      fc.string(),
    )
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 6 }), entries => {
        const { address } = facts('10.0.0.1', 'X-Forwarded-For', entries.join(', '))
        expect(address).toMatch(/^[0-9a-f:.]+$/i)
      }),
    )
  })
})

test('JSON is preferred where it is named, and nowhere else', () => {
  expect(acceptsJson(undefined)).toBe(false)
  expect(acceptsJson('application/json')).toBe(true)
  expect(acceptsJson('text/html, application/problem+json; q=0.5')).toBe(true)
  expect(acceptsJson('application/jsonx')).toBe(false)
  expect([undefined, '*/*', 'text/html, */*;q=0.8', 'application/xml,text/html;q=0.9'].map(acceptsHtml)).toEqual([false, false, true, true])
})

test('a Link of an evil origin takes no time, whatever its quotes', () => {
  const names = { private: { protocol: 'http', hostname: 'a', port: 80 }, public: { scheme: 'http', host: 'b' } } as const
  const evil = ['"'.repeat(60_000), '"\\'.repeat(30_000), '<'.repeat(60_000), '"<'.repeat(30_000), `${'"\\"'.repeat(20_000)}\\`]
  for (let i = 0; i < 20; i++) for (const value of evil) expect(rewriteLink(value, names)).toBe(value)
})
