import { generateKeyPairSync } from 'node:crypto'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { GatewayError } from '../../src/errors.ts'
import type { Actor, NewSocket, Socket } from '../../src/service/model.ts'
import { newJwk, startService, type TestService } from '../support/service.ts'
import { databases } from '../support/stores.ts'

const DAY_MS = 86_400_000
const UUID = /^[0-9a-f-]{36}$/

describe.each(await databases())('sockets on $name', database => {
  let given: TestService
  let ada: Actor
  let bob: Actor
  beforeAll(async () => {
    given = await startService(await database.empty())
    ada = await given.actor('user', { creationsPerHour: 1_000, http: 100, tcp: 100, tunnels: 3 })
    bob = await given.actor()
  })
  const web = (more: Partial<NewSocket> = {}): Promise<Socket> => given.service.sockets.create(ada, { name: 'my test service', ...more })

  test('get a name of their own, and are in force when the call resolves', async () => {
    const socket = await web()
    expect(socket).toMatchObject({
      name: 'my test service',
      type: 'http',
      ports: [80, 443],
      password: null,
      tunnels: [],
      etag: '1',
      state: 'active',
    })
    expect(socket.id).toMatch(UUID)
    expect(socket.dnsName).toMatch(/^[a-z]+-[a-z]+-[1-9]\d{2,3}\.edge\.example\.com$/)
    expect(given.plane.sockets.get(socket.id)).toEqual({
      id: socket.id,
      accountId: ada.accountId,
      type: 'http',
      dnsName: socket.dnsName,
      customDomains: [],
      port: null,
      tunnelIds: [],
      password: null,
      visitors: null,
      balance: 'least',
      limits: { requestsPerSecond: 100, concurrency: 200, maxConnections: 100 },
    })
    expect(await given.service.sockets.get(ada, socket.id)).toEqual(socket)
    await given.service.sockets.remove(ada, socket.id)
    expect(given.plane.sockets.has(socket.id)).toBe(false)
    await expect(given.service.sockets.get(ada, socket.id)).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })

  test('of type tcp and tls get one port of the range', async () => {
    for (const type of ['tcp', 'tls'] as const) {
      const { id, ports } = await web({ type })
      expect(ports).toHaveLength(1)
      expect(ports[0]).toBeGreaterThanOrEqual(40_000)
      expect(ports[0]).toBeLessThanOrEqual(59_999)
      expect(given.plane.sockets.get(id)?.port).toBe(ports[0])
    }
  })

  test('of type tcp and tls tell their origin who comes as long as they are asked to', async () => {
    const { id, proxyProtocol } = await web({ type: 'tls', proxyProtocol: 1 })
    expect([proxyProtocol, given.plane.sockets.get(id)?.proxyProtocol]).toEqual([1, 1])
    await given.service.sockets.update(ada, id, { name: 'renamed' })
    expect(given.plane.sockets.get(id)?.proxyProtocol).toBe(1)
    expect((await given.service.sockets.update(ada, id, { proxyProtocol: 2 })).proxyProtocol).toBe(2)
    expect(given.plane.sockets.get(id)?.proxyProtocol).toBe(2)
    expect((await given.service.sockets.update(ada, id, { proxyProtocol: null })).proxyProtocol).toBeNull()
    expect(given.plane.sockets.get(id)).not.toHaveProperty('proxyProtocol')
  })

  test('of type http and https ask their service in another way as long as they are told to', async () => {
    const { id, upstream } = await web({ upstream: { protocol: 'https', hostname: 'App.Internal:8443' } })
    const told = { protocol: 'https', hostname: 'app.internal:8443' }
    expect([upstream, given.plane.sockets.get(id)?.upstream]).toEqual([told, told])
    await given.service.sockets.update(ada, id, { name: 'renamed' })
    expect(given.plane.sockets.get(id)?.upstream).toEqual(told)
    expect((await given.service.sockets.update(ada, id, { upstream: { hostname: '[::1]' } })).upstream).toEqual({ hostname: '[::1]' })
    expect((await given.service.sockets.update(ada, id, { upstream: null })).upstream).toBeNull()
    expect(given.plane.sockets.get(id)).not.toHaveProperty('upstream')
  })

  test('show their password once, and keep a hash that the edge verifies', async () => {
    const password = { user: 'ada', password: 'correct horse' }
    const socket = await web({ password })
    expect(socket.password).toEqual(password)
    expect((await given.service.sockets.get(ada, socket.id)).password).toEqual({ user: 'ada', password: '' })
    expect(given.plane.sockets.get(socket.id)?.password).toEqual({ user: 'ada', hash: expect.stringMatching(/^\$scrypt\$/) })
    const changed = await given.service.sockets.update(
      ada,
      socket.id,
      { password: { user: 'bob', password: 'another horse' }, name: 'renamed' },
      socket.etag,
    )
    expect(changed).toMatchObject({ name: 'renamed', etag: '2', password: { user: 'bob', password: 'another horse' } })
    expect(given.plane.sockets.get(socket.id)?.password?.user).toBe('bob')
    await expect(given.service.sockets.update(ada, socket.id, { name: 'late' }, socket.etag)).rejects.toMatchObject({ code: 'CONFLICT' })
    const open = await given.service.sockets.update(ada, socket.id, { password: null, balance: 'address' })
    expect(open).toMatchObject({ password: null, balance: 'address', name: 'renamed' })
    expect(given.plane.sockets.get(socket.id)).toMatchObject({ password: null, balance: 'address' })
  })

  test('of one are nobody else’s, with the words of what is not there', async () => {
    const { id } = await web()
    const calls = [
      () => given.service.sockets.get(bob, id),
      () => given.service.sockets.update(bob, id, { name: 'mine' }),
      () => given.service.sockets.remove(bob, id),
      () => given.service.tunnels.create(bob, id),
      () => given.service.tunnels.list(bob, id),
      () => given.service.sockets.get(ada, '00000000-0000-4000-8000-000000000000'),
      () => given.service.sockets.get(ada, 'no-uuid'),
      () => given.service.sockets.get(ada, undefined as unknown as string),
    ]
    for (const call of calls)
      await expect(call()).rejects.toMatchObject({ code: 'NOT_FOUND', message: 'There is no such thing, or it is not yours.' })
    expect((await given.service.sockets.get(ada, id)).name).toBe('my test service')
  })

  test('are listed page by page, by name, and for auditors all of them', async () => {
    const carol = await given.actor()
    for (let count = 0; count < 5; count++) {
      given.clock.advance(1)
      await given.service.sockets.create(carol, { name: `service ${count % 2}` })
    }
    const names: string[] = []
    let cursor: string | undefined
    do {
      const page = await given.service.sockets.list(carol, { limit: 2, ...(cursor !== undefined && { cursor }) })
      names.push(...page.items.map(({ name }) => name))
      cursor = page.next ?? undefined
    } while (cursor !== undefined)
    expect(names).toEqual(['service 0', 'service 1', 'service 0', 'service 1', 'service 0'])
    expect((await given.service.sockets.list(carol, { name: 'service 1' })).items).toHaveLength(2)
    const auditor = await given.actor('auditor')
    expect((await given.service.sockets.list(auditor, {})).items).toEqual([])
    expect((await given.service.sockets.list(auditor, { all: true, limit: 100 })).items.length).toBeGreaterThan(5)
    await expect(given.service.sockets.list(carol, { all: true })).rejects.toMatchObject({ code: 'FORBIDDEN' })
    for (const page of [{ limit: 0 }, { limit: 101 }, { limit: 1.5 }, { cursor: 'x' }, { cursor: '' }])
      await expect(given.service.sockets.list(carol, page)).rejects.toMatchObject({ code: 'INVALID' })
  })

  test('are limited in number by type, and in creations an hour', async () => {
    const dave = await given.actor('user', { http: 2, tcp: 1, creationsPerHour: 4 })
    const make = (type: Socket['type']): Promise<Socket> => given.service.sockets.create(dave, { name: 'x', type })
    const [first] = [await make('http'), await make('https')]
    await expect(make('http')).rejects.toMatchObject({
      code: 'LIMIT_REACHED',
      message: expect.stringMatching(/may have 2 sockets of type http and https and has 2; delete one/),
    })
    await make('tcp')
    await expect(make('tls')).rejects.toMatchObject({ code: 'LIMIT_REACHED' })
    await given.service.sockets.remove(dave, first.id)
    given.clock.advance(1_000)
    await make('http')
    await given.service.sockets.remove(dave, first.id).catch(() => undefined)
    await expect(make('http')).rejects.toMatchObject({ code: 'RATE_LIMITED', fields: ['Retry-After', '3599'] })
    given.clock.advance(3_599_000)
    await expect(make('http')).rejects.toMatchObject({ code: 'LIMIT_REACHED' })
  })

  test('beyond those of an hour are refused without a transaction, and made again once the time or the limit is another one', async () => {
    const { service, clock, store } = given
    const eve = await given.actor('user', { http: 10, creationsPerHour: 2 })
    const make = (): Promise<Socket> => service.sockets.create(eve, { name: 'x' })
    await make()
    clock.advance(1_000)
    await make()
    const refused = { code: 'RATE_LIMITED', message: expect.stringMatching(/at most 2 sockets an hour/) }
    await expect(make()).rejects.toMatchObject({ ...refused, fields: ['Retry-After', '3599'] })
    const { changing } = store
    store.changing = () => Promise.reject(new GatewayError('STORE_UNAVAILABLE'))
    clock.advance(599_000)
    for (let count = 0; count < 20; count++) await expect(make()).rejects.toMatchObject({ ...refused, fields: ['Retry-After', '3000'] })
    store.changing = changing
    await service.accounts.setLimits(await given.actor('admin'), eve.accountId, { http: 10, creationsPerHour: 3 })
    await make()
    await expect(make()).rejects.toMatchObject({ code: 'RATE_LIMITED' })
    clock.advance(3_000_000)
    await make()
  })

  test('with a label: a right, and a name that nobody else ever gets', async () => {
    await expect(web({ label: 'my-shop' })).rejects.toMatchObject({ code: 'FORBIDDEN' })
    const erin = await given.actor('user', { vanity: true })
    const frank = await given.actor('user', { vanity: true })
    const first = await given.service.sockets.create(erin, { name: 'shop', label: 'My-Shop' })
    expect(first.dnsName).toBe('my-shop.edge.example.com')
    const taken = { code: 'CONFLICT', details: [{ path: 'label', message: expect.stringMatching(/somebody else/) }] }
    await expect(given.service.sockets.create(frank, { name: 'shop', label: 'my-shop' })).rejects.toMatchObject(taken)
    await given.service.sockets.remove(erin, first.id)
    await expect(given.service.sockets.create(frank, { name: 'shop', label: 'my-shop' })).rejects.toMatchObject(taken)
    expect((await given.service.sockets.create(erin, { name: 'shop', label: 'my-shop' })).dnsName).toBe('my-shop.edge.example.com')
    const { hosts } = given.config
    const below = ['wss://dial.edge.example.com:3001']
    given.config = { ...given.config, hosts: { ...hosts, download: 'fetch.edge.example.com', link: below } }
    for (const label of ['wpad', 'paypal-shop', 'xn--shop', 'a_b', 'dial', 'Fetch'])
      await expect(given.service.sockets.create(erin, { name: 'x', label })).rejects.toMatchObject({
        code: 'INVALID',
        details: [expect.objectContaining({ path: 'label' })],
      })
    given.config = { ...given.config, hosts }
  })

  test('with host names of their own: a right, each for one socket', async () => {
    await expect(web({ customDomains: ['app.example.org'] })).rejects.toMatchObject({ code: 'FORBIDDEN' })
    const gina = await given.actor('user', { customDomains: true })
    const socket = await given.service.sockets.create(gina, { name: 'x', customDomains: ['App.Example.org', 'www.example.org'] })
    expect(socket.customDomains).toEqual(['app.example.org', 'www.example.org'])
    expect(given.plane.sockets.get(socket.id)?.customDomains).toEqual(['app.example.org', 'www.example.org'])
    await expect(given.service.sockets.create(gina, { name: 'y', customDomains: ['app.example.org'] })).rejects.toMatchObject({
      code: 'CONFLICT',
    })
    expect((await given.service.sockets.list(gina, { name: 'y' })).items).toEqual([])
    const moved = await given.service.sockets.update(gina, socket.id, { customDomains: ['www.example.org'] })
    expect(moved.customDomains).toEqual(['www.example.org'])
    await given.service.sockets.create(gina, { name: 'y', customDomains: ['app.example.org'] })
    for (const domain of [
      'api.example.com',
      'x.edge.example.com',
      'edge.example.com',
      'localhost',
      'a.localhost',
      '192.0.2.1',
      '*.example.org',
      'a b.org',
      'link.example.com',
      'x.org:80',
    ])
      await expect(given.service.sockets.create(gina, { name: 'z', customDomains: [domain] })).rejects.toMatchObject({
        code: 'INVALID',
        details: [expect.objectContaining({ path: 'customDomains[0]' })],
      })
  })

  test.each<[string, Partial<NewSocket>, string]>([
    ['no name', { name: '' }, 'name'],
    ['control characters', { name: 'a\u001b[2Jb' }, 'name'],
    ['an unknown type', { type: 'ssh' as 'http' }, 'type'],
    ['a password without user', { password: { user: '', password: 'x' } }, 'password.user'],
    ['a user with a colon', { password: { user: 'a:b', password: 'x' } }, 'password.user'],
    ['a password that is empty', { password: { user: 'a', password: '' } }, 'password.password'],
    ['a password on tcp', { type: 'tcp', password: { user: 'a', password: 'b' } }, 'password'],
    ['visitors without any', { visitors: { emails: [], domains: [] } }, 'visitors'],
    ['an address that is none', { visitors: { emails: ['a@example.com', 'nobody'], domains: [] } }, 'visitors.emails[1]'],
    ['a domain that is none', { visitors: { emails: [], domains: [''] } }, 'visitors.domains[0]'],
    ['another balance', { balance: 'random' as 'least' }, 'balance'],
    ['a third PROXY protocol', { type: 'tcp', proxyProtocol: 3 as 2 }, 'proxyProtocol'],
    ['a PROXY protocol for HTTP', { proxyProtocol: 2 }, 'proxyProtocol'],
    ['a way to ask a service that speaks no HTTP', { type: 'tcp', upstream: { protocol: 'http' } }, 'upstream'],
    ['nothing that its service is asked by', { upstream: {} }, 'upstream'],
    ['a protocol that nobody speaks', { upstream: { protocol: 'ftp' as 'http' } }, 'upstream.protocol'],
    ['a host with a path', { upstream: { hostname: 'a.example/b' } }, 'upstream.hostname'],
    ['a host with a field in it', { upstream: { hostname: 'a.example\r\nX: y' } }, 'upstream.hostname'],
    ['a host that is no text', { upstream: { hostname: 7 as unknown as string } }, 'upstream.hostname'],
    ['an endless life', { ephemeralMs: Infinity }, 'ephemeralMs'],
  ])('with %s are refused, with the path of the fault', async (_, more, path) => {
    await expect(web(more)).rejects.toMatchObject({ code: 'INVALID', details: [{ path, message: expect.any(String) }] })
  })

  test('tell all faults of a request at once', async () => {
    const faults = web({ name: '', balance: 'x' as 'least', password: { user: '', password: '' } })
    await expect(faults).rejects.toMatchObject({
      details: ['password.user', 'password.password', 'balance', 'name'].map(path => expect.objectContaining({ path })),
    })
  })

  test('keep visitors in one spelling', async () => {
    const visitors = { emails: ['Ada@Example.COM', 'ada@example.com'], domains: ['Example.ORG'] }
    const socket = await web({ visitors })
    expect(socket.visitors).toEqual({ emails: ['ada@example.com'], domains: ['example.org'] })
    expect(given.plane.sockets.get(socket.id)?.visitors).toEqual(socket.visitors)
  })

  test('free their port when they go, which rests for a day', async () => {
    const harry = await startService(await database.empty(), { config: { ports: { from: 50_000, to: 50_000 } } })
    const owner = await harry.actor()
    const { id } = await harry.service.sockets.create(owner, { name: 'x', type: 'tcp' })
    await expect(harry.service.sockets.create(owner, { name: 'y', type: 'tcp' })).rejects.toMatchObject({ code: 'PORTS_EXHAUSTED' })
    await harry.service.sockets.remove(owner, id)
    await expect(harry.service.sockets.create(owner, { name: 'y', type: 'tcp' })).rejects.toMatchObject({ code: 'PORTS_EXHAUSTED' })
    harry.clock.advance(DAY_MS)
    expect((await harry.service.sockets.create(owner, { name: 'y', type: 'tcp' })).ports).toEqual([50_000])
    expect((await harry.service.sockets.list(owner, {})).items).toHaveLength(1)
  })

  test('take the next port where the outer layer cannot open one, and leave nothing behind where it can open none', async () => {
    let next = 0
    const other = await startService(await database.empty(), {
      config: { ports: { from: 50_000, to: 50_009 } },
      random: end => (end === 10 ? next++ % 10 : Math.floor(Math.random() * end)),
    })
    const owner = await other.actor()
    for (const port of [50_000, 50_001, 50_002]) other.plane.taken.add(port)
    const socket = await other.service.sockets.create(owner, { name: 'x', type: 'tcp' })
    expect(socket.ports).toEqual([50_003])
    expect(other.plane.sockets.get(socket.id)?.port).toBe(50_003)
    for (let port = 50_004; port < 50_010; port++) other.plane.taken.add(port)
    await expect(other.service.sockets.create(owner, { name: 'y', type: 'tcp' })).rejects.toMatchObject({ code: 'PORTS_EXHAUSTED' })
    expect((await other.service.sockets.list(owner, {})).items.map(({ name }) => name)).toEqual(['x'])
    expect(other.plane.sockets.size).toBe(1)
  })

  test('follow the limits of the configuration, when its file changes', async () => {
    const { id } = await web()
    const { config } = given
    given.config = { ...config, limits: { ...config.limits, concurrency: 7 } }
    await given.service.reconfigured()
    expect(given.plane.sockets.get(id)?.limits.concurrency).toBe(7)
    given.config = config
    await given.service.reconfigured()
    expect(given.plane.sockets.get(id)?.limits.concurrency).toBe(200)
  })

  test('hold up no others, when one of them cannot be served', async () => {
    const erin = await given.actor('user', { vanity: true })
    given.plane.refused.add('taken-name.edge.example.com')
    const [taken, other] = await Promise.all([
      given.service.sockets.create(erin, { name: 'x', label: 'taken-name' }),
      given.service.sockets.create(erin, { name: 'y' }),
    ])
    await given.service.sockets.update(erin, taken.id, { name: 'z' })
    const third = await given.service.sockets.create(erin, { name: 'z' })
    expect([taken, other, third].map(({ id }) => given.plane.sockets.has(id))).toEqual([false, true, true])
  })

  describe('connect', () => {
    test('makes socket, tunnel and key in one step', async () => {
      const jwk = newJwk()
      const { socket, tunnel, credentials } = await given.service.sockets.connect(ada, { name: 'x', ephemeralMs: 60_000, jwk })
      expect(socket).toMatchObject({ isEphemeral: true, tunnels: [tunnel] })
      expect(tunnel).toMatchObject({ socketId: socket.id, server: '', isConnected: false, connectedFrom: null })
      expect(tunnel.relayPort).toBeGreaterThanOrEqual(6_000)
      expect(credentials).toEqual({
        tunnelId: tunnel.id,
        identifier: tunnel.id,
        kid: expect.stringMatching(/^[\w-]{43}$/),
        linkUrls: ['wss://link.example.com'],
        expiresAt: given.clock.now() + 30 * DAY_MS,
      })
      expect(given.plane.sockets.get(socket.id)?.tunnelIds).toEqual([tunnel.id])
      expect(given.plane.keys.get(credentials!.kid)).toEqual({
        kid: credentials!.kid,
        jwk,
        login: expect.any(Number),
        tunnelId: tunnel.id,
        identifiers: null,
        expiresAt: credentials!.expiresAt,
      })
      await given.service.sockets.remove(ada, socket.id)
      expect(given.plane.keys.has(credentials!.kid)).toBe(false)
      expect(given.plane.ended).toContain(tunnel.id)
    })

    test('gives the same once more under the same key, also when both calls come at once', async () => {
      const request = { name: 'x', jwk: newJwk(), idempotencyKey: 'one' }
      const [first, second] = await Promise.all([given.service.sockets.connect(ada, request), given.service.sockets.connect(ada, request)])
      expect(second).toEqual(first)
      await expect(given.service.sockets.connect(ada, { ...request, name: 'y' })).rejects.toMatchObject({ code: 'CONFLICT' })
      const other = await given.service.sockets.connect(bob, { ...request, jwk: newJwk() })
      expect(other.socket.id).not.toBe(first.socket.id)
      await given.service.sockets.remove(ada, first.socket.id)
      await expect(given.service.sockets.connect(ada, request)).rejects.toMatchObject({ code: 'CONFLICT' })
      given.clock.advance(DAY_MS)
      const later = await given.service.sockets.connect(ada, { ...request, jwk: newJwk(), idempotencyKey: 'two' })
      expect(later.socket.id).not.toBe(first.socket.id)
    })

    test.each([
      ['a secret key', { ...newJwk(), d: 'AAAA' }],
      ['a symmetric key', { kty: 'oct', k: 'AAAA' }],
      ['a point off the curve', { ...newJwk(), y: newJwk()['y']! }],
      ['another curve', generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey.export({ format: 'jwk' })],
      ['a short RSA key', generateKeyPairSync('rsa', { modulusLength: 1_024 }).publicKey.export({ format: 'jwk' })],
      ['no key', {}],
      ['a text', 'x'],
      ['a key without end', { ...newJwk(), x: 'A'.repeat(100_000) }],
      ['a member of Object', { kty: 'constructor' }],
    ])('refuses %s', async (_, jwk) => {
      await expect(given.service.sockets.connect(ada, { name: 'x', jwk: jwk as Record<string, string> })).rejects.toMatchObject({
        code: 'INVALID',
        details: [expect.objectContaining({ path: 'jwk' })],
      })
    })
  })
})
