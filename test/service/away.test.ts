/** What goes on while the database is away, a real one whose way is cut. */
import { randomBytes } from 'node:crypto'
import { expect } from '@jest/globals'
import type { StoreOptions } from '../../src/store/store.ts'
import { testWith } from '../support/needs.ts'
import { POSTGRES_PROGRAMS } from '../support/postgres.ts'
import { startRelay, type Relay } from '../support/relay.ts'
import { ADDRESS, newJwk, newSshKey, PASSWORD, peopleOf, startService } from '../support/service.ts'
import { PostgresServer } from '../support/stores.ts'
import { until } from '../support/wait.ts'

const server = new PostgresServer()

/** A database behind a relay: what it takes to have it back after the relay is closed. */
const behindRelay = async (): Promise<{ options: StoreOptions; direct: StoreOptions; relay: Relay; back: () => Promise<Relay> }> => {
  const direct = await server.empty()
  const target = { host: '127.0.0.1', port: await server.port }
  const relay = await startRelay({ target })
  const url = new URL(direct.url)
  url.port = String(relay.port)
  const options = { ...direct, url: url.href, postgresTimes: { connectMs: 1_000, statementMs: 60_000 } }
  return { options, direct, relay, back: () => startRelay({ target, listen: { port: relay.port } }) }
}

const away = { code: 'STORE_UNAVAILABLE', fields: ['Retry-After', '5'] }

testWith(
  POSTGRES_PROGRAMS,
  'writes are refused and half of nothing is done; known SSH keys and tunnels come in; then it goes on',
  async () => {
    const { options, relay, back } = await behindRelay()
    const given = await startService(options)
    const { service, plane } = given
    const { newAccount, login } = peopleOf(() => given)
    const ada = await newAccount('ada@example.com')
    const { token } = await login('ada@example.com')
    const key = newSshKey()
    await service.accounts.addKey(ada, key.line)
    const lost = newSshKey()
    const { id: lostId } = await service.accounts.addKey(ada, lost.line)
    const { socket, tunnel } = await service.sockets.connect(ada, { name: 'x', jwk: newJwk() })
    const comeIn = async () => {
      const actor = await service.ssh.identify('ada', key.offered, ADDRESS)
      return service.ssh.forward(actor!, { bindAddress: 'localhost', bindPort: tunnel.relayPort, held: [] })
    }
    expect(await service.ssh.identify('ada', lost.offered, ADDRESS)).toMatchObject({ accountId: ada.accountId })
    await service.accounts.removeKey(ada, lostId)
    given.clock.advance(1)
    const before = await comeIn()
    expect(before.tunnel.id).toBe(tunnel.id)
    const count = { accountId: ada.accountId, socketId: socket.id, requests: 1, connections: 0, bytesIn: 0, bytesOut: 0 }
    await service.usage.add([count])
    await relay.close()
    for (const call of [
      () => service.sockets.create(ada, { name: 'y' }),
      () => service.sockets.remove(ada, socket.id),
      () => service.sockets.list(ada, {}),
      () => service.sessions.authenticate(token, ADDRESS),
      () => service.sessions.login({ email: 'ada@example.com', password: PASSWORD }, '192.0.2.99'),
      () => service.accounts.rename(ada, 'z'),
      () => service.ssh.identify('ada', newSshKey().offered, ADDRESS),
      () => service.ssh.identify('ada', lost.offered, ADDRESS),
      () => service.snapshot(),
    ])
      await expect(call()).rejects.toMatchObject(away)
    expect(service.isHealthy()).toBe(false)
    const [during, again] = [await comeIn(), await comeIn()]
    expect(during.tunnel.id).toBe(tunnel.id)
    // The newest login of a tunnel is known without the database as well.
    expect([during.login > before.login, again.login > during.login]).toEqual([true, true])
    await service.usage.add([count])
    await service.usage.add([count])
    await service.tunnels.connected(tunnel.id, ADDRESS)
    await service.tunnels.disconnected(tunnel.id)
    expect(plane.sockets.has(socket.id)).toBe(true)
    await back()
    await until(() => service.isHealthy(), { what: 'the database to be back' })
    expect((await service.sockets.list(ada, {})).items.map(({ id }) => id)).toEqual([socket.id])
    await service.usage.add([])
    expect(await service.usage.list(ada, { since: '2026-11-28' })).toMatchObject([{ requests: 3 }])
    const next = await service.sockets.create(ada, { name: 'y' })
    await until(() => plane.sockets.has(next.id), { what: 'the new socket to be in force' })
    expect(await service.sessions.authenticate(token, ADDRESS)).toMatchObject({ accountId: ada.accountId })
    expect((await comeIn()).login).toBeGreaterThan(again.login)
  },
)

testWith(POSTGRES_PROGRAMS, 'a service that starts without its database begins when it is there, and misses nothing', async () => {
  const { options, direct, relay, back } = await behindRelay()
  const secretsKey = randomBytes(32)
  const other = await startService(direct, { secretsKey })
  const ada = await other.actor()
  const before = await other.service.sockets.create(ada, { name: 'before' })
  await relay.close()
  const late = await startService({ ...options, mayBeAway: true }, { secretsKey })
  await expect(late.service.snapshot()).rejects.toMatchObject(away)
  await expect(late.service.ssh.hostKeys()).rejects.toMatchObject(away)
  await back()
  await until(() => late.service.isHealthy(), { what: 'the database to be there' })
  expect((await late.service.snapshot()).sockets.map(({ id }) => id)).toEqual([before.id])
  // A change after the snapshot and before the changes are followed.
  const after = await other.service.sockets.create(ada, { name: 'after' })
  late.clock.advance(1_000)
  await until(() => late.plane.sockets.has(after.id), { what: 'the change to be heard of' })
  expect(await late.service.ssh.hostKeys()).toEqual(await other.service.ssh.hostKeys())
})
