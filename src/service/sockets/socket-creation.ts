/** A socket comes into being: one transaction, then its port. */
import { createHash, randomUUID } from 'node:crypto'
import type { Kysely } from 'kysely'
import { GatewayError } from '../../errors.ts'
import type { Database, Row } from '../../store/schema.ts'
import type { StoreTransaction } from '../../store/store.ts'
import { needScope } from '../core/access.ts'
import { DAY_MS, HOUR_MS } from '../core/clock.ts'
import { invalid, rateLimited, ServiceError } from '../input/service-error.ts'
import type { AccountLimits, Actor, NewSocket } from '../model.ts'
import { RefusedWords } from '../names/refused-words.ts'
import { SocketNames } from '../names/socket-names.ts'
import { checkOwners } from './domain-owners.ts'
import { checkNewSocket, isWeb, type CheckedSocket } from './socket-input.ts'
import { freePorts, insertWithRelayPort, takePort } from './ports.ts'
import { removeSockets } from './socket-removal.ts'
import { hashForEdge, holdAccount, limitsOf, type SocketParts } from './socket-parts.ts'
import { checkJwk, registerKey, type CheckedJwk } from './tunnel-keys.ts'

const NAME_TRIES = 50
/** Ports that the outer layer cannot open are skipped so many times. */
const PORT_TRIES = 20
const IDEMPOTENCY_MS = DAY_MS

/** A request for a socket, and for a tunnel with it. */
export interface Creation {
  readonly action: 'socket.create' | 'socket.connect' | 'ssh.forward'
  readonly socket: NewSocket
  readonly hasTunnel: boolean
  readonly jwk?: Readonly<Record<string, string>> | undefined
  readonly idempotencyKey?: string | undefined
}

/** The objects that were made, now or by an earlier call. */
export interface Created {
  readonly socketId: string
  readonly tunnelId: string | undefined
  readonly credentials: { readonly kid: string; readonly expiresAt: number } | undefined
}

/** Accounts whose refusal is remembered. */
const MAX_REFUSED = 10_000

/** Makes sockets. */
export class SocketCreation {
  /** Accounts that have made all that they may make in an hour: until when, and by which limit. */
  readonly #refused = new Map<string, { readonly untilMs: number; readonly limit: number }>()

  constructor(private readonly parts: SocketParts) {}

  async make(actor: Actor, creation: Creation): Promise<Created> {
    const { audit, store } = this.parts
    const { action, socket: request } = creation
    return audit.attempt({ by: actor, action, object: 'socket' }, async () => {
      needScope(actor, action === 'socket.create' ? 'sockets' : 'connect', 'sockets')
      const account = await store.db.selectFrom('accounts').select(['id', 'limits']).where('id', '=', actor.accountId).executeTakeFirst()
      if (account === undefined) throw new ServiceError('UNAUTHENTICATED')
      const { config } = this.parts
      const limits = limitsOf(account, config())
      if (creation.idempotencyKey === undefined) this.#checkRefused(account.id, limits)
      const refused = new RefusedWords(config().refusedNames)
      const socket = checkNewSocket(request, { config: config(), limits, refused })
      await checkOwners(this.parts, account.id, socket.customDomains)
      const jwk = creation.jwk === undefined ? undefined : checkJwk(creation.jwk)
      const hash = socket.password === null ? null : await hashForEdge(this.parts, account.id, socket.password.password)
      const { value, seq } = await this.parts.turns.inTurn(account.id, () =>
        store.changing(transaction => this.#insert(transaction, actor, { creation, socket, jwk, hash, refused })),
      )
      await this.#opened(value.socketId, seq)
      return value
    })
  }

  async #insert(
    transaction: StoreTransaction,
    actor: Actor,
    wanted: {
      readonly creation: Creation
      readonly socket: CheckedSocket
      readonly jwk: CheckedJwk | undefined
      readonly hash: string | null
      readonly refused: RefusedWords
    },
  ): Promise<Created> {
    const { db, change } = transaction
    const { creation, socket, jwk } = wanted
    const { audit, clock, config, random } = this.parts
    const now = clock.now()
    const account = await holdAccount(db, actor.accountId, creation.hasTunnel)
    const repeat = new Repeat(db, account.id, creation.idempotencyKey, { socket, kid: jwk?.kid }, now)
    const earlier = await repeat.find()
    if (earlier !== undefined) return earlier
    const limits = limitsOf(account, config())
    const usedUpUntil = await checkLimits(db, account, limits, { socket, now })
    if (usedUpUntil !== undefined) {
      if (this.#refused.size >= MAX_REFUSED) this.#refused.clear()
      this.#refused.set(account.id, { untilMs: usedUpUntil, limit: limits.creationsPerHour })
      throw tooMany(usedUpUntil - now, limits)
    }
    const row = await this.#insertNamed(db, account.id, { ...wanted, now })
    if (!isWeb(socket.type)) await takePort(db, row.id, { ports: config().ports, random, now })
    await insertDomains(db, row.id, socket.customDomains)
    const tunnel = creation.hasTunnel ? await insertTunnel(db, account, row.id, now) : undefined
    const expiresAt =
      tunnel === undefined || jwk === undefined ? undefined : await registerKey(transaction, tunnel, jwk, { now, isFirst: true })
    change('socket', row.id)
    const credentials = jwk === undefined || expiresAt === undefined ? undefined : { kid: jwk.kid, expiresAt }
    const created = { socketId: row.id, tunnelId: tunnel?.id, credentials }
    await repeat.keep(created)
    await audit.note(db, {
      by: actor,
      action: creation.action,
      object: `socket:${row.id}`,
      details: { name: socket.name, type: socket.type, dnsName: row.dns_name },
    })
    return created
  }

  /** Counts what was made within an hour, also once it is gone: a flood of attempts meanwhile costs no transaction. @throws ServiceError RATE_LIMITED */
  #checkRefused(accountId: string, limits: Required<AccountLimits>): void {
    const known = this.#refused.get(accountId)
    if (known === undefined) return
    const waitMs = known.untilMs - this.parts.clock.now()
    if (known.limit === limits.creationsPerHour && waitMs > 0) throw tooMany(waitMs, limits)
    this.#refused.delete(accountId)
  }

