import type { BodyInfo, MessageInfo, NamedValue, RequestDetail, RequestSummary } from '../../inspector/record.ts'
import { printable } from '../../telemetry/pretty.ts'
import { formatSize } from '../../units/sizes.ts'

/** One line of the list, for people. */
export function formatSummary(each: RequestSummary): string {
  const at = new Date(each.at).toISOString().slice(11, 23)
  const status = each.error ?? String(each.status ?? (each.isOver ? '-' : '…'))
  const took = each.durationMs === null ? '' : `${each.durationMs.toFixed(1)} ms`
  const messages = each.messages > 0 ? `, ${each.messages} messages` : ''
  const what = each.kind === 'tcp' ? `tcp ${each.host}` : `${each.method} ${each.host}${each.path}`
  return printable(
    `${each.id}  ${at}  ${status.padEnd(4)} ${took.padStart(10)}  ${what}  (${each.requestBytes} B → ${each.responseBytes} B${messages})`,
  )
}

/** The part of the bodies that is shown. */
export interface ShownBodies {
  readonly request: string | undefined
  readonly response: string | undefined
}

/** Everything about a request, for people. */
export function formatDetail(detail: RequestDetail, bodies: ShownBodies, messages: readonly MessageInfo[]): string {
  const lines = [formatSummary(detail), '']
  lines.push(
    `${detail.method} ${detail.url} HTTP/${detail.version}`,
    ...fields(detail.request.fields),
    ...body(detail.request.body, bodies.request),
  )
  for (const interim of detail.interim) lines.push('', `HTTP ${interim.status} ${interim.reason}`, ...fields(interim.fields))
  const { response } = detail
  if (response !== null) {
    lines.push('', `HTTP ${response.status} ${response.reason}`, ...fields(response.fields), ...body(response.body, bodies.response))
    if (response.trailers.length > 0) lines.push('', 'trailers', ...fields(response.trailers))
  }
  if (detail.error !== null) lines.push('', `${detail.error}: ${detail.reason ?? ''}`)
  if (messages.length > 0) lines.push('', ...messages.map(message))
  if (detail.close !== null) lines.push('', `closed with ${detail.close.code} by ${detail.close.by}: ${detail.close.explanation}`)
  const phases = Object.entries(detail.phases).flatMap(([name, ms]) => (ms === null ? [] : [`${name} ${(ms as number).toFixed(1)} ms`]))
  lines.push('', `time: ${phases.join(', ')}`)
  if (detail.redacted.length > 0) lines.push(`redacted: ${detail.redacted.join(', ')}`)
  return `${lines.map(printable).join('\n')}\n`
}

const fields = (list: readonly NamedValue[]): string[] => list.map(([name, value]) => `${name}: ${value}`)

function body(info: BodyInfo, text: string | undefined): string[] {
  if (info.bytes === 0) return []
  const facts = [
    formatSize(info.bytes),
    info.coding,
    info.isCut ? 'cut' : null,
    info.note,
    info.redactions > 0 ? `${info.redactions} redacted` : null,
  ]
  return ['', `[${facts.filter(fact => fact !== null).join(', ')}]`, ...(text?.split('\n') ?? [])]
}

const message = ({ number, at, from, type, bytes, text, code, event }: MessageInfo): string =>
  `${String(number).padStart(4)} ${new Date(at).toISOString().slice(11, 23)} ${from === 'client' ? '→' : '←'} ${event ?? type}${code === null ? '' : ` ${code}`} ${text ?? `${bytes} bytes`}`
