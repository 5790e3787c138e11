import type { Inspector } from '../inspector.ts'
import type { HarEntry } from './har.ts'

/** Adds the entries of a HAR file as they would have been recorded: what has to be redacted is redacted. @returns the ids of what there was room for */
export function importHar(inspector: Inspector, entries: readonly HarEntry[]): string[] {
  return entries.flatMap(entry => {
    const id = importEntry(inspector, entry)
    return id === undefined ? [] : [id]
  })
}

function importEntry(inspector: Inspector, entry: HarEntry): string | undefined {
  const { clock, nowMs } = inspector.options
  const { scheme, authority, method, path, version, durationMs } = entry
  const startedMs = clock() - (nowMs() - entry.at)
  const fields = decodedFields(entry.fields)
  const tap = inspector.open({ kind: 'http', scheme, authority, method, path, version, fields, startedMs, isImported: true })
  if (tap === undefined) return undefined
  if (entry.body !== undefined) tap.sent(entry.body)
  tap.sentEnd([])
  if (entry.status > 0) tap.head(entry.status, entry.reason, decodedFields(entry.answerFields))
  if (entry.answerBody !== undefined) tap.received(entry.answerBody)
  tap.receivedEnd([])
  tap.end({})
  const record = inspector.get(tap.id)
  if (record !== undefined) record.times.endMs = startedMs + durationMs
  return tap.id
}

/** A HAR file has bodies without their coding. */
function decodedFields(fields: readonly string[]): string[] {
  const kept: string[] = []
  for (let i = 0; i + 1 < fields.length; i += 2) if (fields[i]!.toLowerCase() !== 'content-encoding') kept.push(fields[i]!, fields[i + 1]!)
  return kept
}
