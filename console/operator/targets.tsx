import { useMemo, useState } from 'preact/hooks'
import type { OuterStatus, ServiceStatus, TargetStatus, UnknownHostStatus } from '../../src/admin/status.ts'
import type { Protection } from '../../src/config/explain.ts'
import { call } from '../api/client.ts'
import { usePoll } from '../api/poll.ts'
import type { PageProps } from '../app/page.ts'
import { go, hrefOf } from '../app/route.ts'
import { ago, count, duration, ms, plural } from '../ui/format.ts'
import { Explain } from './explain.tsx'
import { Stale } from '../ui/stale.tsx'
import { Table, type Column } from '../ui/table.tsx'
import { Missing, missingIn, nodesColumn } from '../ui/nodes.tsx'
import { useStatus } from './operator.tsx'

const PROTECTION_MS = 10_000
const askProtection = (signal: AbortSignal): Promise<{ readonly items: readonly Protection[] }> => call('GET', 'api/protection', { signal })

/** Every target, who serves it, and how its origin is. */
export function Targets({ query, explains }: PageProps & { readonly explains: boolean }) {
  const status = useStatus()
  const outer = status.data?.layer === 'outer' ? status.data : undefined
  const wanted = query.get('q') ?? ''
  const protection = usePoll(explains ? askProtection : undefined, PROTECTION_MS)
  return (
    <>
      <h1>Targets</h1>
      <Stale polled={status} />
      {outer !== undefined && explains && <Explain />}
      {outer !== undefined && <TargetTables status={outer} wanted={wanted} protections={protection.data?.items} />}
    </>
  )
}

const shownInnerLayers = (row: TargetStatus | ServiceStatus): string =>
  `${row.innerLayers}${row.identifiers === null ? '' : ` (${row.identifiers.join(', ')})`}`

/** Rules that a row shows; the others are in the file. */
const SHOWN_RULES = 5

/** Which requests are let through: methods and paths, a line each. */
function Policy({ row: { policy, policyOmitted } }: { readonly row: TargetStatus }) {
  if (policy.length === 0) return <span class="warn">nothing</span>
  const more = policy.length + policyOmitted - SHOWN_RULES
  return (
    <>
      {policy.slice(0, SHOWN_RULES).map(({ pattern, methods, line }) => (
        <span key={`${line} ${pattern}`} class="rule" title={line === null ? undefined : `line ${line}`}>
          {methods.includes('*') ? 'any method' : methods.join(', ')} {pattern === '*' ? 'on any path' : <code>{pattern}</code>}
        </span>
      ))}
      {more > 0 && <span class="rule dim">and {plural(more, 'rule')} more</span>}
    </>
  )
}

const healthOf = ({ health, avoided, healthCheck }: TargetStatus): string => {
  const state = health === null ? '–' : health === 'well' ? 'well' : `not well by ${avoided.join(', ')}`
  return healthCheck === null
    ? state
    : `${state}; asks for ${healthCheck.path} every ${healthCheck.intervalMs < 1000 ? ms(healthCheck.intervalMs) : duration(healthCheck.intervalMs / 1000)}`
}

/** The column of who may come, and how much they may ask for. */
const protectionColumn = (protections: readonly Protection[]): Column<TargetStatus> => {
  const effectsOf = new Map(protections.map(({ host, effects }) => [host, effects]))
  return {
    name: 'who, how much',
    isLong: true,
    cell: ({ host }) => {
      const effects = effectsOf.get(host)
      if (effects === undefined) return 'anybody'
      return effects.map(([key, text]) => (
        <span key={key} class="rule">
          <code>{key}</code>: {text}
        </span>
      ))
    },
  }
}

