/** The audit log, as it is read, and what others write into it. */
import { needScope, notFound, readsAll } from '../core/access.ts'
import { anonymous } from '../core/audit-log.ts'
import { nextOf, readCursor } from '../core/pages.ts'
import type { Parts } from '../core/parts.ts'
import { auditEntryOf } from '../core/views.ts'
import type { Audit, PageRequest } from '../contract.ts'
import type { Actor, AuditEntry, Page } from '../model.ts'

/** Reads the audit log, the newest first, and takes what the data plane tells. */
export class AuditReader implements Audit {
  constructor(private readonly parts: Parts) {}

  async list(
    actor: Actor,
    page: PageRequest & { readonly accountId?: string; readonly action?: string; readonly since?: number },
  ): Promise<Page<AuditEntry>> {
    const { accountId, action, since } = page
    needScope(actor, 'read', 'account', 'admin')
    if (accountId !== undefined && accountId !== actor.accountId && !readsAll(actor)) throw notFound()
    const of = accountId ?? (readsAll(actor) ? undefined : actor.accountId)
    const { limit, after } = readCursor(page)
    const rows = await this.parts.store.db
      .selectFrom('audit')
      .selectAll()
      .$if(of !== undefined, query => query.where('account_id', '=', of!))
      .$if(action !== undefined, query => query.where('action', '=', action!))
      .$if(since !== undefined, query => query.where('at', '>=', since!))
      .$if(after !== undefined, query => query.where('id', '<', after!.at))
      .orderBy('id', 'desc')
      .limit(limit + 1)
      .execute()
    const shown = rows.slice(0, limit)
    const last = rows.length > limit ? shown.at(-1) : undefined
    return { items: shown.map(auditEntryOf), next: last === undefined ? null : nextOf({ at: last.id, id: '0' }) }
  }

  async socketLogin({ socketId, address, shareId, ...facts }: Parameters<Audit['socketLogin']>[0]): Promise<void> {
    const { audit, clock, store } = this.parts
    const row = await store.db.selectFrom('sockets').select('account_id').where('id', '=', socketId).executeTakeFirst()
    if (row === undefined) return
    if (shareId !== undefined)
      await store.db
        .updateTable('shares')
        .set(({ eb }) => ({ uses: eb('uses', '+', 1), used_at: clock.now() }))
        .where('id', '=', shareId)
        .where('socket_id', '=', socketId)
        .execute()
    const details = { ...facts, ...(shareId !== undefined && { share: shareId }) }
    const note = { by: anonymous(address), action: 'visitor.login', object: `socket:${socketId}`, accountId: row.account_id, details }
    await audit.visit(note)
  }
}
