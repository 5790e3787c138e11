/** The client against the API: every operation, every reply held against its schema. */
import { describe, expect, test } from '@jest/globals'
import type { z } from 'zod'
import type * as accounts from '../../src/api/account-schema.ts'
import { OPERATIONS } from '../../src/api/api.ts'
import type { LogFeed } from '../../src/api/api-options.ts'
import type { errorSchema } from '../../src/api/schema.ts'
import type * as sockets from '../../src/api/socket-schema.ts'
import { ApiError } from '../../src/client/api-error.ts'
import { parseServerUrl } from '../../src/client/server-url.ts'
import { ServiceClient } from '../../src/client/service-client.ts'
import type * as wire from '../../src/client/wire.ts'
import { GatewayError } from '../../src/errors.ts'
import { VERSION } from '../../src/version.ts'
import { newKeyLine, PASSWORD, startApi } from '../support/api.ts'
import { newJwk } from '../support/service.ts'
import { addSocket } from '../support/stores.ts'
import { answerSeen, followSeen } from '../support/seen.ts'
import { until } from '../support/wait.ts'

/** What the API gives is what the client expects, member by member: the compiler holds it. */
type Same<Wire, Schema extends z.ZodType> =
  z.output<Schema> extends Wire
    ? Exclude<keyof Wire, keyof z.output<Schema>> | Exclude<keyof z.output<Schema>, keyof Wire> extends never
      ? true
      : never
    : never
const SAME: {
  readonly socket: Same<wire.Socket, typeof sockets.socketSchema>
  readonly share: Same<wire.Share, typeof sockets.shareSchema>
  readonly seen: Same<wire.SeenRequest, typeof sockets.seenRequestSchema>
  readonly seenDetail: Same<wire.SeenRequestDetail, typeof sockets.seenRequestDetailSchema>
  readonly issuedShare: Same<wire.IssuedShare, typeof sockets.issuedShareSchema>
  readonly tunnel: Same<wire.Tunnel, typeof sockets.tunnelSchema>
  readonly connection: Same<wire.Connection, typeof sockets.connectionSchema>
  readonly credentials: Same<wire.TunnelCredentials, typeof sockets.credentialsSchema>
  readonly account: Same<wire.Account, typeof accounts.accountSchema>
  readonly key: Same<wire.SshKey, typeof accounts.sshKeySchema>
  readonly login: Same<wire.Login, typeof accounts.loginReplySchema>
  readonly token: Same<wire.ApiToken, typeof accounts.tokenSchema>
  readonly issued: Same<wire.IssuedToken, typeof accounts.issuedTokenSchema>
  readonly inner: Same<wire.InnerKey, typeof accounts.innerKeySchema>
  readonly joined: Same<wire.Joined, typeof accounts.joinedSchema>
  readonly audit: Same<wire.AuditEntry, typeof accounts.auditEntrySchema>
  readonly usage: Same<wire.Usage, typeof accounts.usageSchema>
} = {
  ...{ socket: true, tunnel: true, connection: true, credentials: true, account: true, key: true },
  ...{ share: true, issuedShare: true, seen: true, seenDetail: true },
  ...{ login: true, token: true, issued: true, inner: true, joined: true, audit: true, usage: true },
}

const line: wire.LogLine = { text: '192.0.2.106 - - [25/Nov/2020:17:13:06 +0000] "GET / HTTP/1.1" 200', status: 200 }
const logs: LogFeed = {
  watch: async function* () {
    yield line
    yield line
  },
}
const api = await startApi(
  { logs, clientVersion: () => 'v1.0' },
  { dataPlane: { apply: async () => undefined, requests: answerSeen, followRequests: followSeen } },
)
const clientOf = (token: string): ServiceClient => new ServiceClient({ server: parseServerUrl(api.url), env: {}, token: () => token })
const [ada, bob, root] = [clientOf(api.tokens.ada), clientOf(api.tokens.bob), clientOf(api.tokens.root)]
const anybody = new ServiceClient({ server: parseServerUrl(api.url), env: {} })
/** The token of the next letter that is no earlier one. */
async function letterTo(email: string, asking: () => Promise<unknown>): Promise<string> {
  const before = api.given.letters.length
  await asking()
  await until(() => api.given.letters.slice(before).some(({ to }) => to === email))
  return api.given.tokenFor(email)
}

