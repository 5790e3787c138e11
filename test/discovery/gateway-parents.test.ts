/** Gateways, and which of their listeners take a route. */
import { describe, expect, test } from '@jest/globals'
import type { GatewayClass } from '../../src/discovery/kubernetes/gateway/objects.ts'
import { CONTROLLER, gateway, LISTENER, meta, OURS, read, route, service, to, type World } from './gateway-world.ts'

describe('parents', () => {
  const listeners = [
    { name: 'one', port: 80, protocol: 'HTTP', hostname: '*.example.com' },
    { name: 'two', port: 80, protocol: 'HTTP', hostname: 'b.other.net', allowedRoutes: { namespaces: { from: 'All' } } },
    {
      name: 'three',
      port: 80,
      protocol: 'HTTP',
      hostname: 'c.other.net',
      allowedRoutes: {
        namespaces: {
          from: 'Selector',
          selector: { matchLabels: { team: 'a' }, matchExpressions: [{ key: 'old', operator: 'DoesNotExist' }] },
        },
      },
    },
  ]
  const hosted = (spec: Parameters<typeof route>[1], world: World = {}) => {
    const result = read([route([to('web')], spec)], {
      gateways: [gateway({ listeners })],
      services: [service('web'), service('web', 'team')],
      ...world,
    })
    return {
      hosts: Object.keys(result.hosts),
      state: result.stateOf(`${spec?.namespace ?? 'default'}/r`),
      attached: result.gatewayOf().attached,
    }
  }

  test.each([
    [['a.example.com', 'deep.a.example.com'], ['a.example.com', 'deep.a.example.com'], [['one', 1]]],
    [
      ['a.example.com', 'b.other.net'],
      ['a.example.com', 'b.other.net'],
      [
        ['one', 1],
        ['two', 1],
      ],
    ],
    [['b.other.net', 'nowhere.net'], ['b.other.net'], [['two', 1]]],
    // The star stands for any number of labels, as two stars of a target do.
    [['*.example.com'], ['**.example.com'], [['one', 1]]],
    [['*.Deep.example.com'], ['**.deep.example.com'], [['one', 1]]],
    [
      [],
      ['**.example.com', 'b.other.net'],
      [
        ['one', 1],
        ['two', 1],
      ],
    ],
  ])('%j are had at the listeners that have them', (hostnames, hosts, attached) => {
    expect(hosted({ hostnames })).toMatchObject({ hosts, state: [{}], attached: new Map(attached as [string, number][]) })
  })

  test.each([
    [{ hostnames: ['nowhere.net'] }, 'NoMatchingListenerHostname'],
    [{ hostnames: ['example.com'] }, 'NoMatchingListenerHostname'],
    [{ parentRefs: [{ name: 'edge', namespace: 'default', sectionName: 'four' }] }, 'NoMatchingParent'],
    [{ parentRefs: [{ name: 'edge', namespace: 'default', port: 81 }] }, 'NoMatchingParent'],
    [{ parentRefs: [{ name: 'edge', namespace: 'default', sectionName: 'one' }], namespace: 'team' }, 'NotAllowedByListeners'],
    [
      { parentRefs: [{ name: 'edge', namespace: 'default', sectionName: 'three' }], namespace: 'team', hostnames: ['c.other.net'] },
      'NotAllowedByListeners',
    ],
  ])('%j: %s', (spec, reason) => {
    const { hosts, state } = hosted(spec)
    expect(hosts).toEqual([])
    expect(state).toEqual([{ Accepted: expect.stringMatching(`^${reason}: `) }])
  })

  test('a namespace with the labels is let in', () => {
    const spec = {
      parentRefs: [{ name: 'edge', namespace: 'default', sectionName: 'three' }],
      namespace: 'team',
      hostnames: ['c.other.net'],
    }
    const namespace = (labels: Record<string, string>): World => ({ namespaces: [{ metadata: { name: 'team', labels } }] })
    expect(hosted(spec, namespace({ team: 'a' })).hosts).toEqual(['c.other.net'])
    expect(hosted(spec, namespace({ team: 'a', old: '' })).hosts).toEqual([])
    expect(hosted(spec, namespace({ team: 'b' })).hosts).toEqual([])
  })

  test('a route without hostnames at a listener without one is for every host; one of others is none of ours', () => {
    expect(Object.keys(read([route([to('web')], { hostnames: undefined })]).hosts)).toEqual(['*'])
    const foreign = read([route([to('web')], { parentRefs: [{ name: 'theirs' }, { name: 'edge', kind: 'Service', group: '' }] })], {
      gateways: [gateway(), gateway({ gatewayClassName: 'other' }, meta('theirs'))],
    })
    expect(foreign.states.size).toBe(0)
    expect(foreign.hosts).toEqual({})
    expect([...foreign.findings.gateways.keys()]).toEqual(['default/edge'])
  })
})

