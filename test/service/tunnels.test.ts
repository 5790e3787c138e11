import { execFileSync } from 'node:child_process'
import { beforeAll, describe, expect, test } from '@jest/globals'
import type { Actor, Socket, Tunnel } from '../../src/service/model.ts'
import { fingerprintOf } from '../../src/service/ssh-keys/public-key.ts'
import { testWith } from '../support/needs.ts'
import { ADDRESS, newJwk, newSshKey, startService, type TestService } from '../support/service.ts'
import { databases } from '../support/stores.ts'
import { tempFile } from '../support/temp.ts'
import { until } from '../support/wait.ts'

const DAY_MS = 86_400_000

const userOf = ({ accountId }: Actor): string => accountId.replaceAll('-', '')

describe.each(await databases())('tunnels on $name', database => {
  let given: TestService
  let ada: Actor
  let bob: Actor
  beforeAll(async () => {
    given = await startService(await database.empty())
    ada = await given.actor('user', { creationsPerHour: 1_000, http: 100, tcp: 100, tunnels: 3 })
    bob = await given.actor('user', { creationsPerHour: 1_000, http: 100 })
  })
  const newSocket = (actor = ada, name = 'x'): Promise<Socket> => given.service.sockets.create(actor, { name })
  const newTunnel = async (actor = ada): Promise<Tunnel> => given.service.tunnels.create(actor, (await newSocket(actor)).id)

  test('get relay ports that count up for each account, and come back to none that is in use', async () => {
    const owner = await given.actor()
    const { id } = await newSocket(owner)
    const ports: number[] = []
    for (let count = 0; count < 3; count++) {
      const tunnel = await given.service.tunnels.create(owner, id)
      ports.push(tunnel.relayPort)
      if (count === 1) await given.service.tunnels.remove(owner, id, tunnel.id)
    }
    expect(ports).toEqual([6_000, 6_001, 6_002])
    await given.store.db.updateTable('accounts').set({ next_relay_port: 65_535 }).where('id', '=', owner.accountId).execute()
    expect((await given.service.tunnels.create(owner, id)).relayPort).toBe(65_535)
    expect((await given.service.tunnels.create(owner, id)).relayPort).toBe(6_001) // 6000 is in use
    expect((await newTunnel(await given.actor())).relayPort).toBe(6_000)
  })

  test('are limited for each socket', async () => {
    const { id } = await newSocket()
    for (let count = 0; count < 3; count++) await given.service.tunnels.create(ada, id)
    await expect(given.service.tunnels.create(ada, id)).rejects.toMatchObject({
      code: 'LIMIT_REACHED',
      message: expect.stringMatching(/may have 3 tunnels/),
    })
  })

  test('are in force when the call resolves, and cut when they are deleted', async () => {
    const tunnel = await newTunnel()
    expect(given.plane.sockets.get(tunnel.socketId)?.tunnelIds).toEqual([tunnel.id])
    const { kid } = await given.service.tunnels.credentials(ada, tunnel.socketId, tunnel.id, newJwk())
    expect(given.plane.keys.get(kid)?.tunnelId).toBe(tunnel.id)
    await given.service.tunnels.remove(ada, tunnel.socketId, tunnel.id)
    expect(given.plane.sockets.get(tunnel.socketId)?.tunnelIds).toEqual([])
    expect(given.plane.keys.has(kid)).toBe(false)
    expect(given.plane.ended).toContain(tunnel.id)
    await expect(given.service.tunnels.get(ada, tunnel.socketId, tunnel.id)).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })

  test('of one are nobody else’s, and not those of another socket', async () => {
    const tunnel = await newTunnel()
    const other = await newSocket()
    for (const call of [
      () => given.service.tunnels.get(bob, tunnel.socketId, tunnel.id),
      () => given.service.tunnels.remove(bob, tunnel.socketId, tunnel.id),
      () => given.service.tunnels.credentials(bob, tunnel.socketId, tunnel.id, newJwk()),
      () => given.service.tunnels.certificate(bob, tunnel.socketId, tunnel.id, newSshKey().line),
      () => given.service.tunnels.get(ada, other.id, tunnel.id),
    ])
      await expect(call()).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })

  test('have one key: the newest one is in force, the older ones are over', async () => {
    const tunnel = await newTunnel()
    const [first, second] = [newJwk(), newJwk()]
    const one = await given.service.tunnels.credentials(ada, tunnel.socketId, tunnel.id, first)
    const two = await given.service.tunnels.credentials(ada, tunnel.socketId, tunnel.id, second)
    expect([given.plane.keys.has(one.kid), given.plane.keys.has(two.kid)]).toEqual([false, true])
    expect((await given.service.tunnels.credentials(ada, tunnel.socketId, tunnel.id, second)).kid).toBe(two.kid)
    const elsewhere = await newTunnel(bob)
    await expect(given.service.tunnels.credentials(bob, elsewhere.socketId, elsewhere.id, second)).rejects.toMatchObject({
      code: 'INVALID',
      details: [{ path: 'jwk', message: expect.stringMatching(/in use/) }],
    })
  })

  test('have their key renewed, but not once a newer login has another one', async () => {
    const { id, socketId } = await newTunnel()
    const credentials = (jwk: Readonly<Record<string, string>>, isRenewal: boolean) =>
      given.service.tunnels.credentials(ada, socketId, id, jwk, { isRenewal })
    const [first, second] = [newJwk(), newJwk()]
    const { kid } = await credentials(first, true)
    given.clock.advance(DAY_MS)
    expect((await credentials(first, true)).expiresAt).toBe(given.clock.now() + 30 * DAY_MS)
    const newer = await credentials(second, false)
    await expect(credentials(first, true)).rejects.toMatchObject({ code: 'CONFLICT', message: expect.stringMatching(/newer login/) })
    expect([given.plane.keys.has(kid), given.plane.keys.has(newer.kid)]).toEqual([false, true])
    expect((await credentials(second, true)).kid).toBe(newer.kid)
  })

  test('have their logins in order, also when the clock is set back; a renewal is none', async () => {
    const { id, socketId, relayPort } = await newTunnel()
    const logins: (number | undefined)[] = []
    const connect = async (jwk: Readonly<Record<string, string>>, isRenewal = false): Promise<void> => {
      const { kid } = await given.service.tunnels.credentials(ada, socketId, id, jwk, { isRenewal })
      logins.push(given.plane.keys.get(kid)!.login)
    }
    const ssh = async (): Promise<void> =>
      void logins.push((await given.service.ssh.forward(ada, { bindAddress: 'localhost', bindPort: relayPort, held: [] })).login)
    const [first, second] = [newJwk(), newJwk()]
    await connect(first)
    await ssh()
    await connect(first, true)
    given.clock.advance(1_000)
    await connect(second)
    given.clock.advance(-DAY_MS)
    await ssh()
    await connect(first)
    given.clock.advance(DAY_MS)
    const [one, bySsh, renewed, two, set, last] = logins as number[]
    expect(renewed).toBe(one)
    expect([bySsh! > one!, two! > bySsh!, set! > two!, last! > set!]).toEqual([true, true, true, true])
  })

  test('keep their key while they are connected, however long', async () => {
    const tunnel = await newTunnel()
    const { kid, expiresAt } = await given.service.tunnels.credentials(ada, tunnel.socketId, tunnel.id, newJwk())
    const lost = await newTunnel()
    const { kid: lostKid } = await given.service.tunnels.credentials(ada, lost.socketId, lost.id, newJwk())
    await given.service.tunnels.connected(tunnel.id, ADDRESS)
    given.clock.advance(20 * DAY_MS)
    const rows = () => given.store.db.selectFrom('inner_keys').select('expires_at').where('kid', '=', kid).execute()
    await expectSoon(async () => (await rows())[0]?.expires_at ?? 0, expiresAt + 20 * DAY_MS)
    await expectSoon(async () => given.plane.keys.get(kid)?.expiresAt ?? 0, expiresAt + 20 * DAY_MS)
    given.clock.advance(11 * DAY_MS)
    await expectSoon(
      async () => (await given.store.db.selectFrom('inner_keys').select('kid').where('kid', '=', lostKid).execute()).length,
      0,
    )
    await given.service.tunnels.disconnected(tunnel.id)
  })

  testWith(['ssh-keygen'], 'are served by certificate, five minutes long, for the user of the account alone', async () => {
    const tunnel = await newTunnel()
    const key = newSshKey()
    const line = await given.service.tunnels.certificate(ada, tunnel.socketId, tunnel.id, key.line)
    const text = execFileSync('ssh-keygen', ['-L', '-f', tempFile('x-cert.pub', `${line}\n`)], {
      encoding: 'utf8',
      env: { ...process.env, TZ: 'UTC' },
    })
    const shown = (ms: number): string => new Date(ms).toISOString().slice(0, 19)
    expect(text).toContain(`Valid: from ${shown(given.clock.now() - 60_000)} to ${shown(given.clock.now() + 300_000)}`)
    expect(text).toMatch(new RegExp(`Principals: \\n\\s+${userOf(ada)}\\n`))
    const [authority] = await given.service.ssh.authorities()
    expect(text).toContain(`Signing CA: ED25519 ${fingerprintOf(authority!)}`)
    await expect(given.service.tunnels.certificate(ada, tunnel.socketId, tunnel.id, 'ssh-rsa AAAA')).rejects.toMatchObject({
      code: 'INVALID',
    })
  })

  test('that go while the service closes are noted before it is closed', async () => {
    const closing = await startService(await database.empty())
    const owner = await closing.actor()
    const { tunnel } = await closing.service.sockets.connect(owner, { name: 'x', jwk: newJwk() })
    await closing.service.tunnels.connected(tunnel.id, ADDRESS)
    void closing.service.tunnels.disconnected(tunnel.id)
    await closing.service.close()
    const rows = await closing.store.db.selectFrom('sockets').select('idle_since').execute()
    expect(rows).toEqual([{ idle_since: closing.clock.now() }])
  })

  test('say where they are connected, also when a newer login comes before the end of the older one', async () => {
    const tunnel = await newTunnel()
    const now = () => given.service.tunnels.get(ada, tunnel.socketId, tunnel.id)
    await given.service.tunnels.connected(tunnel.id, '192.0.2.1')
    expect(await now()).toMatchObject({
      isConnected: true,
      connectedFrom: '192.0.2.1',
      server: 'ssh.example.com',
      lastConnectedAt: given.clock.now(),
    })
    await given.service.tunnels.connected(tunnel.id, '192.0.2.2')
    await given.service.tunnels.disconnected(tunnel.id)
    expect(await now()).toMatchObject({ isConnected: true, connectedFrom: '192.0.2.2' })
    await given.service.tunnels.disconnected(tunnel.id)
    await given.service.tunnels.disconnected(tunnel.id)
    expect(await now()).toMatchObject({ isConnected: false, connectedFrom: null, server: 'ssh.example.com' })
    await given.service.tunnels.connected('00000000-0000-4000-8000-000000000000', ADDRESS)
    await given.service.tunnels.disconnected('00000000-0000-4000-8000-000000000000')
  })

  describe('of ephemeral sockets', () => {
    const make = async () => given.service.sockets.connect(ada, { name: 'x', ephemeralMs: 60_000 })
    const names = async () => (await given.store.db.selectFrom('sockets').select('id').execute()).map(({ id }) => id)

    test('keep them while one is connected; a while after the last one they go, with all that is theirs', async () => {
      const [up, down, never] = [await make(), await make(), await make()]
      const stays = await newSocket()
      for (const { tunnel } of [up, down]) await given.service.tunnels.connected(tunnel.id, ADDRESS)
      given.clock.advance(50_000)
      await given.service.tunnels.disconnected(down.tunnel.id)
      given.clock.advance(10_000)
      await expectSoon(async () => (await names()).includes(never.socket.id), false)
      expect(await names()).toEqual(expect.arrayContaining([up.socket.id, down.socket.id]))
      given.clock.advance(49_000)
      given.clock.advance(1_000)
      await expectSoon(async () => (await names()).includes(down.socket.id), false)
      expect(await names()).toEqual(expect.arrayContaining([up.socket.id, stays.id]))
      await expectSoon(async () => given.plane.sockets.has(down.socket.id), false)
      const retired = await given.store.db
        .selectFrom('retired_names')
        .select('dns_name')
        .where('dns_name', '=', down.socket.dnsName)
        .execute()
      expect(retired).toHaveLength(1)
      await given.service.sockets.remove(ada, up.socket.id)
    })

    test('keep them when the database did not hear that one has connected', async () => {
      const { socket, tunnel } = await make()
      await given.service.tunnels.connected(tunnel.id, ADDRESS)
      await given.store.db.updateTable('sockets').set({ idle_since: given.clock.now() }).where('id', '=', socket.id).execute()
      given.clock.advance(70_000)
      await expectSoon(
        async () => (await given.store.db.selectFrom('sockets').select('idle_since').where('id', '=', socket.id).execute())[0]?.idle_since,
        null,
      )
      expect(await names()).toContain(socket.id)
      await given.service.sockets.remove(ada, socket.id)
    })
  })

  describe('by SSH', () => {
    test('are for the account of the user name and the key, or of the key alone', async () => {
      const owner = await given.actor()
      const other = await given.actor()
      const [key, shared, unknown] = [newSshKey(), newSshKey(), newSshKey()]
      await given.service.accounts.addKey(owner, key.line)
      await given.service.accounts.addKey(owner, shared.line)
      await given.service.accounts.addKey(other, shared.line)
      const identify = (user: string, { offered }: ReturnType<typeof newSshKey>) => given.service.ssh.identify(user, offered, ADDRESS)
      const expected = { accountId: owner.accountId, role: 'user', kind: 'ssh', scopes: ['read', 'connect'], address: ADDRESS }
      expect(await identify(userOf(owner), key)).toEqual(expected)
      expect(await identify('ada', key)).toEqual(expected)
      // Each key says when it was used last, to the minute.
      const used = async () => new Map((await given.service.accounts.keys(owner)).map(({ line, usedAt }) => [line, usedAt]))
      const first = given.clock.now()
      expect(await used()).toEqual(
        new Map([
          [key.line, first],
          [shared.line, null],
        ]),
      )
      given.clock.advance(61_000)
      await identify('ada', key)
      expect((await used()).get(key.line)).toBe(first + 61_000)
      expect(await identify(userOf(owner), shared)).toEqual(expected)
      expect(await identify(userOf(other), key)).toBeUndefined()
      expect(await identify('ada', unknown)).toBeUndefined()
      expect(await identify('0'.repeat(32), key)).toBeUndefined()
      await expect(identify('root', shared)).rejects.toMatchObject({
        code: 'FORBIDDEN',
        message: expect.stringMatching(/more than one account.*ssh -l USER/s),
      })
      const certificate = { ...unknown.offered, certificateOf: userOf(owner) }
      expect(await given.service.ssh.identify(userOf(owner), certificate, ADDRESS)).toEqual(expected)
      expect(await given.service.ssh.identify(userOf(other), certificate, ADDRESS)).toBeUndefined()
      const admin = await given.actor('admin')
      await given.service.accounts.suspend(admin, owner.accountId)
      expect(await identify('ada', key)).toBeUndefined()
      expect(await given.service.ssh.identify(userOf(owner), certificate, ADDRESS)).toBeUndefined()
    })

    const forward = (
      bindAddress: string,
      bindPort: number,
      held: readonly string[] = [],
      actor: Actor = { ...ada, kind: 'ssh', scopes: ['read', 'connect'] },
    ) => given.service.ssh.forward(actor, { bindAddress, bindPort, held })

    test.each([
      ['localhost', 80, 'http', [80, 443]],
      ['127.0.0.1', 443, 'https', [80, 443]],
      ['', 0, 'tcp', [expect.any(Number)]],
      ['::1', 80, 'http', [80, 443]],
    ])('a forward of %s:%d is a new socket of type %s, which goes with it', async (address, port, type, ports) => {
      const { socket, tunnel, isNew } = await forward(address, port)
      expect(isNew).toBe(true)
      expect(socket).toMatchObject({ type, ports, isEphemeral: true, tunnels: [tunnel] })
      await given.service.sockets.remove({ ...ada, kind: 'ssh', scopes: ['read', 'connect'] }, socket.id)
    })

    test('a forward of a relay port is that tunnel of the account', async () => {
      const tunnel = await newTunnel()
      for (const address of ['localhost', '127.0.0.1', '::1', ''])
        expect(await forward(address, tunnel.relayPort)).toMatchObject({ tunnel: { id: tunnel.id }, isNew: false })
      const served = { action: 'ssh.serve', accountId: ada.accountId }
      expect((await given.service.audit.list(ada, served)).items[0]).toMatchObject({
        object: `tunnel:${tunnel.id}`,
        actorKind: 'ssh',
        isRefused: false,
      })
      for (let count = 0; count < 30; count++) await forward('localhost', tunnel.relayPort)
      const lines = (await given.service.audit.list(ada, { ...served, limit: 100 })).items.filter(
        ({ object }) => object === `tunnel:${tunnel.id}`,
      )
      expect(lines).toHaveLength(20)
      await expect(forward('localhost', 65_000)).rejects.toMatchObject({
        code: 'NOT_FOUND',
        message: expect.stringMatching(/relay port 65000/),
      })
      await expect(forward('localhost', tunnel.relayPort, [], { ...bob, kind: 'ssh' })).rejects.toMatchObject({ code: 'NOT_FOUND' })
      await expect(forward('localhost', 22)).rejects.toMatchObject({ code: 'INVALID', message: expect.stringMatching(/80 \(http\)/) })
    })

    test('a forward of a name is an unused tunnel of that socket, or a new one', async () => {
      const socket = await newSocket(ada, 'named')
      const label = socket.dnsName.split('.')[0]!
      const first = await forward(label, 80)
      expect(first).toMatchObject({ socket: { id: socket.id }, isNew: false })
      expect((await forward(socket.dnsName.toUpperCase(), 443)).tunnel.id).toBe(first.tunnel.id)
      expect((await forward('named', 1)).tunnel.id).toBe(first.tunnel.id)
      const second = await forward(label, 80, [first.tunnel.id])
      expect(second.tunnel.id).not.toBe(first.tunnel.id)
      await given.service.tunnels.connected(second.tunnel.id, ADDRESS)
      const third = await forward(label, 80, [first.tunnel.id])
      await expect(forward(label, 80, [first.tunnel.id, third.tunnel.id])).rejects.toMatchObject({ code: 'LIMIT_REACHED' })
      await newSocket(ada, 'named')
      await expect(forward('named', 80)).rejects.toMatchObject({ code: 'INVALID', message: expect.stringMatching(/several sockets/) })
      await expect(forward('nothing', 80)).rejects.toMatchObject({ code: 'NOT_FOUND' })
      await expect(forward(label, 80, [], { ...bob, kind: 'ssh' })).rejects.toMatchObject({ code: 'NOT_FOUND' })
    })
  })
})

/** Polls until `probe` gives `expected`. */
const expectSoon = async (probe: () => Promise<unknown>, expected: unknown): Promise<void> => {
  await until(async () => Object.is(await probe(), expected), { what: `${String(expected)} in the end` })
}
