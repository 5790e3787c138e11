import { useConfirm } from '../ui/dialog.tsx'
import { ago, moment } from '../ui/format.ts'
import { Stale } from '../ui/stale.tsx'
import { Table } from '../ui/table.tsx'
import { useHere } from './portal.tsx'
import type { InnerKey } from '../../src/client/wire.ts'
import { useList, v1 } from './v1.ts'

/** Keys of inner layers that have joined, and their revocation. */
export function InnerKeys() {
  const { account } = useHere()
  const keys = useList<InnerKey>('inner-keys', 10_000)
  const [ask, question] = useConfirm()
  return (
    <>
      {question}
      <h1>Keys of inner layers</h1>
      <Stale polled={keys} />
      {keys.data !== undefined && (
        <Table
          caption="Keys of inner layers"
          rows={keys.data}
          keyOf={({ kid }) => kid}
          empty="No inner layer has joined by a token."
          columns={[
            { name: 'identifiers', cell: row => row.identifiers.join(', '), isLong: true, order: row => row.identifiers.join() },
            { name: 'key', cell: row => <code>{row.kid}</code>, isLong: true },
            {
              name: 'state',
              cell: row => (row.revokedAt !== null ? `revoked ${ago(row.revokedAt)} ago` : row.isConnected ? 'connected' : 'not connected'),
              tone: row => (row.revokedAt !== null ? 'dim' : row.isConnected ? 'good' : 'warn'),
            },
            { name: 'joined', cell: row => moment(row.createdAt) },
            { name: 'seen', cell: row => (row.seenAt === null ? 'never' : `${ago(row.seenAt)} ago`), isNumber: true },
          ]}
          actions={row =>
            account.role !== 'admin' || row.revokedAt !== null ? null : (
              <button
                type="button"
                class="danger"
                aria-label={`Revoke the key of ${row.identifiers.join(', ')}`}
                onClick={() =>
                  ask({
                    title: `Revoke the key of ${row.identifiers.join(', ')}?`,
                    text: 'Its connections are cut, and it cannot come back by this key. This cannot be undone.',
                    verb: 'Revoke',
                    act: () => v1('DELETE', `inner-keys/${encodeURIComponent(row.kid)}`),
                    onDone: keys.refresh,
                  })
                }
              >
                Revoke
              </button>
            )
          }
        />
      )}
    </>
  )
}
