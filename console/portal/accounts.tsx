import { useState } from 'preact/hooks'
import { CopyLine } from '../ui/copy.tsx'
import { useConfirm } from '../ui/dialog.tsx'
import { Field, Form, textOf } from '../ui/form.tsx'
import { ago } from '../ui/format.ts'
import { Stale } from '../ui/stale.tsx'
import { Table } from '../ui/table.tsx'
import { EditLimits } from './account-limits.tsx'
import { useHere } from './portal.tsx'
import type { Account } from '../../src/client/wire.ts'
import { useList, v1 } from './v1.ts'

const HARMLESS: ReadonlySet<string> = new Set(['Resume', 'Limits'])
const ROLES = ['user', 'auditor', 'admin'] as const

/** All accounts, for auditors; invitations, suspension, limits, roles and deletion, for admins. */
export function Accounts() {
  const { account: self } = useHere()
  const accounts = useList<Account>('admin/accounts?limit=100')
  const [ask, question] = useConfirm()
  const [link, setLink] = useState<string | undefined>()
  const [wanted, setWanted] = useState('')
  const [limited, setLimited] = useState<Account | undefined>()
  const isAdmin = self.role === 'admin'
  const rows = accounts.data?.filter(({ name, email }) => `${name} ${email}`.toLowerCase().includes(wanted.toLowerCase())) ?? []
  const pathOf = ({ id }: Account): string => `admin/accounts/${encodeURIComponent(id)}`
  const actions = (row: Account) => (
    <>
      {row.state === 'suspended' ? (
        <Act
          verb="Resume"
          row={row}
          ask={() =>
            ask({
              title: `Resume ${row.email}?`,
              text: 'Its sockets are in force again.',
              verb: 'Resume',
              act: () => v1('POST', `${pathOf(row)}/resume`),
              onDone: accounts.refresh,
            })
          }
        />
      ) : (
        <Act
          verb="Suspend"
          row={row}
          ask={() =>
            ask({
              title: `Suspend ${row.email}?`,
              text: 'Logins end, its sockets are out of force, its tunnels are cut, until it is resumed.',
              verb: 'Suspend',
              act: () => v1('POST', `${pathOf(row)}/suspend`),
              onDone: accounts.refresh,
            })
          }
        />
      )}
      <select
        aria-label={`Role of ${row.email}`}
        value={row.role}
        onChange={event => {
          const role = event.currentTarget.value
          event.currentTarget.value = row.role
          ask({
            title: `Make ${row.email} ${role}?`,
            text: 'It counts from the next call of that account.',
            verb: 'Change',
            act: () => v1('PUT', `${pathOf(row)}/role`, { body: { role } }),
            onDone: accounts.refresh,
          })
        }}
      >
        {ROLES.map(role => (
          <option key={role}>{role}</option>
        ))}
      </select>
      <Act verb="Limits" row={row} ask={() => setLimited(row)} />
      <Act
        verb="Delete"
        row={row}
        ask={() =>
          ask({
            title: `Delete ${row.email}?`,
            text: 'With all sockets, keys and tokens. This cannot be undone.',
            verb: 'Delete',
            act: () => v1('DELETE', pathOf(row)),
            onDone: accounts.refresh,
          })
        }
      />
    </>
  )
  return (
    <>
      {question}
      {limited !== undefined && <EditLimits account={limited} onClose={() => setLimited(undefined)} onDone={accounts.refresh} />}
      <h1>Accounts</h1>
      <Stale polled={accounts} />
      <div class="filters">
        <label>
          Find
          <input type="search" value={wanted} placeholder="name or address" onInput={event => setWanted(event.currentTarget.value)} />
        </label>
      </div>
      {accounts.data !== undefined && (
        <Table
          caption="Accounts"
          rows={rows}
          keyOf={({ id }) => id}
          empty="No account is like that."
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
          {...(isAdmin && { actions })}
        />
      )}
      {isAdmin && (
        <section class="panel" aria-label="Invite">
          <h2>Invite</h2>
          <Form
            verb="Invite"
            act={form => v1<{ readonly link: string }>('POST', 'admin/invitations', { body: { email: textOf(form, 'email') } })}
            onDone={result => {
              setLink((result as { readonly link: string }).link)
              accounts.refresh()
            }}
          >
            <Field label="E-mail address" name="email" type="email" isRequired />
          </Form>
          {link !== undefined && (
            <div role="status">
              <p>The link goes by mail, and works once:</p>
              <CopyLine text={link} label="the link" />
            </div>
          )}
        </section>
      )}
    </>
  )
}

function Act({ verb, row, ask }: { readonly verb: string; readonly row: Account; readonly ask: () => void }) {
  return (
    <button
      type="button"
      class={HARMLESS.has(verb) ? '' : 'danger'}
      aria-label={`${verb} ${verb === 'Limits' ? 'of ' : ''}${row.email}`}
      onClick={ask}
    >
      {verb}
    </button>
  )
}
