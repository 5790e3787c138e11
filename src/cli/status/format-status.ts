import type {
  ConnectionStatus,
  InnerLayerStatus,
  InnerStatus,
  LayerStatus,
  OuterStatus,
  ServiceStatus,
  TargetStatus,
} from '../../admin/status.ts'
import { formatBytes } from '../../telemetry/access-log.ts'
import { plural } from '../../telemetry/plural.ts'
import { printable } from '../../telemetry/pretty.ts'
import { formatTable } from '../command/table.ts'

/** Stands for what is not known, or does not apply. */
const NOTHING = '–'

/** The status as text for people. @param nowMs  milliseconds since 1970 */
export function formatStatus(status: LayerStatus, nowMs: number): string {
  const { layer, version, ready, reasons, uptimeSeconds, eventLoop } = status
  // A layer of an earlier release does not say.
  const degraded = orNone(status.degraded)
  const state = ready ? 'ready' : `not ready: ${reasons.join('; ')}`
  const stalls = eventLoop.stalls === 0 ? '' : `, ${plural(eventLoop.stalls, 'stall')} so far`
  const head = [
    `${layer} layer ${version}, ${state}`,
    ...degraded.map(text => `degraded: ${text}`),
    `up ${duration(uptimeSeconds)}, event loop ${Math.round(eventLoop.delayP99Ms)} ms late${stalls}`,
    '',
    '',
  ]
  return printableLines(head.join('\n')) + (status.layer === 'outer' ? formatOuter(status, nowMs) : formatInner(status, nowMs))
}

const printableLines = (text: string): string => text.split('\n').map(printable).join('\n')

const section = (head: readonly string[], rows: readonly (readonly string[])[], empty = ''): string => {
  if (rows.length === 0) return empty === '' ? '' : `${empty}\n\n`
  return `${formatTable([head, ...rows.map(row => row.map(printable))])}\n`
}

/** Rows that belong together, in the order of their first ones. */
function grouped<Row>(rows: readonly Row[], keyOf: (row: Row) => unknown): readonly (readonly [Row, ...Row[]])[] {
  const groups = new Map<string, [Row, ...Row[]]>()
  for (const row of rows) {
    const key = JSON.stringify(keyOf(row))
    const known = groups.get(key)
    if (known === undefined) groups.set(key, [row])
    else known.push(row)
  }
  return [...groups.values()]
}

const times = (text: string, { length }: readonly unknown[]): string => (length === 1 ? text : `${text} ×${length}`)

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0)

const earliest = (rows: readonly { readonly since: string }[]): string => rows.map(({ since }) => since).sort()[0]!

/** Returns one row for all connections of one inner layer. */
function innerRow(rows: readonly [InnerLayerStatus, ...InnerLayerStatus[]], nowMs: number): string[] {
  const [{ identifier, address, agent }] = rows
  return [
    times(identifier, rows),
    address,
    agent,
    milliseconds(Math.max(...rows.map(({ roundTripMs }) => roundTripMs))),
    String(sum(rows.map(({ streams }) => streams))),
    formatBytes(sum(rows.map(({ outstandingBytes }) => outstandingBytes))),
    ago(earliest(rows), nowMs),
  ]
}

const servedBy = ({ innerLayers, identifiers }: Pick<TargetStatus, 'innerLayers' | 'identifiers'>): string =>
  `${innerLayers}${identifiers === null ? '' : ` (${identifiers.join(', ')})`}`

function targetRow(target: TargetStatus, nowMs: number): string[] {
  return [
    target.host,
    // A layer of an earlier release does not say which.
    target.origin ?? target.answer ?? 'answers by itself',
    servedBy(target),
    target.avoided.length > 0 ? `not well by ${target.avoided.join(', ')}` : (target.health ?? NOTHING),
    String(target.requests),
    String(target.errors),
    target.lastError === null ? '' : `${target.lastError.code}, ${ago(target.lastError.at, nowMs)} ago`,
  ]
}

const serviceRow = (service: ServiceStatus): string[] => [
  service.name,
  service.origin,
  servedBy(service),
  String(service.ended),
  String(service.errors),
]

/** A list that layers of earlier releases do not have. */
const orNone = <Value>(list: readonly Value[] | undefined): readonly Value[] => list ?? []

