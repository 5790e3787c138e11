/** `kubernetes --gateway-controller`: HTTPRoutes become targets in a file, and what became of them stands in their status. */
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { parseYaml } from '../../src/config/document/yaml.ts'
import type { Condition, RouteParentStatus } from '../../src/discovery/kubernetes/gateway/objects.ts'
import { begin } from '../cli/context.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { tempDir } from '../support/temp.ts'
import { until } from '../support/wait.ts'
import { startKubeApi } from './kube-api.ts'

const CONTROLLER = 'socket-gateway/gateway-controller'

type Parents = readonly RouteParentStatus[]

const startGateways = async (...more: readonly string[]) => {
  const api = await startKubeApi()
  api.put('gatewayclasses', 'ours', { controllerName: CONTROLLER }, { namespace: '' })
  const listeners = [{ name: 'web', port: 80, protocol: 'HTTP' }]
  api.put('gateways', 'edge', { gatewayClassName: 'ours', listeners })
  api.set('web', {})
  const file = join(tempDir(), 'found.yaml')
  const argv = ['--kubernetes-api', api.url, '--targets', file, '--gateway-controller', CONTROLLER, '--gateway-address', '203.0.113.7']
  const running = begin(['kubernetes', ...argv, ...more])
  onCleanUp(() => void running.stop())
  const route = (name: string, hostname: string, backend = 'web', namespace?: string): void =>
    api.put('httproutes', name, {
      parentRefs: [{ name: 'edge' }],
      hostnames: [hostname],
      rules: [{ backendRefs: [{ name: backend, port: 80, ...(namespace !== undefined && { namespace }) }] }],
    })
  const parentsOf = (name: string): Parents =>
    (api.statusOf('httproutes', `default/${name}`) as { parents?: Parents } | undefined)?.parents ?? []
  /** Resolves to the condition once it is as it should be. */
  const condition = async (name: string, type: string, reason: string): Promise<Condition> => {
    const find = (): Condition | undefined =>
      parentsOf(name)
        .find(({ controllerName }) => controllerName === CONTROLLER)
        ?.conditions.find(each => each.type === type && each.reason === reason)
    await until(() => find() !== undefined, { what: `${type} of ${name} to be ${reason}` })
    return find()!
  }
  const targets = async (): Promise<Record<string, { readonly routes: readonly Record<string, unknown>[] }>> =>
    (JSON.parse(await readFile(file, 'utf8')) as { targets: Record<string, { routes: readonly Record<string, unknown>[] }> }).targets
  return { api, running, route, parentsOf, condition, targets }
}

