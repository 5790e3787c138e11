import { setTimeout as sleep } from 'node:timers/promises'
import { GatewayError, messageOf } from '../../errors.ts'
import type { EventPage } from '../../events/event-book.ts'
import type { GatewayEvent } from '../../events/event.ts'
import { printable } from '../../telemetry/pretty.ts'
import { askAdmin } from '../command/ask-status.ts'
import type { ExitStatus } from '../command/command.ts'
import type { CliContext } from '../command/context.ts'
import type { ValuesOf } from '../command/option.ts'
import { readPasswordFile } from '../options/admin.ts'
import type { eventsOptions } from '../options/events.ts'

const TIMEOUT_MS = 5_000
const AGAIN_MS = 2_000
const MAX_LINE = 1_048_576

type Values = ValuesOf<typeof eventsOptions>

/** An event as a line for people. */
export const lineFor = ({ at, severity, name, message }: Pick<GatewayEvent, 'at' | 'severity' | 'name' | 'message'>): string =>
  `${at}  ${severity.padEnd(7)}  ${name.padEnd(23)}  ${printable(message)}\n`

/**
 * `events`: what has happened to an outer layer, the latest last; with --follow, what happens from now on as well.
 * @throws GatewayError ADMIN_FAILED when there is no answer, or none of a layer; INVALID for a filter that it does not know
 */
export async function runEvents(values: Values, context: CliContext): Promise<ExitStatus> {
  const { admin, json, limit, follow } = values
  const file = values['password-file']
  const password = file === undefined ? undefined : await readPasswordFile(file, '--password-file')
  const write = (event: GatewayEvent): void => void context.stdout.write(json ? `${JSON.stringify(event)}\n` : lineFor(event))
  const url = urlOf(values)
  url.searchParams.set('limit', String(limit))
  const { items } = await page(await askAdmin(url, admin, password, AbortSignal.timeout(TIMEOUT_MS)), admin)
  const end = new AbortController()
  // Before the first line, which whoever stops this may wait for.
  if (follow) void context.untilStopped().then(() => end.abort())
  for (const event of [...items].reverse()) write(event)
  if (!follow) {
    if (items.length === 0) context.stderr.write('nothing has happened yet that one would be told of\n')
    return 0
  }
  let after = items[0]?.id ?? '0'
  while (!end.signal.aborted) {
    const live = urlOf(values)
    live.searchParams.set('live', 'true')
    live.searchParams.set('after', after)
    try {
      const response = await askAdmin(live, admin, password, end.signal)
      for await (const event of linesOf(response, admin)) {
        after = event.id
        write(event)
      }
    } catch (thrown) {
      if (end.signal.aborted) return 0
      context.stderr.write(`${messageOf(thrown)}; next attempt in ${AGAIN_MS / 1_000} s\n`)
    }
    await sleep(AGAIN_MS, undefined, { signal: end.signal }).catch(() => undefined)
  }
  return 0
}

function urlOf({ admin, name, severity, target }: Values): URL {
  const url = new URL('events', admin)
  for (const each of name) url.searchParams.append('name', each)
  for (const each of target) url.searchParams.append('target', each)
  if (severity !== undefined) url.searchParams.set('severity', severity)
  return url
}

async function page(response: Response, admin: string): Promise<EventPage> {
  const text = await response.text()
  const answer = parse(text) as Partial<EventPage> & { readonly error?: { readonly message?: unknown } }
  if (response.status === 400 && typeof answer.error?.message === 'string') throw new GatewayError('USAGE', answer.error.message)
  if (!response.ok || !Array.isArray(answer.items)) throw noEvents(response, admin)
  return answer as EventPage
}

const noEvents = ({ status }: Response, admin: string): GatewayError =>
  new GatewayError(
    'ADMIN_FAILED',
    `${admin} has no events: it answered ${status}; expected the admin port of an outer layer, 3002 or what --admin-port says`,
  )

async function* linesOf(response: Response, admin: string): AsyncGenerator<GatewayEvent, void, undefined> {
  if (!response.ok || response.body === null) throw noEvents(response, admin)
  let rest = ''
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    const lines = `${rest}${chunk}`.split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > MAX_LINE) throw noEvents(response, admin)
    for (const line of lines) if (line !== '') yield parse(line) as GatewayEvent
  }
  throw new GatewayError('ADMIN_FAILED', `${admin} has closed the connection`)
}

function parse(text: string): object {
  try {
    const value = JSON.parse(text) as unknown
    return typeof value === 'object' && value !== null ? value : {}
  } catch {
    return {}
  }
}
