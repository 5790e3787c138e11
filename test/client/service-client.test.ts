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
import { startApi } from '../support/api.ts'
import { ACCOUNT } from '../support/service-stand-in.ts'

/** What the API gives is what the client expects, member by member: the compiler holds it. */
type Same<Wire, Schema extends z.ZodType> =
  z.output<Schema> extends Wire
    ? Exclude<keyof Wire, keyof z.output<Schema>> | Exclude<keyof z.output<Schema>, keyof Wire> extends never
      ? true
      : never
    : never
const SAME: {
  readonly socket: Same<wire.Socket, typeof sockets.socketSchema>
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
} = {
  ...{ socket: true, tunnel: true, connection: true, credentials: true, account: true, key: true },
  ...{ login: true, token: true, issued: true, inner: true, joined: true, audit: true },
}

const line: wire.LogLine = { text: '192.0.2.106 - - [25/Nov/2020:17:13:06 +0000] "GET / HTTP/1.1" 200', status: 200 }
const logs: LogFeed = {
  watch: async function* () {
    yield line
    yield line
  },
}
const api = await startApi({ logs, clientVersion: () => 'v1.0' })
const clientOf = (token: string): ServiceClient => new ServiceClient({ server: parseServerUrl(api.url), env: {}, token: () => token })
const [ada, root] = [clientOf('ada'), clientOf('root')]
const anybody = new ServiceClient({ server: parseServerUrl(api.url), env: {} })
const jwk = { kty: 'EC', crv: 'P-256', x: 'x', y: 'y' }

async function lines(socketId: string): Promise<wire.LogLine[]> {
  const seen: wire.LogLine[] = []
  for await (const each of ada.log(socketId)) seen.push(each)
  return seen
}

/** Operation → a call of it. */
const CALLS: Readonly<Record<string, () => Promise<unknown>>> = {
  signUp: () => anybody.signUp({ name: 'Ada', email: 'ada@example.com', password: 'x', sshKey: 'ssh-ed25519 AAAA' }),
  confirmAccount: () => anybody.confirm('right'),
  acceptInvitation: () => anybody.acceptInvitation({ token: 't', name: 'Ada', password: 'x' }),
  requestPasswordReset: () => anybody.requestPasswordReset('ada@example.com'),
  resetPassword: () => anybody.resetPassword('t', 'x'),
  login: () => anybody.login('ada@example.com', 'right password'),
  refreshSession: () => ada.refresh(),
  getAccount: () => ada.account(),
  renameAccount: () => ada.rename('Ada L.'),
  changePassword: () => ada.changePassword('right password', 'y'),
  listSshKeys: () => ada.sshKeys(),
  addSshKey: () => ada.addSshKey('ssh-ed25519 AAAA'),
  removeSshKey: () => ada.removeSshKey('a/../b'),
  listTokens: () => ada.tokens(),
  createToken: () => ada.createToken({ name: 'ci', scopes: ['read'], expiresAt: '2027-01-01T00:00:00+01:00' }),
  revokeToken: () => ada.revokeToken('e'),
  listSockets: () => ada.sockets({ limit: 1, name: 'demo' }),
  createSocket: () => ada.createSocket({ name: 'demo' }),
  getSocket: async () => ada.socket(await socket()),
  updateSocket: async () => ada.updateSocket(await socket(), { name: 'other' }, 'one'),
  deleteSocket: async () => ada.deleteSocket(await socket()),
  watchSocket: async () => lines(await socket()),
  connect: () => ada.connect({ name: 'demo', jwk }, 'key'),
  listTunnels: async () => ada.tunnels((await tunnel())[0]),
  createTunnel: async () => ada.createTunnel(await socket()),
  getTunnel: async () => ada.tunnel(...(await tunnel())),
  deleteTunnel: async () => ada.deleteTunnel(...(await tunnel())),
  createCredentials: async () => ada.tunnelCredentials(...(await tunnel()), jwk),
  createCertificate: async () => ada.tunnelCertificate(...(await tunnel()), 'ecdsa-sha2-nistp256 AAAA'),
  createJoinToken: () => root.createJoinToken({ identifiers: ['lan-a'], uses: 2 }),
  join: () => anybody.join('sgj_x', jwk),
  listInnerKeys: () => root.innerKeys(),
  revokeInnerKey: () => root.revokeInnerKey('k'),
  listAudit: () => ada.audit({ since: '2026-01-01T00:00:00Z', action: 'socket.create' }),
  listAccounts: () => root.accounts({ email: 'ada@example.com' }),
  getAccountOf: () => root.accountOf(ACCOUNT.id),
  deleteAccount: () => root.deleteAccount(ACCOUNT.id),
  invite: () => root.invite('bob@example.com'),
  suspendAccount: () => root.suspend(ACCOUNT.id),
  resumeAccount: () => root.resume(ACCOUNT.id),
  setLimits: () => root.setLimits(ACCOUNT.id, { http: 20, vanity: true }),
  setRole: () => root.setRole(ACCOUNT.id, 'auditor'),
  getVersion: () => anybody.version(),
  endSessions: () => ada.endSessions(),
}
const socket = async (): Promise<string> => {
  const { items } = await ada.sockets({ limit: 1 })
  return items[0]?.id ?? (await ada.createSocket({ name: 'demo' })).id
}
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
    api.tokens.set('ada', { accountId: ACCOUNT.id, role: 'user', scopes: undefined, kind: 'session', address: '' })
    api.tokens.set('root', { accountId: ACCOUNT.id, role: 'admin', scopes: undefined, kind: 'session', address: '' })
  })

  test('what people and programs give arrives in the words of the rules', async () => {
    await ada.createToken({ name: 'ci', scopes: ['read'], expiresAt: '2027-01-01T00:00:00+01:00' })
    expect(api.seen.at(-1)).toEqual(['createToken', { name: 'ci', scopes: ['read'], expiresAt: Date.parse('2026-12-31T23:00:00Z') }])
    await ada.connect({ name: 'demo' })
    expect(api.seen.at(-1)).toEqual(['create', { name: 'demo', ephemeralMs: 60_000 }])
    await ada.createSocket({ name: 'demo', ephemeralSeconds: 10, type: 'tls', password: null })
    expect(api.seen.at(-1)).toEqual(['create', { name: 'demo', ephemeralMs: 10_000, type: 'tls', password: null }])
    await root.setLimits(ACCOUNT.id, { tcp: 0, customDomains: false })
    expect(api.seen.at(-1)).toEqual([ACCOUNT.id, { tcp: 0, customDomains: false }])
    await ada.removeSshKey('a/../b')
    expect(api.seen.at(-1)).toEqual(['removeKey', 'a/../b'])
    expect(await anybody.version()).toEqual({ version: VERSION, clientVersion: 'v1.0' })
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
    const template = [...api.sockets.values()].find(({ accountId }) => accountId === ACCOUNT.id)!
    for (let i = 0; i < 250; i++) api.sockets.set(`many-${i}`, { ...template, id: `many-${i}`, name: 'many' })
    const all = await ada.allSockets({ name: 'many' })
    expect(all.map(({ id }) => id)).toEqual(Array.from({ length: 250 }, (_each, i) => `many-${i}`))
    for (let i = 0; i < 250; i++) api.sockets.delete(`many-${i}`)
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
