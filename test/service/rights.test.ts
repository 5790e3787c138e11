import { randomBytes } from 'node:crypto'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { rotateSecrets } from '../../src/service/core/secrets.ts'
import type { Actor, Scope } from '../../src/service/model.ts'
import { ADDRESS, newJwk, PASSWORD, peopleOf, startService, type TestService } from '../support/service.ts'
import { databases } from '../support/stores.ts'
import { until } from '../support/wait.ts'

const ED25519 = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBDUeWO4NATJH5avKl1GnEcZ2OvLAMCBeSJj9cUqO2HT ada@laptop'

describe.each(await databases())('rights on $name', database => {
  let given: TestService
  let admin: Actor
  beforeAll(async () => {
    given = await startService(await database.empty())
    admin = await given.actor('admin')
    await given.actor('admin') // so that the first one is not the only one
  })
  const { login, newAccount, signUp } = peopleOf(() => given)

  test('new keys are used at once; what the keys before have signed is good until the next ones, or not at all', async () => {
    await newAccount('rotate@example.com')
    const rotate = (keepsPrevious: boolean): Promise<readonly string[]> =>
      rotateSecrets(given.store, given.secretsKey, { purposes: ['jwt', 'ssh-ca'], keepsPrevious, now: given.clock.now() })
    const kidOf = (token: string): unknown =>
      (JSON.parse(Buffer.from(token.split('.')[0]!, 'base64url').toString()) as { kid: unknown }).kid
    const isGood = (token: string): Promise<boolean> =>
      given.service.sessions.authenticate(token, ADDRESS).then(
        () => true,
        () => false,
      )
    const tokenOf = (kid: string): Promise<string> =>
      until(async () => {
        const { token } = await login('rotate@example.com')
        return kidOf(token) === kid ? token : undefined
      })
    const first = (await login('rotate@example.com')).token
    expect(await rotate(true)).toEqual(['jwt-2', 'ssh-ca-2'])
    const second = await tokenOf('jwt-2')
    expect([await isGood(first), await isGood(second)]).toEqual([true, true])
    await until(async () => (await given.service.ssh.authorities()).length === 2)
    await rotate(true)
    const third = await tokenOf('jwt-3')
    expect([await isGood(first), await isGood(second), await isGood(third)]).toEqual([false, true, true])
    await rotate(false)
    const fourth = await tokenOf('jwt-4')
    expect([await isGood(second), await isGood(third), await isGood(fourth)]).toEqual([false, false, true])
    await until(async () => (await given.service.ssh.authorities()).length === 1)
    await expect(
      rotateSecrets(given.store, randomBytes(32), { purposes: ['jwt'], keepsPrevious: true, now: given.clock.now() }),
    ).rejects.toMatchObject({ code: 'STORE_INVALID' })
    expect(await isGood(fourth)).toBe(true)
  })

  describe('an admin', () => {
    test('suspends: sessions, tokens, sockets and tunnels are out of force at once, and come back', async () => {
      const actor = await newAccount('sus@example.com')
      const { token } = await login('sus@example.com')
      const api = await given.service.apiTokens.create(actor, { name: 'ci', scopes: ['read'] })
      const { socket, tunnel, credentials } = await given.service.sockets.connect(actor, {
        name: 'x',
        jwk: newJwk(),
      })
      expect(await given.service.accounts.suspend(admin, actor.accountId)).toMatchObject({ state: 'suspended' })
      expect(given.plane.sockets.has(socket.id)).toBe(false)
      expect(given.plane.keys.has(credentials!.kid)).toBe(false)
      expect(given.plane.ended).toContain(tunnel.id)
      for (const text of [token, api.token])
        await expect(given.service.sessions.authenticate(text, ADDRESS)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' })
      await expect(given.service.sockets.create(actor, { name: 'y' })).rejects.toMatchObject({ code: 'FORBIDDEN' })
      expect((await given.service.sockets.get(admin, socket.id)).state).toBe('suspended')
      expect((await given.service.snapshot()).sockets.some(({ id }) => id === socket.id)).toBe(false)
      expect(await given.service.accounts.resume(admin, actor.accountId)).toMatchObject({ state: 'active' })
      expect(given.plane.sockets.get(socket.id)?.tunnelIds).toEqual([tunnel.id])
      expect(given.plane.keys.has(credentials!.kid)).toBe(true)
      await expect(given.service.sessions.authenticate(token, ADDRESS)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' })
      expect((await given.service.sessions.authenticate(api.token, ADDRESS)).kind).toBe('token')
    })

    test('gives limits, which are in force at once', async () => {
      const actor = await newAccount('lim@example.com')
      const socket = await given.service.sockets.create(actor, { name: 'x' })
      const limits = { http: 1, requestsPerSecond: 7, vanity: true }
      expect(await given.service.accounts.setLimits(admin, actor.accountId, limits)).toMatchObject({ limits })
      expect(given.plane.sockets.get(socket.id)?.limits).toEqual({ requestsPerSecond: 7, concurrency: 200, maxConnections: 100 })
      await expect(given.service.sockets.create(actor, { name: 'y' })).rejects.toMatchObject({ code: 'LIMIT_REACHED' })
      for (const bad of [{ http: -1 }, { http: 1.5 }, { requestsPerSecond: 0 }, { nonsense: 1 }, { vanity: 'yes' }, 7])
        await expect(given.service.accounts.setLimits(admin, actor.accountId, bad as object)).rejects.toMatchObject({ code: 'INVALID' })
    })

    test('gives roles, but neither goes as the last one nor suspends himself', async () => {
      const fresh = await startService(await database.empty())
      const only = await fresh.actor('admin')
      const user = await fresh.actor()
      await expect(fresh.service.accounts.setRole(only, only.accountId, 'user')).rejects.toMatchObject({ code: 'CONFLICT' })
      await expect(fresh.service.accounts.remove(only, only.accountId)).rejects.toMatchObject({ code: 'CONFLICT' })
      await expect(fresh.service.accounts.suspend(only, only.accountId)).rejects.toMatchObject({ code: 'CONFLICT' })
      await expect(fresh.service.accounts.setRole(only, user.accountId, 'root' as 'admin')).rejects.toMatchObject({ code: 'INVALID' })
      expect(await fresh.service.accounts.setRole(only, user.accountId, 'admin')).toMatchObject({ role: 'admin' })
      expect(await fresh.service.accounts.setRole(only, only.accountId, 'user')).toMatchObject({ role: 'user' })
    })

    test('removes an account with all that it has; so does its owner', async () => {
      const actor = await newAccount('gone@example.com')
      const socket = await given.service.sockets.create(actor, { name: 'x', type: 'tcp' })
      await given.service.tunnels.create(actor, socket.id)
      await expect(given.service.accounts.remove(await given.actor(), actor.accountId)).rejects.toMatchObject({ code: 'NOT_FOUND' })
      await expect(given.service.accounts.remove({ ...actor, kind: 'token', scopes: ['account'] }, actor.accountId)).rejects.toMatchObject({
        code: 'FORBIDDEN',
      })
      await given.service.accounts.remove(actor, actor.accountId)
      expect(given.plane.sockets.has(socket.id)).toBe(false)
      await expect(login('gone@example.com')).rejects.toMatchObject({ code: 'LOGIN_FAILED' })
      await expect(given.service.accounts.get(admin, actor.accountId)).rejects.toMatchObject({ code: 'NOT_FOUND' })
      expect(
        await given.store.db.selectFrom('retired_names').select('account_id').where('dns_name', '=', socket.dnsName).execute(),
      ).toEqual([{ account_id: actor.accountId }])
    })

    test('lists accounts, as auditors do, and nobody else may do any of it', async () => {
      const user = await given.actor()
      const auditor = await given.actor('auditor')
      await signUp('one@example.com')
      const { items } = await given.service.accounts.list(auditor, { email: 'ONE@example.com' })
      expect(items.map(({ email }) => email)).toEqual(['one@example.com'])
      expect(Object.keys(items[0]!)).toEqual([
        'id',
        'name',
        'email',
        'role',
        'state',
        'limits',
        'limitsInForce',
        'createdAt',
        'confirmedAt',
      ])
      expect((await given.service.accounts.list(admin, { limit: 2 })).next).toEqual(expect.any(String))
      const refused = [
        () => given.service.accounts.list(user, {}),
        ...[user, auditor, { ...admin, scopes: ['read', 'account', 'sockets', 'connect'] as Scope[] }].flatMap(actor => [
          () => given.service.accounts.suspend(actor, user.accountId),
          () => given.service.accounts.resume(actor, user.accountId),
          () => given.service.accounts.setLimits(actor, actor.accountId, {}),
          () => given.service.accounts.setRole(actor, actor.accountId, 'admin'),
          () => given.service.accounts.invite(actor, { email: 'x@example.com', role: 'admin' }),
          () => given.service.enrolment.createJoinToken(actor, { identifiers: ['x'] }),
          () => given.service.enrolment.revoke(actor, 'x'),
        ]),
      ]
      for (const call of refused) await expect(call()).rejects.toMatchObject({ code: 'FORBIDDEN' })
    })
  })

  describe('a token', () => {
    test('has its scopes and no more, and its role goes no further', async () => {
      const actor = await newAccount('tok@example.com')
      const socket = await given.service.sockets.create(actor, { name: 'x' })
      const as = async (...scopes: Scope[]): Promise<Actor> => {
        const { token } = await given.service.apiTokens.create(actor, { name: 'ci', scopes })
        expect(token).toMatch(/^sga_[\w-]{43}$/)
        return given.service.sessions.authenticate(token, ADDRESS)
      }
      const [read, sockets, connect, account] = [await as('read'), await as('sockets'), await as('connect'), await as('account')]
      const ephemeral = await given.service.sockets.connect(connect, { name: 'y', ephemeralMs: 60_000 })
      await given.service.sockets.get(read, socket.id)
      const forbidden = [
        () => given.service.sockets.create(read, { name: 'x' }),
        () => given.service.sockets.create(connect, { name: 'x' }),
        () => given.service.sockets.remove(read, socket.id),
        () => given.service.sockets.remove(connect, socket.id),
        () => given.service.sockets.update(connect, socket.id, { name: 'x' }),
        () => given.service.sockets.list(account, {}),
        () => given.service.accounts.rename(sockets, 'x'),
        () => given.service.accounts.addKey(sockets, ED25519),
        () => given.service.accounts.addKey(account, ED25519), // with which one may connect
        () => given.service.accounts.keys(sockets),
        () => given.service.apiTokens.create(sockets, { name: 'more', scopes: ['sockets'] }),
        () => given.service.apiTokens.create(account, { name: 'more', scopes: ['sockets'] }),
        () => given.service.sessions.refresh(account),
        () => given.service.accounts.changePassword(account, { current: PASSWORD, next: 'another horse' }),
      ]
      for (const call of forbidden) await expect(call()).rejects.toMatchObject({ code: 'FORBIDDEN' })
      await given.service.sockets.remove(connect, ephemeral.socket.id)
      await given.service.sockets.remove(sockets, socket.id)
    })

    test('that ends makes none that lasts longer', async () => {
      const actor = await newAccount('brief@example.com')
      const end = given.clock.now() + 60_000
      const make = async (by: Actor, expiresAt?: number) =>
        given.service.apiTokens.create(by, { name: 'ci', scopes: ['account'], ...(expiresAt !== undefined && { expiresAt }) })
      const brief = await given.service.sessions.authenticate((await make(actor, end)).token, ADDRESS)
      for (const later of [undefined, end + 1]) await expect(make(brief, later)).rejects.toMatchObject({ code: 'FORBIDDEN' })
      expect(await make(brief, end)).toMatchObject({ expiresAt: end })
      const lasting = await given.service.sessions.authenticate((await make(actor)).token, ADDRESS)
      expect(await make(lasting)).toMatchObject({ expiresAt: null })
    })

    test('ends at its time, when it is revoked, and is nowhere in the database', async () => {
      const actor = await newAccount('tok2@example.com')
      const first = await given.service.apiTokens.create(actor, { name: 'ci', scopes: ['read'], expiresAt: given.clock.now() + 1_000 })
      const second = await given.service.apiTokens.create(actor, { name: 'cd', scopes: ['read', 'sockets'] })
      await given.service.sessions.authenticate(first.token, ADDRESS)
      expect(await given.service.apiTokens.list(actor)).toEqual(
        expect.arrayContaining([
          {
            id: first.id,
            name: 'ci',
            scopes: ['read'],
            createdAt: given.clock.now(),
            expiresAt: given.clock.now() + 1_000,
            usedAt: given.clock.now(),
          },
          { id: second.id, name: 'cd', scopes: ['read', 'sockets'], createdAt: given.clock.now(), expiresAt: null, usedAt: null },
        ]),
      )
      given.clock.advance(1_000)
      await expect(given.service.sessions.authenticate(first.token, ADDRESS)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' })
      await expect(given.service.apiTokens.revoke(await given.actor(), second.id)).rejects.toMatchObject({ code: 'NOT_FOUND' })
      await given.service.apiTokens.revoke(actor, second.id)
      await expect(given.service.sessions.authenticate(second.token, ADDRESS)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' })
      const rows = JSON.stringify(await given.store.db.selectFrom('api_tokens').selectAll().execute())
      for (const { token } of [first, second]) expect(rows).not.toContain(token.slice(4))
      for (const bad of [
        { name: '', scopes: ['read'] },
        { name: 'x', scopes: [] },
        { name: 'x', scopes: ['root'] },
        { name: 'x', scopes: ['read'], expiresAt: 1 },
      ])
        await expect(given.service.apiTokens.create(actor, bad as { name: string; scopes: Scope[] })).rejects.toMatchObject({
          code: 'INVALID',
        })
    })
  })
})
