import type { InnerStatus, LayerStatus, OuterStatus } from '../../admin/status.ts'
import { GatewayError, messageOf } from '../../errors.ts'
import { formatBytes } from '../../telemetry/access-log.ts'
import { printable } from '../../telemetry/pretty.ts'
import { readPasswordFile } from '../options/admin.ts'
import type { ExitStatus } from '../command/command.ts'
import type { CliContext } from '../command/context.ts'
import type { ValuesOf } from '../command/option.ts'
import type { statusOptions } from '../options/status.ts'
import { formatTable } from '../command/table.ts'

const TIMEOUT_MS = 5_000
const PERIOD_MS = 2_000
/** Erases the screen and what has scrolled off it, and goes to its corner. */
const CLEAR = '\x1b[H\x1b[2J\x1b[3J'

/**
 * `status`: asks the admin port of a layer and prints what it says.
 * @returns 0 when the layer is ready, 1 when it is not
 * @throws GatewayError ADMIN_FAILED when there is no answer, or none of a layer
 */
export async function runStatus(options: ValuesOf<typeof statusOptions>, context: CliContext): Promise<ExitStatus> {
  const file = options['password-file']
  const password = file === undefined ? undefined : await readPasswordFile(file, '--password-file')
  const look = async (): Promise<{ readonly text: string; readonly isReady: boolean }> => {
    const { status, text } = await askStatus(options.admin, password)
    return { text: options.json ? `${text}\n` : formatStatus(status, Date.now()), isReady: status.ready }
  }
  if (!options.watch) {
    const { text, isReady } = await look()
    context.stdout.write(text)
    return isReady ? 0 : 1
  }
  return watch(look, options.json, context)
}

async function watch(
  look: () => Promise<{ readonly text: string }>,
  isJson: boolean,
  { stdout, untilStopped }: CliContext,
): Promise<ExitStatus> {
  const stopped = untilStopped().then(() => 'stopped' as const)
  for (;;) {
    const text = await look().then(
      found => found.text,
      // It may come back: that is what one watches for.
      (thrown: unknown) => (isJson ? '' : `${messageOf(thrown)}\n`),
    )
    stdout.write(!isJson && stdout.isTTY === true ? `${CLEAR}${text}` : isJson ? text : `${text}\n`)
    let timer: NodeJS.Timeout | undefined
    const next = new Promise<'next'>(resolve => {
      timer = setTimeout(resolve, PERIOD_MS, 'next')
    })
    const outcome = await Promise.race([stopped, next])
    clearTimeout(timer)
    if (outcome === 'stopped') return 0
  }
}

const failed = (message: string, cause?: unknown): GatewayError => new GatewayError('ADMIN_FAILED', message, { cause })

async function askStatus(admin: string, password: string | undefined): Promise<{ readonly status: LayerStatus; readonly text: string }> {
  const url = new URL('status', admin)
  const authorization = password === undefined ? undefined : `Basic ${Buffer.from(`operator:${password}`).toString('base64')}`
  const response = await fetch(url, {
    headers: { accept: 'application/json', ...(authorization !== undefined && { authorization }) },
    redirect: 'manual',
    signal: AbortSignal.timeout(TIMEOUT_MS),
  }).catch((thrown: unknown) => {
    throw failed(
      `nothing answers at ${admin}: ${causeOf(thrown)}; is the layer running, and is this its admin port (--admin-port)? Name it with --admin`,
      thrown,
    )
  })
  const text = await response.text().catch((thrown: unknown) => {
    throw failed(`${admin} did not answer to its end: ${causeOf(thrown)}`, thrown)
  })
  if (response.status === 401)
    throw failed(
      `${admin} ${password === undefined ? 'asks for a password: add --password-file FILE' : 'refuses this password; is it the one of the layer?'}`,
    )
  if (response.status === 429)
    throw failed(`${admin} has seen too many wrong passwords from here; try again in ${response.headers.get('retry-after') ?? 'some'} s`)
  const status = response.ok ? parse(text) : undefined
  if (status === undefined)
    throw failed(
      `${admin} is not the admin port of a layer: it answered ${response.status}; expected port 3002 of an outer layer, or what --admin-port says`,
    )
  return { status, text: text.trimEnd() }
}

function causeOf(thrown: unknown): string {
  const { name, cause } = thrown as { readonly name?: unknown; readonly cause?: unknown }
  if (name === 'TimeoutError') return `no answer within ${TIMEOUT_MS / 1000} s`
  if (cause instanceof AggregateError && cause.errors.length > 0) return messageOf(cause.errors[0])
  return messageOf(cause ?? thrown)
}

/** The text as a status: a layer of the same release is believed, anything else has to look like one. */
function parse(text: string): LayerStatus | undefined {
  try {
    const value = JSON.parse(text) as LayerStatus
    const isOuter = value.layer === 'outer' && Array.isArray(value.targets) && Array.isArray(value.innerLayers)
    const isInner = value.layer === 'inner' && Array.isArray(value.connections)
    return isOuter || isInner ? value : undefined
  } catch {
    return undefined
  }
}

