import { useMemo } from 'preact/hooks'
import { Chart } from '../ui/chart.tsx'
import { bytes, count } from '../ui/format.ts'
import { Stale } from '../ui/stale.tsx'
import { Table } from '../ui/table.tsx'
import type { Page, Socket, Usage } from '../../src/client/wire.ts'
import { useList, useV1 } from './v1.ts'

const DAYS = 30
const DAY_MS = 86_400_000

/** The use of the own sockets, by day. */
export function UsagePage() {
  const since = useMemo(() => new Date(Date.now() - (DAYS - 1) * DAY_MS).toISOString().slice(0, 10), [])
  const usage = useV1<Page<Usage>>(`usage?since=${since}`, 60_000)
  const sockets = useList<Socket>('sockets?limit=100')
  const rows = usage.data?.items ?? []
  const days = useMemo(() => byDay(rows, since), [usage.data])
  const nameOf = (id: string): string => sockets.data?.find(socket => socket.id === id)?.name ?? id
  return (
    <>
      <h1>Usage</h1>
      <p class="dim">The last {DAYS} days, in UTC.</p>
      <Stale polled={usage} />
      {usage.data !== undefined && (
        <>
          <div class="charts">
            <Chart
              title="Requests and connections"
              times={days.times}
              format={value => count(Math.round(value))}
              series={[
                { name: 'requests', values: days.requests, color: '--blue', isFilled: true },
                { name: 'connections', values: days.connections, color: '--green' },
              ]}
            />
            <Chart
              title="Bytes"
              times={days.times}
              format={bytes}
              series={[
                { name: 'from visitors', values: days.bytesIn, color: '--blue' },
                { name: 'to visitors', values: days.bytesOut, color: '--green', isFilled: true },
              ]}
            />
          </div>
          <Table
            caption="Usage by socket and day"
            rows={rows}
            keyOf={({ day, socketId }) => `${day} ${socketId}`}
            empty="Nobody has come in this time."
            columns={[
              { name: 'day', cell: row => row.day, order: row => row.day },
              { name: 'socket', cell: row => nameOf(row.socketId), order: row => nameOf(row.socketId), isLong: true },
              { name: 'requests', cell: row => count(row.requests), isNumber: true, order: row => row.requests },
              { name: 'connections', cell: row => count(row.connections), isNumber: true, order: row => row.connections },
              { name: 'in', cell: row => bytes(row.bytesIn), isNumber: true, order: row => row.bytesIn },
              { name: 'out', cell: row => bytes(row.bytesOut), isNumber: true, order: row => row.bytesOut },
            ]}
          />
        </>
      )}
    </>
  )
}

function byDay(rows: readonly Usage[], since: string) {
  const times = Array.from({ length: DAYS }, (_, i) => (Date.parse(since) + i * DAY_MS) / 1000)
  const sum = (read: (row: Usage) => number): number[] => {
    const sums = new Map<number, number>()
    for (const row of rows) {
      const time = Date.parse(row.day) / 1000
      sums.set(time, (sums.get(time) ?? 0) + read(row))
    }
    return times.map(time => sums.get(time) ?? 0)
  }
  return {
    times,
    requests: sum(row => row.requests),
    connections: sum(row => row.connections),
    bytesIn: sum(row => row.bytesIn),
    bytesOut: sum(row => row.bytesOut),
  }
}
