/** What is promised however many ask at once, in one process and in two. */
import { randomBytes } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import { AccountTurns } from '../../src/service/core/account-turns.ts'
import type { Service } from '../../src/service/contract.ts'
import type { Actor, Socket } from '../../src/service/model.ts'
import { newJwk, startService, TestClock, type TestService } from '../support/service.ts'
import { databases } from '../support/stores.ts'
import { until } from '../support/wait.ts'

const LIMITS = { http: 10_000, tcp: 10_000, tunnels: 100, creationsPerHour: 100_000 }
const noneTwice = (values: readonly unknown[]): void => expect(new Set(values).size).toBe(values.length)

/** Numbers at random, but from few words and ports: what could meet does. */
const crowded = (end: number): number => Math.floor(Math.random() * Math.min(end, 40))

/** Nothing but what is meant to stay is left in the tables and in the data plane. */
const expectOnly = async ({ store, plane }: TestService, sockets: readonly Socket[]): Promise<void> => {
  const ids = sockets.map(({ id }) => id).sort()
  const idsOf = (rows: readonly { readonly id: string | null }[]): (string | null)[] => [...new Set(rows.map(({ id }) => id))].sort()
  expect(idsOf(await store.db.selectFrom('sockets').select('id').execute())).toEqual(ids)
  expect(idsOf(await store.db.selectFrom('tunnels').select('socket_id as id').execute())).toEqual(ids)
  const ports = await store.db.selectFrom('ports').select('socket_id as id').where('socket_id', 'is not', null).execute()
  expect(ports.map(({ id }) => id).sort()).toEqual(
    sockets
      .filter(({ type }) => type === 'tcp')
      .map(({ id }) => id)
      .sort(),
  )
  const keys = await store.db.selectFrom('inner_keys').select('tunnel_id').execute()
  expect(keys.map(({ tunnel_id }) => tunnel_id).sort()).toEqual(sockets.flatMap(({ tunnels }) => tunnels.map(({ id }) => id)).sort())
  await until(() => plane.sockets.size === ids.length && plane.keys.size === ids.length, {
    what: 'the data plane to have what the tables have',
  })
  expect([...plane.sockets.keys()].sort()).toEqual(ids)
}

describe.each(await databases())('many at once on $name', database => {
  // A thousand take PostgreSQL ten seconds and more, so that is done by hand: MANY_SOCKETS=1000.
  const COUNT = Number(process.env['MANY_SOCKETS'] ?? (database.name === 'PostgreSQL' ? 100 : 1_000))

  test(`${COUNT} creates and deletes: no name, port or relay port twice, and nothing left over`, async () => {
    const given = await startService(await database.empty(), { random: crowded, config: { ports: { from: 30_000, to: 59_999 } } })
    const ada = await given.actor('user', LIMITS)
    const jwks = Array.from({ length: COUNT }, newJwk)
    let [made, tried] = [[] as Socket[], 0]
    const kept: Socket[] = []
    const one = async (jwk: Readonly<Record<string, string>>, at: number): Promise<void> => {
      // Of 40 ports a socket finds one as long as few are taken; of names there are enough for all.
      const type = at % 50 === 0 ? 'tcp' : 'http'
      tried++
      const { socket } = await given.service.sockets.connect(ada, { name: `socket ${at}`, type, jwk })
      made.push(socket)
      if (at % 10 === 0) kept.push(socket)
      else await given.service.sockets.remove(ada, socket.id)
    }
    await Promise.all(jwks.map(one))
    expect(tried).toBe(COUNT)
    noneTwice(made.map(({ dnsName }) => dnsName))
    noneTwice(made.flatMap(({ type, ports }) => (type === 'tcp' ? ports : [])))
    noneTwice(made.flatMap(({ tunnels }) => tunnels.map(({ relayPort }) => relayPort)))
    await expectOnly(given, kept)
    made = []
    await Promise.all(kept.map(({ id }) => given.service.sockets.remove(ada, id)))
    await expectOnly(given, [])
    expect((await given.service.snapshot()).sockets).toEqual([])
  })

  test('limits hold, whoever is first', async () => {
    const given = await startService(await database.empty())
    const ada = await given.actor('user', { http: 5, tunnels: 2, creationsPerHour: 1_000 })
    const results = await Promise.allSettled(
      Array.from({ length: 30 }, (_, at) => given.service.sockets.create(ada, { name: `socket ${at}` })),
    )
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(5)
    for (const result of results) if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'LIMIT_REACHED' })
    const [socket] = (await given.service.sockets.list(ada, {})).items
    const tunnels = await Promise.allSettled(Array.from({ length: 10 }, () => given.service.tunnels.create(ada, socket!.id)))
    expect(tunnels.filter(({ status }) => status === 'fulfilled')).toHaveLength(2)
  })

  test('tunnels and keys that are made while their socket goes leave nothing behind', async () => {
    const given = await startService(await database.empty())
    const ada = await given.actor('user', LIMITS)
    for (let round = 0; round < 10; round++) {
      const { socket, tunnel } = await given.service.sockets.connect(ada, { name: 'x' })
      const results = await Promise.allSettled([
        given.service.tunnels.create(ada, socket.id),
        given.service.tunnels.credentials(ada, socket.id, tunnel.id, newJwk()),
        given.service.sockets.remove(ada, socket.id),
        given.service.sockets.update(ada, socket.id, { name: 'y' }),
        given.service.sockets.remove(ada, socket.id),
      ])
      for (const result of results) if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'NOT_FOUND' })
    }
    await expectOnly(given, [])
  })
})

