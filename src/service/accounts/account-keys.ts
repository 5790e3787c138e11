/** SSH keys of accounts. */
import { randomUUID } from 'node:crypto'
import type { Kysely } from 'kysely'
import type { Database } from '../../store/schema.ts'
import { needId, needScope, notFound } from '../core/access.ts'
import type { Parts } from '../core/parts.ts'
import { sshKeyOf } from '../core/views.ts'
import { ServiceError } from '../input/service-error.ts'
import type { Actor, SshKey } from '../model.ts'
import { parsePublicKey, type SshPublicKey } from '../ssh-keys/public-key.ts'

const MAX_KEYS = 20

/** Adds a key as part of a transaction. @returns undefined when the account has it already */
export async function insertKey(db: Kysely<Database>, accountId: string, key: SshPublicKey, now: number): Promise<SshKey | undefined> {
  const { fingerprint, algorithm, blob, comment } = key
  const row = await db
    .insertInto('ssh_keys')
    .values({ id: randomUUID(), account_id: accountId, fingerprint, algorithm, blob, comment, created_at: now })
    .onConflict(conflict => conflict.columns(['account_id', 'fingerprint']).doNothing())
    .returningAll()
    .executeTakeFirst()
  return row === undefined ? undefined : sshKeyOf(row)
}

/** The keys by which people come in over SSH. */
export class AccountKeys {
  constructor(private readonly parts: Parts) {}

  async list(actor: Actor): Promise<readonly SshKey[]> {
    needScope(actor, 'read', 'account')
    const rows = await this.parts.store.db
      .selectFrom('ssh_keys')
      .selectAll()
      .where('account_id', '=', actor.accountId)
      .orderBy('created_at')
      .orderBy('id')
      .execute()
    return rows.map(sshKeyOf)
  }

  async add(actor: Actor, line: string): Promise<SshKey> {
    const { audit, store, clock } = this.parts
    return audit.attempt({ by: actor, action: 'ssh-key.add', object: `account:${actor.accountId}` }, async () => {
      needScope(actor, 'account')
      // Whoever has the key serves tunnels.
      needScope(actor, 'connect')
      const key = parsePublicKey(line, 'key')
      return store.transaction(async ({ db }) => {
        const added = await insertKey(db, actor.accountId, key, clock.now())
        if (added === undefined) throw new ServiceError('CONFLICT', 'Your account has this SSH key already.')
        const { count } = await db
          .selectFrom('ssh_keys')
          .select(({ fn }) => fn.countAll<number>().as('count'))
          .where('account_id', '=', actor.accountId)
          .executeTakeFirstOrThrow()
        if (count > MAX_KEYS) throw new ServiceError('LIMIT_REACHED', `An account may have ${MAX_KEYS} SSH keys; remove one first.`)
        await audit.note(db, { by: actor, action: 'ssh-key.add', object: `ssh-key:${added.id}`, details: { fingerprint: key.fingerprint } })
        return added
      })
    })
  }

  async remove(actor: Actor, keyId: string): Promise<void> {
    const { audit, directory, store } = this.parts
    const note = { by: actor, action: 'ssh-key.remove', object: `ssh-key:${keyId}` }
    await audit.attempt(note, async () => {
      needScope(actor, 'account')
      const id = needId(keyId)
      const { seq } = await store.changing(async ({ db, change }) => {
        const row = await db
          .deleteFrom('ssh_keys')
          .where('id', '=', id)
          .where('account_id', '=', actor.accountId)
          .returning('fingerprint')
          .executeTakeFirst()
        if (row === undefined) throw notFound()
        change('account', actor.accountId) // whoever remembers the key has to forget it
        await audit.note(db, { ...note, details: { fingerprint: row.fingerprint } })
      })
      await directory.inForce(seq)
    })
  }
}
