/** Rules of HTTPRoutes and their backends: what becomes of each, and what is said of it. */
import { describe, expect, test } from '@jest/globals'
import type { ReferenceGrant } from '../../src/discovery/kubernetes/gateway/objects.ts'
import { at, gateway, meta, read, route, service, to, type Spec } from './gateway-world.ts'

const ORIGIN = { protocol: 'http', port: 80, preserveHost: true }
const WEB = { ...ORIGIN, hostname: 'web.default.svc' }
const API = { ...ORIGIN, hostname: 'api.default.svc' }

describe('rules', () => {
  test('paths become routes: one path only, prefixes by whole segments, all of them', () => {
    const { hosts, stateOf, gatewayOf } = read([
      route([
        { matches: [at('/v1/'), at('/a.b(c)', 'Exact')], ...to('api') },
        { matches: [at('/')], ...to('web') },
      ]),
    ])
    expect(hosts).toEqual({
      'a.example.com': [
        { path: '/v1', ...API },
        { path: '^/a\\.b\\(c\\)', ...API },
        { path: '/', ...WEB },
      ],
    })
    expect(stateOf()).toEqual([{}])
    expect(gatewayOf()).toMatchObject({ gateway: {}, listeners: [{}], attached: new Map([['web', 1]]) })
  })

  test('of two for the same path the first of a route has it, and the older route; by name where they are of one age', () => {
    const { hosts, states } = read([
      route(
        [
          { matches: [at('/x')], ...to('web') },
          { matches: [at('/x/')], ...to('api') },
        ],
        { name: 'z', age: 1 },
      ),
      route(
        [
          { matches: [at('/x')], ...to('api') },
          { matches: [at('/y')], ...to('api') },
        ],
        { name: 'a', age: 2 },
      ),
    ])
    expect(hosts['a.example.com']).toEqual([
      { path: '/x', ...WEB },
      { path: '/y', ...API },
    ])
    expect([...states.values()]).toEqual([[{}], [{}]])
  })

  test('methods, header fields and parameters become conditions, and other requests for that path go elsewhere', () => {
    const matches = [
      at('/x', 'PathPrefix', { method: 'GET', headers: [{ name: 'Version', value: 'two' }] }),
      at('/x', 'PathPrefix', { queryParams: [{ type: 'Exact', name: 'Animal', value: '^whale.' }] }),
    ]
    const { hosts, stateOf } = read([route([{ matches, ...to('api') }, to('web')])])
    expect(stateOf()).toEqual([{}])
    expect(hosts['a.example.com']).toEqual([
      { path: '/x', match: { methods: ['GET'], headers: { version: 'two' } }, ...API },
      // What looks like an expression of ours is meant as it stands.
      { path: '/x', match: { query: { Animal: '^\\^whale\\.' } }, ...API },
      { path: '/', ...WEB },
    ])
  })

  test('of header names that are the same the first counts', () => {
    const headers = [
      { name: 'X-A', value: '1' },
      { name: 'x-a', value: '2' },
    ]
    const { hosts } = read([route([{ matches: [{ headers }], ...to('web') }])])
    expect(hosts['a.example.com']).toEqual([{ path: '/', match: { headers: { 'x-a': '1' } }, ...WEB }])
  })

  test('of conditions that say as much the older route goes first, whatever it is called', () => {
    const by = (name: string, value: string) => ({ matches: [{ headers: [{ name, value }] }] })
    const { hosts } = read([
      route([{ ...by('a', '1'), ...to('web') }], { name: 'a', age: 2 }),
      route(
        [
          { ...by('b', '1'), ...to('api') },
          { ...by('a', '1'), ...to('api') },
        ],
        { name: 'z', age: 1 },
      ),
    ])
    expect(hosts['a.example.com']?.map(({ match, hostname }) => [match, hostname])).toEqual([
      [{ headers: { b: '1' } }, 'api.default.svc'],
      [{ headers: { a: '1' } }, 'api.default.svc'],
    ])
  })

  test('filters become keys of the route', () => {
    const filters = [
      { type: 'RequestHeaderModifier', requestHeaderModifier: { set: [{ name: 'X-A', value: '1' }], remove: ['X-B'] } },
      { type: 'ResponseHeaderModifier', responseHeaderModifier: { add: [{ name: 'X-C', value: '2' }] } },
      { type: 'URLRewrite', urlRewrite: { path: { type: 'ReplacePrefixMatch', replacePrefixMatch: '/' } } },
    ]
    const full = [{ type: 'URLRewrite', urlRewrite: { path: { type: 'ReplaceFullPath', replaceFullPath: '/one' } } }]
    const prefix = [{ type: 'URLRewrite', urlRewrite: { path: { type: 'ReplacePrefixMatch', replacePrefixMatch: '/new/' } } }]
    const { hosts } = read([
      route([
        { matches: [at('/old')], filters, ...to('web') },
        { matches: [at('/full')], filters: full, ...to('web') },
        { matches: [at('/prefix')], filters: prefix, ...to('web') },
      ]),
    ])
    expect(hosts['a.example.com']).toEqual([
      {
        path: '/old',
        ...WEB,
        stripPrefix: true,
        slashRedirect: false,
        headers: { request: { set: { 'X-A': '1' }, remove: ['X-B'] }, response: { add: { 'X-C': '2' } } },
      },
      { path: '/full', ...WEB, rewrite: { pattern: '^.*', to: '/one' } },
      { path: '/prefix', ...WEB, rewrite: '/new' },
    ])
  })

  test.each([
    [{}, 80, 'HTTP', '${scheme}://a.example.com${path}${query}', 302],
    [{}, 8080, 'HTTP', '${scheme}://a.example.com:8080${path}${query}', 302],
    [{ scheme: 'https', statusCode: 301 }, 80, 'HTTP', 'https://a.example.com${path}${query}', 301],
    [{ scheme: 'https', port: 8443 }, 80, 'HTTP', 'https://a.example.com:8443${path}${query}', 302],
    [
      { hostname: 'b.example.com', path: { type: 'ReplaceFullPath', replaceFullPath: '/n' }, statusCode: 308 },
      80,
      'HTTP',
      '${scheme}://b.example.com/n${query}',
      308,
    ],
    [{ port: 80, scheme: 'http' }, 80, 'HTTP', 'http://a.example.com${path}${query}', 302],
  ])('a redirect %j of port %d', (requestRedirect, port, protocol, expected, status) => {
    const { hosts } = read([route([{ filters: [{ type: 'RequestRedirect', requestRedirect }] }])], {
      gateways: [gateway({ listeners: [{ name: 'web', port, protocol }] })],
    })
    expect(hosts['a.example.com']).toEqual([{ path: '/', redirect: { to: expected, status } }])
  })

  test.each([
    [
      { matches: [{ headers: [{ name: 'a', value: 'b', type: 'RegularExpression' }] }], ...to('web') },
      'matches.headers: RegularExpression',
    ],
    [{ matches: [{ headers: [{ name: 'Host', value: 'b' }] }], ...to('web') }, 'headers.host'],
    [{ matches: [{ queryParams: [{ name: 'a', value: 'b', case: 1 }] }], ...to('web') }, 'matches.queryParams.case'],
    [{ matches: [at('/x.*', 'RegularExpression')], ...to('web') }, 'RegularExpression'],
    [{ matches: [at('/x', 'PathPrefix', { method: 'TRACE' })], ...to('web') }, 'the method TRACE'],
    [{ matches: [at('/a%2Fb')], ...to('web') }, 'more than one way'],
    [{ backendRefs: [{ name: 'web', port: 80, filters: [{}] }] }, 'backendRefs.filters'],
    [{ ...to('web'), timeouts: { request: '1s' } }, 'rules.timeouts'],
    [{ ...to('web'), retry: {} }, 'rules.retry'],
    [{ ...to('web'), filters: [{ type: 'RequestMirror', requestMirror: {} }] }, 'RequestMirror'],
    [{ ...to('web'), filters: [{ type: 'URLRewrite', urlRewrite: { hostname: 'x.y' } }] }, 'urlRewrite.hostname'],
    [
      { ...to('web'), filters: [{ type: 'URLRewrite', urlRewrite: { path: { type: 'ReplaceFullPath', replaceFullPath: '/$1' } } }] },
      '"$" before a digit',
    ],
    [
      { ...to('web'), filters: [{ type: 'RequestHeaderModifier', requestHeaderModifier: { set: [{ name: 'X-A', value: '${client}' }] } }] },
      '"${" is not supported',
    ],
    [
      {
        ...to('web'),
        filters: [{ type: 'RequestHeaderModifier', requestHeaderModifier: { set: [{ name: 'X-Forwarded-For', value: '1.2.3.4' }] } }],
      },
      'the gateway sets X-Forwarded-For itself',
    ],
    [
      { filters: [{ type: 'RequestRedirect', requestRedirect: { path: { type: 'ReplacePrefixMatch', replacePrefixMatch: '/' } } }] },
      'requestRedirect.path',
    ],
  ])('refuses %j as a whole', (rule, words) => {
    const { hosts, stateOf } = read([route([to('api'), rule])])
    expect(stateOf()).toEqual([{ Accepted: expect.stringContaining(words) }])
    expect(stateOf()?.[0]?.['Accepted']).toMatch(/^UnsupportedValue: /)
    expect(hosts).toEqual({})
  })

  test('no other route of a host is lost for one that would make it too long', () => {
    const many = Array.from({ length: 16 }, (_, i) => ({ matches: Array.from({ length: 64 }, (_, j) => at(`/${i}/${j}`)), ...to('web') }))
    const { hosts, stateOf } = read([route([to('web')], { name: 'small' }), route(many, { name: 'r', age: 1 })])
    expect(hosts['a.example.com']).toHaveLength(1)
    expect(stateOf()).toEqual([{ Accepted: expect.stringContaining('characters') }])
  })
})

