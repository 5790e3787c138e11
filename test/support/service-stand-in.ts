/** A service in memory behind the contract: enough rules to see what the API makes of requests, results and refusals. */
import { randomUUID } from 'node:crypto'
import { GatewayError, type Fault } from '../../src/errors.ts'
import { ServiceError } from '../../src/service/input/service-error.ts'
import type { Service } from '../../src/service/contract.ts'
import type { Account, Actor, NewSocket, Socket, Tunnel } from '../../src/service/model.ts'

/** The service, and what a test looks at or makes happen. */
export interface StandIn {
  readonly service: Service
  /** Token → actor. */
  readonly tokens: Map<string, Actor>
  readonly sockets: Map<string, Socket>
  /** Calls that leave a trace only here: name and arguments. */
  readonly seen: (readonly unknown[])[]
  /** Thrown by the next call of `sockets` or `sessions`. */
  fail: GatewayError | Error | undefined
}

export const ACCOUNT: Account = {
  id: 'addce6c8-cb8d-4ce5-928e-a8fe097434b9',
  name: 'Ada',
  email: 'ada@example.com',
  role: 'user',
  state: 'active',
  limits: {},
  createdAt: Date.parse('2026-11-28T02:00:00Z'),
  confirmedAt: Date.parse('2026-11-28T02:01:00Z'),
}
const OTHER = 'b0000000-0000-4000-8000-000000000001'
const KEY = {
  id: 'c0000000-0000-4000-8000-000000000001',
  fingerprint: 'SHA256:x',
  algorithm: 'ssh-ed25519',
  line: 'ssh-ed25519 AAAA ada@lan',
  comment: 'ada@lan',
  createdAt: 0,
}
const LIMIT = 10
const HOUR = 3_600_000

const actorOf = (accountId: string, more: Partial<Actor> = {}): Actor => ({
  accountId,
  role: 'user',
  scopes: undefined,
  kind: 'session',
  address: '127.0.0.1',
  ...more,
})

const invalid = (...details: Fault[]): never => {
  throw new GatewayError('INVALID', 'not valid', { details })
}

function check({ name, type = 'http', password, visitors }: Partial<NewSocket>): void {
  if (name === '') invalid({ path: 'name', message: 'expected a name' })
  const isHttp = type === 'http' || type === 'https'
  if (password && !isHttp) invalid({ path: 'password', message: 'only sockets of type http and https can have one' })
  if (password?.user === '') invalid({ path: 'password.user', message: 'expected a name' })
  if (password?.password === '') invalid({ path: 'password.password', message: 'expected a password' })
  if (visitors && !isHttp) invalid({ path: 'visitors', message: 'only sockets of type http and https can have them' })
  if (visitors?.emails.length === 0 && visitors.domains.length === 0)
    invalid({ path: 'visitors.emails', message: 'without any address and domain nobody could come' })
}

