/**
 * Cases of the conformance suite of the Gateway API (kubernetes-sigs/gateway-api, conformance/tests, 1.6) that need no pods: the objects of each
 * case are read, put into a targets file, and each request of the case is located in it. Which part of a split it gets is chosen as on the wire.
 */
import { describe, expect, test } from '@jest/globals'
import { parseTargets } from '../../src/config/targets.ts'
import { targetsDocument } from '../../src/discovery/targets-document.ts'
import { GatewayError } from '../../src/errors.ts'
import { decide, locate, withPart } from '../../src/route/admit.ts'
import { ERRORS } from '../../src/errors.ts'
import { locationOf } from '../../src/route/fixed-answer.ts'
import { gateway, meta, read, route, service, type Spec, type World } from './gateway-world.ts'

const INFRA = 'gateway-conformance-infra'
const SERVICES = [1, 2, 3].map(number => service(`infra-backend-v${number}`, INFRA, { port: 8080 }))
const LISTENER = { port: 80, protocol: 'HTTP' }
const SAME = gateway({ listeners: [{ name: 'http', ...LISTENER }] }, meta('same-namespace', INFRA))

const v = (number: number, more: Spec = {}) => ({ name: `infra-backend-v${number}`, port: 8080, ...more })
const rule = (backend: number, ...matches: readonly Spec[]): Spec => ({ ...(matches.length > 0 && { matches }), backendRefs: [v(backend)] })
const prefix = (value: string): Spec => ({ path: { type: 'PathPrefix', value } })
const exact = (value: string): Spec => ({ path: { type: 'Exact', value } })
const by = (headers: Readonly<Record<string, string>>): Spec => ({
  headers: Object.entries(headers).map(([name, value]) => ({ name, value })),
})

const routed = (rules: readonly Spec[], spec: Spec & { name?: string; age?: number } = {}) =>
  route(rules, { namespace: INFRA, parentRefs: [{ name: 'same-namespace' }], hostnames: undefined, ...spec })

/** Name of the Service that a request of the case gets to, or the status that it gets. */
function server(routes: Parameters<typeof read>[0], world: World = {}) {
  const { findings, stateOf, states } = read(routes, { gateways: [SAME], services: SERVICES, ...world })
  const { text, refused } = targetsDocument(findings.hosts, { file: 't.json', base: undefined, identifiers: [] })
  expect(refused).toEqual([])
  const table = parseTargets(text, 't.json')
  const ask = (host: string, path: string, headers: Readonly<Record<string, string>> = {}, method = 'GET'): string | number => {
    const request = { method, fields: Object.entries(headers).flat(), names: Object.keys(headers).map(name => name.toLowerCase()) }
    const target = table.match(host)
    if (target === undefined) return 404
    try {
      const located = locate(target, path, request)
      decide(located, method)
      const { hostname, treatment } = withPart(located).target
      if (treatment?.answer?.kind === 'redirect') return locationOf(treatment.answer, { scheme: 'http', host, path, query: '' })
      return treatment?.answer?.status ?? hostname.replace(/\..*$/, '')
    } catch (error) {
      if (error instanceof GatewayError) return ERRORS[error.code].status
      throw error
    }
  }
  return { ask, stateOf, states }
}
const V1 = 'infra-backend-v1'
const V2 = 'infra-backend-v2'
const V3 = 'infra-backend-v3'

test('HTTPRouteMatching', () => {
  const { ask } = server([routed([rule(1, prefix('/'), by({ version: 'one' })), rule(2, prefix('/v2'), by({ version: 'two' }))])])
  const paths = ['/', '/example', '/v2', '/v2/example', '/v2/', '/v2example', '/foo/v2/example']
  expect(paths.map(path => ask('a', path))).toEqual([V1, V1, V2, V2, V2, V1, V1])
  expect([ask('a', '/', { Version: 'one' }), ask('a', '/', { Version: 'two' })]).toEqual([V1, V2])
})

