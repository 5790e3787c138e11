/** Ingresses: what of them becomes targets, and what is said of them. https://kubernetes.io/docs/concepts/services-networking/ingress/ */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { parseYaml } from '../../src/config/document/yaml.ts'
import { parseTargets } from '../../src/config/targets.ts'
import { CertificateBook } from '../../src/discovery/kubernetes/certificates/certificate-book.ts'
import type { Ingress, IngressClass } from '../../src/discovery/kubernetes/ingress/objects.ts'
import { readIngresses } from '../../src/discovery/kubernetes/ingress/read-ingresses.ts'
import { keyOf, type KubeObject, type KubeService } from '../../src/discovery/kubernetes/objects.ts'
import { targetsDocument } from '../../src/discovery/targets-document.ts'
import { ERRORS, GatewayError } from '../../src/errors.ts'
import type { MintedPair } from '../../src/identity/certificate.ts'
import { locate } from '../../src/route/admit.ts'
import { begin } from '../cli/context.ts'
import { mintServer } from '../support/certificates.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { tempDir } from '../support/temp.ts'
import { until } from '../support/wait.ts'
import { meta, service, type Spec } from './gateway-world.ts'
import { startKubeApi } from './kube-api.ts'

const CONTROLLER = 'socket-gateway/ingress-controller'
const ours = (annotations: Readonly<Record<string, string>> = {}, spec: Spec = {}): IngressClass => ({
  metadata: { name: 'ours', annotations },
  spec: { controller: CONTROLLER, ...spec },
})
const to = (name: string, port: Spec = { number: 80 }): { readonly service: { readonly name: string; readonly port: Spec } } => ({
  service: { name, port },
})
const path = (value: string, name: string, pathType = 'Prefix'): Spec => ({
  path: value,
  pathType,
  backend: to(name, { number: name === 'api' ? 8080 : 80 }),
})
const rule = (host: string | undefined, ...paths: readonly Spec[]): Spec => ({ ...(host !== undefined && { host }), http: { paths } })
const ingress = (spec: Spec, name = 'web', { age = 0, ...metadata }: Spec & { age?: number } = {}): Ingress => ({
  metadata: { ...meta(name, 'default', age), ...metadata },
  spec: { ingressClassName: 'ours', ...spec },
})

const byKey = <Kind extends KubeObject>(objects: readonly Kind[]): ReadonlyMap<string, Kind> =>
  new Map(objects.map(each => [keyOf(each), each]))
const SERVICES: readonly KubeService[] = [service('web'), service('api', 'default', { name: 'http', port: 8080 }), service('other', 'team')]

const read = (
  ingresses: readonly Ingress[],
  { classes = [ours()], book }: { classes?: readonly IngressClass[]; book?: CertificateBook } = {},
) => {
  const objects = { classes: byKey(classes), ingresses: byKey(ingresses), services: byKey(SERVICES) }
  const findings = readIngresses(objects, { controller: CONTROLLER, domain: undefined, book })
  const { text, refused } = targetsDocument(findings.hosts, { file: 't.json', base: undefined, identifiers: [] })
  expect(refused).toEqual([])
  const table = parseTargets(text, 't.json')
  /** Name of the Service that a request gets to, or the status that it gets. */
  const ask = (host: string, target: string): string | number => {
    const found = table.match(host)
    if (found === undefined) return 404
    try {
      const { hostname, treatment } = locate(found, target, { method: 'GET', fields: [], names: [] }).target
      return treatment?.answer?.kind === 'respond' ? treatment.answer.status : hostname.replace(/\..*$/, '')
    } catch (error) {
      if (error instanceof GatewayError) return ERRORS[error.code].status
      throw error
    }
  }
  return { ask, findings, stateOf: (name = 'web') => findings.states.get(`default/${name}`) }
}

