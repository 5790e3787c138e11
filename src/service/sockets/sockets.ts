/** Sockets, as their owners see and change them. */
import { sql } from '../../store/kysely.ts'
import type { Row } from '../../store/schema.ts'
import type { StoreTransaction } from '../../store/store.ts'
import { needScope, notFound, readsAll } from '../core/access.ts'
import { pageOf, readCursor } from '../core/pages.ts'
import { readSettings } from '../core/socket-settings.ts'
import { socketsOf } from '../core/views.ts'
import type { PageRequest, Sockets } from '../contract.ts'
import { invalid, ServiceError } from '../input/service-error.ts'
import type { Actor, NewSocket, Page, Socket, SocketPatch, Tunnel, TunnelCredentials } from '../model.ts'
import { RefusedWords } from '../names/refused-words.ts'
import { checkOwners } from './domain-owners.ts'
import { insertDomains, type SocketCreation } from './socket-creation.ts'
import { checkPatch } from './socket-input.ts'
import { hashForEdge, limitsOf, lockAccount, socketFor, type SocketParts } from './socket-parts.ts'
import { removeSockets } from './socket-removal.ts'

/** The rules of sockets. */
export class AccountSockets implements Sockets {
  constructor(
    private readonly parts: SocketParts,
    private readonly creation: SocketCreation,
  ) {}

  async create(actor: Actor, socket: NewSocket): Promise<Socket> {
    const { socketId } = await this.creation.make(actor, { action: 'socket.create', socket, hasTunnel: false })
    return this.#made(socketId, socket.password)
  }

  async connect(
    actor: Actor,
    request: NewSocket & { readonly jwk?: Readonly<Record<string, string>>; readonly idempotencyKey?: string },
  ): Promise<{ readonly socket: Socket; readonly tunnel: Tunnel; readonly credentials: TunnelCredentials | null }> {
    const { jwk, idempotencyKey, ...socket } = request
    const { socketId, tunnelId, credentials } = await this.creation.make(actor, {
      action: 'socket.connect',
      socket,
      hasTunnel: true,
      jwk,
      idempotencyKey,
    })
    const made = await this.#made(socketId, socket.password)
    const tunnel = made.tunnels.find(({ id }) => id === tunnelId)
    if (tunnel === undefined) throw new ServiceError('CONFLICT', 'What the first call with this key has made is gone; use a fresh key.')
    return {
      socket: made,
      tunnel,
      credentials:
        credentials === undefined ? null : { tunnelId: tunnel.id, identifier: tunnel.id, linkUrls: this.parts.linkUrls(), ...credentials },
    }
  }

  /** Shows a socket to who has made it: with the password, for this one time. */
  async #made(socketId: string, password: NewSocket['password']): Promise<Socket> {
    const row = await this.parts.store.db.selectFrom('sockets').selectAll().where('id', '=', socketId).executeTakeFirst()
    if (row === undefined) throw new ServiceError('CONFLICT', 'The socket was deleted before it was shown.')
    return { ...(await this.#view(row)), ...(password && { password: { user: password.user, password: password.password } }) }
  }

  async #view(row: Row<'sockets'>): Promise<Socket> {
    const [socket] = await socketsOf(this.parts, this.parts.store.db, [row])
    return socket!
  }

  async list(actor: Actor, page: PageRequest & { readonly name?: string; readonly all?: boolean }): Promise<Page<Socket>> {
    needScope(actor, 'read', 'sockets', 'connect')
    if (page.all === true && !readsAll(actor))
      throw new ServiceError('FORBIDDEN', 'Sockets of others are shown to auditors and admins only.')
    if (page.name !== undefined && typeof page.name !== 'string') throw invalid({ path: 'name', message: 'expected a text' })
    const { limit, after } = readCursor(page)
    const { db } = this.parts.store
    const rows = await db
      .selectFrom('sockets')
      .selectAll()
      .$if(page.all !== true, query => query.where('account_id', '=', actor.accountId))
      .$if(page.name !== undefined, query => query.where('name', '=', page.name!))
      .$if(after !== undefined, query => query.where(sql<boolean>`(created_at, id) > (${after!.at}, ${after!.id})`))
      .orderBy('created_at')
      .orderBy('id')
      .limit(limit + 1)
      .execute()
    const { items, next } = pageOf(
      rows,
      limit,
      row => row,
      row => ({ at: row.created_at, id: row.id }),
    )
    return { items: await socketsOf(this.parts, db, items), next }
  }

  async get(actor: Actor, socketId: string): Promise<Socket> {
    needScope(actor, 'read', 'sockets', 'connect')
    return this.#view(await socketFor(this.parts.store.db, actor, socketId, 'read'))
  }

