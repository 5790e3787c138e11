/** Answers for the SSH door. */
import { networkKey } from '../../address/address-key.ts'
import { GatewayError } from '../../errors.ts'
import { Recent } from '../../rates/recent.ts'
import { DAY_MS, MINUTE_MS } from '../core/clock.ts'
import type { Secrets } from '../core/secrets.ts'
import { socketsOf, tunnelOf } from '../core/views.ts'
import type { Forward, ForwardRequest, OfferedKey, SshAccess } from '../contract.ts'
import { ServiceError } from '../input/service-error.ts'
import type { Actor, Role, Socket } from '../model.ts'
import { authorityBlob } from '../ssh-keys/certificate.ts'
import { fingerprintOf } from '../ssh-keys/public-key.ts'
import { numberLogin } from './logins.ts'
import type { SocketCreation } from './socket-creation.ts'
import type { SocketParts } from './socket-parts.ts'
import type { SocketTunnels } from './tunnels.ts'

const USER = /^[0-9a-f]{32}$/
/** Addresses that mean no name: the forms in which OpenSSH and the clients of 2021 say "here". */
const HERE: ReadonlySet<string> = new Set(['', 'localhost', '127.0.0.1', '::1', '*', '0.0.0.0', '::'])
const FIRST_RELAY_PORT = 1_024
/** The time by which a socket of `-R 80:` outlives its connection, to come back. */
const EPHEMERAL_MS = MINUTE_MS
/** Answers that are kept for the time when the database is away. */
const KEPT = 10_000

const TYPES: Readonly<Record<number, Socket['type']>> = { 80: 'http', 443: 'https', 0: 'tcp' }

/** An answer of the store, and when it was given. */
interface Kept<T> {
  readonly answer: T
  readonly at: number
}

const accountOf = (answer: Actor | Forward): string => ('socket' in answer ? answer.socket.accountId : answer.accountId)

/** Keys and forwards of SSH. */
export class SshDoorAccess implements SshAccess {
  readonly #identified: Recent<Kept<Actor>>
  readonly #forwarded: Recent<Kept<Forward>>
  /** The last login of each tunnel by SSH, for the time when the database is away. */
  readonly #logins: Recent<number>
  /** When an account has changed: what was known of it before counts no more. */
  readonly #changed: Recent<number>

  constructor(
    private readonly parts: SocketParts,
    private readonly secrets: Secrets,
    private readonly rules: { readonly creation: SocketCreation; readonly tunnels: SocketTunnels },
  ) {
    this.#identified = new Recent(KEPT, DAY_MS, parts.clock.now)
    this.#forwarded = new Recent(KEPT, DAY_MS, parts.clock.now)
    this.#logins = new Recent(KEPT, 30 * DAY_MS, parts.clock.now)
    this.#changed = new Recent(KEPT, 2 * DAY_MS, parts.clock.now)
    parts.directory.onAccountChange(accountId => this.#changed.set(accountId, parts.clock.now()))
  }

  async identify(user: string, key: OfferedKey, address: string): Promise<Actor | undefined> {
    const place = `${user} ${key.certificateOf ?? ''} ${fingerprintOf(key.blob)}`
    const known = await this.#orKept(this.#identified, place, () => this.#identify(user, key))
    return known && { ...known, address }
  }

  /** The answer, or the last one while the database is away. */
  async #orKept<T extends Actor | Forward>(
    kept: Recent<Kept<T>>,
    place: string,
    ask: () => Promise<T | undefined>,
  ): Promise<T | undefined> {
    const { clock } = this.parts
    try {
      const answer = await ask()
      if (answer !== undefined) kept.set(place, { answer, at: clock.now() })
      return answer
    } catch (thrown) {
      const last = thrown instanceof GatewayError && thrown.code === 'STORE_UNAVAILABLE' ? kept.get(place) : undefined
      if (last === undefined || last.at <= (this.#changed.get(accountOf(last.answer)) ?? 0)) throw thrown
      return last.answer
    }
  }

  async #identify(user: string, key: OfferedKey): Promise<Actor | undefined> {
    const { db } = this.parts.store
    const accountId = USER.test(user) ? user.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-') : undefined
    if (key.certificateOf !== undefined) {
      if (accountId === undefined || key.certificateOf !== user) return undefined
      const account = await db
        .selectFrom('accounts')
        .select(['id', 'role'])
        .where('id', '=', accountId)
        .where('state', '=', 'active')
        .executeTakeFirst()
      return account && actorOf(account)
    }
    const owners = await db
      .selectFrom('ssh_keys')
      .innerJoin('accounts', 'accounts.id', 'ssh_keys.account_id')
      .select(['accounts.id', 'accounts.role', 'ssh_keys.blob', 'ssh_keys.id as key_id', 'ssh_keys.used_at'])
      .where('fingerprint', '=', fingerprintOf(key.blob))
      .where('accounts.state', '=', 'active')
      .$if(accountId !== undefined, query => query.where('accounts.id', '=', accountId!))
      .orderBy('accounts.created_at')
      .limit(2)
      .execute()
    const [owner, other] = owners.filter(({ blob }) => key.blob.equals(blob))
    if (other !== undefined)
      throw new ServiceError(
        'FORBIDDEN',
        'This key belongs to more than one account: say which one by its SSH user name, as "socket-gateway account show" prints it: ssh -l USER …',
      )
    if (owner !== undefined) await this.#noteUse(owner)
    return owner && actorOf(owner)
  }

  /** Once a minute is enough to see a key in use; where the database only reads, the key counts all the same. */
  async #noteUse({ key_id, used_at }: { readonly key_id: string; readonly used_at: number | null }): Promise<void> {
    const { clock, store } = this.parts
    const now = clock.now()
    if (used_at !== null && now - used_at <= MINUTE_MS) return
    await store.db
      .updateTable('ssh_keys')
      .set({ used_at: now })
      .where('id', '=', key_id)
      .execute()
      .catch(() => undefined)
  }

