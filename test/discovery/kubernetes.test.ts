/** `kubernetes`: Services of a cluster whose annotations ask for it become targets in a file, or sockets of the service. */
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { parseYaml } from '../../src/config/document/yaml.ts'
import { begin, type Running } from '../cli/context.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { startServiceEdge } from '../support/service-edge.ts'
import { tempDir } from '../support/temp.ts'
import { until } from '../support/wait.ts'
import { startKubeApi } from './kube-api.ts'

const start = (api: string, argv: readonly string[], env: Readonly<Record<string, string>> = {}) => {
  const running: Running = begin(['kubernetes', '--kubernetes-api', api, ...argv], env)
  onCleanUp(() => void running.stop())
  return { running, log: () => running.stdout() + running.stderr() }
}

const startTargets = async (...more: readonly string[]) => {
  const api = await startKubeApi()
  const file = join(tempDir(), 'found.yaml')
  const started = start(api.url, ['--targets', file, ...more])
  const read = async (): Promise<Record<string, { hostname: string; port: number }>> =>
    (JSON.parse(await readFile(file, 'utf8').catch(() => '{}')) as { targets?: Record<string, { hostname: string; port: number }> })
      .targets ?? {}
  const hosts = (...expected: readonly string[]): Promise<unknown> =>
    until(
      async () =>
        Object.keys(await read())
          .sort()
          .join() === [...expected].sort().join(),
      { what: `the hosts ${expected.join()}` },
    )
  return { api, read, hosts, ...started }
}

const host = (name: string, more: Readonly<Record<string, string>> = {}) => ({ 'socket-gateway/expose': name, ...more })

describe('kubernetes --targets', () => {
  test('follows Services: those of before, more than a page, what comes, changes and goes', async () => {
    const api = await startKubeApi()
    for (const name of ['a', 'b', 'c', 'd', 'e']) api.set(name, host(`${name}.example.com`))
    const file = join(tempDir(), 'found.yaml')
    const { log } = start(api.url, ['--targets', file, '--cluster-domain', 'cluster.local'])
    const read = async (): Promise<Record<string, unknown>> =>
      (JSON.parse(await readFile(file, 'utf8').catch(() => '{"targets":{}}')) as { targets: Record<string, unknown> }).targets
    await until(async () => Object.keys(await read()).length === 5)
    api.set('a', host('other.example.com', { 'socket-gateway/port': 'web', 'socket-gateway/protocol': 'https' }), [
      { name: 'metrics', port: 9090 },
      { name: 'web', port: 8443 },
    ])
    api.remove('b')
    await until(async () => !('a.example.com' in (await read())) && !('b.example.com' in (await read())))
    expect((await read())['other.example.com']).toEqual({
      protocol: 'https',
      hostname: 'a.default.svc.cluster.local',
      port: 8443,
      found: 'k8s default.a',
    })
    expect(log()).toContain('this is the one that publishes')
  })

  test('goes on where a watch was cut, and at a bookmark, without another list', async () => {
    const { api, hosts } = await startTargets()
    await until(() => api.followers() === 1)
    api.set('a', host('a.example.com'))
    await hosts('a.example.com')
    const lists = api.lists()
    api.cut()
    api.set('b', host('b.example.com'))
    await hosts('a.example.com', 'b.example.com')
    await until(() => api.followers() === 1)
    api.bookmark()
    api.forget()
    // The version of the bookmark is the newest one that is known, so the watch need not begin anew.
    api.cut()
    await until(() => api.followers() === 1 && api.watches() >= 3)
    api.set('c', host('c.example.com'))
    await hosts('a.example.com', 'b.example.com', 'c.example.com')
    expect(api.lists()).toBe(lists)
  })

  test('lists again when its version is too old (410), and finds what went meanwhile', async () => {
    const { api, hosts } = await startTargets()
    await until(() => api.followers() === 1)
    api.set('a', host('a.example.com'))
    api.set('b', host('b.example.com'))
    await hosts('a.example.com', 'b.example.com')
    const lists = api.lists()
    api.refuse(500)
    api.remove('a')
    api.set('c', host('c.example.com'))
    api.forget()
    api.refuse(undefined)
    await hosts('b.example.com', 'c.example.com')
    expect(api.lists()).toBeGreaterThan(lists)
  })

  test('leaves out what is wrong, and says so in the log and as an event of the Service', async () => {
    const { api, hosts, log } = await startTargets()
    api.set('port', host('port.example.com', { 'socket-gateway/port': 'nosuch' }), [{ name: 'web', port: 80 }])
    api.set('word', host('word.example.com', { 'socket-gateway/polcy': '{}' }))
    api.set('outside', host('outside.example.com'), [{ port: 80 }], { type: 'ExternalName', externalName: 'example.net' })
    api.set('udp', host('udp.example.com'), [{ port: 53, protocol: 'UDP' }])
    api.set('old', { 'mysocket.io/enabled': 'true' })
    api.set('other', { 'mysocket.io/enabled': 'True' })
    api.set('silent', { 'socket-gateway/expose': 'false' })
    api.set('good', host('good.example.com'))
    await hosts('good.example.com')
    await until(() => api.events.length === 5)
    expect(
      Object.fromEntries(api.events.map(({ involvedObject, message }) => [(involvedObject as { name: string }).name, message])),
    ).toEqual({
      port: expect.stringContaining('it has no port nosuch; there are 80 (web)'),
      word: expect.stringContaining('socket-gateway/polcy: is not known'),
      outside: expect.stringContaining('ExternalName'),
      udp: 'has no TCP port',
      old: expect.stringContaining('has no host, which a target needs'),
    })
    for (const name of ['other', 'silent']) expect(log()).not.toContain(`k8s default.${name}`)
  })

  test('says what its service account lacks, and goes on once it has it', async () => {
    const api = await startKubeApi()
    api.set('a', host('a.example.com'))
    api.refuse(403)
    const file = join(tempDir(), 'found.yaml')
    const { log } = start(api.url, ['--targets', file])
    await until(() => log().includes('was answered 403: is forbidden; give its service account the rights of deploy/kubernetes'))
    api.refuse(undefined)
    await until(async () => (await readFile(file, 'utf8').catch(() => '')).includes('a.example.com'))
  })

  test('one of several works; when it ends, the next one takes over at once', async () => {
    const api = await startKubeApi()
    api.set('a', host('a.example.com'))
    const files = [join(tempDir(), 'first.yaml'), join(tempDir(), 'second.yaml')] as const
    const has = (file: string) => async (): Promise<boolean> => (await readFile(file, 'utf8').catch(() => '')).includes('a.example.com')
    const first = start(api.url, ['--targets', files[0]])
    await until(has(files[0]))
    const second = start(api.url, ['--targets', files[1]])
    await until(() => api.requests.filter(each => each.startsWith('GET /apis/coordination')).length >= 2)
    expect(second.log()).not.toContain('this is the one that publishes')
    expect(await first.running.stop()).toBe(0)
    await until(has(files[1]))
    expect(api.leases.get('default/socket-gateway')).toMatchObject({ spec: { leaseTransitions: 1 } })
  })

  test.each([
    [['--targets', 'x.yaml'], 'this is no pod of a cluster'],
    [['--targets', 'x.yaml', '--kubernetes-api', 'kube'], 'expected a URL'],
    [
      ['--targets', 'x.yaml', '--kubernetes-api', 'http://10.0.0.1', '--kubernetes-token-file', 't'],
      'a token would go over the network without TLS',
    ],
  ])('refuses %j in words', async (argv, words) => {
    const running = begin(['kubernetes', ...argv])
    expect(await running.stop()).toBe(2)
    expect(running.stderr()).toContain(words)
  })
})