const COLUMNS: readonly Column<TargetStatus>[] = [
  { name: 'host', cell: row => row.host, order: row => row.host },
  { name: 'line', cell: row => row.line ?? '–', isNumber: true, order: row => row.line ?? 0 },
  { name: 'lets through', cell: row => <Policy row={row} />, isLong: true },
  { name: 'origin', cell: row => row.origin ?? row.answer },
  {
    name: 'inner layers',
    cell: shownInnerLayers,
    tone: row => (row.innerLayers === 0 && row.origin !== null ? 'bad' : ''),
    isNumber: true,
    order: row => row.innerLayers,
  },
  {
    name: 'health',
    cell: healthOf,
    tone: row => (row.health === null ? '' : row.health === 'well' ? 'good' : 'bad'),
    order: row => row.health ?? '',
  },
  { name: 'requests', cell: row => count(row.requests), isNumber: true, order: row => row.requests },
  { name: 'errors', cell: row => count(row.errors), tone: row => (row.errors > 0 ? 'warn' : ''), isNumber: true, order: row => row.errors },
  {
    name: 'last error',
    isLong: true,
    cell: ({ lastError }) =>
      lastError === null ? '–' : `${lastError.code}, ${ago(lastError.at)} ago${lastError.reason === null ? '' : `: ${lastError.reason}`}`,
    tone: () => 'dim',
  },
]

const SERVICE_COLUMNS: readonly Column<ServiceStatus>[] = [
  { name: 'name', cell: row => row.name },
  { name: 'origin', cell: row => row.origin },
  { name: 'inner layers', cell: shownInnerLayers, tone: row => (row.innerLayers === 0 ? 'bad' : ''), isNumber: true },
  { name: 'ended', cell: row => count(row.ended), isNumber: true },
  { name: 'errors', cell: row => count(row.errors), tone: row => (row.errors > 0 ? 'warn' : ''), isNumber: true },
]

interface TargetTablesProps {
  readonly status: OuterStatus
  readonly wanted: string
  readonly protections: readonly Protection[] | undefined
}

function TargetTables({ status, wanted, protections }: TargetTablesProps) {
  const isCluster = status.nodes !== undefined
  const columns = useMemo(() => {
    const nodes = nodesColumn<TargetStatus>(status)
    const known = protections === undefined ? [] : [protectionColumn(protections)]
    return [...COLUMNS.slice(0, 3), ...known, ...COLUMNS.slice(3, 4), ...nodes, ...COLUMNS.slice(4)]
  }, [protections, isCluster])
  const services = useMemo(
    () => [...SERVICE_COLUMNS.slice(0, 2), ...nodesColumn<ServiceStatus>(status), ...SERVICE_COLUMNS.slice(2)],
    [isCluster],
  )
  const [text, setText] = useState(wanted)
  const filter = (value: string): void => {
    setText(value)
    go(hrefOf(['targets'], { q: value }), true)
  }
  const rows = status.targets.filter(({ host, origin }) => host.includes(text) || (origin ?? '').includes(text))
  return (
    <>
      <Missing nodes={missingIn(status)} />
      <p class="dim">
        Of {status.reload.file}, read {ago(status.reload.loadedAt)} ago.
      </p>
      <div class="filters">
        <label>
          Find
          <input type="search" value={text} placeholder="host or origin" onInput={event => filter(event.currentTarget.value)} />
        </label>
        <span class="dim">
          {count(rows.length)} of {count(status.targets.length)}
          {status.targetsOmitted > 0 && `, and ${count(status.targetsOmitted)} more than the table shows`}
        </span>
      </div>
      <Table
        caption="Targets"
        columns={columns}
        rows={rows}
        keyOf={({ host }) => host}
        empty={status.targets.length === 0 ? 'The targets file has no target.' : 'No target is like that.'}
      />
      {status.tcp.services.length > 0 && (
        <>
          <h2>TCP ports and blind names</h2>
          <Table caption="TCP ports" columns={services} rows={status.tcp.services} keyOf={({ name }) => name} empty="" />
        </>
      )}
      {status.tunnels.services.length > 0 && (
        <>
          <h2>Tunnels</h2>
          <Table caption="Tunnels" columns={services} rows={status.tunnels.services} keyOf={({ name }) => name} empty="" />
        </>
      )}
      <h2>Hosts without a target</h2>
      <Table
        caption="Hosts that were asked for and have no target"
        rows={status.unknownHosts}
        keyOf={({ host }) => host}
        empty="None was asked for."
        columns={[
          { name: 'host', cell: row => row.host, isLong: true, order: row => row.host },
          ...nodesColumn<UnknownHostStatus>(status),
          { name: 'requests', cell: row => count(row.count), isNumber: true, order: row => row.count },
          { name: 'last', cell: row => `${ago(row.at)} ago`, isNumber: true, order: row => -Date.parse(row.at) },
        ]}
      />
    </>
  )
}
