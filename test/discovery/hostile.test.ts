/** Engines and API servers that do not answer, or answer without end. */
import { createServer, type RequestListener } from 'node:http'
import { performance } from 'node:perf_hooks'
import { describe, expect, test } from '@jest/globals'
import { MAX_TEXT } from '../../src/config/document/yaml.ts'
import { parseTargets } from '../../src/config/targets.ts'
import { Engine } from '../../src/discovery/docker/engine.ts'
import { readContainers } from '../../src/discovery/docker/read-containers.ts'
import { KubeClient } from '../../src/discovery/kubernetes/kube-client.ts'
import { Leader } from '../../src/discovery/kubernetes/leader.ts'
import { linesOf } from '../../src/discovery/kubernetes/lines.ts'
import { isObject } from '../../src/discovery/kubernetes/objects.ts'
import { readServices } from '../../src/discovery/kubernetes/read-services.ts'
import { readWishes } from '../../src/discovery/found.ts'
import { targetsDocument } from '../../src/discovery/targets-document.ts'
import { fetchPublicJson } from '../../src/visitors/jwt/fetch-public-json.ts'
import { IssuerKeys } from '../../src/visitors/jwt/issuer-keys.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { listen } from '../support/ports.ts'
import { until } from '../support/wait.ts'

const serve = async (answer: RequestListener): Promise<{ host: string; port: number; url: URL }> => {
  const server = createServer(answer)
  const port = await listen(server)
  onCleanUp(() => server.close())
  onCleanUp(() => server.closeAllConnections())
  return { host: '127.0.0.1', port, url: new URL(`http://127.0.0.1:${port}`) }
}

/** Writes `text` again and again, as fast as it is taken. */
const endless =
  (text: string): RequestListener =>
  (_request, response) => {
    response.writeHead(200).flushHeaders()
    const goOn = (): void => {
      if (response.destroyed) return
      if (response.write(text)) setImmediate(goOn)
      else response.once('drain', goOn)
    }
    goOn()
  }

const signal = (): AbortSignal => {
  const stop = new AbortController()
  onCleanUp(() => stop.abort())
  return stop.signal
}

const kube = (server: URL, timeoutMs?: number): KubeClient => {
  const client = new KubeClient({ server, tokenFile: undefined, ca: undefined }, timeoutMs)
  onCleanUp(() => client.close())
  return client
}

test('lines come whole, however they were cut, and a long one ends it', async () => {
  const text = Buffer.from('one\n\nzwölf\r\nlast')
  const all = async (size: number, maxBytes?: number): Promise<string[]> => {
    const chunks = Array.from({ length: Math.ceil(text.length / size) }, (_, i) => text.subarray(i * size, (i + 1) * size))
    const lines: string[] = []
    for await (const line of linesOf(
      (async function* () {
        yield* chunks
      })(),
      maxBytes,
    ))
      lines.push(line)
    return lines
  }
  for (let size = 1; size <= text.length; size++) expect(await all(size)).toEqual(['one', '', 'zwölf\r', 'last'])
  await expect(all(2, 3)).rejects.toThrow('a line has more than 3 bytes')
})

describe('an engine', () => {
  test('that never answers is a fault, for the list and for the events', async () => {
    const engine = new Engine(await serve(() => undefined), 'here', 200)
    await expect(engine.containers(signal())).rejects.toMatchObject({ code: 'SERVICE_UNREACHABLE' })
    await expect(engine.changes(signal())).rejects.toMatchObject({
      code: 'SERVICE_UNREACHABLE',
      message: expect.stringContaining('no answer within 0.2 s'),
    })
  })

  test('whose event has no end is told of changes, and puts nothing together in memory', async () => {
    const engine = new Engine(await serve(endless('x'.repeat(65_536))), 'here')
    let changes = 0
    for await (const change of await engine.changes(signal())) {
      expect(change).toBeUndefined()
      if (++changes === 20) break
    }
  })

  test('whose containers are not as they should be loses none of the others', () => {
    const labels = { 'socket-gateway.host': 'a.example.com' }
    const strange = [
      { Id: 'x', Names: 7, Labels: labels },
      { Id: 'y', Names: [null], Labels: labels, NetworkSettings: 'none' },
    ]
    const good = {
      Id: 'z',
      Names: ['/z'],
      Labels: labels,
      Ports: [{ PrivatePort: 80 }],
      NetworkSettings: { Networks: { a: { IPAddress: '10.0.0.1' } } },
    }
    const { found, refused } = readContainers([...strange, good] as never, { network: undefined, by: 'address' })
    expect(found.map(({ name }) => name)).toEqual(['docker z'])
    expect(refused.map(({ name }) => name)).toEqual(['docker x', 'docker y'])
  })
})

