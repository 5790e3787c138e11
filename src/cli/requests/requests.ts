/** `requests`: what an inspector keeps, in a terminal. */
import { readFile } from 'node:fs/promises'
import { GatewayError } from '../../errors.ts'
import type { MessageInfo, RequestDetail, RequestSummary } from '../../inspector/record.ts'
import type { ExitStatus } from '../command/command.ts'
import type { CliContext } from '../command/context.ts'
import type { ValuesOf } from '../command/option.ts'
import { unreadableFile } from '../command/option-file.ts'
import type { requestsOptions, requestsReplayOptions, requestsShowOptions } from '../options/requests.ts'
import { formatDetail, formatSummary } from './format-request.ts'
import { InspectorClient } from './inspector-client.ts'

/** Most of a body that a terminal gets, characters. */
const MAX_SHOWN = 20_000

/** `requests`: the list, the oldest first, and with `--follow` what comes. @throws GatewayError ADMIN_FAILED, INVALID for a filter */
export async function runRequests(values: ValuesOf<typeof requestsOptions>, { stdout, untilStopped }: CliContext): Promise<ExitStatus> {
  const client = await InspectorClient.of(values)
  const query = new URLSearchParams({ limit: String(values.limit), ...(values.filter !== undefined && { filter: values.filter }) })
  const print = (each: RequestSummary): void => void stdout.write(`${values.json ? JSON.stringify(each) : formatSummary(each)}\n`)
  const stop = new AbortController()
  // Before the list, so that nothing falls between the two.
  const feed = values.follow ? await client.call(`requests/stream?${query.toString()}`, { signal: stop.signal }) : undefined
  const { items } = await client.json<{ readonly items: readonly RequestSummary[] }>(`requests?${query.toString()}`)
  const told = new Set<string>()
  for (const each of [...items].reverse()) {
    print(each)
    if (each.isOver) told.add(each.id)
  }
  const body = feed?.body
  if (body === undefined || body === null) return 0
  void untilStopped().then(() => stop.abort())
  try {
    for await (const { type, request } of objectsOf(body)) {
      if (type !== 'request' || request === undefined || !request.isOver || told.has(request.id)) continue
      told.add(request.id)
      print(request)
    }
  } catch (thrown) {
    if (!stop.signal.aborted) throw new GatewayError('ADMIN_FAILED', 'the inspector has ended', { cause: thrown })
  }
  return 0
}

interface FeedObject {
  readonly type: string
  readonly request?: RequestSummary
}

async function* objectsOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<FeedObject> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of body) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) if (line !== '') yield JSON.parse(line) as FeedObject
  }
}

/** `requests show`. @throws GatewayError ADMIN_FAILED, NOT_FOUND */
export async function runRequestsShow(
  id: string,
  values: ValuesOf<typeof requestsShowOptions>,
  { stdout }: CliContext,
): Promise<ExitStatus> {
  const client = await InspectorClient.of(values)
  const path = `requests/${encodeURIComponent(id)}`
  if (values.as !== undefined) stdout.write(await (await client.call(`${path}/copy?as=${values.as}`)).text())
  else if (values.body !== undefined) stdout.write(await (await client.call(`${path}/${values.body}-body`)).text())
  else {
    const detail = await client.json<RequestDetail>(path)
    const { items } = await client.json<{ readonly items: readonly MessageInfo[] }>(`${path}/messages?limit=1000`)
    if (values.json) stdout.write(`${JSON.stringify({ ...detail, messageList: items })}\n`)
    else stdout.write(formatDetail(detail, await bodiesOf(client, path, detail), items))
  }
  return 0
}

async function bodiesOf(
  client: InspectorClient,
  path: string,
  { request, response }: RequestDetail,
): Promise<{ readonly request: string | undefined; readonly response: string | undefined }> {
  const read = async (side: 'request' | 'response', heldBytes = 0): Promise<string | undefined> => {
    if (heldBytes === 0) return undefined
    const answer = await client.call(`${path}/${side}-body`)
    if (!/^(?:text|application\/json)/.test(answer.headers.get('content-type') ?? '')) return `(${heldBytes} bytes; see --body ${side})`
    const text = await answer.text()
    return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text
  }
  return { request: await read('request', request.body.heldBytes), response: await read('response', response?.body.heldBytes) }
}

interface ReplayResult {
  readonly id: string | null
  readonly status: number | null
  readonly durationMs: number
  readonly error: string | null
}

/**
 * `requests replay`.
 * @returns 1 when one of them has failed
 * @throws GatewayError ADMIN_FAILED, NOT_FOUND, CONFLICT for what was redacted
 */
export async function runRequestsReplay(
  id: string,
  values: ValuesOf<typeof requestsReplayOptions>,
  { stdout }: CliContext,
): Promise<ExitStatus> {
  const client = await InspectorClient.of(values)
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
  const answer = await client.call(`requests/${encodeURIComponent(id)}/replay`, { body })
  const { results } = (await answer.json()) as { readonly results: readonly ReplayResult[] }
  if (values.json) stdout.write(`${JSON.stringify(results)}\n`)
  else
    for (const result of results)
      stdout.write(`${result.id ?? '-'}  ${result.error ?? result.status ?? '-'}  ${result.durationMs.toFixed(1)} ms\n`)
  return results.every(({ error }) => error === null) ? 0 : 1
}