  async #insertNamed(
    db: Kysely<Database>,
    accountId: string,
    {
      socket,
      hash,
      refused,
      now,
    }: { readonly socket: CheckedSocket; readonly hash: string | null; readonly refused: RefusedWords; readonly now: number },
  ): Promise<Row<'sockets'>> {
    const names = new SocketNames(this.parts.random, refused)
    const { password, visitors, balance, inspect, proxyProtocol, upstream } = socket
    const stored = password === null ? null : { user: password.user, hash }
    const settings = JSON.stringify({ password: stored, visitors, balance, inspect, proxyProtocol, upstream })
    for (let tries = 0; tries < NAME_TRIES; tries++) {
      const dnsName = `${socket.label ?? names.next()}.${this.parts.config().zone}`
      const row = await db
        .insertInto('sockets')
        .values({
          id: randomUUID(),
          account_id: accountId,
          name: socket.name,
          type: socket.type,
          dns_name: dnsName,
          settings,
          ephemeral_ms: socket.ephemeralMs,
          created_at: now,
          updated_at: now,
          idle_since: now,
        })
        .onConflict(conflict => conflict.column('dns_name').doNothing())
        .returningAll()
        .executeTakeFirst()
      // Looked up after the insert: whoever retires the name at the same time has done so before it could be inserted.
      const retired = row && (await db.selectFrom('retired_names').select('account_id').where('dns_name', '=', dnsName).executeTakeFirst())
      // Who has chosen a name may have it again; nobody else ever.
      if (row !== undefined && (retired === undefined || (socket.label !== undefined && retired.account_id === accountId))) return row
      if (socket.label !== undefined) {
        const message = 'this label is in use, or was by somebody else; choose another one'
        throw new ServiceError('CONFLICT', `label: ${message}`, { details: [{ path: 'label', message }] })
      }
      if (row !== undefined) await db.deleteFrom('sockets').where('id', '=', row.id).execute()
    }
    throw new GatewayError('INTERNAL', `no free name after ${NAME_TRIES} tries`)
  }

  /** Waits until the socket is in force. A port that the outer layer cannot open is left alone for a day, and the next one taken. */
  async #opened(socketId: string, seq: number): Promise<void> {
    const { clock, config, directory, random, store } = this.parts
    let last = seq
    for (let tries = 1; ; tries++) {
      try {
        return await directory.inForce(last, socketId)
      } catch (thrown) {
        if (!(thrown instanceof GatewayError) || thrown.code !== 'LISTEN_FAILED') throw thrown
        try {
          if (tries >= PORT_TRIES) throw new ServiceError('PORTS_EXHAUSTED', undefined, { cause: thrown })
          const { seq: next } = await store.changing(async ({ db, change }) => {
            const now = clock.now()
            await freePorts(db, [socketId], now)
            await takePort(db, socketId, { ports: config().ports, random, now })
            change('socket', socketId)
          })
          last = next
        } catch (failed) {
          await store.transaction(transaction => removeSockets(transaction, [socketId], clock.now()))
          throw failed
        }
      }
    }
  }
}

/** Adds a tunnel to a socket of an account that the transaction holds for it, see `holdAccount`. */
export async function insertTunnel(db: Kysely<Database>, account: Row<'accounts'>, socketId: string, now: number): Promise<Row<'tunnels'>> {
  return insertWithRelayPort(db, account, {
    id: randomUUID(),
    socket_id: socketId,
    last_node: null,
    last_address: null,
    last_connected_at: null,
    created_at: now,
  })
}