test('HTTPRouteHeaderMatching', () => {
  const { ask } = server([
    routed([
      rule(1, by({ version: 'one' })),
      rule(2, by({ version: 'two' })),
      rule(1, by({ version: 'two', color: 'orange' })),
      rule(1, by({ color: 'blue' }), by({ color: 'green' })),
      rule(2, by({ color: 'red' }), by({ color: 'yellow' })),
    ]),
  ])
  const headers: readonly Readonly<Record<string, string>>[] = [
    { Version: 'one' },
    { Version: 'two' },
    { Version: 'two', Color: 'orange' },
    { Version: 'two', Color: 'blue' },
    { Color: 'orange' },
    { 'Some-Other-Header': 'one' },
    { Color: 'blue' },
    { Color: 'green' },
    { Color: 'red' },
    { Color: 'yellow' },
    { Color: 'purple' },
  ]
  expect(headers.map(each => ask('a', '/', each))).toEqual([V1, V2, V1, V2, 404, 404, V1, V1, V2, V2, 404])
})

test('HTTPRouteMatchingAcrossRoutes', () => {
  const { ask } = server([
    routed([rule(1, prefix('/'), by({ version: 'one' }))], { name: 'matching-part1', hostnames: ['example.com', 'example.net'] }),
    routed([rule(2, prefix('/v2'), by({ version: 'two' }))], { name: 'matching-part2', hostnames: ['example.com'] }),
  ])
  expect(['/', '/example', '/v2', '/v2/example'].map(path => ask('example.com', path))).toEqual([V1, V1, V2, V2])
  expect([ask('example.net', '/example'), ask('example.net', '/v2')]).toEqual([V1, V1])
  expect([ask('example.com', '/example', { Version: 'one' }), ask('example.com', '/', { Version: 'two' })]).toEqual([V1, V2])
})

test('HTTPRoutePathMatchOrder', () => {
  const { ask } = server([
    routed([
      rule(1, exact('/match')),
      rule(2, exact('/match/exact')),
      rule(3, exact('/match/exact/one')),
      rule(3, prefix('/match/')),
      rule(1, prefix('/match/prefix/')),
      rule(2, prefix('/match/prefix/one')),
    ]),
  ])
  const paths = ['/match/exact/one', '/match/exact', '/match', '/match/prefix/one/any', '/match/prefix/any', '/match/any']
  expect(paths.map(path => ask('a', path))).toEqual([V3, V2, V1, V2, V1, V3])
})

test('HTTPRouteExactPathMatching', () => {
  const { ask } = server([routed([rule(1, exact('/one')), rule(2, exact('/two'))])])
  expect(['/one', '/two', '/', '/one/example', '/two/', '/Two'].map(path => ask('a', path))).toEqual([V1, V2, 404, 404, 404, 404])
})

test('HTTPRouteMethodMatching', () => {
  const post = { method: 'POST' }
  const { ask } = server([
    routed([
      rule(1, post),
      rule(2, { method: 'GET' }),
      rule(1, { ...prefix('/path1'), method: 'GET' }),
      rule(2, { ...by({ version: 'one' }), method: 'PUT' }),
    ]),
  ])
  const asked = [
    ask('a', '/', {}, 'POST'),
    ask('a', '/'),
    ask('a', '/path1'),
    ask('a', '/', { version: 'one' }, 'PUT'),
    ask('a', '/', {}, 'HEAD'),
  ]
  expect(asked).toEqual([V1, V2, V1, V2, 404])
})

test('HTTPRouteListenerHostnameMatching', () => {
  const names = ['bar.com', 'foo.bar.com', '*.bar.com', '*.foo.com']
  const listeners = names.map((hostname, i) => ({ name: `listener-${i + 1}`, ...LISTENER, hostname }))
  const at = (...numbers: readonly number[]) => numbers.map(number => ({ name: 'same-namespace', sectionName: `listener-${number}` }))
  const { ask } = server(
    [
      routed([rule(1)], { name: 'v1', parentRefs: at(1) }),
      routed([rule(2)], { name: 'v2', parentRefs: at(2) }),
      routed([rule(3)], { name: 'v3', parentRefs: at(3, 4) }),
    ],
    { gateways: [gateway({ listeners }, meta('same-namespace', INFRA))] },
  )
  const hosts = [
    'bar.com',
    'foo.bar.com',
    'baz.bar.com',
    'boo.bar.com',
    'multiple.prefixes.bar.com',
    'multiple.prefixes.foo.com',
    'foo.com',
    'no.matching.host',
  ]
  expect(hosts.map(host => ask(host, '/'))).toEqual([V1, V2, V3, V3, V3, V3, 404, 404])
})

