import { duration } from '../ui/format.ts'
import { Stale } from '../ui/stale.tsx'
import { Table } from '../ui/table.tsx'
import { useStatus } from './operator.tsx'

const DAY_MS = 86_400_000

/** Certificates in force, and when they end. */
export function Certificates() {
  const status = useStatus()
  const outer = status.data?.layer === 'outer' ? status.data : undefined
  const leftMs = (notAfter: string): number => Date.parse(notAfter) - Date.now()
  return (
    <>
      <h1>Certificates</h1>
      <Stale polled={status} />
      {outer?.certificates.faults.map(fault => (
        <p key={fault} class="bad">
          Not in force: {fault}
        </p>
      ))}
      {outer !== undefined && (
        <Table
          caption="Certificates in force"
          rows={outer.certificates.inForce}
          keyOf={({ file, names }) => `${file} ${names.join()}`}
          empty="No port has TLS of its own; see docs/tls.md."
          columns={[
            { name: 'names', cell: row => row.names.join(', '), isLong: true, order: row => row.names.join() },
            { name: 'file', cell: row => row.file, isLong: true },
            { name: 'ends', cell: row => row.notAfter.slice(0, 10), isNumber: true, order: row => row.notAfter },
            {
              name: 'left',
              cell: row => (leftMs(row.notAfter) < 0 ? 'ended' : duration(leftMs(row.notAfter) / 1000)),
              tone: row => (leftMs(row.notAfter) < 0 ? 'bad' : leftMs(row.notAfter) < 14 * DAY_MS ? 'warn' : 'good'),
              isNumber: true,
            },
          ]}
        />
      )}
    </>
  )
}