async function changes(socketId: string): Promise<wire.RequestsChange[]> {
  const seen: wire.RequestsChange[] = []
  for await (const each of ada.liveRequests(socketId, 'path:/')) seen.push(each)
  return seen
}

async function lines(socketId: string): Promise<wire.LogLine[]> {
  const seen: wire.LogLine[] = []
  for await (const each of ada.log(socketId)) seen.push(each)
  return seen
}

const EVE = { name: 'Eve', email: 'eve@example.com', password: PASSWORD }
const anotherAccount = (): Promise<string> => api.given.actor().then(({ accountId }) => accountId)
const anotherKey = async (): Promise<string> => (await ada.addSshKey(newKeyLine())).id
const anotherToken = async (): Promise<string> => (await ada.createToken({ name: 'ci', scopes: ['read'] })).id
const joinToken = async (): Promise<string> => (await root.createJoinToken({ identifiers: ['lan-a'], uses: 2 })).token

/** Operation → a call of it. */
const CALLS: Readonly<Record<string, () => Promise<unknown>>> = {
  signUp: () => anybody.signUp({ ...EVE, sshKey: newKeyLine() }),
  confirmAccount: async () => anybody.confirm(await letterTo(EVE.email, () => anybody.signUp(EVE))),
  acceptInvitation: async () => {
    const { link } = await root.invite('mallory@example.com', 'auditor')
    return anybody.acceptInvitation({ token: link.split('#')[1]!, name: 'Mallory', password: PASSWORD })
  },
  requestPasswordReset: () => anybody.requestPasswordReset('nobody@example.com'),
  resetPassword: async () => {
    const token = await letterTo(EVE.email, () => anybody.requestPasswordReset(EVE.email))
    return anybody.resetPassword(token, 'another password')
  },
  login: () => anybody.login(EVE.email, 'another password'),
  refreshSession: () => ada.refresh(),
  getAccount: () => ada.account(),
  renameAccount: () => ada.rename('Ada L.'),
  changePassword: () => bob.changePassword(PASSWORD, 'another password'),
  listSshKeys: () => anotherKey().then(() => ada.sshKeys()),
  addSshKey: () => ada.addSshKey(newKeyLine()),
  removeSshKey: async () => ada.removeSshKey(await anotherKey()),
  listTokens: () => anotherToken().then(() => ada.tokens()),
  createToken: () => ada.createToken({ name: 'ci', scopes: ['read'], expiresAt: new Date(api.given.clock.now() + 60_000).toISOString() }),
  revokeToken: async () => ada.revokeToken(await anotherToken()),
  listSockets: () => ada.sockets({ limit: 1, name: 'demo' }),
  createSocket: () => ada.createSocket({ name: 'demo' }),
  getSocket: async () => ada.socket(await socket()),
  updateSocket: async () => {
    const { id, etag } = await ada.createSocket({ name: 'demo' })
    return ada.updateSocket(id, { name: 'other' }, etag)
  },
  deleteSocket: async () => ada.deleteSocket(await socket()),
  watchSocket: async () => lines(await socket()),
  connect: () => ada.connect({ name: 'demo', jwk: newJwk() }, 'key'),
  listShares: async () => {
    const id = await withLogin()
    await ada.createShare(id)
    return ada.shares(id)
  },
  createShare: async () => ada.createShare(await withLogin(), { path: '/plan', methods: ['*'], maxUses: 3, email: 'bob@example.com' }),
  revokeShare: async () => {
    const id = await withLogin()
    return ada.revokeShare(id, (await ada.createShare(id)).id)
  },
  listRequests: async () => ada.requests(await socket(), { limit: 10, filter: 'status:>=400' }),
  getRequest: async () => ada.request(await socket(), '1'),
  followRequests: async () => changes(await socket()),
  exportRequests: async () => ada.har(await socket(), { filter: 'status:>=400', ids: ['1', '2'] }),
  listMessages: async () => ada.messages(await socket(), '1', { from: 0, limit: 10 }),
  replayRequest: async () =>
    ada.replay(await socket(), '1', { path: '/again', setFields: { a: 'b', c: null }, body: { base64: 'aGk=' }, times: 2 }),
  listTunnels: async () => ada.tunnels((await tunnel())[0]),
  createTunnel: async () => ada.createTunnel(await socket()),
  getTunnel: async () => ada.tunnel(...(await tunnel())),
  deleteTunnel: async () => ada.deleteTunnel(...(await tunnel())),
  createCredentials: async () => ada.tunnelCredentials(...(await tunnel()), newJwk()),
  createCertificate: async () => ada.tunnelCertificate(...(await tunnel()), newKeyLine()),
  createJoinToken: () => root.createJoinToken({ identifiers: ['lan-a'] }),
  join: async () => anybody.join(await joinToken(), newJwk()),
  listInnerKeys: () => root.innerKeys(),
  revokeInnerKey: async () => root.revokeInnerKey((await anybody.join(await joinToken(), newJwk())).kid),
  listAudit: () => ada.audit({ since: '2026-01-01T00:00:00Z', action: 'socket.create' }),
  listEvents: async () => (await happened(), ada.events({ limit: 10 })),
  watchEvents: async () => {
    await happened()
    for await (const event of ada.liveEvents({ after: '0' })) return [event]
    return []
  },
  listUsage: async () => {
    const counts = { requests: 1, connections: 2, bytesIn: 3, bytesOut: 4 }
    await api.given.service.usage.add([{ accountId: api.ids.ada, socketId: await socket(), ...counts }])
    return ada.usage({ since: '2026-01-01' })
  },
  listAccounts: () => root.accounts({ email: 'ADA@example.com' }),
  getAccountOf: () => root.accountOf(api.ids.ada),
  deleteAccount: async () => root.deleteAccount(await anotherAccount()),
  invite: () => root.invite('trudy@example.com'),
  suspendAccount: async () => root.suspend(await anotherAccount()),
  resumeAccount: async () => {
    const id = await anotherAccount()
    await root.suspend(id)
    return root.resume(id)
  },
  setLimits: async () => root.setLimits(await anotherAccount(), { http: 20, vanity: true }),
  setRole: async () => root.setRole(await anotherAccount(), 'auditor'),
  getVersion: () => anybody.version(),
  endSessions: async () => clientOf((await anybody.login(EVE.email, 'another password')).token).endSessions(),
}
/** A tunnel that comes is an event. */
const happened = async (): Promise<void> => api.given.service.tunnels.connected((await tunnel())[1], '203.0.113.7')
const socket = async (): Promise<string> => {
  const { items } = await ada.sockets({ limit: 1 })
  return items[0]?.id ?? (await ada.createSocket({ name: 'demo' })).id
}
/** A socket whose visitors have to log in. */
const withLogin = async (): Promise<string> =>
  (await ada.createSocket({ name: 'for some', visitors: { emails: ['bob@example.com'], domains: [] } })).id