/** @throws ServiceError CONFLICT when a domain is in use */
export async function insertDomains(db: Kysely<Database>, socketId: string, domains: readonly string[]): Promise<void> {
  for (const domain of domains) {
    const row = await db
      .insertInto('custom_domains')
      .values({ domain, socket_id: socketId, missing_since: null })
      .onConflict(conflict => conflict.column('domain').doNothing())
      .returning('domain')
      .executeTakeFirst()
    if (row !== undefined) continue
    const message = `${domain} is in use by another socket`
    throw new ServiceError('CONFLICT', `customDomains: ${message}`, { details: [{ path: 'customDomains', message }] })
  }
}

/**
 * Holds an account to its limits, in one statement. What was made in the last hour is counted in the audit log: it outlives what was made, and counts for
 * all processes.
 * @returns when the next one may be made, where the account has made all that it may make in an hour
 * @throws ServiceError LIMIT_REACHED
 */
async function checkLimits(
  db: Kysely<Database>,
  { id }: Row<'accounts'>,
  limits: Required<AccountLimits>,
  { socket: { type }, now }: { readonly socket: CheckedSocket; readonly now: number },
): Promise<number | undefined> {
  const { creationsPerHour } = limits
  if (creationsPerHour === 0) throw new ServiceError('LIMIT_REACHED', 'This account may not make sockets; ask an admin of the service.')
  const [types, limit] = isWeb(type) ? ([['http', 'https'], limits.http] as const) : ([['tcp', 'tls'], limits.tcp] as const)
  const { nth, count } = await db
    .selectNoFrom(eb => [
      eb
        .selectFrom('audit')
        .select('at')
        .where('account_id', '=', id)
        .where('at', '>', now - HOUR_MS)
        .where('action', 'in', ['socket.create', 'socket.connect', 'ssh.forward'])
        .where('is_refused', '=', 0)
        .orderBy('at', 'desc')
        .offset(creationsPerHour - 1)
        .limit(1)
        .as('nth'),
      eb
        .selectFrom('sockets')
        .select(({ fn }) => fn.countAll<number>().as('count'))
        .where('account_id', '=', id)
        .where('type', 'in', types)
        .as('count'),
    ])
    .executeTakeFirstOrThrow()
  if (nth !== null) return nth + HOUR_MS
  if ((count ?? 0) < limit) return undefined
  throw new ServiceError(
    'LIMIT_REACHED',
    `This account may have ${limit} sockets of type ${types.join(' and ')} and has ${count}; delete one, or ask an admin of the service for more.`,
  )
}

const KEY_FORM = /^[\x21-\x7e]{1,255}$/

/** A call that may come twice, as the first answer was lost. */
class Repeat {
  readonly #hash: string

  constructor(
    private readonly db: Kysely<Database>,
    private readonly accountId: string,
    private readonly key: string | undefined,
    request: { readonly socket: CheckedSocket; readonly kid: string | undefined },
    private readonly now: number,
  ) {
    if (key !== undefined && !KEY_FORM.test(key))
      throw invalid({ path: 'idempotencyKey', message: 'expected 1 to 255 characters without spaces' })
    // Without the password: a fast hash of it would be a gift to whoever steals the database.
    const { password, ...rest } = request.socket
    this.#hash = createHash('sha256')
      .update(JSON.stringify([{ ...rest, user: password?.user }, request.kid]))
      .digest('base64url')
  }

  /** @throws ServiceError CONFLICT for another request under the same key */
  async find(): Promise<Created | undefined> {
    if (this.key === undefined) return undefined
    const row = await this.db
      .selectFrom('idempotency')
      .selectAll()
      .where('account_id', '=', this.accountId)
      .where('key', '=', this.key)
      .where('expires_at', '>', this.now)
      .executeTakeFirst()
    if (row === undefined) return undefined
    if (row.request_hash !== this.#hash)
      throw new ServiceError('CONFLICT', 'This idempotency key was used for another request; use a fresh one for each.')
    return JSON.parse(row.result) as Created
  }

  async keep(created: Created): Promise<void> {
    if (this.key === undefined) return
    const values = { request_hash: this.#hash, result: JSON.stringify(created), expires_at: this.now + IDEMPOTENCY_MS }
    await this.db
      .insertInto('idempotency')
      .values({ account_id: this.accountId, key: this.key, ...values })
      .onConflict(conflict => conflict.columns(['account_id', 'key']).doUpdateSet(values))
      .execute()
  }
}

const tooMany = (waitMs: number, { creationsPerHour }: Required<AccountLimits>): ServiceError =>
  rateLimited(waitMs, `This account makes at most ${creationsPerHour} sockets an hour`)