/** The status as text for people. @param nowMs  milliseconds since 1970 */
export function formatStatus(status: LayerStatus, nowMs: number): string {
  const { layer, version, ready, reasons, uptimeSeconds, eventLoop } = status
  const state = ready ? 'ready' : `not ready: ${reasons.join('; ')}`
  const stalls = eventLoop.stalls === 0 ? '' : `, ${eventLoop.stalls} stalls so far`
  const head = `${layer} layer ${version}, ${state}\nup ${duration(uptimeSeconds)}, event loop ${Math.round(eventLoop.delayP99Ms)} ms late${stalls}\n`
  return printableLines(`${head}\n`) + (status.layer === 'outer' ? formatOuter(status, nowMs) : formatInner(status, nowMs))
}

const printableLines = (text: string): string => text.split('\n').map(printable).join('\n')

const section = (head: readonly string[], rows: readonly (readonly string[])[], empty: string): string =>
  rows.length === 0 ? `${empty}\n\n` : `${formatTable([head, ...rows.map(row => row.map(printable))])}\n`

function formatOuter(status: OuterStatus, nowMs: number): string {
  const { innerLayers, targets, reload, keys, requests, ports, tcp, tunnels, certificates } = status
  const inners = innerLayers.map(inner => [
    inner.identifier,
    inner.address,
    inner.agent,
    milliseconds(inner.roundTripMs),
    String(inner.streams),
    formatBytes(inner.outstandingBytes),
    ago(inner.since, nowMs),
  ])
  const rows = targets.map(target => [
    target.host,
    // A layer of an earlier release does not say which.
    target.origin ?? target.answer ?? 'answers by itself',
    `${target.innerLayers}${target.identifiers === null ? '' : ` (${target.identifiers.join(', ')})`}`,
    target.origin === null || target.innerLayers === 0
      ? ''
      : target.avoided.length === 0
        ? 'well'
        : `not well by ${target.avoided.join(', ')}`,
    String(target.requests),
    String(target.errors),
    target.lastError === null ? '' : `${target.lastError.code}, ${ago(target.lastError.at, nowMs)} ago`,
  ])
  const faults = [...(reload.fault?.split('\n') ?? []), ...keys.faults, ...tcp.faults, ...certificates.faults].map(
    fault => `not in force: ${fault}\n`,
  )
  return (
    section(['INNER LAYER', 'ADDRESS', 'PROGRAM', 'ROUND TRIP', 'STREAMS', 'HELD', 'SINCE'], inners, 'no inner layer is connected') +
    section(['HOST', 'ORIGIN', 'INNER LAYERS', 'HEALTH', 'REQUESTS', 'ERRORS', 'LAST ERROR'], rows, 'the targets file has no target') +
    printableLines(
      [
        `clients on port ${ports.app}, inner layers on port ${ports.socket}, ${plural(requests.inFlight, 'request')} in flight`,
        ...(tcp.ports.length + tcp.connections + tunnels.connections === 0
          ? []
          : [
              `${plural(tcp.ports.length, 'TCP port')} with ${plural(tcp.connections, 'connection')}, ${plural(tunnels.connections, 'tunnel')}`,
            ]),
        ...certificates.inForce.map(({ file, notAfter }) => `${file} ends ${notAfter.slice(0, 10)}`),
        `${reload.file} read ${ago(reload.loadedAt, nowMs)} ago, ${plural(keys.inForce, 'key')} in force`,
        faults.join(''),
      ].join('\n'),
    )
  )
}

function formatInner({ identifier, connections, requests, lastFailure }: InnerStatus, nowMs: number): string {
  const rows = connections.map(connection => [
    connection.outerLayer,
    connection.isUp ? 'connected' : 'not connected',
    connection.agent ?? '',
    milliseconds(connection.roundTripMs),
    String(connection.streams),
    ago(connection.since, nowMs),
    connection.lastFailure ?? '',
  ])
  const last =
    lastFailure === null
      ? ''
      : `last failure ${ago(lastFailure.at, nowMs)} ago at ${lastFailure.origin}: ${lastFailure.reason} (${lastFailure.code})\n`
  return (
    section(['OUTER LAYER', 'STATE', 'PROGRAM', 'ROUND TRIP', 'STREAMS', 'SINCE', 'LAST FAILURE'], rows, 'no outer layer to connect to') +
    printableLines(`identifier ${identifier}, ${plural(requests.inFlight, 'request')} in flight, ${requests.failed} failed so far\n${last}`)
  )
}

const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`

const milliseconds = (value: number): string => (value === 0 ? '' : `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`)

const ago = (iso: string, nowMs: number): string => duration((nowMs - Date.parse(iso)) / 1000)

function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds))
  if (whole < 60) return `${whole} s`
  if (whole < 3_600) return `${Math.floor(whole / 60)} min`
  if (whole < 172_800) return `${Math.floor(whole / 3_600)} h ${Math.floor((whole % 3_600) / 60)} min`
  return `${Math.floor(whole / 86_400)} d`
}