describe('turns of an account', () => {
  test('a queue that is too long is refused at once, and says when to come back; who waits is served in turn', async () => {
    const turns = new AccountTurns()
    const order: number[] = []
    let release = (): void => undefined
    const first = turns.inTurn('a', () => new Promise<void>(resolve => (release = resolve)))
    const waiting = Array.from({ length: 2_000 }, (_, at) => turns.inTurn('a', () => Promise.resolve(void order.push(at))))
    await expect(turns.inTurn('a', () => Promise.resolve())).rejects.toMatchObject({ code: 'OVERLOADED', fields: ['Retry-After', '5'] })
    // Another account waits for nobody.
    await turns.inTurn('b', () => Promise.resolve(void order.push(-1)))
    release()
    await Promise.all([first, ...waiting])
    expect(order).toEqual([-1, ...Array.from({ length: 2_000 }, (_, at) => at)])
    // One that fails holds up nobody.
    await expect(turns.inTurn('a', () => Promise.reject(new Error('no')))).rejects.toThrow('no')
    expect(await turns.inTurn('a', () => Promise.resolve('next'))).toBe('next')
  })
})

describe('two processes of one service', () => {
  test('share names, ports, limits, secrets and tokens, and each data plane hears of both', async () => {
    const postgres = (await databases()).find(({ name }) => name === 'PostgreSQL')
    if (postgres === undefined) return
    const options = await postgres.empty()
    const shared = { clock: new TestClock(), secretsKey: randomBytes(32), random: crowded }
    const [one, two] = await Promise.all([
      startService(options, { ...shared, nodeId: 'one' }),
      startService(options, { ...shared, nodeId: 'two', apiUrl: 'https://api.example.com:8443' }),
    ])
    expect(await two.service.ssh.hostKeys()).toEqual(await one.service.ssh.hostKeys())
    expect(await two.service.ssh.authorities()).toEqual(await one.service.ssh.authorities())
    await expect(startService(options, { ...shared, secretsKey: randomBytes(32) })).rejects.toMatchObject({
      code: 'STORE_INVALID',
      message: expect.stringMatching(/key file/),
    })
    const ada: Actor = await one.actor('user', { ...LIMITS, http: 40, tcp: 10 })
    const make = (service: Service, at: number) =>
      service.sockets.connect(ada, { name: `socket ${at}`, type: at % 10 === 0 ? 'tcp' : 'http', jwk: newJwk() })
    const results = await Promise.allSettled(Array.from({ length: 60 }, (_, at) => make(at % 2 === 0 ? one.service : two.service, at)))
    const sockets = results.flatMap(result => (result.status === 'fulfilled' ? [result.value.socket] : []))
    expect(sockets).toHaveLength(46)
    noneTwice(sockets.map(({ dnsName }) => dnsName))
    noneTwice(sockets.flatMap(({ type, ports }) => (type === 'tcp' ? ports : [])))
    noneTwice(sockets.flatMap(({ tunnels }) => tunnels.map(({ relayPort }) => relayPort)))
    await expectOnly(one, sockets)
    await expectOnly(two, sockets)
    await one.service.accounts.signUp({ name: 'Bob', email: 'bob@example.com', password: 'correct horse' }, '192.0.2.1')
    await two.service.accounts.confirm(await one.tokenFor('bob@example.com'))
    const { token, accountId } = await two.service.sessions.login({ email: 'bob@example.com', password: 'correct horse' }, '192.0.2.1')
    // Whatever port people have come by.
    expect(await one.service.sessions.authenticate(token, '192.0.2.1')).toMatchObject({ accountId })
    const other = await one.service.sessions.login({ email: 'bob@example.com', password: 'correct horse' }, '192.0.2.1')
    expect(await two.service.sessions.authenticate(other.token, '192.0.2.1')).toMatchObject({ accountId })
    // A tunnel that is connected to one of them keeps its socket, whatever the other one knows.
    const { socket, tunnel } = await one.service.sockets
      .connect(ada, { name: 'last', type: 'http', ephemeralMs: 60_000 })
      .catch(async () => {
        await one.service.sockets.remove(ada, sockets.find(({ type }) => type === 'http')!.id)
        return one.service.sockets.connect(ada, { name: 'last', ephemeralMs: 60_000 })
      })
    await two.service.tunnels.connected(tunnel.id, '192.0.2.1')
    shared.clock.advance(120_000)
    await one.service.usage.add([])
    expect((await one.service.sockets.get(ada, socket.id)).id).toBe(socket.id)
  })
})