  async update(actor: Actor, socketId: string, patch: SocketPatch, etag?: string): Promise<Socket> {
    const { audit, clock, config, directory, store, turns } = this.parts
    const note = { by: actor, action: 'socket.update', object: `socket:${socketId}` }
    return audit.attempt(note, async () => {
      needScope(actor, 'sockets')
      const seen = await socketFor(store.db, actor, socketId, 'write')
      const owner = await store.db.selectFrom('accounts').select(['id', 'limits']).where('id', '=', seen.account_id).executeTakeFirst()
      if (owner === undefined) throw notFound()
      const rules = { config: config(), limits: limitsOf(owner, config()), refused: new RefusedWords(config().refusedNames) }
      const checked = checkPatch(patch, seen.type, rules)
      await this.#checkNewDomains(seen, checked.customDomains)
      const hash = checked.password ? await hashForEdge(this.parts, actor.accountId, checked.password.password) : undefined
      const work = async ({ db, change }: StoreTransaction): Promise<Row<'sockets'>> => {
        await lockAccount(db, seen.account_id)
        const socket = await socketFor(db, actor, socketId, 'write')
        if (etag !== undefined && etag !== String(socket.version)) throw new ServiceError('CONFLICT')
        const before = readSettings(socket.settings, socket.id)
        const { password, visitors, balance, inspect, proxyProtocol, upstream } = checked
        const settings = {
          password: password === undefined ? before.password : password && { user: password.user, hash },
          visitors: visitors === undefined ? before.visitors : visitors,
          balance: balance ?? before.balance,
          inspect: inspect ?? before.inspect,
          proxyProtocol: proxyProtocol === undefined ? before.proxyProtocol : proxyProtocol,
          upstream: upstream === undefined ? before.upstream : upstream,
        }
        const row = await db
          .updateTable('sockets')
          .set(({ eb }) => ({
            name: checked.name ?? socket.name,
            settings: JSON.stringify(settings),
            version: eb('version', '+', 1),
            updated_at: clock.now(),
          }))
          .where('id', '=', socket.id)
          .returningAll()
          .executeTakeFirstOrThrow()
        if (checked.customDomains !== undefined) {
          const wanted = checked.customDomains
          // Those that stay keep what is known of them.
          const known = await db.selectFrom('custom_domains').select('domain').where('socket_id', '=', socket.id).execute()
          const gone = known.filter(({ domain }) => !wanted.includes(domain)).map(({ domain }) => domain)
          if (gone.length > 0)
            await db.deleteFrom('custom_domains').where('socket_id', '=', socket.id).where('domain', 'in', gone).execute()
          const added = wanted.filter(domain => !known.some(row => row.domain === domain))
          await insertDomains(db, socket.id, added)
        }
        change('socket', socket.id)
        await audit.note(db, { ...note, accountId: socket.account_id, details: { changed: Object.keys(checked) } })
        return row
      }
      const { value, seq } = await turns.inTurn(seen.account_id, () => store.changing(work))
      await directory.inForce(seq)
      const socket = await this.#view(value)
      return { ...socket, ...(checked.password && { password: { user: checked.password.user, password: checked.password.password } }) }
    })
  }

  /** Those that it has are known to be its owner's. */
  async #checkNewDomains({ id, account_id }: Row<'sockets'>, domains: readonly string[] | undefined): Promise<void> {
    if (domains === undefined || domains.length === 0) return
    const known = await this.parts.store.db.selectFrom('custom_domains').select('domain').where('socket_id', '=', id).execute()
    await checkOwners(
      this.parts,
      account_id,
      domains.filter(domain => !known.some(row => row.domain === domain)),
    )
  }

  async remove(actor: Actor, socketId: string): Promise<void> {
    const { audit, clock, directory, store, turns } = this.parts
    const note = { by: actor, action: 'socket.delete', object: `socket:${socketId}` }
    await audit.attempt(note, async () => {
      // `connect` takes away what it has made.
      needScope(actor, 'sockets', 'connect')
      const work = async (transaction: StoreTransaction): Promise<void> => {
        const socket = await socketFor(transaction.db, actor, socketId, 'write')
        if (socket.ephemeral_ms === null) needScope(actor, 'sockets')
        await removeSockets(transaction, [socket.id], clock.now())
        await audit.note(transaction.db, { ...note, accountId: socket.account_id, details: { dnsName: socket.dns_name } })
      }
      const { seq } = await turns.inTurn(actor.accountId, () => store.changing(work))
      await directory.inForce(seq)
    })
  }
}
