import { useState } from 'preact/hooks'
import type { Account, AuditEntry, Page } from '../../src/client/wire.ts'
import { call } from '../api/client.ts'
import { useAnswer } from '../api/poll.ts'
import { AuditTable } from '../portal/audit.tsx'
import { useConfirm } from '../ui/dialog.tsx'
import { ago } from '../ui/format.ts'
import { Stale } from '../ui/stale.tsx'
import { Table } from '../ui/table.tsx'

const PERIOD_MS = 10_000
const get = <T,>(path: string, signal: AbortSignal): Promise<T> => call('GET', `api/${path}`, { signal })

/** Steps through a list, page by page. */
function usePages<T>(path: string) {
  const [cursors, setCursors] = useState<readonly string[]>([])
  const cursor = cursors.at(-1)
  const polled = useAnswer<Page<T>>(cursor === undefined ? path : `${path}?cursor=${encodeURIComponent(cursor)}`, PERIOD_MS, get)
  const next = polled.data?.next ?? null
  const buttons = (
    <div class="buttons">
      <button type="button" disabled={cursors.length === 0} onClick={() => setCursors(cursors.slice(0, -1))}>
        Back
      </button>
      <button type="button" disabled={next === null} onClick={() => next !== null && setCursors([...cursors, next])}>
        More
      </button>
    </div>
  )
  return { polled, buttons: cursors.length === 0 && next === null ? null : buttons }
}

/** Accounts of the service beside this layer. */
export function OperatorAccounts() {
  const { polled, buttons } = usePages<Account>('accounts')
  const [ask, question] = useConfirm()
  const act = (verb: 'Suspend' | 'Resume', { id, email }: Account): void =>
    ask({
      title: `${verb} ${email}?`,
      text:
        verb === 'Suspend'
          ? 'Logins end, its sockets are out of force, its tunnels are cut, until it is resumed.'
          : 'Its sockets are in force again.',
      verb,
      act: () => call('POST', `api/accounts/${encodeURIComponent(id)}/${verb.toLowerCase()}`),
      onDone: polled.refresh,
    })
  return (
    <>
      {question}
      <h1>Accounts</h1>
      <p class="dim">Of the service. Roles, limits and invitations are for its admins, in the portal.</p>
      <Stale polled={polled} />
      {polled.data !== undefined && (
        <Table
          caption="Accounts"
          rows={polled.data.items}
          keyOf={({ id }) => id}
          empty="There is none yet."
          columns={[
            { name: 'address', cell: row => row.email, order: row => row.email, isLong: true },
            { name: 'name', cell: row => row.name, order: row => row.name, isLong: true },
            { name: 'role', cell: row => row.role, order: row => row.role },
            {
              name: 'state',
              cell: row => row.state,
              tone: row => (row.state === 'active' ? 'good' : row.state === 'suspended' ? 'bad' : 'warn'),
              order: row => row.state,
            },
            { name: 'since', cell: row => ago(row.createdAt), isNumber: true, order: row => -Date.parse(row.createdAt) },
          ]}
          actions={row => {
            const verb = row.state === 'suspended' ? 'Resume' : 'Suspend'
            return (
              <button
                type="button"
                class={verb === 'Suspend' ? 'danger' : ''}
                aria-label={`${verb} ${row.email}`}
                onClick={() => act(verb, row)}
              >
                {verb}
              </button>
            )
          }}
        />
      )}
      {buttons}
    </>
  )
}

/** The audit log of the service. */
export function OperatorAudit() {
  const { polled, buttons } = usePages<AuditEntry>('audit')
  return (
    <>
      <h1>Audit</h1>
      <p class="dim">What accounts of the service have done, and what was done with what is theirs, the latest first.</p>
      <Stale polled={polled} />
      {polled.data !== undefined && <AuditTable rows={polled.data.items} />}
      {buttons}
    </>
  )
}