describe('backends', () => {
  test('a redirect of every host keeps the one that was asked for, without the port that it came by', () => {
    const redirect = (requestRedirect: Spec, hostnames: readonly string[]) =>
      Object.values(read([route([{ filters: [{ type: 'RequestRedirect', requestRedirect }] }], { hostnames })]).hosts)[0]?.[0]?.['redirect']
    expect(redirect({ scheme: 'https' }, [])).toEqual({ to: 'https://${hostname}${path}${query}', status: 302 })
    expect(redirect({ port: 8080 }, ['*.b.example'])).toEqual({ to: '${scheme}://${hostname}:8080${path}${query}', status: 302 })
    expect(redirect({ statusCode: 301 }, [])).toEqual({ to: '${scheme}://${host}${path}${query}', status: 301 })
    expect(redirect({ hostname: 'new.example' }, [])).toEqual({ to: '${scheme}://new.example${path}${query}', status: 302 })
  })

  test('several have their shares, and what leads nowhere has its share of 500', () => {
    const backendRefs = [
      { name: 'web', port: 80, weight: 70 },
      { name: 'api', port: 80 },
      { name: 'nosuch', port: 80, weight: 29 },
      { name: 'other', port: 80, weight: 0 },
    ]
    const { hosts, stateOf } = read([route([{ backendRefs }])])
    expect(hosts['a.example.com']).toEqual([
      {
        path: '/',
        split: [
          { weight: 70, ...WEB },
          { weight: 1, ...API },
          { weight: 29, respond: { status: 500 } },
        ],
      },
    ])
    expect(stateOf()).toEqual([{ ResolvedRefs: expect.stringMatching(/^BackendNotFound: /) }])
  })

  test.each([
    [to('nosuch'), 'BackendNotFound'],
    [{ backendRefs: [{ name: 'web', port: 81 }] }, 'BackendNotFound'],
    [to('web', { kind: 'Bucket', group: 'storage' }), 'InvalidKind'],
    [to('other', { namespace: 'team' }), 'RefNotPermitted'],
    [to('spdy'), 'UnsupportedProtocol'],
  ])('%j is answered 500, and the reason is %s', (rule, reason) => {
    const { hosts, stateOf } = read([route([rule])], {
      services: [service('web'), service('other', 'team'), service('spdy', 'default', { appProtocol: 'spdy' })],
    })
    expect(hosts['a.example.com']).toEqual([{ path: '/', respond: { status: 500 } }])
    expect(stateOf()).toEqual([{ ResolvedRefs: expect.stringMatching(`^${reason}: `) }])
  })

  test('another namespace permits it by a ReferenceGrant, for the routes and the Services that it names', () => {
    const from = { group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', namespace: 'default' }
    const grant = (spec: Spec, namespace = 'team'): ReferenceGrant => ({
      metadata: meta('g', namespace),
      spec: { from: [from], to: [{ group: '', kind: 'Service' }], ...spec },
    })
    const isGranted = (...grants: readonly ReferenceGrant[]): boolean =>
      read([route([to('other', { namespace: 'team' })])], { grants }).stateOf()?.[0]?.['ResolvedRefs'] === undefined
    expect(isGranted(grant({}))).toBe(true)
    expect(isGranted(grant({ to: [{ group: '', kind: 'Service', name: 'other' }] }))).toBe(true)
    expect(isGranted(grant({ to: [{ group: '', kind: 'Service', name: 'else' }] }))).toBe(false)
    expect(isGranted(grant({ to: [{ group: '', kind: 'Secret' }] }))).toBe(false)
    expect(isGranted(grant({ from: [{ ...from, namespace: 'elsewhere' }] }))).toBe(false)
    expect(isGranted(grant({ from: [{ ...from, kind: 'GRPCRoute' }] }))).toBe(false)
    // A namespace lets nobody into another one.
    expect(isGranted(grant({}, 'default'))).toBe(false)
  })

  test('h2c is spoken where the port says so, and one backend may have all the weight', () => {
    const { hosts, stateOf } = read(
      [
        route([
          {
            backendRefs: [
              { name: 'web', port: 80, weight: 0 },
              { name: 'grpc', port: 80, weight: 5 },
            ],
          },
        ]),
      ],
      {
        services: [service('web'), service('grpc', 'default', { appProtocol: 'kubernetes.io/h2c' })],
      },
    )
    expect(hosts['a.example.com']).toEqual([{ path: '/', ...ORIGIN, hostname: 'grpc.default.svc', http2: true }])
    expect(stateOf()).toEqual([{}])
    expect(read([route([to('web', { weight: 0 })])]).hosts['a.example.com']).toEqual([{ path: '/', respond: { status: 500 } }])
  })
})
