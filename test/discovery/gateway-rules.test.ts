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

  test('methods become a policy, and are refused where others of them would go elsewhere', () => {
    const get = [at('/x', 'PathPrefix', { method: 'GET' }), at('/x', 'PathPrefix', { method: 'HEAD' })]
    expect(read([route([{ matches: get, ...to('web') }])]).hosts['a.example.com']).toEqual([
      { path: '/x', ...WEB, policy: { '*': ['GET', 'HEAD'] } },
    ])
    const words = expect.stringContaining('other methods of the same path would go elsewhere')
    const above = read([route([{ matches: get, ...to('api') }, to('web')])])
    expect(above.stateOf()).toEqual([{ Accepted: words }])
    expect(above.hosts).toEqual({})
    // Whichever of them goes by methods, the newer one gives way: nobody takes a path from a route that is there.
    const byMethod = { matches: get, ...to('api') }
    const two = read([route([byMethod]), route([to('web')], { name: 's', namespace: 'default', age: 1 })])
    expect([two.stateOf('default/r'), two.stateOf('default/s')]).toEqual([[{}], [{ Accepted: words }]])
    expect(two.hosts['a.example.com']).toEqual([{ path: '/x', ...API, policy: { '*': ['GET', 'HEAD'] } }])
    const turned = read([route([byMethod], { age: 1 }), route([to('web')], { name: 's' })])
    expect([turned.stateOf('default/r'), turned.stateOf('default/s')]).toEqual([[{ Accepted: words }], [{}]])
    expect(turned.hosts['a.example.com']).toEqual([{ path: '/', ...WEB }])
    const posted = { matches: [at('/x', 'PathPrefix', { method: 'POST' })], ...to('web') }
    expect(read([route([{ matches: get, ...to('api') }, posted])]).stateOf()).toEqual([{ Accepted: words }])
    const below = { matches: [at('/x/y', 'PathPrefix', { method: 'POST' })], ...to('web') }
    expect(read([route([below, { matches: get, ...to('api') }])]).stateOf()).toEqual([{ Accepted: words }])
    const later = [
      route([{ matches: get, ...to('api') }]),
      route([to('web'), { matches: [at('/z', 'Exact', { method: 'PUT' })], ...to('web') }], { name: 's' }),
    ]
    expect(read(later).stateOf('default/s')).toEqual([{ Accepted: words }])
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
    [{ matches: [{ headers: [{ name: 'a', value: 'b' }] }], ...to('web') }, 'matches.headers'],
    [{ matches: [{ queryParams: [{ name: 'a', value: 'b' }] }], ...to('web') }, 'matches.queryParams'],
    [{ matches: [at('/x.*', 'RegularExpression')], ...to('web') }, 'RegularExpression'],
    [{ matches: [at('/x', 'PathPrefix', { method: 'TRACE' })], ...to('web') }, 'the method TRACE'],
    [{ matches: [at('/a%2Fb')], ...to('web') }, 'more than one way'],
    [
      {
        backendRefs: [
          { name: 'web', port: 80 },
          { name: 'api', port: 80 },
        ],
      },
      'several backendRefs',
    ],
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
