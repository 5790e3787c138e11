import { useMemo } from 'preact/hooks'
import type { Minutes } from '../../src/admin/minutes.ts'
import type { InnerStatus, LayerStatus, OuterStatus } from '../../src/admin/status.ts'
import { call } from '../api/client.ts'
import { usePoll } from '../api/poll.ts'
import { Chart } from '../ui/chart.tsx'
import { ago, bytes, count, ms, plural } from '../ui/format.ts'
import { Stale } from '../ui/stale.tsx'
import { Table } from '../ui/table.tsx'
import { attentionOf } from './attention.ts'
import { Missing, missingIn, Nodes } from '../ui/nodes.tsx'
import { useStatus } from './operator.tsx'

const PERIOD_MS = 10_000
const ask = (signal: AbortSignal): Promise<Minutes> => call('GET', 'api/minutes?last=180', { signal })

/** The first page: matters that need attention, then charts by minute. */
export function Overview() {
  const status = useStatus()
  const minutes = usePoll(ask, PERIOD_MS)
  return (
    <>
      <h1>Overview</h1>
      <Stale polled={status} />
      {status.data !== undefined && (
        <>
          {status.data.layer === 'outer' && <Missing nodes={missingIn(status.data)} />}
          <AttentionList status={status.data} />
          {status.data.layer === 'outer' ? <OuterTiles status={status.data} /> : <InnerTiles status={status.data} />}
        </>
      )}
      {status.data?.layer === 'outer' && status.data.nodes !== undefined && <Nodes nodes={status.data.nodes} />}
      <h2>By minute, the last three hours{status.data?.layer === 'outer' && status.data.nodes !== undefined && ', of this node alone'}</h2>
      <Stale polled={minutes} />
      {minutes.data !== undefined && <Charts minutes={minutes.data} />}
      {status.data?.layer === 'inner' && <Connections status={status.data} />}
      {status.data?.layer === 'outer' && <Configuration status={status.data} />}
    </>
  )
}

function AttentionList({ status }: { readonly status: LayerStatus }) {
  const all = attentionOf(status, Date.now())
  if (all.length === 0) return <p class="calm">Nothing needs attention.</p>
  return (
    <section aria-labelledby="attention">
      <h2 id="attention">Needs attention</h2>
      <ul class="attention">
        {all.map(({ tone, text, href }) => (
          <li key={text} class={tone}>
            <span class="unseen">{tone === 'bad' ? 'Fault: ' : 'Warning: '}</span>
            {href === undefined ? text : <a href={href}>{text}</a>}
          </li>
        ))}
      </ul>
    </section>
  )
}

function Tile({ name, value, more }: { readonly name: string; readonly value: string; readonly more?: string }) {
  return (
    <div class="tile">
      <dt>{name}</dt>
      <dd>
        {value}
        {more !== undefined && <small>{more}</small>}
      </dd>
    </div>
  )
}

function OuterTiles({ status }: { readonly status: OuterStatus }) {
  const requests = status.targets.reduce((sum, target) => sum + target.requests, 0)
  const errors = status.targets.reduce((sum, target) => sum + target.errors, 0)
  return (
    <dl class="tiles">
      <Tile
        name="Inner layers"
        value={count(new Set(status.innerLayers.map(({ identifier }) => identifier)).size)}
        more={plural(status.innerLayers.length, 'link')}
      />
      <Tile name="Targets" value={count(status.targets.length + status.targetsOmitted)} />
      <Tile name="In flight" value={count(status.requests.inFlight)} more={`${count(status.requests.repeats)} moved so far`} />
      <Tile name="Requests" value={count(requests)} more={`${plural(errors, 'error')} since the start`} />
      {status.service !== null && (
        <Tile name="Sockets" value={count(status.service.sockets)} more={`${plural(status.service.tunnels, 'tunnel')} connected`} />
      )}
      {status.tcp.ports.length + status.tunnels.connections > 0 && (
        <Tile
          name="Connections"
          value={count(status.tcp.connections + status.tunnels.connections)}
          more={plural(status.tcp.ports.length, 'TCP port')}
        />
      )}
    </dl>
  )
}