const tunnel = async (): Promise<[string, string]> => {
  const id = await socket()
  return [id, (await ada.createTunnel(id)).id]
}

describe('the client', () => {
  test('has a call for every operation of v1', () => {
    const ids = OPERATIONS.filter(({ dialect }) => dialect === 'v1').map(({ id }) => id)
    expect(Object.keys(CALLS).sort()).toEqual(ids.sort())
    expect(Object.values(SAME).every(Boolean)).toBe(true)
  })

  test('finds every operation, which answers as its schema says and no more', async () => {
    for (const [id, call] of Object.entries(CALLS)) {
      const operation = OPERATIONS.find(each => each.id === id)!
      const value = await call()
      if (operation.status === 204) expect(value).toBeUndefined()
      // Lists come without their page, a certificate without its object, lines one by one.
      else if (Array.isArray(value)) {
        const shape = operation.isStream ? operation.reply! : (operation.reply as z.ZodObject<{ items: z.ZodArray }>).shape.items.element
        expect(value.length).toBeGreaterThan(0)
        for (const item of value as unknown[]) expect((shape as z.ZodType).parse(item)).toEqual(item)
      } else if (typeof value !== 'string') expect([operation.id, operation.reply!.parse(value)]).toEqual([operation.id, value])
    }
  })

  test('what people and programs give arrives in the words of the rules', async () => {
    const last = (): unknown => api.seen.at(-1)?.slice(2)
    const inAMinute = Math.floor(api.given.clock.now() / 1000) * 1000 + 60_000
    const abroad = new Date(inAMinute + 3_600_000).toISOString().replace('.000Z', '+01:00')
    await ada.createToken({ name: 'ci', scopes: ['read'], expiresAt: abroad })
    expect(last()).toEqual([{ name: 'ci', scopes: ['read'], expiresAt: inAMinute }])
    await ada.connect({ name: 'demo' })
    expect(last()).toEqual([{ name: 'demo', ephemeralMs: 60_000 }])
    await ada.createSocket({ name: 'demo', ephemeralSeconds: 10, type: 'tls', password: null })
    expect(last()).toEqual([{ name: 'demo', ephemeralMs: 10_000, type: 'tls', password: null }])
    await root.setLimits(api.ids.bob, { tcp: 0, customDomains: false })
    expect(last()).toEqual([api.ids.bob, { tcp: 0, customDomains: false }])
    await expect(ada.removeSshKey('a/../b')).rejects.toMatchObject({ code: 'NOT_FOUND' })
    expect(last()).toEqual(['a/../b'])
    expect(await anybody.version()).toEqual({ version: VERSION, clientVersion: 'v1.0' })
  })

  test('faults that the rules find have the names of the API', async () => {
    const line = newKeyLine()
    await ada.addSshKey(line)
    await expect(ada.addSshKey(line)).rejects.toMatchObject({ code: 'CONFLICT', message: 'Your account has this SSH key already.' })
    await expect(ada.addSshKey('ssh-rsa AAAA')).rejects.toMatchObject({ code: 'INVALID', details: [{ path: 'line' }] })
    await expect(ada.tunnelCertificate(...(await tunnel()), 'ssh-rsa AAAA')).rejects.toMatchObject({ details: [{ path: 'publicKey' }] })
    await expect(ada.connect({ name: 'x', jwk: { kty: 'oct' } })).rejects.toMatchObject({ details: [{ path: 'jwk' }] })
    await expect(anybody.signUp({ ...EVE, email: 'x', password: 'short' })).rejects.toMatchObject({
      details: [{ path: 'email' }, { path: 'password' }],
    })
    await expect(ada.usage({ since: 'today' })).rejects.toMatchObject({ code: 'INVALID', details: [{ path: 'since' }] })
  })

  test('the same key of idempotency gives the same socket', async () => {
    const [first, second, other] = [
      await ada.connect({ name: 'a' }, 'k1'),
      await ada.connect({ name: 'a' }, 'k1'),
      await ada.connect({ name: 'a' }, 'k2'),
    ]
    expect(second).toEqual(first)
    expect(other.socket.id).not.toBe(first.socket.id)
  })

  test('a socket that somebody has changed meanwhile is not overwritten', async () => {
    const made = await ada.createSocket({ name: 'a' })
    const changed = await ada.updateSocket(made.id, { name: 'b' }, made.etag)
    await expect(ada.updateSocket(made.id, { name: 'c' }, made.etag)).rejects.toMatchObject({ code: 'CONFLICT', status: 409 })
    expect((await ada.updateSocket(made.id, { name: 'c' }, changed.etag)).name).toBe('c')
    expect((await ada.updateSocket(made.id, { name: 'd' })).name).toBe('d')
    const raw = await api.v1('GET', `/sockets/${made.id}`)
    expect(raw.headers.get('etag')).toBe(`"${(raw.json as wire.Socket).etag}"`)
  })

  test('every page of a list comes once', async () => {
    const { store } = api.given
    for (let i = 0; i < 120; i++) await addSocket(store.db, api.ids.ada, { name: 'many', created_at: i, settings: '{}' })
    const all = await ada.allSockets({ name: 'many' })
    expect(new Set(all.map(({ id }) => id)).size).toBe(120)
    expect(all.length).toBe(120)
  })

  test('a refusal has code, message, details and request id of the API', async () => {
    const refused = await ada.createSocket({ name: 'a', type: 'ftp' as 'http' }).catch((thrown: unknown) => thrown)
    expect(refused).toBeInstanceOf(ApiError)
    const { code, status, requestId, details, message } = refused as ApiError
    expect({ code, status, details }).toEqual({
      ...{ code: 'INVALID', status: 400 },
      details: [{ path: 'type', message: 'expected http, https, tcp or tls' }],
    } satisfies { code: string; status: number; details: z.output<typeof errorSchema>['details'] })
    expect(requestId).toMatch(/^[0-9a-f-]{36}$/)
    expect(message).toContain('type: expected http')
  })

  test('Retry-After arrives as a number of seconds', async () => {
    api.fail = new GatewayError('RATE_LIMITED', undefined, { fields: ['Retry-After', '17'] })
    await expect(ada.login('a@b.c', 'x')).rejects.toMatchObject({ code: 'RATE_LIMITED', retryAfterS: 17 })
  })
})