describe('Gateways', () => {
  test('have one port: that of the oldest; other listeners are refused, each with its reason', () => {
    const older = gateway({
      listeners: [
        LISTENER,
        { name: 'tls', port: 443, protocol: 'HTTPS', tls: { options: { 'socket-gateway/certificates': 'outer-layer' } } },
        { name: 'raw', port: 80, protocol: 'TCP' },
      ],
    })
    const newer = gateway({ listeners: [{ name: 'web', port: 8080, protocol: 'HTTP' }] }, meta('second', 'default', 1))
    const { gatewayOf } = read([], { gateways: [newer, older] })
    expect(gatewayOf()).toMatchObject({
      gateway: {},
      listeners: [
        {},
        { Accepted: expect.stringMatching(/^PortUnavailable: .*--app-http-port/), Programmed: expect.anything() },
        { Accepted: expect.stringMatching(/^UnsupportedProtocol: TCP/) },
      ],
    })
    expect(gatewayOf('default/second')).toMatchObject({
      gateway: { Accepted: expect.stringMatching(/^ListenersNotValid: /), Programmed: expect.stringMatching(/^Invalid: /) },
    })
  })

  test.each([
    [
      { tls: { certificateRefs: [{ name: 'secret' }], options: { 'socket-gateway/certificates': 'outer-layer' } } },
      'ResolvedRefs',
      /^InvalidCertificateRef: .*--tls-certificate/,
      // It has its routes, and serves none of them.
      1,
    ],
    [{ tls: { mode: 'Passthrough' } }, 'Accepted', /^UnsupportedValue: tls.mode Passthrough/, 0],
    [
      { tls: { options: { 'socket-gateway/certificates': 'outer-layer' }, frontendValidation: {} } },
      'Accepted',
      /^UnsupportedValue: tls.frontendValidation/,
      0,
    ],
    [{ protocol: 'HTTP', allowedRoutes: { kinds: [{ kind: 'GRPCRoute' }] } }, 'ResolvedRefs', /^InvalidRouteKinds: GRPCRoute/, 0],
  ])('a listener with %j: %s', (more, type, words, attached) => {
    const { hosts, gatewayOf } = read([route([to('web')])], {
      gateways: [gateway({ listeners: [{ name: 'tls', port: 443, protocol: 'HTTPS', ...more }] })],
    })
    expect(gatewayOf().listeners[0]).toMatchObject({ [type]: expect.stringMatching(words), Programmed: expect.anything() })
    expect(gatewayOf().attached.size).toBe(attached)
    expect(hosts).toEqual({})
  })

  test('the certificates of the outer layer do for HTTPS', () => {
    const tls = { mode: 'Terminate', options: { 'socket-gateway/certificates': 'outer-layer' } }
    const { gatewayOf, hosts } = read([route([to('web')])], {
      gateways: [gateway({ listeners: [{ name: 'tls', port: 443, protocol: 'HTTPS', tls }] })],
    })
    expect(gatewayOf()).toMatchObject({ gateway: {}, listeners: [{}], attached: new Map([['tls', 1]]) })
    expect(Object.keys(hosts)).toEqual(['a.example.com'])
  })

  test('get the addresses of the outer layers, and may ask for no others', () => {
    const addresses = ['203.0.113.7', 'edge.example.com']
    expect(read([], { addresses }).gatewayOf().state.addresses).toEqual([
      { type: 'IPAddress', value: '203.0.113.7' },
      { type: 'Hostname', value: 'edge.example.com' },
    ])
    const asking = read([route([to('web')])], { addresses, gateways: [gateway({ addresses: [{ value: '198.51.100.1' }] })] })
    expect(asking.gatewayOf().gateway).toMatchObject({ Accepted: expect.stringMatching(/^UnsupportedAddress: /) })
    expect(asking.hosts).toEqual({})
  })

  test('of a class with parameters there are none, and features are those that are met as a whole', () => {
    const strange: GatewayClass = { ...OURS, spec: { controllerName: CONTROLLER, parametersRef: {} } }
    const { findings } = read([route([to('web')])], { classes: [strange] })
    expect(findings.gateways.size).toBe(0)
    expect(findings.classes.get('/ours')?.conditions).toMatchObject([
      { type: 'Accepted', status: 'False', reason: 'InvalidParameters', observedGeneration: 1 },
    ])
    const names = read([])
      .findings.classes.get('/ours')!
      .supportedFeatures.map(({ name }) => name)
    expect(names).toEqual([...names].sort())
    // Header matches and weights are core of it.
    expect(names).not.toContain('HTTPRoute')
  })

  test('conditions carry the generation that they speak of', () => {
    const { findings } = read([route([to('web')])])
    const all = [...findings.routes.values()].flat().flatMap(({ conditions }) => conditions)
    expect(all.map(({ observedGeneration }) => observedGeneration)).toEqual([3, 3])
  })
})
