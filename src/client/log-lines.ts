import { GatewayError } from '../errors.ts'
import { errorOfAnswer, parseJson } from './api-error.ts'
import type { RequestsChange } from './seen-requests.ts'
import type { Call, Transport } from './transport.ts'
import type { AccountEvent, LogLine } from './wire.ts'

/** The API sends an empty line every 15 s while nothing happens. */
const SILENCE_MS = 50_000
const MAX_LINE = 64 * 1024

/** Reads NDJSON, one object a line, those that `isLine` takes; empty lines keep the connection alive. Ends as `ServiceClient.log` says. @param onOpen  called when nothing is missed any more */
export async function* readLines<Line>(
  transport: Transport,
  call: Call,
  isLine: (value: unknown) => value is Line,
  onOpen: () => void = () => undefined,
): AsyncGenerator<Line, void, undefined> {
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(), SILENCE_MS)
  try {
    const response = await transport.open(call, late.signal)
    if (response.statusCode !== 200) {
      let body = ''
      for await (const chunk of response.setEncoding('utf8') as AsyncIterable<string>) if (body.length < MAX_LINE) body += chunk
      throw errorOfAnswer({ status: response.statusCode ?? 0, headers: response.headers, body }, transport.name(call))
    }
    onOpen()
    let rest = ''
    for await (const chunk of response.setEncoding('utf8') as AsyncIterable<string>) {
      timer.refresh()
      const lines = (rest + chunk).split('\n')
      rest = lines.pop() ?? ''
      if (rest.length > MAX_LINE) throw new Error(`a line is longer than ${MAX_LINE} characters`)
      for (const line of lines) {
        const value = parseJson(line)
        if (isLine(value)) yield value
      }
    }
  } catch (thrown) {
    if (call.signal?.aborted === true) return
    if (thrown instanceof GatewayError && !late.signal.aborted) throw thrown
    const why = late.signal.aborted ? `silent for ${SILENCE_MS / 1000} s` : 'the connection was lost'
    throw new GatewayError('SERVICE_UNREACHABLE', `${transport.name(call)}: ${why}`, { cause: thrown })
  } finally {
    clearTimeout(timer)
    late.abort() // whoever stops reading closes the connection
  }
}

const hasText = (value: unknown, key: string): boolean =>
  typeof value === 'object' && value !== null && typeof (value as Readonly<Record<string, unknown>>)[key] === 'string'

/** Is it a line of a log? */
export const isLogLine = (value: unknown): value is LogLine => hasText(value, 'text')

/** Is it an event? */
export const isEvent = (value: unknown): value is AccountEvent =>
  hasText(value, 'id') && hasText(value, 'name') && hasText(value, 'message')

/** Is it a change of the list of requests? */
export const isRequestsChange = (value: unknown): value is RequestsChange => hasText(value, 'type')