  async forward(actor: Actor, request: ForwardRequest): Promise<Forward> {
    const { bindAddress, bindPort } = request
    const type = HERE.has(bindAddress) ? TYPES[bindPort] : undefined
    if (type !== undefined) return this.#ephemeral(actor, type)
    const { audit } = this.parts
    const note = { by: actor, action: 'ssh.serve', object: 'tunnel' }
    const forward = await audit.attempt(note, () => this.#existing(actor, request))
    const login = await this.#login(forward.tunnel.id)
    await this.#tellOfPlace(actor)
    await audit.occasion({ ...note, object: `tunnel:${forward.tunnel.id}`, details: { socket: forward.socket.id } })
    return { ...forward, login }
  }

  /** Numbers a login, also while the database is away. */
  async #login(tunnelId: string): Promise<number> {
    const { clock, store } = this.parts
    const last = this.#logins.get(tunnelId) ?? 0
    const now = Math.max(clock.now(), last + 1)
    const login = await numberLogin(store.db, tunnelId, now).catch(() => now)
    this.#logins.set(tunnelId, login)
    return login
  }

  /** Tells the owner where somebody comes with their key from a new place. While the database is away, nobody knows. */
  async #tellOfPlace({ accountId, address }: Actor): Promise<void> {
    const { events, places, store } = this.parts
    const isNew = await places.isNew(store.db, accountId, address).catch(() => false)
    if (!isNew) return
    const subject = `${accountId} ${networkKey(address)}`
    events.tell('account.new-place', { subject, account: accountId, fields: { address, how: 'ssh' } })
  }

  async #existing(actor: Actor, { bindAddress, bindPort, held }: ForwardRequest): Promise<Forward> {
    if (!HERE.has(bindAddress)) return this.#named(actor, bindAddress, held)
    if (bindPort >= FIRST_RELAY_PORT) return this.#byRelayPort(actor, bindPort)
    throw new ServiceError(
      'INVALID',
      `Port ${bindPort} means nothing here; ask for 80 (http), 443 (https), 0 (tcp), the relay port of a tunnel, or NAME:80 for a socket of yours.`,
    )
  }

  async #ephemeral(actor: Actor, type: Socket['type']): Promise<Forward> {
    const { socketId, tunnelId } = await this.rules.creation.make(actor, {
      action: 'ssh.forward',
      socket: { name: 'SSH forward', type, ephemeralMs: EPHEMERAL_MS },
      hasTunnel: true,
    })
    return this.#forwardOf(socketId, tunnelId!, true)
  }

  async #byRelayPort(actor: Actor, relayPort: number): Promise<Forward> {
    const forward = await this.#orKept(this.#forwarded, `${actor.accountId} ${relayPort}`, async () => {
      const tunnel = await this.parts.store.db
        .selectFrom('tunnels')
        .select(['id', 'socket_id'])
        .where('account_id', '=', actor.accountId)
        .where('relay_port', '=', relayPort)
        .executeTakeFirst()
      return tunnel && this.#forwardOf(tunnel.socket_id, tunnel.id, false)
    })
    if (forward !== undefined) return forward
    throw new ServiceError('NOT_FOUND', `No tunnel of this account has the relay port ${relayPort}; see: socket-gateway tunnel ls`)
  }

  async #named(actor: Actor, name: string, held: readonly string[]): Promise<Forward> {
    const place = `${actor.accountId} ${name} ${held.length}`
    const forward = await this.#orKept(this.#forwarded, place, () => this.#ofName(actor, name, held))
    if (forward !== undefined) return forward
    throw new ServiceError('NOT_FOUND', `This account has no socket ${JSON.stringify(name.slice(0, 100))}; see: socket-gateway socket ls`)
  }

  async #ofName(actor: Actor, name: string, held: readonly string[]): Promise<Forward | undefined> {
    const { config, live, store } = this.parts
    const lower = name.toLowerCase()
    const rows = await store.db
      .selectFrom('sockets')
      .select(['id', 'dns_name', 'name'])
      .where('account_id', '=', actor.accountId)
      .where(eb => eb.or([eb('dns_name', '=', lower), eb('dns_name', '=', `${lower}.${config().zone}`), eb('name', '=', name)]))
      .limit(3)
      .execute()
    // The public name is one socket's alone, what people call them is not.
    const byDns = rows.find(row => row.dns_name === lower || row.dns_name === `${lower}.${config().zone}`)
    if (byDns === undefined && rows.length > 1)
      throw new ServiceError(
        'INVALID',
        `This account has several sockets with that name; take the first part of the public name, such as ${rows[0]!.dns_name.split('.')[0]!}.`,
      )
    const socketId = (byDns ?? rows[0])?.id
    if (socketId === undefined) return undefined
    const tunnels = await store.db
      .selectFrom('tunnels')
      .select('id')
      .where('socket_id', '=', socketId)
      .orderBy('created_at')
      .orderBy('relay_port')
      .execute()
    const free = tunnels.find(({ id }) => !held.includes(id) && live.addressOf(id) === undefined)
    return this.#forwardOf(socketId, free?.id ?? (await this.rules.tunnels.create(actor, socketId)).id, false)
  }

  async #forwardOf(socketId: string, tunnelId: string, isNew: boolean): Promise<Forward> {
    const { db } = this.parts.store
    const [socket] = await socketsOf(this.parts, db, await db.selectFrom('sockets').selectAll().where('id', '=', socketId).execute())
    const tunnel = await db.selectFrom('tunnels').selectAll().where('id', '=', tunnelId).executeTakeFirst()
    if (socket === undefined || tunnel === undefined) throw new ServiceError('NOT_FOUND', 'The socket was deleted in the meantime.')
    return { socket, tunnel: tunnelOf(this.parts, tunnel), isNew, login: this.parts.clock.now() }
  }

  async hostKeys(): Promise<readonly string[]> {
    return (await this.secrets.private('ssh-host')).map(({ key }) => key.export({ type: 'pkcs8', format: 'pem' }) as string)
  }

  async authorities(): Promise<readonly Buffer[]> {
    return (await this.secrets.private('ssh-ca')).map(({ key }) => authorityBlob(key))
  }
}

/** The scopes of SSH: to serve, and to see what it serves. */
const actorOf = ({ id, role }: { readonly id: string; readonly role: Role }): Actor => ({
  accountId: id,
  role,
  scopes: ['read', 'connect'],
  kind: 'ssh',
  address: '',
})
