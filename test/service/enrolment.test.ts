import { beforeAll, describe, expect, test } from '@jest/globals'
import type { Actor, AuditEntry } from '../../src/service/model.ts'
import { ADDRESS, newJwk, nextAddress, startService, type TestService } from '../support/service.ts'
import { databases } from '../support/stores.ts'
import { until } from '../support/wait.ts'

const MINUTE_MS = 60_000
const DAY_MS = 1_440 * MINUTE_MS

describe.each(await databases())('enrolment, audit and usage on $name', database => {
  let given: TestService
  let admin: Actor
  beforeAll(async () => {
    given = await startService(await database.empty())
    admin = await given.actor('admin')
  })
  const token = async (identifiers: readonly string[], more = {}): Promise<string> =>
    (await given.service.enrolment.createJoinToken(admin, { identifiers, ...more })).token
  const join = (text: string, jwk = newJwk()) => given.service.enrolment.join(text, jwk, nextAddress())

  describe('a join token', () => {
    test('lets one key in, which is in force at once, in the pool of operators', async () => {
      const text = await token(['lan-a', 'lan-b'])
      expect(text).toMatch(/^sgj_[\w-]{43}$/)
      const jwk = newJwk()
      const joined = await join(text, jwk)
      expect(joined).toEqual({
        kid: expect.stringMatching(/^[\w-]{43}$/),
        identifiers: ['lan-a', 'lan-b'],
        linkUrls: ['wss://link.example.com'],
      })
      expect(given.plane.keys.get(joined.kid)).toEqual({
        kid: joined.kid,
        jwk,
        tunnelId: null,
        identifiers: ['lan-a', 'lan-b'],
        expiresAt: null,
      })
      const refused = { code: 'UNAUTHENTICATED', message: expect.stringMatching(/another one/) }
      await expect(join(text)).rejects.toMatchObject(refused)
      await expect(join('x')).rejects.toMatchObject(refused)
      await expect(join(undefined as unknown as string)).rejects.toMatchObject(refused)
      await expect(join(text, { kty: 'oct' })).rejects.toMatchObject({ code: 'INVALID' })
    })

    test('is good for ten minutes and one use, unless an admin says otherwise', async () => {
      const [short, long] = [await token(['a']), await token(['a'], { uses: 2, expiresAt: given.clock.now() + DAY_MS })]
      given.clock.advance(10 * MINUTE_MS)
      await expect(join(short)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' })
      const results = await Promise.allSettled([join(long), join(long), join(long), join(long)])
      expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(2)
      for (const bad of [
        { identifiers: [] },
        { identifiers: [''] },
        { identifiers: ['a\n'] },
        { identifiers: ['a'], uses: 0 },
        { identifiers: ['a'], uses: 1.5 },
        { identifiers: ['a'], expiresAt: 1 },
        { identifiers: ['a'], expiresAt: given.clock.now() + 31 * DAY_MS },
      ])
        await expect(given.service.enrolment.createJoinToken(admin, bad)).rejects.toMatchObject({ code: 'INVALID' })
    })

    test('cannot be guessed: attempts are few for each address', async () => {
      const address = nextAddress()
      const attempt = () => given.service.enrolment.join(`sgj_${'A'.repeat(43)}`, newJwk(), address)
      for (let count = 0; count < 10; count++) await expect(attempt()).rejects.toMatchObject({ code: 'UNAUTHENTICATED' })
      await expect(attempt()).rejects.toMatchObject({ code: 'RATE_LIMITED' })
    })
  })

  test('the same key joins again for what the new token says, also where somebody has given it to a tunnel; a tunnel does not get one that has joined', async () => {
    const jwk = newJwk()
    const { kid } = await join(await token(['a']), jwk)
    expect((await join(await token(['b']), jwk)).kid).toBe(kid)
    expect(given.plane.keys.get(kid)?.identifiers).toEqual(['b'])
    const owner = await given.actor()
    const other = newJwk()
    await given.service.sockets.connect(owner, { name: 'x', jwk: other })
    const taken = await join(await token(['c']), other)
    expect(given.plane.keys.get(taken.kid)).toMatchObject({ tunnelId: null, identifiers: ['c'], expiresAt: null })
    expect((await given.service.enrolment.keys(admin)).map(key => key.kid)).toContain(taken.kid)
    await expect(given.service.sockets.connect(owner, { name: 'y', jwk })).rejects.toMatchObject({ code: 'INVALID' })
  })

  test('a revoked key is out of force when the call resolves', async () => {
    const { kid } = await join(await token(['r']))
    await given.service.enrolment.connected(kid, ADDRESS)
    const shown = async () => (await given.service.enrolment.keys(admin)).find(key => key.kid === kid)
    expect(await shown()).toMatchObject({ identifiers: ['r'], isConnected: true, seenAt: given.clock.now(), revokedAt: null })
    await given.service.enrolment.revoke(admin, kid)
    expect(given.plane.keys.has(kid)).toBe(false)
    await given.service.enrolment.disconnected(kid)
    expect(await shown()).toMatchObject({ isConnected: false, revokedAt: given.clock.now() })
    await expect(given.service.enrolment.revoke(admin, kid)).rejects.toMatchObject({ code: 'NOT_FOUND' })
    expect((await given.service.snapshot()).keys.some(key => key.kid === kid)).toBe(false)
  })

  describe('the audit log', () => {
    const entries = async (actor: Actor, more = {}): Promise<readonly AuditEntry[]> =>
      (await given.service.audit.list(actor, { limit: 100, ...more })).items

    test('has each write and login, refused ones too, the newest first', async () => {
      const ada = await given.actor('user', { http: 1 })
      const bob = await given.actor()
      const socket = await given.service.sockets.create(ada, { name: 'x' })
      await given.service.sockets.create(ada, { name: 'y' }).catch(() => undefined)
      await given.service.sockets.remove(bob, socket.id).catch(() => undefined)
      await given.service.sockets.update(ada, socket.id, { name: 'z' })
      await given.service.sockets.remove(ada, socket.id)
      const shown = (await entries(ada)).map(({ action, object, isRefused, details, actorKind, address }) => ({
        action,
        object,
        isRefused,
        details,
        actorKind,
        address,
      }))
      const common = { actorKind: 'session', address: ADDRESS }
      expect(shown).toEqual([
        { action: 'socket.delete', object: `socket:${socket.id}`, isRefused: false, details: { dnsName: socket.dnsName }, ...common },
        { action: 'socket.update', object: `socket:${socket.id}`, isRefused: false, details: { changed: ['name'] }, ...common },
        { action: 'socket.create', object: 'socket', isRefused: true, details: { code: 'LIMIT_REACHED' }, ...common },
        {
          action: 'socket.create',
          object: `socket:${socket.id}`,
          isRefused: false,
          details: { name: 'x', type: 'http', dnsName: socket.dnsName },
          ...common,
        },
      ])
      expect((await entries(bob)).map(({ action, isRefused }) => ({ action, isRefused }))).toEqual([
        { action: 'socket.delete', isRefused: true },
      ])
      const logins = await entries(admin, { action: 'session.login' })
      await given.service.sessions.login({ email: 'nobody@example.com', password: 'x' }, '203.0.113.200').catch(() => undefined)
      const [last, ...before] = await entries(admin, { action: 'session.login' })
      expect(before).toEqual(logins)
      expect(last).toMatchObject({
        actor: 'anonymous',
        actorKind: 'anonymous',
        address: '203.0.113.200',
        isRefused: true,
        details: { code: 'LOGIN_FAILED' },
      })
    })

    test('is shown of oneself, to auditors and admins of all, page by page', async () => {
      const ada = await given.actor()
      const auditor = await given.actor('auditor')
      for (const name of ['a', 'b', 'c']) await given.service.accounts.rename(ada, name)
      const first = await given.service.audit.list(ada, { limit: 2 })
      const second = await given.service.audit.list(ada, { limit: 2, cursor: first.next! })
      expect([first.items.length, second.items.length, second.next]).toEqual([2, 1, null])
      expect(await entries(auditor, { accountId: ada.accountId })).toHaveLength(3)
      expect((await entries(auditor)).length).toBeGreaterThan(3)
      await expect(entries(ada, { accountId: auditor.accountId })).rejects.toMatchObject({ code: 'NOT_FOUND' })
      given.clock.advance(1_000)
      expect(await entries(ada, { since: given.clock.now() })).toEqual([])
    })

    test('never has a secret in it', async () => {
      const secrets = ['correct horse', 'another horse', 'of the socket']
      const { service } = given
      await service.accounts.signUp({ name: 'S', email: 'secret@example.com', password: secrets[0]! }, nextAddress())
      secrets.push(await given.tokenFor('secret@example.com'))
      await service.accounts.confirm(secrets.at(-1)!)
      const { token } = await service.sessions.login({ email: 'secret@example.com', password: secrets[0]! }, nextAddress())
      const actor = await service.sessions.authenticate(token, ADDRESS)
      await service.accounts.changePassword(actor, { current: secrets[0]!, next: secrets[1]! })
      const api = await service.apiTokens.create(actor, { name: 'ci', scopes: ['read'] })
      await service.sockets.connect(actor, { name: 'x', jwk: newJwk(), password: { user: 'u', password: secrets[2]! } })
      const { link } = await service.accounts.invite(admin, { email: 'secret2@example.com', role: 'user' })
      const joinToken = await token2()
      await join(joinToken)
      const rows = JSON.stringify(await given.store.db.selectFrom('audit').selectAll().execute())
      for (const secret of [...secrets, token, api.token, link.split('#')[1]!, joinToken]) {
        expect(rows).not.toContain(secret)
        expect(rows).not.toContain(secret.slice(4))
      }
    })
    const token2 = (): Promise<string> => token(['never'])

    test('is not filled by a flood of refusals from one address', async () => {
      const address = '203.0.113.222'
      const actor = { ...(await given.actor()), address }
      for (let count = 0; count < 150; count++) await given.service.sockets.get(actor, 'x').catch(() => undefined)
      for (let count = 0; count < 150; count++) await given.service.sockets.remove(actor, 'x').catch(() => undefined)
      const { length } = await given.store.db.selectFrom('audit').select('id').where('address', '=', address).execute()
      expect(length).toBe(120)
    })
  })

  test('who has used up the bytes of a day is told once, as are all data planes, also after a restart', async () => {
    const ada = await given.actor()
    const socket = await given.service.sockets.create(ada, { name: 'x' })
    const day = Math.floor(given.clock.now() / DAY_MS)
    const quota = { accountId: ada.accountId, bytesPerDay: 1_000, day }
    const count = { accountId: ada.accountId, socketId: socket.id, requests: 1, connections: 0, bytesIn: 400, bytesOut: 200 }
    await given.service.usage.add([count])
    await given.service.accounts.setLimits(admin, ada.accountId, { bytesPerDay: 1_000 })
    expect(given.plane.quotas.get(ada.accountId)).toEqual({ ...quota, used: 600 })
    for (let times = 0; times < 2; times++) await given.service.usage.add([count])
    await until(() => given.plane.quotas.get(ada.accountId)!.used >= 1_200, { what: 'the data plane to be told' })
    expect((await given.service.snapshot()).quotas).toContainEqual({ ...quota, used: 1_800 })
    const told = async () => (await given.service.events.list(ada, {})).items.filter(({ name }) => name === 'limit.reached')
    await until(async () => (await told()).length === 1, { what: 'the event' })
    expect(await told()).toMatchObject([{ fields: { code: 'QUOTA_REACHED', limit: '1000 bytes in a day, until midnight (UTC)' } }])
    // The next socket of the account, wherever it comes first.
    given.plane.quotas.clear()
    await given.service.sockets.create(ada, { name: 'y' })
    expect(given.plane.quotas.get(ada.accountId)?.used).toBe(1_800)
    given.clock.advance(DAY_MS)
    expect((await given.service.snapshot()).quotas).toContainEqual({ ...quota, day: day + 1, used: 0 })
    await given.service.accounts.setLimits(admin, ada.accountId, {})
    expect(given.plane.quotas.get(ada.accountId)).toMatchObject({ bytesPerDay: 0 })
  })

  test('browsers see a page before their first visit where the service or an admin says so', async () => {
    const ada = await given.actor()
    const { id } = await given.service.sockets.create(ada, { name: 'x' })
    expect(given.plane.sockets.get(id)!.interstitial).toBeUndefined()
    await given.service.accounts.setLimits(admin, ada.accountId, { interstitial: true })
    expect(given.plane.sockets.get(id)!.interstitial).toBe(true)
  })

  test('what was used is added up by day', async () => {
    const ada = await given.actor()
    const socket = await given.service.sockets.create(ada, { name: 'x' })
    const count = { accountId: ada.accountId, socketId: socket.id, requests: 3, connections: 1, bytesIn: 2 ** 40, bytesOut: 5 }
    const day = new Date(given.clock.now()).toISOString().slice(0, 10)
    await Promise.all([given.service.usage.add([count]), given.service.usage.add([count]), given.service.usage.add([])])
    const expected = { ...count, day, requests: 6, connections: 2, bytesIn: 2 ** 41, bytesOut: 10 }
    expect(await given.service.usage.list(ada, { since: day })).toEqual([expected])
    expect(await given.service.usage.list(admin, { since: day, accountId: ada.accountId })).toEqual([expected])
    await expect(given.service.usage.list(ada, { since: day, accountId: admin.accountId })).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await expect(given.service.usage.list(ada, { since: 'yesterday' })).rejects.toMatchObject({ code: 'INVALID' })
    given.clock.advance(DAY_MS)
    await given.service.usage.add([count])
    expect(await given.service.usage.list(ada, { since: day })).toHaveLength(2)
  })
})