function InnerTiles({ status }: { readonly status: InnerStatus }) {
  return (
    <dl class="tiles">
      <Tile name="Identifier" value={status.identifier} />
      <Tile name="Links" value={`${status.connections.filter(({ isUp }) => isUp).length} of ${status.connections.length}`} />
      <Tile name="In flight" value={count(status.requests.inFlight)} />
      <Tile
        name="Failed"
        value={count(status.requests.failed)}
        more={status.lastFailure === null ? 'since the start' : `last ${ago(status.lastFailure.at)} ago: ${status.lastFailure.code}`}
      />
    </dl>
  )
}

const perSecond = (value: number): string => `${value < 10 ? value.toFixed(2) : Math.round(value)}/s`

function Charts({ minutes }: { readonly minutes: Minutes }) {
  const { times, rate, column } = useMemo(() => readMinutes(minutes), [minutes])
  const has = (name: string): boolean => minutes.series[name] !== undefined
  return (
    <div class="charts">
      {has('requests') && (
        <Chart
          title="Requests"
          times={times}
          format={perSecond}
          series={[
            { name: 'all', values: rate('requests'), color: '--blue', isFilled: true },
            { name: 'errors', values: rate('errors'), color: '--red' },
          ]}
        />
      )}
      {has('p50Ms') && (
        <Chart
          title="Latency"
          times={times}
          format={ms}
          series={[
            { name: '50 %', values: column('p50Ms'), color: '--green' },
            { name: '95 %', values: column('p95Ms'), color: '--yellow' },
            { name: '99 %', values: column('p99Ms'), color: '--red' },
          ]}
        />
      )}
      {has('bytesIn') && (
        <Chart
          title="Bytes"
          times={times}
          format={value => `${bytes(value)}/s`}
          series={[
            { name: 'in', values: rate('bytesIn'), color: '--blue' },
            { name: 'out', values: rate('bytesOut'), color: '--green', isFilled: true },
          ]}
        />
      )}
      {has('links') && (
        <Chart
          title="Links and what they carry"
          times={times}
          format={value => count(Math.round(value))}
          series={[
            { name: 'links', values: column('links'), color: '--green', isFilled: true },
            { name: 'in flight', values: column('inFlight'), color: '--blue' },
          ]}
        />
      )}
    </div>
  )
}

/** Columns of the history, and rates of those that count. */
function readMinutes({ at, seconds, series }: Minutes) {
  const column = (name: string): readonly (number | null)[] => series[name] ?? []
  return {
    times: at,
    column,
    rate: (name: string) => column(name).map((value, i) => (value === null ? null : value / Math.max(1, seconds[i] ?? 60))),
  }
}

function Connections({ status }: { readonly status: InnerStatus }) {
  return (
    <>
      <h2>Connections</h2>
      <Table
        caption="Connections to outer layers"
        rows={status.connections}
        keyOf={({ outerLayer, since }) => `${outerLayer} ${since}`}
        empty="There is no outer layer to connect to."
        columns={[
          { name: 'outer layer', cell: row => row.outerLayer },
          { name: 'state', cell: row => (row.isUp ? 'connected' : 'not connected'), tone: row => (row.isUp ? 'good' : 'bad') },
          { name: 'program', cell: row => row.agent ?? '–' },
          { name: 'round trip', cell: row => ms(row.roundTripMs), isNumber: true },
          { name: 'streams', cell: row => count(row.streams), isNumber: true },
          { name: 'since', cell: row => ago(row.since), isNumber: true },
          { name: 'last failure', cell: row => row.lastFailure ?? '–', isLong: true, tone: () => 'dim' },
        ]}
      />
    </>
  )
}

function Configuration({ status }: { readonly status: OuterStatus }) {
  const lines = [
    `${status.reload.file}, read ${ago(status.reload.loadedAt)} ago`,
    `${plural(status.keys.inForce, 'key')} in force`,
    `clients on port ${status.ports.app}, inner layers on port ${status.ports.socket}`,
    `event loop ${Math.round(status.eventLoop.delayP99Ms)} ms late`,
  ]
  return (
    <>
      <h2>Configuration</h2>
      <ul>
        {lines.map(line => (
          <li key={line}>{line}</li>
        ))}
      </ul>
    </>
  )
}
