/** The state of tunnels and sockets as inner layers come and go. */
import { removeSockets } from './socket-removal.ts'
import { KEY_LIFE_MS } from './tunnel-keys.ts'
import { SYSTEM } from '../core/audit-log.ts'
import type { SocketParts } from './socket-parts.ts'

/** Sockets that are removed in one transaction. */
const BATCH = 200
/** Tunnels of which is told that they have not come back after a restart. */
const MAX_TOLD = 5_000

/** The socket of a tunnel, as it is told of. */
interface ToldSocket {
  readonly account_id: string
  readonly name: string
  readonly dns_name: string
}

/** Keeps what the store knows of tunnels in step with those that are connected. */
export class Liveness {
  readonly #writing = new Set<Promise<void>>()

  constructor(private readonly parts: SocketParts) {}

  /** Resolves when what has come and gone until now is written: the store must not be closed before. */
  async settled(): Promise<void> {
    await Promise.all(this.#writing)
  }

  async connected(tunnelId: string, address: string): Promise<void> {
    const { clock, live, nodeId, store } = this.parts
    live.connected(tunnelId, address)
    let told: ToldSocket | undefined
    await this.#quietly('a tunnel that is connected could not be noted', () =>
      store.transaction(async ({ db }) => {
        const now = clock.now()
        const row = await db
          .updateTable('tunnels')
          .set({ last_node: nodeId, last_address: address, last_connected_at: now })
          .where('id', '=', tunnelId)
          .returning('socket_id')
          .executeTakeFirst()
        if (row === undefined) return
        told = await db.selectFrom('sockets').select(['account_id', 'name', 'dns_name']).where('id', '=', row.socket_id).executeTakeFirst()
        await db.updateTable('sockets').set({ idle_since: null }).where('id', '=', row.socket_id).execute()
        await db.updateTable('inner_keys').set({ seen_at: now }).where('tunnel_id', '=', tunnelId).execute()
      }),
    )
    if (told !== undefined && live.hasAny([tunnelId])) this.#tell(tunnelId, told, address, true)
  }

  async disconnected(tunnelId: string): Promise<void> {
    const { clock, live, store } = this.parts
    const address = live.addressOf(tunnelId) ?? ''
    if (!live.disconnected(tunnelId)) return
    let told: ToldSocket | undefined
    await this.#quietly('a tunnel that has gone could not be noted', () =>
      store.transaction(async ({ db }) => {
        const tunnels = await db
          .selectFrom('tunnels')
          .innerJoin('tunnels as others', 'others.socket_id', 'tunnels.socket_id')
          .innerJoin('sockets', 'sockets.id', 'tunnels.socket_id')
          .select(['others.id', 'others.socket_id', 'sockets.account_id', 'sockets.name', 'sockets.dns_name'])
          .where('tunnels.id', '=', tunnelId)
          .execute()
        const [first] = tunnels
        told = first
        if (first === undefined || live.hasAny(tunnels.map(({ id }) => id))) return
        await db.updateTable('sockets').set({ idle_since: clock.now() }).where('id', '=', first.socket_id).execute()
      }),
    )
    if (told !== undefined && !live.hasAny([tunnelId])) this.#tell(tunnelId, told, address, false)
  }

  #tell(tunnel: string, { account_id, name, dns_name }: ToldSocket, address: string, isUp: boolean): void {
    const fields = { tunnel, socket: name, host: dns_name, address }
    this.parts.events.turn('tunnel', isUp, { subject: tunnel, account: account_id, fields })
  }

  /** Starts the time of sockets whose tunnels this process has lost together with its memory; they may come back in time. */
  async restart(): Promise<void> {
    const { clock, nodeId, store } = this.parts
    const tunnels = await store.db
      .selectFrom('tunnels')
      .innerJoin('sockets', 'sockets.id', 'tunnels.socket_id')
      .select(['tunnels.id', 'sockets.account_id', 'sockets.name', 'sockets.dns_name', 'last_address'])
      .where('idle_since', 'is', null)
      .where('last_node', '=', nodeId)
      .limit(MAX_TOLD)
      .execute()
    for (const { id, last_address, ...socket } of tunnels) this.#tell(id, socket, last_address ?? '', false)
    await store.db
      .updateTable('sockets')
      .set({ idle_since: clock.now() })
      .where('idle_since', 'is', null)
      .where(eb =>
        eb.exists(
          eb.selectFrom('tunnels').select('tunnels.id').whereRef('tunnels.socket_id', '=', 'sockets.id').where('last_node', '=', nodeId),
        ),
      )
      .execute()
  }

  /** Removes sockets that were to go when no tunnel was up for so long. @returns how many */
  async removeIdle(): Promise<number> {
    const { audit, clock, live, store } = this.parts
    const now = clock.now()
    const due = await store.db
      .selectFrom('sockets')
      .select(['id', 'account_id'])
      .where('ephemeral_ms', 'is not', null)
      .where('idle_since', 'is not', null)
      .where(eb => eb(eb(eb.ref('idle_since'), '+', eb.ref('ephemeral_ms')), '<=', now))
      .limit(BATCH)
      .execute()
    if (due.length === 0) return 0
    const tunnels = await store.db
      .selectFrom('tunnels')
      .select(['id', 'socket_id'])
      .where(
        'socket_id',
        'in',
        due.map(({ id }) => id),
      )
      .execute()
    // The note that one is connected may not have been written, as the database was away.
    const isUp = (socketId: string): boolean => live.hasAny(tunnels.filter(({ socket_id }) => socket_id === socketId).map(({ id }) => id))
    const [up, idle] = [due.filter(({ id }) => isUp(id)), due.filter(({ id }) => !isUp(id))]
    await store.transaction(async transaction => {
      const { db } = transaction
      if (up.length > 0)
        await db
          .updateTable('sockets')
          .set({ idle_since: null })
          .where(
            'id',
            'in',
            up.map(({ id }) => id),
          )
          .execute()
      if (idle.length === 0) return
      // Asked once more, now that nobody can come in between.
      const still = await db
        .selectFrom('sockets')
        .select(['id', 'account_id', 'dns_name'])
        .where(
          'id',
          'in',
          idle.map(({ id }) => id),
        )
        .where('idle_since', 'is not', null)
        .execute()
      await removeSockets(
        transaction,
        still.map(({ id }) => id),
        now,
      )
      for (const socket of still)
        await audit.note(db, {
          by: SYSTEM,
          action: 'socket.expire',
          object: `socket:${socket.id}`,
          accountId: socket.account_id,
          details: { dnsName: socket.dns_name },
        })
    })
    return idle.length
  }

  /** Prolongs the keys of tunnels that are connected and would be over before long. */
  async prolongKeys(): Promise<void> {
    const { clock, live, store } = this.parts
    const now = clock.now()
    const { ids } = live
    for (let at = 0; at < ids.length; at += BATCH)
      await store.transaction(async ({ db, change }) => {
        const rows = await db
          .updateTable('inner_keys')
          .set({ expires_at: now + KEY_LIFE_MS, seen_at: now })
          .where('tunnel_id', 'in', ids.slice(at, at + BATCH))
          .where('expires_at', '>', now)
          .where('expires_at', '<', now + KEY_LIFE_MS / 2)
          .returning('kid')
          .execute()
        for (const { kid } of rows) change('key', kid)
      })
  }

  async #quietly(what: string, action: () => Promise<void>): Promise<void> {
    const writing = action().catch((err: unknown) => this.parts.log.warn({ err }, what))
    this.#writing.add(writing)
    await writing
    this.#writing.delete(writing)
  }
}
