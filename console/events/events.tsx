import { useCallback, useMemo, useState } from 'preact/hooks'
import type { GatewayEvent } from '../../src/events/event.ts'
import { call } from '../api/client.ts'
import { usePoll } from '../api/poll.ts'
import { ago, moment } from '../ui/format.ts'
import { Missing, nodeColumn } from '../ui/nodes.tsx'
import { Stale } from '../ui/stale.tsx'
import { Table } from '../ui/table.tsx'

/** Where events are asked for. */
export interface EventSource {
  readonly list: string
}

/** An event, with its node where those of all nodes are shown. */
type ShownEvent = GatewayEvent & { readonly node?: string }

interface EventPage {
  readonly items: readonly ShownEvent[]
  /** Nodes that do not answer; absent: these are the events of one node. */
  readonly missing?: readonly { readonly node: string; readonly why: string }[]
}

const PERIOD_MS = 3_000
const SEVERITIES = ['info', 'warning', 'error'] as const

/** The list of events, the latest first. */
export function EventsPage({ source }: { readonly source: EventSource }) {
  const [severity, setSeverity] = useState('info')
  const [wanted, setWanted] = useState('')
  const ask = useCallback(
    (signal: AbortSignal) => call<EventPage>('GET', `${source.list}?limit=100&severity=${severity}`, { signal }),
    [source.list, severity],
  )
  const events = usePoll(ask, PERIOD_MS)
  const rows = useMemo(() => {
    const text = wanted.toLowerCase()
    const { items = [], missing } = events.data ?? {}
    // Ids are those of one node; of all nodes, the latest come first already.
    const all = missing === undefined ? [...items].sort((a, b) => Number(b.id) - Number(a.id)) : items
    return all.filter(({ name, subject, message }) => `${name} ${subject} ${message}`.toLowerCase().includes(text))
  }, [events.data, wanted])
  return (
    <>
      <h1>Events</h1>
      <div class="filters">
        <label>
          At least
          <select value={severity} onChange={event => setSeverity(event.currentTarget.value)}>
            {SEVERITIES.map(each => (
              <option key={each}>{each}</option>
            ))}
          </select>
        </label>
        <label>
          Find
          <input
            type="search"
            value={wanted}
            placeholder="name, what it is about, text"
            onInput={event => setWanted(event.currentTarget.value)}
          />
        </label>
      </div>
      <Stale polled={events} />
      <Missing nodes={events.data?.missing?.map(({ node, why }) => ({ name: node, why }))} />
      {events.data !== undefined && (
        <Table
          caption="Events, the latest first"
          rows={rows}
          keyOf={({ id, node = '' }) => `${node} ${id}`}
          empty="Nothing of that kind has happened."
          columns={[
            { name: 'when', cell: row => <span title={moment(row.at)}>{ago(row.at)} ago</span>, isNumber: true },
            {
              name: 'severity',
              cell: row => row.severity,
              tone: row => (row.severity === 'error' ? 'bad' : row.severity === 'warning' ? 'warn' : ''),
            },
            ...nodeColumn<ShownEvent>(events.data.missing !== undefined),
            { name: 'event', cell: row => <code>{row.name}</code> },
            { name: 'about', cell: row => row.subject, isLong: true },
            { name: 'what happened', cell: row => row.message, isLong: true },
            { name: 'targets', cell: row => row.targets.join(', '), isLong: true },
          ]}
        />
      )}
    </>
  )
}