test('deploy/kubernetes gives the rights for what was asked for here, and no others', async () => {
  const { api, hosts, running } = await startTargets()
  api.set('a', host('a.example.com'))
  api.set('wrong', host('b.example.com', { 'socket-gateway/port': 'nosuch' }))
  await hosts('a.example.com')
  await until(() => api.events.length > 0)
  await running.stop()
  const VERBS = new Map([
    ['GET', 'list'],
    ['POST', 'create'],
    ['PUT', 'update'],
    ['PATCH', 'patch'],
  ])
  const asked = api.requests.map(request => {
    const [method = '', path = ''] = request.split(' ')
    const kind = /(services|leases|events)/.exec(path)?.[1] ?? ''
    if (path.endsWith('?watch')) return `watch ${kind}`
    return `${/leases\/./.test(path) && method === 'GET' ? 'get' : VERBS.get(method)} ${kind}`
  })
  // A socket of the service has its URL written back, which targets have not.
  asked.push('patch services')
  const given = readFileSync('deploy/kubernetes/controller.yaml', 'utf8')
    .split(/^---$/m)
    .map(text => parseYaml(text, 'controller.yaml').value as { readonly rules?: readonly { resources: string[]; verbs: string[] }[] })
    .flatMap(({ rules = [] }) => rules.flatMap(({ resources, verbs }) => resources.flatMap(kind => verbs.map(verb => `${verb} ${kind}`))))
  expect([...new Set(asked)].sort()).toEqual([...given].sort())
})

describe('kubernetes', () => {
  test('makes a socket for a Service as the controller of 2020 did, writes back where it is, and takes the word back when it is not asked for any more', async () => {
    const { api: service, sockets } = await startServiceEdge('edge.example.com')
    const api = await startKubeApi()
    api.set('web', { 'mysocket.io/enabled': 'true' }, [{ port: 8000 }])
    const { running, log } = start(api.url, [], { SG_SERVER: service.url, SG_API_TOKEN: service.tokens.ada })
    await until(() => api.annotationsOf('web')['status.socket-gateway/url'] !== undefined, { what: 'the annotation' })
    const [socket] = await sockets()
    expect(socket).toMatchObject({ name: 'k8s default.web', type: 'http' })
    const { 'status.socket-gateway/url': url = '' } = api.annotationsOf('web')
    expect(url).toContain(socket!.dnsName)
    await until(() => api.events.length > 0)
    expect(api.events[0]).toMatchObject({
      type: 'Normal',
      reason: 'Published',
      involvedObject: { kind: 'Service', name: 'web', namespace: 'default' },
    })
    await until(() => log().includes('"published"'))
    expect(log()).toContain('http://web.default.svc:8000')
    api.set('web', { 'status.socket-gateway/url': url }, [{ port: 8000 }])
    await until(() => api.annotationsOf('web')['status.socket-gateway/url'] === undefined, { what: 'the annotation to go' })
    // The name is kept for a while.
    expect((await sockets()).map(({ id }) => id)).toEqual([socket!.id])
    api.set('web', { 'mysocket.io/enabled': 'true' }, [{ port: 8000 }])
    await until(() => api.annotationsOf('web')['status.socket-gateway/url'] === url)
    expect(await running.stop()).toBe(0)
    // A controller that ends says nothing: the next one takes over, by the same name.
    expect(api.annotationsOf('web')['status.socket-gateway/url']).toBe(url)
  })
})