function formatOuter(status: OuterStatus, nowMs: number): string {
  const { reload, keys, requests, ports, tcp, tunnels, certificates } = status
  const inners = grouped(status.innerLayers, ({ identifier, address, agent, key }) => [identifier, address, agent, key])
  const refused = orNone(status.refused).map(({ address, code, reason, count, at }) => [
    address,
    String(count),
    `${ago(at, nowMs)} ago`,
    `${reason} (${code})`,
  ])
  const unknown = orNone(status.unknownHosts).map(({ host, count, at }) => [host, String(count), `${ago(at, nowMs)} ago`])
  const faults = [...(reload.fault?.split('\n') ?? []), ...keys.faults, ...tcp.faults, ...certificates.faults]
  const open = [plural(requests.inFlight, 'request'), ...openOf(status)].join(', ')
  return (
    section(
      ['INNER LAYER', 'ADDRESS', 'PROGRAM', 'ROUND TRIP', 'STREAMS', 'HELD', 'SINCE'],
      inners.map(rows => innerRow(rows, nowMs)),
      'no inner layer is connected',
    ) +
    section(
      ['HOST', 'ORIGIN', 'INNER LAYERS', 'HEALTH', 'REQUESTS', 'ERRORS', 'LAST ERROR'],
      status.targets.map(target => targetRow(target, nowMs)),
      'the targets file has no target',
    ) +
    section(['TCP PORT', 'ORIGIN', 'INNER LAYERS', 'ENDED', 'ERRORS'], orNone(tcp.services).map(serviceRow)) +
    section(['TUNNEL', 'ORIGIN', 'INNER LAYERS', 'ENDED', 'ERRORS'], orNone(tunnels.services).map(serviceRow)) +
    section(
      ['TUNNEL OF A SOCKET', 'ADDRESS', 'PROGRAM', 'ROUND TRIP', 'STREAMS', 'HELD', 'SINCE'],
      orNone(status.service?.firstTunnels).map(row => innerRow([row], nowMs)),
    ) +
    section(['REFUSED INNER LAYER', 'TIMES', 'LAST', 'REASON'], refused) +
    section(['HOST WITHOUT A TARGET', 'REQUESTS', 'LAST'], unknown) +
    printableLines(
      [
        ...(status.targetsOmitted > 0 ? [`${plural(status.targetsOmitted, 'target')} more than the table shows`] : []),
        ...serviceLines(status),
        `clients on port ${ports.app}, inner layers on port ${ports.socket}, ${open} in flight`,
        ...certificates.inForce.map(({ file, notAfter }) => `${file} ends ${notAfter.slice(0, 10)}`),
        `${reload.file} read ${ago(reload.loadedAt, nowMs)} ago, ${plural(keys.inForce, 'key')} in force`,
        ...faults.map(fault => `not in force: ${fault}`),
        '',
      ].join('\n'),
    )
  )
}

/** The state of a service beside the layer, where there is one. */
function serviceLines({ service }: Partial<Pick<OuterStatus, 'service'>>): readonly string[] {
  if (service === undefined || service === null) return []
  const { sockets, tunnels, fault, firstTunnels } = service
  const shown = tunnels > firstTunnels.length ? `, of which the table shows ${firstTunnels.length}` : ''
  const facts = `${plural(sockets, 'socket')} of the service, ${plural(tunnels, 'tunnel')} connected${shown}`
  return fault === null ? [facts] : [facts, `the service is not whole: ${fault}`]
}

const openOf = ({ tcp, tunnels }: OuterStatus): readonly string[] => [
  ...(tcp.ports.length + tcp.connections === 0 ? [] : [plural(tcp.connections, 'TCP connection')]),
  ...(orNone(tunnels.services).length + tunnels.connections === 0 ? [] : [plural(tunnels.connections, 'tunnel')]),
]

/** Returns one row for all connections to one outer layer in the same state. */
function connectionRow(rows: readonly [ConnectionStatus, ...ConnectionStatus[]], nowMs: number): string[] {
  const [{ outerLayer, isUp, agent }] = rows
  return [
    times(outerLayer, rows),
    isUp ? 'connected' : 'not connected',
    agent ?? '',
    milliseconds(Math.max(...rows.map(({ roundTripMs }) => roundTripMs))),
    String(sum(rows.map(({ streams }) => streams))),
    ago(earliest(rows), nowMs),
    rows.find(({ lastFailure }) => lastFailure !== null)?.lastFailure ?? '',
  ]
}

function formatInner({ identifier, connections, requests, lastFailure }: InnerStatus, nowMs: number): string {
  const groups = grouped(connections, ({ outerLayer, isUp, agent, lastFailure: failure }) => [outerLayer, isUp, agent, isUp ? '' : failure])
  const last =
    lastFailure === null
      ? ''
      : `last failure ${ago(lastFailure.at, nowMs)} ago at ${lastFailure.origin}: ${lastFailure.reason} (${lastFailure.code})\n`
  return (
    section(
      ['OUTER LAYER', 'STATE', 'PROGRAM', 'ROUND TRIP', 'STREAMS', 'SINCE', 'LAST FAILURE'],
      groups.map(rows => connectionRow(rows, nowMs)),
      'no outer layer to connect to',
    ) +
    printableLines(`identifier ${identifier}, ${plural(requests.inFlight, 'request')} in flight, ${requests.failed} failed so far\n${last}`)
  )
}

const milliseconds = (value: number): string => (value === 0 ? '' : `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`)

const ago = (iso: string, nowMs: number): string => duration((nowMs - Date.parse(iso)) / 1000)

function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds))
  if (whole < 60) return `${whole} s`
  if (whole < 3_600) return `${Math.floor(whole / 60)} min`
  if (whole < 172_800) return `${Math.floor(whole / 3_600)} h ${Math.floor((whole % 3_600) / 60)} min`
  return `${Math.floor(whole / 86_400)} d`
}
