import type { PageProps } from '../app/page.ts'
import { moment } from '../ui/format.ts'
import { Stale } from '../ui/stale.tsx'
import { Table } from '../ui/table.tsx'
import { useHere } from './portal.tsx'
import type { AuditEntry, Page } from '../../src/client/wire.ts'
import { useV1 } from './v1.ts'

const PERIOD_MS = 10_000

/** The audit log: of the own account, of all for auditors and admins. */
export function AuditPage(_props: PageProps) {
  const { account } = useHere()
  const audit = useV1<Page<AuditEntry>>('audit?limit=100', PERIOD_MS)
  const isAll = account.role !== 'user'
  return (
    <>
      <h1>Audit</h1>
      <p class="dim">
        {isAll ? 'What all accounts have done, the latest hundred.' : 'What was done by you and with what is yours, the latest hundred.'}
      </p>
      <Stale polled={audit} />
      {audit.data !== undefined && <AuditTable rows={audit.data.items} self={account.id} />}
    </>
  )
}

/** Lines of an audit log. @param self  id of the account that looks at it */
export function AuditTable({ rows, self }: { readonly rows: readonly AuditEntry[]; readonly self?: string }) {
  return (
    <Table
      caption="What was done"
      rows={rows}
      keyOf={({ id }) => String(id)}
      empty="Nothing yet."
      columns={[
        { name: 'when', cell: row => moment(row.at) },
        {
          name: 'what',
          cell: row => (row.isRefused ? `${row.action}, refused` : row.action),
          tone: row => (row.isRefused ? 'bad' : ''),
          order: row => row.action,
        },
        { name: 'by', cell: row => (row.actor === self ? 'you' : row.actor), isLong: true, order: row => row.actor },
        { name: 'how', cell: row => row.actorKind },
        { name: 'from', cell: row => row.address },
        { name: 'with', cell: row => row.object, isLong: true },
        {
          name: 'details',
          cell: row => (Object.keys(row.details).length === 0 ? '' : <code>{JSON.stringify(row.details)}</code>),
          isLong: true,
        },
      ]}
    />
  )
}
