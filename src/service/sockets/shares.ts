/** Links that let visitors in at a socket, made by its owner. */
import { randomUUID } from 'node:crypto'
import type { Fault } from '../../errors.ts'
import type { Row } from '../../store/schema.ts'
import type { StoreTransaction } from '../../store/store.ts'
import { needId, needScope, notFound } from '../core/access.ts'
import { DAY_MS } from '../core/clock.ts'
import { readSettings, readTexts } from '../core/socket-settings.ts'
import type { Shares } from '../contract.ts'
import { invalid, ServiceError } from '../input/service-error.ts'
import { parseEmail } from '../input/texts.ts'
import type { Actor, NewShare, SharedLink } from '../model.ts'
import { hashSecret, mintSecret } from '../proofs/secret-texts.ts'
import { isWeb } from './socket-input.ts'
import { lockAccount, socketFor, type SocketParts } from './socket-parts.ts'

/** The directory takes no more of one socket. */
const MAX_SHARES = 100
const MAX_LIFE_MS = 365 * DAY_MS
const MAX_USES = 10_000
const MAX_PATH = 500
/** The path as the gateway sees it: what could be read in two ways is none that a link may name. */
const PATH = /^\/(?:(?!\.\.?(?:[;/]|$))[\w.~!$&'()*+,;=:@-]+(?:\/|$))*$/
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', '*']

/** The rules of share links. */
export class SocketShares implements Shares {
  constructor(private readonly parts: SocketParts) {}

  async create(actor: Actor, socketId: string, wanted: NewShare): Promise<{ readonly share: SharedLink; readonly secret: string }> {
    const { audit, clock, directory, store, turns } = this.parts
    const note = { by: actor, action: 'socket.share', object: `socket:${socketId}` }
    return audit.attempt(note, async () => {
      needScope(actor, 'sockets')
      const now = clock.now()
      const checked = checkShare(wanted, now)
      const { account_id } = await socketFor(store.db, actor, socketId, 'write')
      const secret = mintSecret('sgl')
      const work = async ({ db, change }: StoreTransaction): Promise<Row<'shares'>> => {
        await lockAccount(db, account_id)
        const socket = await socketFor(db, actor, socketId, 'write')
        if (!isWeb(socket.type) || readSettings(socket.settings, socket.id).visitors === null)
          throw new ServiceError(
            'CONFLICT',
            'Share links are for sockets of type http and https whose visitors have to log in: to this one, everybody who may come needs no link. Set its visitors first.',
          )
        const { count } = await db
          .selectFrom('shares')
          .select(({ fn }) => fn.countAll<number>().as('count'))
          .where('socket_id', '=', socket.id)
          .where('expires_at', '>', now)
          .executeTakeFirstOrThrow()
        if (count >= MAX_SHARES)
          throw new ServiceError('LIMIT_REACHED', `A socket may have ${MAX_SHARES} share links; revoke one that is not needed any more.`)
        // What is over takes no place.
        await db.deleteFrom('shares').where('socket_id', '=', socket.id).where('expires_at', '<=', now).execute()
        const row = await db
          .insertInto('shares')
          .values({
            id: randomUUID(),
            socket_id: socket.id,
            hash: hashSecret(secret),
            path: checked.path,
            methods: JSON.stringify(checked.methods),
            email: checked.email,
            max_uses: checked.maxUses,
            created_at: now,
            expires_at: checked.expiresAt,
            used_at: null,
          })
          .returningAll()
          .executeTakeFirstOrThrow()
        change('socket', socket.id)
        await audit.note(db, { ...note, accountId: socket.account_id, details: { share: row.id, ...checked } })
        return row
      }
      const { value, seq } = await turns.inTurn(account_id, () => store.changing(work))
      await directory.inForce(seq)
      return { share: shareOf(value), secret }
    })
  }

  async list(actor: Actor, socketId: string): Promise<readonly SharedLink[]> {
    needScope(actor, 'read', 'sockets')
    const { clock, store } = this.parts
    const socket = await socketFor(store.db, actor, socketId, 'read')
    const rows = await store.db
      .selectFrom('shares')
      .selectAll()
      .where('socket_id', '=', socket.id)
      .where('expires_at', '>', clock.now())
      .orderBy('created_at')
      .orderBy('id')
      .execute()
    return rows.map(shareOf)
  }

  async revoke(actor: Actor, socketId: string, shareId: string): Promise<void> {
    const { audit, directory, store } = this.parts
    const note = { by: actor, action: 'socket.unshare', object: `socket:${socketId}` }
    await audit.attempt(note, async () => {
      needScope(actor, 'sockets')
      const id = needId(shareId)
      const { seq } = await store.changing(async ({ db, change }) => {
        const socket = await socketFor(db, actor, socketId, 'write')
        const gone = await db
          .deleteFrom('shares')
          .where('id', '=', id)
          .where('socket_id', '=', socket.id)
          .returning('id')
          .executeTakeFirst()
        if (gone === undefined) throw notFound()
        change('socket', socket.id)
        await audit.note(db, { ...note, accountId: socket.account_id, details: { share: id } })
      })
      await directory.inForce(seq)
    })
  }
}

const shareOf = (row: Row<'shares'>): SharedLink => ({
  id: row.id,
  socketId: row.socket_id,
  path: row.path,
  methods: readTexts(row.methods, `methods of share ${row.id}`),
  email: row.email,
  maxUses: row.max_uses,
  uses: row.max_uses === null ? null : Math.min(row.uses, row.max_uses),
  createdAt: row.created_at,
  expiresAt: row.expires_at,
  usedAt: row.used_at,
})

interface CheckedShare {
  readonly path: string
  readonly methods: readonly string[]
  readonly expiresAt: number
  readonly maxUses: number | null
  readonly email: string | null
}

/** @throws ServiceError INVALID with all faults */
function checkShare(wanted: NewShare, now: number): CheckedShare {
  const { path = '/', methods = ['GET', 'HEAD'], expiresAt = now + DAY_MS, maxUses = null, email } = wanted
  const address = email === undefined ? null : parseEmail(email)
  const isList = Array.isArray(methods) && methods.length > 0 && methods.every((method: unknown) => METHODS.includes(method as string))
  const isTime = Number.isSafeInteger(expiresAt) && expiresAt > now && expiresAt <= now + MAX_LIFE_MS
  const isCount = maxUses === null || (Number.isSafeInteger(maxUses) && maxUses >= 1 && maxUses <= MAX_USES)
  const isPath = typeof path === 'string' && path.length <= MAX_PATH && PATH.test(path)
  const faults: Fault[] = [
    ...(isPath ? [] : [{ path: 'path', message: `expected a path such as /plan, of at most ${MAX_PATH} plain characters` }]),
    ...(isList ? [] : [{ path: 'methods', message: `expected at least one of ${METHODS.join(', ')}` }]),
    ...(isTime ? [] : [{ path: 'expiresAt', message: 'expected a time in the future, within a year' }]),
    ...(isCount ? [] : [{ path: 'maxUses', message: `expected a number from 1 to ${MAX_USES}` }]),
    ...(address !== undefined ? [] : [{ path: 'email', message: 'expected an e-mail address such as ada@example.com' }]),
  ]
  if (faults.length > 0) throw invalid(...faults)
  return { path, methods: [...new Set(methods)], expiresAt, maxUses, email: address ?? null }
}