test('HTTPRouteHostnameIntersection', () => {
  const names = ['very.specific.com', '*.wildcard.io', '*.anotherwildcard.io']
  const listeners = names.map((hostname, i) => ({ name: `listener-${i + 1}`, ...LISTENER, hostname }))
  const { ask, states } = server(
    [
      routed([rule(1, prefix('/s1'))], { name: 's1', hostnames: ['non.matching.com', '*.nonmatchingwildcard.io', 'very.specific.com'] }),
      routed([rule(2, prefix('/s2'))], {
        name: 's2',
        hostnames: ['non.matching.com', 'wildcard.io', 'foo.wildcard.io', 'bar.wildcard.io', 'foo.bar.wildcard.io'],
      }),
      routed([rule(3, prefix('/s3'))], { name: 's3', hostnames: ['non.matching.com', '*.specific.com'] }),
      routed([rule(1, prefix('/s4'))], { name: 's4', hostnames: ['*.anotherwildcard.io'] }),
      routed([rule(2, prefix('/s5'))], { name: 's5', hostnames: ['specific.but.wrong.com', 'wildcard.io'] }),
    ],
    { gateways: [gateway({ listeners }, meta('same-namespace', INFRA))] },
  )
  const cases: readonly (readonly [string, string, string | number])[] = [
    ['very.specific.com', '/s1', V1],
    ['non.matching.com', '/s1', 404],
    ['foo.nonmatchingwildcard.io', '/s1', 404],
    ['foo.wildcard.io', '/s1', 404],
    ['very.specific.com', '/non-matching-prefix', 404],
    ['foo.wildcard.io', '/s2', V2],
    ['bar.wildcard.io', '/s2', V2],
    ['foo.bar.wildcard.io', '/s2', V2],
    ['non.matching.com', '/s2', 404],
    ['wildcard.io', '/s2', 404],
    ['very.specific.com', '/s2', 404],
    ['very.specific.com', '/s3', V3],
    ['foo.specific.com', '/s3', 404],
    ['foo.anotherwildcard.io', '/s4', V1],
    ['foo.bar.anotherwildcard.io', '/s4', V1],
    ['anotherwildcard.io', '/s4', 404],
    ['specific.but.wrong.com', '/s5', 404],
    ['wildcard.io', '/s5', 404],
  ]
  expect(cases.map(([host, path]) => [host, path, ask(host, path)])).toEqual(cases)
  expect(states.get(`${INFRA}/s5`)).toEqual([{ Accepted: expect.stringMatching(/^NoMatchingListenerHostname: /) }])
})

test('HTTPRouteWeight', () => {
  const { ask } = server([routed([{ backendRefs: [v(1, { weight: 70 }), v(2, { weight: 30 }), v(3, { weight: 0 })] }])])
  const served = Array.from({ length: 500 }, () => ask('a', '/'))
  // The suite lets it be wrong by 5 %.
  expect(Math.abs(served.filter(name => name === V1).length - 350)).toBeLessThanOrEqual(2)
  expect(served.filter(name => name === V3)).toEqual([])
  expect(served.filter(name => name === V2)).toHaveLength(500 - served.filter(name => name === V1).length)
})

test('HTTPRouteOmittedBackendRefs, and HTTPRoutePartiallyInvalidViaInvalidReferenceGrant', () => {
  const { ask, stateOf } = server([
    routed([
      { matches: [prefix('/none')] },
      { matches: [prefix('/v2')], backendRefs: [v(2, { namespace: 'elsewhere' })] },
      rule(1, prefix('/')),
    ]),
  ])
  expect([ask('a', '/none'), ask('a', '/v2'), ask('a', '/')]).toEqual([500, 500, V1])
  expect(stateOf(`${INFRA}/r`)).toEqual([{ ResolvedRefs: expect.stringMatching(/^RefNotPermitted: /) }])
})

test('HTTPRouteRedirectHostAndStatus, HTTPRouteRedirectScheme and HTTPRouteRedirectPort', () => {
  const redirect = (path: string, requestRedirect: Spec): Spec => ({
    matches: [prefix(path)],
    filters: [{ type: 'RequestRedirect', requestRedirect }],
  })
  const { ask } = server([
    routed([
      redirect('/hostname-redirect', { hostname: 'example.org' }),
      redirect('/scheme', { scheme: 'https' }),
      redirect('/port', { port: 8083 }),
    ]),
  ])
  expect([ask('a.example:80', '/hostname-redirect'), ask('b.example', '/scheme'), ask('b.example', '/port')]).toEqual([
    'http://example.org/hostname-redirect',
    'https://b.example/scheme',
    'http://b.example:8083/port',
  ])
})

