/** Tunnels of sockets, and the keys and certificates by which they are served. */
import { createHash } from 'node:crypto'
import type { Numbered, StoreTransaction } from '../../store/store.ts'
import { needScope, notFound } from '../core/access.ts'
import { MINUTE_MS } from '../core/clock.ts'
import type { Secrets } from '../core/secrets.ts'
import { tunnelOf } from '../core/views.ts'
import type { Tunnels } from '../contract.ts'
import { ServiceError } from '../input/service-error.ts'
import type { Actor, Tunnel, TunnelCredentials } from '../model.ts'
import { signCertificate } from '../ssh-keys/certificate.ts'
import { parsePublicKey } from '../ssh-keys/public-key.ts'
import { insertTunnel } from './socket-creation.ts'
import { holdAccount, limitsOf, socketFor, tunnelFor, type SocketParts } from './socket-parts.ts'
import { checkJwk, registerKey } from './tunnel-keys.ts'

const CERTIFICATE_MS = 5 * MINUTE_MS
/** The clock of an SSH server may be behind. */
const BACKDATE_MS = MINUTE_MS

/** The user name of an account for SSH: its id without dashes. */
export const sshUserOf = (accountId: string): string => accountId.replaceAll('-', '')

/** The rules of tunnels. */
export class SocketTunnels implements Omit<Tunnels, 'connected' | 'disconnected'> {
  constructor(
    private readonly parts: SocketParts,
    private readonly secrets: Secrets,
  ) {}

  async create(actor: Actor, socketId: string): Promise<Tunnel> {
    const { audit, clock, config, directory, store } = this.parts
    const note = { by: actor, action: 'tunnel.create', object: `socket:${socketId}` }
    return audit.attempt(note, async () => {
      needScope(actor, 'sockets', 'connect')
      const { account_id } = await socketFor(store.db, actor, socketId, 'write')
      const { value, seq } = await this.#changing(account_id, async ({ db, change }) => {
        const account = await holdAccount(db, account_id, true)
        const socket = await socketFor(db, actor, socketId, 'write')
        const { count } = await db
          .selectFrom('tunnels')
          .select(({ fn }) => fn.countAll<number>().as('count'))
          .where('socket_id', '=', socket.id)
          .executeTakeFirstOrThrow()
        const { tunnels } = limitsOf(account, config())
        if (count >= tunnels)
          throw new ServiceError(
            'LIMIT_REACHED',
            `A socket of this account may have ${tunnels} tunnels; delete one, or ask an admin of the service for more.`,
          )
        const row = await insertTunnel(db, account, socket.id, clock.now())
        change('socket', socket.id)
        await audit.note(db, { ...note, object: `tunnel:${row.id}`, accountId: account.id, details: { socket: socket.id } })
        return row
      })
      await directory.inForce(seq)
      return tunnelOf(this.parts, value)
    })
  }

  #changing<T>(accountId: string, work: (transaction: StoreTransaction) => Promise<T>): Promise<Numbered<T>> {
    const { store, turns } = this.parts
    return turns.inTurn(accountId, () => store.changing(work))
  }

  async list(actor: Actor, socketId: string): Promise<readonly Tunnel[]> {
    needScope(actor, 'read', 'sockets', 'connect')
    const { db } = this.parts.store
    const socket = await socketFor(db, actor, socketId, 'read')
    const rows = await db
      .selectFrom('tunnels')
      .selectAll()
      .where('socket_id', '=', socket.id)
      .orderBy('created_at')
      .orderBy('relay_port')
      .execute()
    return rows.map(row => tunnelOf(this.parts, row))
  }

  async get(actor: Actor, socketId: string, tunnelId: string): Promise<Tunnel> {
    needScope(actor, 'read', 'sockets', 'connect')
    return tunnelOf(this.parts, await tunnelFor(this.parts.store.db, actor, { socketId, tunnelId }, 'read'))
  }

  async remove(actor: Actor, socketId: string, tunnelId: string): Promise<void> {
    const { audit, directory, store } = this.parts
    const note = { by: actor, action: 'tunnel.delete', object: `tunnel:${tunnelId}` }
    await audit.attempt(note, async () => {
      needScope(actor, 'sockets')
      const { seq } = await store.changing(async ({ db, change }) => {
        const tunnel = await tunnelFor(db, actor, { socketId, tunnelId }, 'write')
        const keys = await db.selectFrom('inner_keys').select('kid').where('tunnel_id', '=', tunnel.id).execute()
        const gone = await db.deleteFrom('tunnels').where('id', '=', tunnel.id).returning('id').executeTakeFirst()
        if (gone === undefined) throw notFound()
        change('socket', tunnel.socket_id)
        change('tunnel', tunnel.id)
        for (const { kid } of keys) change('key', kid)
        await audit.note(db, { ...note, accountId: tunnel.account_id, details: { socket: tunnel.socket_id } })
      })
      await directory.inForce(seq)
    })
  }

  async credentials(
    actor: Actor,
    socketId: string,
    tunnelId: string,
    jwk: Readonly<Record<string, string>>,
    { isRenewal = false }: { readonly isRenewal?: boolean | undefined } = {},
  ): Promise<TunnelCredentials> {
    const { audit, clock, directory, linkUrls, store } = this.parts
    const note = { by: actor, action: 'tunnel.credentials', object: `tunnel:${tunnelId}` }
    return audit.attempt(note, async () => {
      needScope(actor, 'connect')
      const checked = checkJwk(jwk)
      const seen = await tunnelFor(store.db, actor, { socketId, tunnelId }, 'write')
      const { value, seq } = await this.#changing(seen.account_id, async transaction => {
        await holdAccount(transaction.db, seen.account_id)
        const tunnel = await tunnelFor(transaction.db, actor, { socketId, tunnelId }, 'write')
        const expiresAt = await registerKey(transaction, tunnel, checked, { now: clock.now(), isRenewal })
        await audit.note(transaction.db, { ...note, accountId: tunnel.account_id, details: { kid: checked.kid } })
        return { tunnelId: tunnel.id, identifier: tunnel.id, kid: checked.kid, expiresAt }
      })
      await directory.inForce(seq)
      return { ...value, linkUrls: linkUrls() }
    })
  }

  async certificate(actor: Actor, socketId: string, tunnelId: string, publicKey: string): Promise<string> {
    const { audit, clock, store } = this.parts
    const note = { by: actor, action: 'tunnel.certificate', object: `tunnel:${tunnelId}` }
    return audit.attempt(note, async () => {
      needScope(actor, 'connect')
      const key = parsePublicKey(publicKey, 'publicKey')
      const tunnel = await tunnelFor(store.db, actor, { socketId, tunnelId }, 'write')
      const now = clock.now()
      const [{ key: authority }] = await this.secrets.private('ssh-ca')
      const line = signCertificate(authority, {
        key,
        principals: [sshUserOf(tunnel.account_id)],
        keyId: `tunnel ${tunnel.id}`,
        validFrom: now - BACKDATE_MS,
        validUntil: now + CERTIFICATE_MS,
        // Numbers that tell one from another in logs; nothing is kept of them.
        serial: createHash('sha256').update(`${tunnel.id} ${now} ${key.fingerprint}`).digest().readBigUInt64BE() >> 1n,
      })
      await store.transaction(({ db }) =>
        audit.note(db, { ...note, accountId: tunnel.account_id, details: { fingerprint: key.fingerprint } }),
      )
      return line
    })
  }
}