describe('an Ingress', () => {
  test('has its paths by the rules of the API: elements of a prefix, the longest, exact before prefix', () => {
    const { ask, stateOf } = read([
      ingress({
        rules: [
          rule(
            'a.example.com',
            path('/', 'web'),
            path('/foo/', 'api'),
            path('/foo', 'web', 'Exact'),
            path('/foo/bar', 'web', 'ImplementationSpecific'),
          ),
          rule('b.example.com', path('/only', 'api', 'Exact'), { path: '', pathType: 'ImplementationSpecific', backend: to('web') }),
        ],
      }),
    ])
    expect(stateOf()).toEqual({ fault: undefined, hosts: ['a.example.com', 'b.example.com'], unresolved: [] })
    const paths = ['/', '/x', '/foo', '/foo/', '/foo/x', '/foobar', '/foo/bar', '/foo/bar/x']
    expect(paths.map(each => ask('a.example.com', each))).toEqual(['web', 'web', 'web', 'api', 'api', 'web', 'web', 'web'])
    expect(['/only', '/only/', '/'].map(each => ask('b.example.com', each))).toEqual(['api', 'web', 'web'])
  })

  test('names ports of Services by number or name; what leads nowhere is answered 503 and said', () => {
    const backend = (name: string, port: Spec): Spec => ({
      path: `/${name}-${String(port['name'] ?? port['number'])}`,
      pathType: 'Prefix',
      backend: to(name, port),
    })
    const all = [
      backend('api', { name: 'http' }),
      backend('api', { number: 8080 }),
      backend('api', { name: 'no' }),
      backend('gone', { number: 80 }),
      backend('other', { number: 80 }),
    ]
    const { ask, stateOf } = read([ingress({ rules: [rule('a.example.com', ...all)] })])
    expect(['/api-http', '/api-8080', '/api-no', '/gone-80', '/other-80'].map(each => ask('a.example.com', each))).toEqual([
      'api',
      'api',
      503,
      503,
      503,
    ])
    expect(stateOf()?.unresolved).toEqual([
      'there is no Service default/api with a TCP port no',
      'there is no Service default/gone',
      'there is no Service default/other',
    ])
  })

  test('has hosts of one label below a star, and every host without one; its default backend has what is left of its hosts', () => {
    const { ask } = read([
      ingress({ rules: [rule('*.example.com', path('/x', 'web'))], defaultBackend: to('api', { number: 8080 }) }, 'one'),
      ingress({ rules: [rule(undefined, path('/any', 'web'))] }, 'two', { age: 1 }),
    ])
    expect([ask('a.example.com', '/x'), ask('a.example.com', '/y'), ask('a.b.example.com', '/x'), ask('a.b.example.com', '/any')]).toEqual([
      'web',
      'api',
      404,
      'web',
    ])
    expect(read([ingress({ defaultBackend: to('web') })]).ask('whatever.example', '/x')).toBe('web')
    expect(read([ingress({ rules: [{ host: 'c.example.com' }], defaultBackend: to('web') })]).ask('c.example.com', '/x')).toBe('web')
  })

  test('of two for the same path of a host the older has it, and the rest is put together', () => {
    const { ask } = read([
      ingress({ rules: [rule('a.example.com', path('/x', 'api'), path('/y', 'web'))] }, 'late', { age: 2 }),
      ingress({ rules: [rule('A.example.com', path('/x', 'web'))] }, 'early', { age: 1 }),
    ])
    expect([ask('a.example.com', '/x'), ask('a.example.com', '/y')]).toEqual(['web', 'web'])
  })

  test('is ours by its class, by the annotation of old, or by the class for all that name none', () => {
    const classless = (annotations: Spec = {}): Ingress => ({
      metadata: { ...meta('web'), annotations: annotations as Record<string, string> },
      spec: { defaultBackend: to('web') },
    })
    expect(read([classless()]).stateOf()).toBeUndefined()
    expect(read([classless({ 'kubernetes.io/ingress.class': 'ours' })]).stateOf()?.fault).toBeUndefined()
    expect(read([classless({ 'kubernetes.io/ingress.class': 'ours' })]).stateOf()).toBeDefined()
    expect(read([classless()], { classes: [ours({ 'ingressclass.kubernetes.io/is-default-class': 'true' })] }).stateOf()).toBeDefined()
    const spec = { defaultBackend: to('web') }
    expect(read([ingress(spec)], { classes: [ours({}, { controller: 'example.com/other' })] }).stateOf()).toBeUndefined()
    expect(read([ingress(spec)], { classes: [ours({}, { parameters: { kind: 'X', name: 'x' } })] }).stateOf()).toBeUndefined()
  })

  test.each<readonly [string, Spec, Spec, string]>([
    [
      'an expression',
      { rules: [rule('a.example.com', path('/(.*)', 'web', 'ImplementationSpecific'))] },
      {},
      'no expressions are supported',
    ],
    ['a path that is none', { rules: [rule('a.example.com', path('x', 'web'))] }, {}, 'can be read in more than one way'],
    ['a path with an encoded slash', { rules: [rule('a.example.com', path('/a%2Fb', 'web'))] }, {}, 'can be read in more than one way'],
    ['another pathType', { rules: [rule('a.example.com', path('/x', 'web', 'Regex'))] }, {}, 'pathType Regex is not supported'],
    ['a resource', { defaultBackend: { resource: { kind: 'Bucket', name: 'x' } } }, {}, 'defaultBackend.resource is not supported'],
    ['nothing', {}, {}, 'neither rules nor a defaultBackend'],
    ['a rule without paths', { rules: [{ host: 'a.example.com' }] }, {}, 'a.example.com has no paths'],
    ['a certificate without a folder', { defaultBackend: to('web'), tls: [{ secretName: 's' }] }, {}, '--certificate-folder'],
    ['a key that is not known', { defaultBackend: to('web'), later: 1 }, {}, 'spec.later is not supported'],
    [
      'an annotation of Services',
      { defaultBackend: to('web') },
      { annotations: { 'socket-gateway/policy': '*' } },
      'socket-gateway/policy is for Services',
    ],
    ['a host that is none', { rules: [rule('a..b', path('/', 'web'))] }, {}, 'a..b'],
  ])('%s: none of it is served', (_, spec, metadata, fault) => {
    const { findings, stateOf } = read([ingress(spec, 'web', metadata)])
    expect(stateOf()).toMatchObject({ fault: expect.stringContaining(fault), hosts: [] })
    expect(findings.hosts).toEqual([])
  })

  describe('with TLS', () => {
    let pair: MintedPair
    beforeAll(async () => {
      pair = await mintServer(['a.example.com', '*.b.example.com'])
    })
    const secretOf = () => ({
      metadata: { name: 'cert', namespace: 'default' },
      type: 'kubernetes.io/tls',
      data: {
        'tls.crt': Buffer.from(pair.certificatePem).toString('base64'),
        'tls.key': Buffer.from(pair.privateKeyPem).toString('base64'),
      },
    })
    const judged = (...tls: readonly Spec[]) => {
      const book = new CertificateBook({ secrets: new Map([['default/cert', secretOf()]]), allowed: [] })
      const { stateOf } = read([ingress({ defaultBackend: to('web'), tls })], { book })
      return { fault: stateOf()?.fault, held: book.held.map(({ name }) => name) }
    }

    test('has the certificate of its Secret, which has to be for its hosts; without a Secret it has that of the outer layer', () => {
      expect(judged({ hosts: ['a.example.com', '*.b.example.com'], secretName: 'cert' })).toEqual({ fault: undefined, held: ['cert'] })
      expect(judged({ secretName: 'cert' }, { hosts: ['x.example.com'] })).toEqual({ fault: undefined, held: ['cert'] })
      expect(judged({ hosts: ['x.example.com'] })).toEqual({ fault: undefined, held: [] })
      expect(judged({ hosts: ['x.example.com'], secretName: 'cert' })).toEqual({
        fault: expect.stringContaining('is not for x.example.com'),
        held: [],
      })
      expect(judged({ secretName: 'gone' })).toEqual({ fault: expect.stringContaining('there is no Secret default/gone'), held: [] })
    })
  })
})