describe('status', () => {
  test('HTTPRouteInvalidParentRefNotMatchingSectionName, and …CrossNamespace', () => {
    const named = server([routed([rule(1)], { parentRefs: [{ name: 'same-namespace', sectionName: 'http1', port: 80 }] })])
    expect(named.stateOf(`${INFRA}/r`)).toEqual([{ Accepted: expect.stringMatching(/^NoMatchingParent: /) }])
    const foreign = read([route([rule(1)], { namespace: 'web', parentRefs: [{ name: 'same-namespace', namespace: INFRA }] })], {
      gateways: [SAME],
    })
    expect(foreign.stateOf('web/r')?.[0]).toMatchObject({ Accepted: expect.stringMatching(/^NotAllowedByListeners: /) })
  })

  test('HTTPRouteDisallowedKind: a listener for other kinds takes no HTTPRoute', () => {
    const listeners = [
      { name: 'tls', port: 443, protocol: 'TLS', tls: { mode: 'Passthrough' }, allowedRoutes: { kinds: [{ kind: 'TLSRoute' }] } },
    ]
    const { stateOf, gatewayOf } = read([routed([rule(1)])], {
      gateways: [gateway({ listeners }, meta('same-namespace', INFRA))],
      services: SERVICES,
    })
    expect(stateOf(`${INFRA}/r`)).toEqual([{ Accepted: expect.stringMatching(/^NotAllowedByListeners: /) }])
    expect(gatewayOf(`${INFRA}/same-namespace`).attached.size).toBe(0)
  })

  test('GatewayWithAttachedRoutes: also at a listener whose certificate is not there, and with references that lead nowhere', () => {
    const tls = { mode: 'Terminate', certificateRefs: [{ group: '', kind: 'Secret', name: 'does-not-exist' }] }
    const { hosts, stateOf, gatewayOf } = read([routed([{ backendRefs: [{ name: 'does-not-exist', port: 8080 }] }])], {
      gateways: [gateway({ listeners: [{ name: 'tls', port: 443, protocol: 'HTTPS', tls }] }, meta('same-namespace', INFRA))],
    })
    expect(hosts).toEqual({})
    expect(stateOf(`${INFRA}/r`)).toEqual([{ ResolvedRefs: expect.stringMatching(/^BackendNotFound: /) }])
    const { attached, listeners, state } = gatewayOf(`${INFRA}/same-namespace`)
    expect(attached).toEqual(new Map([['tls', 1]]))
    expect(listeners[0]).toMatchObject({ ResolvedRefs: expect.anything(), Programmed: expect.anything() })
    expect(state.listeners[0]).toMatchObject({ takesRoutes: true })
  })

  test('GatewayInvalidParametersRef', () => {
    const infrastructure = { parametersRef: { group: 'invalid.io', kind: 'InvalidParameters', name: 'invalid' } }
    const { state } = read([], { gateways: [gateway({ infrastructure })] }).gatewayOf()
    expect(state.conditions.find(({ type }) => type === 'Accepted')).toMatchObject({ status: 'False', reason: 'InvalidParameters' })
  })

  test('GatewayNameMaximumLength, GatewayObservedGenerationBump and GatewayClassObservedGenerationBump', () => {
    const name = 'a'.repeat(253)
    const { gatewayOf, findings } = read([], { gateways: [gateway({}, { ...meta(name), generation: 7 })] })
    const { state } = gatewayOf(`default/${name}`)
    const generations = [...state.conditions, ...state.listeners.flatMap(({ conditions }) => conditions)].map(
      each => each.observedGeneration,
    )
    expect(new Set(generations)).toEqual(new Set([7]))
    expect(findings.classes.get('/ours')?.conditions.map(each => each.observedGeneration)).toEqual([1])
  })

  test('GatewayInvalidListenersUnsupportedProtocol', () => {
    const listeners = [
      { name: 'http', ...LISTENER },
      { name: 'invalid', port: 1111, protocol: 'INVALID' },
    ]
    const { gatewayOf } = read([], { gateways: [gateway({ listeners })] })
    expect(gatewayOf().listeners).toEqual([
      {},
      { Accepted: expect.stringMatching(/^UnsupportedProtocol: /), Programmed: expect.anything() },
    ])
    expect(gatewayOf().state.conditions.find(({ type }) => type === 'Accepted')).toMatchObject({
      status: 'True',
      reason: 'ListenersNotValid',
    })
  })
})
