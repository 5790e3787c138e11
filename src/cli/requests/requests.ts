/** `requests`: what an inspector, or the service for the owner of a socket, keeps, in a terminal. */
import { readFile } from 'node:fs/promises'
import { GatewayError } from '../../errors.ts'
import type { RequestDetail, RequestSummary } from '../../inspector/record.ts'
import type { ExitStatus } from '../command/command.ts'
import type { CliContext } from '../command/context.ts'
import type { ValuesOf } from '../command/option.ts'
import { unreadableFile } from '../command/option-file.ts'
import type { requestsHarOptions, requestsOptions, requestsReplayOptions, requestsShowOptions } from '../options/requests.ts'
import { formatDetail, formatSummary, type ShownBodies } from './format-request.ts'
import { sourceOf } from './open-source.ts'
import type { RequestSource } from './request-source.ts'

/** Most of a body that a terminal gets, characters. */
const MAX_SHOWN = 20_000

/** `requests`: the list, the oldest first, and with `--follow` what comes. @throws GatewayError ADMIN_FAILED, INVALID for a filter */
export async function runRequests(values: ValuesOf<typeof requestsOptions>, context: CliContext): Promise<ExitStatus> {
  const { stdout, untilStopped } = context
  const { source, done } = await sourceOf(values, context)
  const { filter } = values
  const print = (each: RequestSummary): void => void stdout.write(`${values.json ? JSON.stringify(each) : formatSummary(each)}\n`)
  const stop = new AbortController()
  try {
    // Before the list, so that nothing falls between the two.
    const changes = values.follow ? await source.follow(filter, stop.signal) : undefined
    const told = new Set<string>()
    const listed = [...(await source.list(filter, values.limit))].reverse()
    // Before the first line, which whoever stops this may wait for.
    if (changes !== undefined) void untilStopped().then(() => stop.abort())
    for (const each of listed) {
      print(each)
      if (each.isOver) told.add(each.id)
    }
    if (changes === undefined) return 0
    for await (const request of changes) {
      if (!request.isOver || told.has(request.id)) continue
      told.add(request.id)
      print(request)
    }
  } catch (thrown) {
    if (stop.signal.aborted) return 0
    if (!values.follow || thrown instanceof GatewayError) throw thrown
    throw new GatewayError('ADMIN_FAILED', 'the inspector has ended', { cause: thrown })
  } finally {
    done()
  }
  return 0
}

/** `requests show`. @throws GatewayError ADMIN_FAILED, NOT_FOUND */
export async function runRequestsShow(id: string, values: ValuesOf<typeof requestsShowOptions>, context: CliContext): Promise<ExitStatus> {
  const { stdout } = context
  const { source } = await sourceOf(values, context)
  if (values.as !== undefined) stdout.write(await source.copy(id, values.as))
  else if (values.body !== undefined)
    stdout.write((await source.body(id, values.body === 'request' ? 'request' : 'response')).bytes.toString('utf8'))
  else {
    const detail = await source.detail(id)
    const items = await source.messages(id)
    if (values.json) stdout.write(`${JSON.stringify({ ...detail, messageList: items })}\n`)
    else stdout.write(formatDetail(detail, await bodiesOf(source, detail), items))
  }
  return 0
}

async function bodiesOf(source: RequestSource, { id, request, response }: RequestDetail): Promise<ShownBodies> {
  const read = async (side: 'request' | 'response', heldBytes = 0): Promise<string | undefined> => {
    if (heldBytes === 0) return undefined
    const { bytes, isText } = await source.body(id, side)
    if (!isText) return `(${heldBytes} bytes; see --body ${side})`
    const text = bytes.toString('utf8')
    return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text
  }
  return { request: await read('request', request.body.heldBytes), response: await read('response', response?.body.heldBytes) }
}

/** `requests har`. @throws GatewayError ADMIN_FAILED, INVALID for a filter */
export async function runRequestsHar(values: ValuesOf<typeof requestsHarOptions>, context: CliContext): Promise<ExitStatus> {
  const { source } = await sourceOf(values, context)
  context.stdout.write(`${await source.har(values.filter)}\n`)
  return 0
}

/**
 * `requests replay`.
 * @returns 1 when one of them has failed
 * @throws GatewayError ADMIN_FAILED, NOT_FOUND, CONFLICT for what was redacted
 */
export async function runRequestsReplay(
  id: string,
  values: ValuesOf<typeof requestsReplayOptions>,
  context: CliContext,
): Promise<ExitStatus> {
  const { stdout } = context
  const { source } = await sourceOf(values, context)
  const file = values['body-file']
  const bytes =
    file === undefined
      ? undefined
      : await readFile(file).catch((cause: unknown) => {
          throw unreadableFile(file, { option: '--body-file', expected: 'the body to send', remedy: 'check its path' }, cause)
        })
  const body = {
    ...(values.method !== undefined && { method: values.method }),
    ...(values.path !== undefined && { path: values.path }),
    ...(values.field.length > 0 && {
      setFields: Object.fromEntries(values.field.map(([name, value]) => [name, value === '' ? null : value])),
    }),
    ...(bytes !== undefined && { body: { base64: bytes.toString('base64') } }),
    times: values.times,
    concurrency: values.concurrency,
    allowRedacted: values['allow-redacted'],
  }
  const results = await source.replay(id, body)
  if (values.json) stdout.write(`${JSON.stringify(results)}\n`)
  else
    for (const result of results)
      stdout.write(`${result.id ?? '-'}  ${result.error ?? result.status ?? '-'}  ${result.durationMs.toFixed(1)} ms\n`)
  return results.every(({ error }) => error === null) ? 0 : 1
}