describe('kubernetes --ingress-controller', () => {
  const start = async (...more: readonly string[]) => {
    const api = await startKubeApi()
    const file = join(tempDir(), 'found.yaml')
    api.put('ingressclasses', 'ours', { controller: CONTROLLER }, { namespace: '' })
    api.set('web', {})
    const argv = ['--kubernetes-api', api.url, '--targets', file, '--ingress-controller', CONTROLLER, '--gateway-address', '203.0.113.7']
    const running = begin(['kubernetes', ...argv, '--gateway-address', 'edge.example.com', ...more])
    onCleanUp(() => void running.stop())
    const put = (name: string, host: string, spec: Spec = {}): void =>
      api.put('ingresses', name, { ingressClassName: 'ours', rules: [rule(host, path('/', 'web'))], ...spec })
    const address = (name: string): unknown =>
      (api.statusOf('ingresses', `default/${name}`) as { loadBalancer?: { ingress?: unknown } } | undefined)?.loadBalancer?.ingress
    const said = (reason: string): unknown[] => api.events.filter(event => event['reason'] === reason).map(event => event['message'])
    const hosts = (): string[] =>
      existsSync(file) ? Object.keys((JSON.parse(readFileSync(file, 'utf8')) as { targets: Record<string, unknown> }).targets) : []
    return { api, running, put, address, said, hosts }
  }
  const ADDRESSES = [{ ip: '203.0.113.7' }, { hostname: 'edge.example.com' }]

  test('serves Ingresses, gives them its addresses, and says once what became of each', async () => {
    const { api, running, put, address, said, hosts } = await start('--allow-host', '*.example.com')
    put('web', 'a.example.com')
    await until(() => said('Published').length === 1 && JSON.stringify(address('web')) === JSON.stringify(ADDRESSES))
    expect(hosts()).toEqual(['a.example.com'])
    expect(said('Published')).toEqual(['published for a.example.com'])
    expect(api.events[0]).toMatchObject({
      type: 'Normal',
      involvedObject: { apiVersion: 'networking.k8s.io/v1', kind: 'Ingress', name: 'web' },
    })
    put('bad', 'a.example.net')
    await until(() => said('NotPublished').length === 1)
    expect(said('NotPublished')[0]).toContain('--allow-host')
    expect(address('bad')).toBeUndefined()
    // What was right and is not any more loses its address.
    put('web', 'a.example.com', { tls: [{ secretName: 's' }] })
    await until(() => said('NotPublished').length === 2 && JSON.stringify(address('web')) === '[]')
    expect(hosts()).toEqual([])
    // Of another class from now on: nothing more is said of it.
    put('web', 'a.example.com')
    await until(() => said('Published').length === 2 && JSON.stringify(address('web')) === JSON.stringify(ADDRESSES))
    put('web', 'a.example.com', { ingressClassName: 'theirs' })
    await until(() => JSON.stringify(address('web')) === '[]' && hosts().length === 0)
    expect([said('Published').length, said('NotPublished').length]).toEqual([2, 2])
    expect(api.needless).toEqual([])
    await running.stop()
    // With the rights of deploy/kubernetes/ingress.yaml, and no others.
    const documents = readFileSync('deploy/kubernetes/ingress.yaml', 'utf8')
      .split(/^---$/m)
      .map(
        text =>
          parseYaml(text, 'ingress.yaml').value as { spec?: { controller?: string }; rules?: { resources: string[]; verbs: string[] }[] },
      )
    const given = documents.flatMap(({ rules = [] }) =>
      rules.flatMap(({ resources, verbs }) => resources.flatMap(kind => verbs.map(verb => `${verb} ${kind}`))),
    )
    const asked = api.requests.flatMap(request => {
      const [, method, kind = '', status = '', watching] =
        /^(\w+) \/apis\/networking\.k8s\.io\/v1\/(?:namespaces\/\w+\/)?(\w+)(?:\/\w+)?(\/status)?(\?watch)?$/.exec(request) ?? []
      return kind === '' ? [] : [`${method === 'PATCH' ? 'patch' : watching === undefined ? 'list' : 'watch'} ${kind}${status}`]
    })
    expect([...new Set(asked)].sort()).toEqual([...given].sort())
    expect(documents[0]?.spec?.controller).toBe(CONTROLLER)
  })

  test('a backend that comes later is served, and said', async () => {
    const { api, put, said, hosts } = await start()
    put('web', 'a.example.com', { rules: [rule('a.example.com', path('/', 'later'))] })
    await until(() => said('BackendNotFound').length === 1)
    expect([hosts(), said('BackendNotFound')]).toEqual([['a.example.com'], ['there is no Service default/later']])
    api.set('later', {})
    await until(() => said('Published').length === 2)
    expect(said('BackendNotFound')).toHaveLength(1)
  })

  test('is for targets: sockets of a service have no routes', async () => {
    const running = begin(['kubernetes', '--ingress-controller', CONTROLLER])
    expect(await running.stop()).toBe(2)
    expect(running.stderr()).toContain('--ingress-controller is for --targets')
  })
})
