/** Events of accounts: what is told, kept, read, and by whom. */
import { beforeAll, describe, expect, test } from '@jest/globals'
import type { EventNote } from '../../src/events/event.ts'
import type { Actor } from '../../src/service/model.ts'
import { newSshKey, peopleOf, startService, type TestService } from '../support/service.ts'
import { databases } from '../support/stores.ts'
import { until } from '../support/wait.ts'

describe.each(await databases())('events of accounts on $name', database => {
  let given: TestService
  const told: (readonly [string, EventNote, number])[] = []
  beforeAll(async () => {
    given = await startService(await database.empty(), { onEvent: (name, note, { count }) => told.push([name, note, count]) })
  })
  const { login, newAccount } = peopleOf(() => given)
  const namesOf = async (actor: Actor, of = given): Promise<readonly string[]> =>
    (await of.service.events.list(actor, {})).items.map(({ name }) => name)
  const withTunnel = async (actor: Actor, of = given): Promise<string> => {
    const { id } = await of.service.sockets.create(actor, { name: 'shop' })
    return (await of.service.tunnels.create(actor, id)).id
  }

  test('tell of a tunnel that comes, goes and comes back, with its socket', async () => {
    const ada = await given.actor()
    const tunnel = await withTunnel(ada)
    await given.service.tunnels.connected(tunnel, '203.0.113.7')
    await until(async () => (await namesOf(ada)).length === 1)
    given.clock.advance(60_000)
    await given.service.tunnels.disconnected(tunnel)
    given.clock.advance(10_000)
    await until(async () => (await namesOf(ada)).length === 2)
    given.clock.advance(60_000)
    await given.service.tunnels.connected(tunnel, '203.0.113.8')
    await until(async () => (await namesOf(ada)).length === 3)
    const { items, next } = await given.service.events.list(ada, {})
    expect(items.map(({ name }) => name)).toEqual(['tunnel.connected', 'tunnel.lost', 'tunnel.connected'])
    expect(items[1]).toMatchObject({
      subject: tunnel,
      account: ada.accountId,
      severity: 'warning',
      message: expect.stringMatching(/^a tunnel of shop \(.*edge\.example\.com\) from 203\.0\.113\.7 is no longer connected$/),
      fields: { tunnel, socket: 'shop', address: '203.0.113.7' },
    })
    expect(next).toBeNull()
    expect(told.filter(([, { subject }]) => subject === tunnel).map(([name]) => name)).toEqual([
      'tunnel.connected',
      'tunnel.lost',
      'tunnel.connected',
    ])
  })

  test('fold a tunnel that goes for a moment into one that counts', async () => {
    const ada = await given.actor()
    const tunnel = await withTunnel(ada)
    await given.service.tunnels.connected(tunnel, '203.0.113.7')
    for (let count = 0; count < 3; count++) {
      given.clock.advance(1_000)
      await given.service.tunnels.disconnected(tunnel)
      await given.service.tunnels.connected(tunnel, '203.0.113.7')
    }
    given.clock.advance(10_000)
    await until(async () => (await namesOf(ada)).includes('tunnel.reconnected'))
    expect((await given.service.events.list(ada, {})).items).toMatchObject([
      { name: 'tunnel.reconnected', count: 3 },
      { name: 'tunnel.connected', count: 1 },
    ])
  })

  test('say nothing twice after a restart of the service process, and what was lost meanwhile', async () => {
    const place = await database.empty()
    const first = await startService(place)
    const ada = await first.actor()
    const [stays, goes] = [await withTunnel(ada, first), await withTunnel(ada, first)]
    for (const tunnel of [stays, goes]) await first.service.tunnels.connected(tunnel, '203.0.113.7')
    await until(async () => (await namesOf(ada, first)).length === 2)
    await first.service.close()
    await first.store.close()
    const { secretsKey, clock } = first
    const again = await startService(place, { secretsKey, clock })
    await again.service.tunnels.connected(stays, '203.0.113.7')
    clock.advance(60_000)
    await until(async () => (await namesOf(ada, again)).length === 3)
    const { items } = await again.service.events.list(ada, {})
    expect(items[0]).toMatchObject({ name: 'tunnel.lost', subject: goes })
    expect(items.slice(1).map(({ name }) => name)).toEqual(['tunnel.connected', 'tunnel.connected'])
  })

  test('tell of a sign-in from a new network, by a letter as well, and not of the first one', async () => {
    const email = `place-${database.name.replace(/\W/g, '')}@example.com`.toLowerCase()
    const eve = await newAccount(email) // signs in once
    given.letters.length = 0
    await login(email, undefined, '192.0.2.10')
    await login(email, undefined, '192.0.2.99') // the same network
    await login(email, undefined, '2001:db8:1:2::1')
    await login(email, undefined, '2001:db8:1:ffff::1')
    await until(async () => (await namesOf(eve)).length >= 2 && given.letters.length >= 2)
    const { items } = await given.service.events.list(eve, { name: 'account.*' })
    expect(items.map(({ fields }) => fields['address'])).toEqual(['2001:db8:1:2::1', '192.0.2.10'])
    expect(given.letters.map(({ to }) => to)).toEqual([email, email])
    expect(given.letters[0]!.text).toContain('192.0.2.10')
  })

  test('tell of a key that comes from a new network', async () => {
    const email = `ssh-${database.name.replace(/\W/g, '')}@example.com`.toLowerCase()
    const eve = await newAccount(email)
    const key = newSshKey()
    await given.service.accounts.addKey(eve, key.line)
    const { id } = await given.service.sockets.create(eve, { name: 'by-ssh' })
    const { relayPort } = await given.service.tunnels.create(eve, id)
    const actor = await given.service.ssh.identify(eve.accountId.replaceAll('-', ''), key.offered, '192.0.2.200')
    await given.service.ssh.forward(actor!, { bindAddress: '', bindPort: relayPort, held: [] })
    await until(async () => (await namesOf(eve)).includes('account.new-place'))
    expect((await given.service.events.list(eve, { name: 'account.new-place' })).items[0]!.fields).toEqual({
      address: '192.0.2.200',
      how: 'ssh',
    })
  })

  test('tell of an API token that comes from a new network, and no more of one that travels', async () => {
    const owner = await given.actor()
    const { token } = await given.service.apiTokens.create(owner, { name: 'ci', scopes: ['read'] })
    const use = (network: number) => given.service.sessions.authenticate(token, `198.18.${network}.1`)
    const told = async (): Promise<unknown[]> =>
      (await given.service.events.list(owner, { name: 'account.new-place', limit: 100 })).items.map(({ fields }) => fields)
    await use(1)
    await use(1)
    await use(2)
    await until(async () => (await told()).length === 1)
    expect(await told()).toEqual([{ address: '198.18.2.1', how: 'token ci' }])
    for (let network = 3; network <= 15; network++) await use(network)
    await until(async () => (await told()).length === 9)
    const { items } = await given.service.audit.list(owner, { action: 'token.use', limit: 100 })
    expect(items.map(({ address }) => address).slice(-2)).toEqual(['198.18.2.1', '198.18.1.1'])
    expect(items).toHaveLength(15)
    expect(await told()).toHaveLength(9)
  })

  test('tell once of a limit that is reached again and again', async () => {
    const ada = await given.actor('user', { http: 1 })
    await given.service.sockets.create(ada, { name: 'one' })
    for (let count = 0; count < 5; count++)
      await expect(given.service.sockets.create(ada, { name: 'two' })).rejects.toMatchObject({ code: 'LIMIT_REACHED' })
    await until(async () => (await namesOf(ada)).length === 1)
    given.clock.advance(60_000)
    await until(async () => (await namesOf(ada)).length === 2)
    expect((await given.service.events.list(ada, {})).items).toMatchObject([
      { name: 'limit.reached', count: 4, fields: { code: 'LIMIT_REACHED' } },
      { name: 'limit.reached', count: 1 },
    ])
  })

  test('are those of the account alone; auditors and admins read all', async () => {
    const [ada, bob, auditor] = [await given.actor(), await given.actor(), await given.actor('auditor')]
    await given.service.tunnels.connected(await withTunnel(ada), '203.0.113.7')
    await until(async () => (await namesOf(ada)).length === 1)
    expect(await namesOf(bob)).toEqual([])
    await expect(given.service.events.list(bob, { accountId: ada.accountId })).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await expect(given.service.events.list(bob, { isOfAll: true })).rejects.toMatchObject({ code: 'NOT_FOUND' })
    expect(() => given.service.events.watch(bob, { accountId: ada.accountId }, new AbortController().signal)).toThrow()
    expect((await given.service.events.list(auditor, { accountId: ada.accountId })).items).toHaveLength(1)
    expect((await given.service.events.list(auditor, { isOfAll: true })).items.length).toBeGreaterThan(3)
  })

  test('come in pages in either direction, filtered, and refuse what is no id', async () => {
    const ada = await given.actor()
    const tunnels: string[] = []
    for (let count = 0; count < 5; count++) {
      const tunnel = await withTunnel(ada)
      await given.service.tunnels.connected(tunnel, '203.0.113.7')
      await until(async () => (await namesOf(ada)).length === count + 1)
      tunnels.push(tunnel)
    }
    const { events } = given.service
    const first = await events.list(ada, { limit: 2 })
    const second = await events.list(ada, { limit: 2, before: first.next! })
    expect([...first.items, ...second.items].map(({ subject }) => subject)).toEqual([...tunnels].reverse().slice(0, 4))
    const after = await events.list(ada, { limit: 2, after: second.items[1]!.id })
    expect(after.items.map(({ subject }) => subject)).toEqual(tunnels.slice(2, 4))
    expect(await events.list(ada, { after: first.items[0]!.id })).toEqual({ items: [], next: first.items[0]!.id })
    expect((await events.list(ada, { severity: 'warning' })).items).toEqual([])
    for (const bad of [{ after: 'x' }, { before: '1', after: '1' }, { name: 'constructor' }, { limit: 0 }, { limit: 101 }])
      await expect(events.list(ada, bad)).rejects.toMatchObject({ code: 'INVALID' })
  })

  test('come as they happen to whoever watches, until the signal, and to few at a time', async () => {
    const ada = await given.actor()
    const over = new AbortController()
    const seen: string[] = []
    const watching = (async () => {
      for await (const { subject } of given.service.events.watch(ada, { after: '0' }, over.signal)) seen.push(subject)
    })()
    const tunnel = await withTunnel(ada)
    await given.service.tunnels.connected(tunnel, '203.0.113.7')
    await until(() => seen.length === 1)
    expect(seen).toEqual([tunnel])
    over.abort()
    await watching
    for (let count = 0; count < 8; count++) given.service.events.watch(ada, {}, over.signal)
    expect(() => given.service.events.watch(ada, {}, over.signal)).toThrow(expect.objectContaining({ code: 'LIMIT_REACHED' }))
  })

  test('go after 90 days', async () => {
    const ada = await given.actor()
    await given.service.tunnels.connected(await withTunnel(ada), '203.0.113.7')
    await until(async () => (await namesOf(ada)).length === 1)
    given.clock.advance(91 * 86_400_000)
    await until(async () => (await namesOf(ada)).length === 0)
  })
})