test('a container is not reached by a name that leads to another place', () => {
  const labels = { 'socket-gateway.host': 'a.example.com' }
  const containers = ['web_1', 'web.1.x7', 'localhost', 'a.localhost', '127.0.0.1', '10.0.0.1', '127.1', '2130706433', '0x7f000001'].map(
    name => ({
      Id: 'x',
      Names: [`/${name}`],
      Labels: labels,
      Ports: [{ PrivatePort: 80 }],
    }),
  )
  const { found } = readContainers(containers, { network: undefined, by: 'name' })
  expect(found.map(({ origin }) => origin.host)).toEqual(['web_1', 'web.1.x7'])
})

test('whoever writes labels takes no host whose TLS is not to end at the outer layer, and keeps no other from being there', () => {
  const base = {
    file: 'base.yaml',
    text: JSON.stringify({ blind: { 'Secret.example.com': { identifier: 'vault' }, '*.blind.example.com': { identifier: 'vault' } } }),
  }
  const service = (host: string) => ({
    ...{ name: host, host, type: 'http' as const, access: undefined, policy: undefined },
    origin: { host: '10.0.0.1', port: 80 },
  })
  const taken = ['secret.example.com', 'SECRET.example.com', 'a.blind.example.com', '*.blind.example.com']
  const found = [...taken, 'free.example.com', 'blind.example.com', '*.example.com'].map(service)
  const { text, refused, hosts } = targetsDocument(found, { file: 'found.yaml', base, identifiers: [] })
  expect(refused.map(({ name }) => name).sort()).toEqual([...taken].sort())
  for (const { reason } of refused) expect(reason).toContain('is the host of --base base.yaml already')
  expect([...hosts.keys()].sort()).toEqual(['*.example.com', 'blind.example.com', 'free.example.com'])
  const table = parseTargets(text, 'found.yaml')
  expect(table.blindName('a.blind.example.com')).toBeDefined()
  expect(table.match('secret.example.com')).toBeUndefined()
})

test('labels that stand for much by aliases do not make the file longer than an outer layer takes', () => {
  const text = `{ ${Array.from({ length: 100 }, (_, i) => `'^/${i}': ${i === 0 ? `&m [${'GET, POST, PUT, '.repeat(300)}GET]` : '*m'}`).join(', ')} }`
  const { policy } = readWishes({ 'socket-gateway.policy': text }, 'socket-gateway.')
  const service = (name: string, given: unknown) => ({
    ...{ name, host: `${name}.example.com`, type: 'http' as const, access: undefined },
    ...{ policy: given, origin: { host: '10.0.0.1', port: 80 } },
  })
  const found = [service('a', policy), service('b', policy), service('c', undefined)]
  const { text: file, refused } = targetsDocument(found, { file: 'found.yaml', base: undefined, identifiers: [] })
  expect(refused.map(({ name }) => name)).toEqual(['a', 'b'])
  expect(parseTargets(file, 'found.yaml').all.map(({ name }) => name)).toEqual(['c.example.com'])
  const many = Array.from({ length: 300 }, (_, i) => service(`m${i}`, { '^/': Array<string>(2_000).fill('GET') }))
  const full = targetsDocument(many, { file: 'found.yaml', base: undefined, identifiers: [] })
  expect(full.refused.length).toBeGreaterThan(0)
  expect(full.hosts.size + full.refused.length).toBe(many.length)
  expect(full.text.length).toBeLessThanOrEqual(MAX_TEXT)
})