/** Makes one with the accounts of the tokens `ada`, `bob` and `root`. */
export function createStandIn(): StandIn {
  const tokens = new Map([
    ['ada', actorOf(ACCOUNT.id)],
    ['bob', actorOf(OTHER)],
    ['root', actorOf('d0000000-0000-4000-8000-000000000001', { role: 'admin' })],
  ])
  const sockets = new Map<string, Socket>()
  const seen: (readonly unknown[])[] = []
  const idempotent = new Map<string, Awaited<ReturnType<Service['sockets']['connect']>>>()
  let port = 54_858
  let relayPort = 7295

  const mayFail = (): void => {
    const error = standIn.fail
    standIn.fail = undefined
    if (error !== undefined) throw error
  }
  const own = (actor: Actor, id: string): Socket => {
    mayFail()
    const socket = sockets.get(id)
    if (socket?.accountId !== actor.accountId) throw new GatewayError('NOT_FOUND', `socket ${id} is of another account`)
    return socket
  }
  const newTunnel = (socketId: string): Tunnel => ({
    id: randomUUID(),
    socketId,
    relayPort: relayPort++,
    server: '',
    isConnected: false,
    connectedFrom: null,
    lastConnectedAt: null,
    createdAt: Date.now(),
  })
  const kept = (socket: Socket): Socket => {
    sockets.set(socket.id, { ...socket, password: socket.password === null ? null : { user: socket.password.user, password: '' } })
    return socket
  }
  const create = (actor: Actor, request: NewSocket, tunnels = 0): Socket => {
    mayFail()
    seen.push(['create', request])
    check(request)
    const { name, type = 'http', password = null, visitors = null, balance = 'least', customDomains = [], ephemeralMs } = request
    const others = [...sockets.values()].filter(socket => socket.accountId === actor.accountId)
    if (others.length >= LIMIT)
      throw new ServiceError('LIMIT_REACHED', `This account has ${LIMIT} sockets, which is its limit; delete one.`)
    const id = randomUUID()
    return kept({
      ...{ id, accountId: actor.accountId, name, type, password, visitors, balance, customDomains },
      dnsName: `twilight-sky-${7409 + sockets.size}.edge.example.com`,
      ports: type === 'http' || type === 'https' ? [80, 443] : [port++],
      limits: { requestsPerSecond: 100, concurrency: 200, maxConnections: 100 },
      isEphemeral: ephemeralMs !== undefined,
      state: 'active',
      tunnels: Array.from({ length: tunnels }, () => newTunnel(id)),
      createdAt: Date.now(),
      updatedAt: Date.now(),
      etag: 'one',
    })
  }
  const refuse = async (): Promise<never> => {
    throw new GatewayError('FORBIDDEN', 'For admins only.')
  }
  const admin =
    <T>(result: (...args: never[]) => T) =>
    async (actor: Actor, ...args: unknown[]): Promise<T> => {
      if (actor.role !== 'admin') return refuse()
      seen.push(args)
      return result(...(args as never[]))
    }

  const service = {
    accounts: {
      signUp: async (request, address) => void seen.push(['signUp', request, address]),
      confirm: async token => {
        if (token !== 'right') throw new ServiceError('NOT_FOUND', 'This link is not valid any more.')
        return ACCOUNT
      },
      requestReset: async (email, address) => void seen.push(['requestReset', email, address]),
      reset: async (token, password) => void seen.push(['reset', token, password]),
      acceptInvitation: async (token, request) => {
        seen.push(['acceptInvitation', token, request])
        return ACCOUNT
      },
      get: async (actor, accountId) => {
        if (accountId !== actor.accountId && actor.role !== 'admin') throw new GatewayError('NOT_FOUND')
        return { ...ACCOUNT, id: accountId }
      },
      rename: async (_actor, name) => ({ ...ACCOUNT, name }),
      changePassword: async (_actor, { current }) => {
        if (current !== 'right password') throw new GatewayError('LOGIN_FAILED')
      },
      keys: async () => [KEY],
      addKey: async (_actor, line) => ({ ...KEY, line }),
      removeKey: async (_actor, keyId) => void seen.push(['removeKey', keyId]),
      list: admin(() => ({ items: [ACCOUNT], next: null })),
      invite: admin(() => ({ link: 'https://api.example.com/invitation#x' })),
      suspend: admin(() => ({ ...ACCOUNT, state: 'suspended' as const })),
      resume: admin(() => ACCOUNT),
      setLimits: admin((_id, limits) => ({ ...ACCOUNT, limits: limits })),
      setRole: admin((_id, role) => ({ ...ACCOUNT, role: role })),
      remove: admin(() => undefined),
    },
    sessions: {
      login: async ({ email, password }, address) => {
        mayFail()
        seen.push(['login', address])
        if (email !== ACCOUNT.email || password !== 'right password') throw new GatewayError('LOGIN_FAILED', `${email} is unknown`)
        return { token: 'ada', accountId: ACCOUNT.id, expiresAt: Date.now() + 5 * HOUR }
      },
      refresh: async actor => {
        mayFail()
        tokens.set('ada-renewed', actor)
        return { token: 'ada-renewed', expiresAt: Date.now() + 5 * HOUR }
      },
      authenticate: async (token, address) => {
        const actor = tokens.get(token)
        if (actor === undefined) throw new GatewayError('UNAUTHENTICATED', 'the token has expired in row 7')
        return { ...actor, address }
      },
      endAll: async () => tokens.clear(),
    },
    apiTokens: {
      create: async (_actor, request) => {
        seen.push(['createToken', request])
        return { id: 'e0000000-0000-4000-8000-000000000001', token: 'sga_x', expiresAt: request.expiresAt ?? null }
      },
      list: async () => [{ id: 'e', name: 'ci', scopes: ['read'], createdAt: 0, expiresAt: null, usedAt: null }],
      revoke: async (_actor, tokenId) => void seen.push(['revoke', tokenId]),
    },
    sockets: {
      create: async (actor, request) => create(actor, request),
      list: async (actor, { cursor, limit = 50, name }) => {
        mayFail()
        const all = [...sockets.values()].filter(each => each.accountId === actor.accountId && (name === undefined || each.name === name))
        const from = Number(cursor ?? 0)
        return { items: all.slice(from, from + limit), next: from + limit < all.length ? String(from + limit) : null }
      },
      get: async (actor, id) => own(actor, id),
      update: async (actor, id, patch, etag) => {
        const socket = own(actor, id)
        check({ type: socket.type, ...patch })
        if (etag !== undefined && etag !== socket.etag) throw new GatewayError('CONFLICT')
        return kept({ ...socket, ...patch, etag: `${socket.etag}+` })
      },
      remove: async (actor, id) => void sockets.delete(own(actor, id).id),
      connect: async (actor, { jwk, idempotencyKey, ...request }) => {
        const before = idempotencyKey === undefined ? undefined : idempotent.get(idempotencyKey)
        if (before !== undefined) return before
        const socket = create(actor, request, 1)
        const [tunnel] = socket.tunnels
        const credentials = jwk === undefined ? null : await service.tunnels.credentials(actor, socket.id, tunnel!.id, jwk)
        const result = { socket, tunnel: tunnel!, credentials }
        if (idempotencyKey !== undefined) idempotent.set(idempotencyKey, result)
        return result
      },
    },
    tunnels: {
      create: async (actor, socketId) => {
        const socket = own(actor, socketId)
        const tunnel = newTunnel(socketId)
        kept({ ...socket, tunnels: [...socket.tunnels, tunnel] })
        return tunnel
      },
      list: async (actor, socketId) => own(actor, socketId).tunnels,
      get: async (actor, socketId, tunnelId) => {
        const tunnel = own(actor, socketId).tunnels.find(({ id }) => id === tunnelId)
        if (tunnel === undefined) throw new GatewayError('NOT_FOUND')
        return tunnel
      },
      remove: async (actor, socketId, tunnelId) => {
        const socket = own(actor, socketId)
        kept({ ...socket, tunnels: socket.tunnels.filter(({ id }) => id !== tunnelId) })
      },
      credentials: async (_actor, _socketId, tunnelId) => ({
        ...{ tunnelId, identifier: tunnelId, kid: 'thumbprint' },
        linkUrls: ['wss://link.example.com'],
        expiresAt: Date.now() + HOUR,
      }),
      certificate: async (_actor, _socketId, _tunnelId, publicKey) =>
        `ecdsa-sha2-nistp256-cert-v01@openssh.com ${publicKey.split(' ')[1] ?? ''}`,
      connected: async () => undefined,
      disconnected: async () => undefined,
    },
    ssh: { identify: async () => undefined, forward: refuse, hostKeys: async () => [], authorities: async () => [] },
    enrolment: {
      createJoinToken: admin(() => ({ id: 'f', token: 'sgj_x', expiresAt: Date.now() })),
      join: async (_token, _jwk) => ({ kid: 'thumbprint', identifiers: ['lan-a'], linkUrls: ['wss://link.example.com'] }),
      keys: admin(() => [{ kid: 'k', identifiers: ['lan-a'], createdAt: 0, seenAt: null, revokedAt: null, isConnected: true }]),
      revoke: admin(() => undefined),
      connected: async () => undefined,
      disconnected: async () => undefined,
    },
    usage: { add: async () => undefined, list: async () => [] },
    audit: {
      list: async actor => ({
        items: [
          {
            ...{ id: 1, at: 0, actor: actor.accountId, actorKind: actor.kind, address: actor.address },
            ...{ action: 'socket.create', object: 'socket:x', isRefused: false, details: {} },
          },
        ],
        next: null,
      }),
    },
    snapshot: async () => ({ type: 'snapshot', seq: 0, sockets: [], keys: [] }),
    start: async () => undefined,
    isHealthy: () => true,
    close: async () => undefined,
  } as Service // what no test calls may be missing
  const standIn: StandIn = { service, tokens, sockets, seen, fail: undefined }
  return standIn
}