describe('kubernetes --gateway-controller', () => {
  test('serves routes, says so in the status of each object once, and leaves what others have said', async () => {
    const { api, route, condition, targets, parentsOf } = await startGateways('--identifier', 'lan')
    route('web', 'a.example.com')
    const theirs = { parentRef: { name: 'edge' }, controllerName: 'example.com/other', conditions: [] }
    api.setStatus('httproutes', 'default/web', { parents: [theirs] })
    expect(await condition('web', 'Accepted', 'Accepted')).toMatchObject({
      status: 'True',
      observedGeneration: 1,
      lastTransitionTime: expect.any(String),
    })
    expect(await targets()).toEqual({
      'a.example.com': {
        identifier: ['lan'],
        routes: [{ path: '/', protocol: 'http', hostname: 'web.default.svc', port: 80, preserveHost: true }],
        found: 'k8s gateway a.example.com',
      },
    })
    expect(parentsOf('web')[0]).toEqual(theirs)
    interface Status {
      readonly listeners?: readonly { readonly attachedRoutes: number }[]
    }
    const attached = (count: number) => (): boolean =>
      (api.statusOf('gateways', 'default/edge') as Status | undefined)?.listeners?.[0]?.attachedRoutes === count
    await until(attached(1), { what: 'a route at the listener' })
    expect(api.statusOf('gateways', 'default/edge')).toMatchObject({
      addresses: [{ type: 'IPAddress', value: '203.0.113.7' }],
      conditions: [
        { type: 'Accepted', status: 'True' },
        { type: 'Programmed', status: 'True' },
      ],
      listeners: [{ name: 'web', supportedKinds: [{ kind: 'HTTPRoute' }] }],
    })
    expect(api.statusOf('gatewayclasses', '/ours')).toMatchObject({ conditions: [{ type: 'Accepted', status: 'True' }] })
    // What was written is seen again, and is no reason to write.
    for (const [name, count] of [
      ['second', 2],
      ['third', 3],
    ] as const) {
      route(name, `${name}.example.com`)
      await condition(name, 'Accepted', 'Accepted')
      await until(attached(count), { what: `${count} routes at the listener` })
    }
    expect(api.needless).toEqual([])
  })

  test('a reference that leads nowhere is answered 500 until it leads somewhere; a grant that goes takes it away', async () => {
    const { api, route, condition, targets } = await startGateways()
    route('web', 'a.example.com', 'later')
    await condition('web', 'ResolvedRefs', 'BackendNotFound')
    expect((await targets())['a.example.com']?.routes).toEqual([{ path: '/', respond: { status: 500 } }])
    api.set('later', {})
    await condition('web', 'ResolvedRefs', 'ResolvedRefs')
    expect((await targets())['a.example.com']?.routes).toMatchObject([{ hostname: 'later.default.svc' }])
    route('web', 'a.example.com', 'web', 'team')
    await condition('web', 'ResolvedRefs', 'RefNotPermitted')
    const from = [{ group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', namespace: 'default' }]
    api.put('referencegrants', 'g', { from, to: [{ group: '', kind: 'Service' }] }, { namespace: 'team' })
    await condition('web', 'ResolvedRefs', 'BackendNotFound')
    api.drop('referencegrants', 'team/g')
    await condition('web', 'ResolvedRefs', 'RefNotPermitted')
  })

  test('a host that may not be had is refused where the route is, and one that is not asked for any more goes', async () => {
    const { api, route, condition, targets, parentsOf } = await startGateways('--allow-host', '*.example.com')
    route('good', 'a.example.com')
    route('bad', 'a.example.net')
    expect(await condition('bad', 'Accepted', 'HostRefused')).toMatchObject({
      status: 'False',
      message: expect.stringContaining('--allow-host'),
    })
    await condition('good', 'Accepted', 'Accepted')
    expect(Object.keys(await targets())).toEqual(['a.example.com'])
    api.put('httproutes', 'good', { parentRefs: [{ name: 'elsewhere' }], hostnames: ['a.example.com'], rules: [] })
    await until(() => parentsOf('good').length === 0, { what: 'what was said of it to go' })
    expect(await targets()).toEqual({})
  })

  test('writes again where somebody else was faster', async () => {
    const { api, route, condition } = await startGateways()
    await until(() => api.statusOf('gateways', 'default/edge') !== undefined)
    // Another controller was faster each time; the version that it made is seen, and the next word is for that one.
    route('web', 'a.example.com')
    const theirs = (i: number) => ({ parentRef: { name: 'edge' }, controllerName: `example.com/${i}`, conditions: [] })
    for (let i = 0; i < 5; i++) api.setStatus('httproutes', 'default/web', { parents: [theirs(i)] })
    await condition('web', 'Accepted', 'Accepted')
  })

  test('is for targets: sockets of a service have no routes', async () => {
    const running = begin(['kubernetes', '--gateway-controller', CONTROLLER])
    expect(await running.stop()).toBe(2)
    expect(running.stderr()).toContain('--gateway-controller is for --targets')
  })

  test('deploy/kubernetes/gateway-api.yaml gives the rights for what was asked for here, and no others', async () => {
    const { api, running, route, condition } = await startGateways()
    route('web', 'a.example.com')
    await condition('web', 'Accepted', 'Accepted')
    await until(() => api.statusOf('gateways', 'default/edge') !== undefined)
    await running.stop()
    const asked = api.requests.flatMap(request => {
      const [method, path = ''] = request.split(' ')
      const [, kind = '', status = ''] =
        /\/(gatewayclasses|gateways|httproutes|referencegrants|namespaces)(?:\/[^/?]+)?(\/status)?(?:\?watch)?$/.exec(path) ?? []
      if (kind === '') return []
      return [`${method === 'PATCH' ? 'patch' : path.endsWith('?watch') ? 'watch' : 'list'} ${kind}${status}`]
    })
    const documents = readFileSync('deploy/kubernetes/gateway-api.yaml', 'utf8')
      .split(/^---$/m)
      .map(
        text =>
          parseYaml(text, 'gateway-api.yaml').value as {
            spec?: { controllerName?: string }
            rules?: { resources: string[]; verbs: string[] }[]
          },
      )
    const given = documents.flatMap(({ rules = [] }) =>
      rules.flatMap(({ resources, verbs }) => resources.flatMap(kind => verbs.map(verb => `${verb} ${kind}`))),
    )
    expect([...new Set(asked)].sort()).toEqual([...given].sort())
    expect(documents[0]?.spec?.controllerName).toBe(CONTROLLER)
  })
})