describe('an API server', () => {
  test('whose watch has a line without end is a fault', async () => {
    const { url } = await serve(endless('x'.repeat(65_536)))
    const reading = (async () => {
      for await (const _event of kube(url).watch('/api/v1/services?watch=1', signal())) break
    })()
    await expect(reading).rejects.toMatchObject({ code: 'SERVICE_UNREACHABLE', message: expect.stringContaining('a line has more than') })
  })

  test('that never answers a watch is a fault', async () => {
    const { url } = await serve(() => undefined)
    const reading = kube(url, 200).watch('/api/v1/services?watch=1', signal()).next()
    await expect(reading).rejects.toMatchObject({ code: 'SERVICE_UNREACHABLE', message: expect.stringContaining('no answer within 0.2 s') })
  })

  test('whose objects are not as they should be ends nothing', () => {
    expect([null, 1, {}, { metadata: null }, { metadata: { name: 1 } }].filter(isObject)).toEqual([])
    expect(readServices([{ metadata: { name: 'a', annotations: null } }] as never, undefined).found).toEqual([])
  })

  test('that does not answer whoever holds the Lease makes it step down: others take it when it has run out', async () => {
    let leading: AbortSignal | undefined
    let unanswered = 0
    const { url } = await serve((request, response) => {
      request.resume()
      // Until it leads: on a busy machine a try may last longer than a third of the Lease, and is repeated.
      if (leading === undefined) response.writeHead(request.method === 'POST' ? 201 : 404).end('{}')
      else unanswered++
    })
    const clock = (): number => performance.now()
    const options = { namespace: 'default', name: 'lease', identity: 'a', now: Date.now, clock, leaseMs: 3_000 }
    const leader = new Leader({ client: kube(url, 600_000), ...options })
    const stop = new AbortController()
    const lead = (held: AbortSignal): Promise<void> =>
      new Promise(resolve => {
        leading = held
        held.addEventListener('abort', () => resolve())
      })
    const running = leader.run(lead, stop.signal, () => undefined)
    await until(() => leading?.aborted === true)
    expect(unanswered).toBeGreaterThan(0)
    stop.abort()
    await running
  })
})

describe('an issuer of JWTs that a label names', () => {
  const found = (access: unknown): Parameters<typeof targetsDocument>[0][number] => ({
    name: 'docker web',
    host: 'web.example.com',
    type: 'http',
    policy: '*',
    access,
    origin: { host: '172.17.0.2', port: 80 },
  })
  const rulesOf = (access: unknown, issuers: readonly string[]): readonly (true | undefined)[] => {
    const { text, refused } = targetsDocument([found(access)], { file: 't.json', base: undefined, identifiers: [], issuers })
    expect(refused).toEqual([])
    return parseTargets(text, 't.json').targets[0]!.treatment!.access!.jwt.map(({ isPublicOnly }) => isPublicOnly)
  }
  const inside = { issuer: 'https://ci.internal', audience: 'deploy' }

  test('has to be in the Internet, whatever the label says of that, unless the operator allows it', () => {
    const access = {
      jwt: [
        { ...inside, publicOnly: false },
        { ...inside, jwks: 'http://127.0.0.1:2375/keys' },
      ],
    }
    expect(rulesOf(access, [])).toEqual([true, true])
    expect(rulesOf(access, ['https://ci.internal'])).toEqual([undefined, true])
    expect(rulesOf(access, ['https://ci.internal', 'http://127.0.0.1:2375/keys'])).toEqual([undefined, undefined])
    expect(rulesOf({ jwt: inside }, ['https://other.internal'])).toEqual([true])
  })

  test('is not asked at an address of this machine or of a private network, by name or by number, with TLS or without', async () => {
    let asked = 0
    const server = createServer((_request, response) => response.end(String(++asked)))
    server.on('connection', () => asked++)
    const port = await listen(server)
    onCleanUp(() => server.close())
    onCleanUp(() => server.closeAllConnections())
    for (const place of [
      'https://localhost',
      'https://127.0.0.1',
      'https://[::1]',
      'https://[::ffff:127.0.0.1]',
      'http://localhost',
      'http://127.0.0.1',
    ])
      await expect(fetchPublicJson(`${place}:${port}/keys`)).rejects.toThrow(/no address of the Internet|expected an https/)
    expect(asked).toBe(0)
    const keys = new IssuerKeys({ issuer: `https://localhost:${port}`, jwks: undefined, isPublicOnly: true }, () => performance.now())
    await expect(keys.find('a')).rejects.toThrow(/localhost leads to .*, which is no address of the Internet/)
  })
})
