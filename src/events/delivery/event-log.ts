import { open, readdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { isEventName } from '../catalogue.ts'
import { isEventId, KEPT_EVENTS } from '../event-book.ts'
import type { GatewayEvent } from '../event.ts'
import { rotatedPathsOf } from '../../files/rotation.ts'

/** Read of each file at the start. */
const TAIL_BYTES = 16 * 1_048_576

/** One event as a line of the log. */
export const lineOf = (event: GatewayEvent): string => `${JSON.stringify(event)}\n`

/** Reads the last events of a log and of the file before it, the oldest first; lines that are none are left out. */
export async function readEvents(path: string): Promise<readonly GatewayEvent[]> {
  const names = await readdir(dirname(path)).catch(() => [])
  const [before] = rotatedPathsOf(path, names)
  const texts = await Promise.all([...(before === undefined ? [] : [before]), path].map(tailOf))
  const events = texts.join('').split('\n').flatMap(parse)
  // Another program may have written there, or two of ours.
  return events.sort((a, b) => Number(a.id) - Number(b.id)).slice(-KEPT_EVENTS)
}

async function tailOf(path: string): Promise<string> {
  const file = await open(path, 'r').catch(() => undefined)
  if (file === undefined) return ''
  try {
    const { size } = await file.stat()
    const length = Math.min(size, TAIL_BYTES)
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, size - length)
    return buffer.toString('utf8', 0, bytesRead)
  } catch {
    return '' // what cannot be read is only missing in the list
  } finally {
    await file.close()
  }
}

function parse(line: string): readonly GatewayEvent[] {
  if (line === '') return []
  try {
    const value = JSON.parse(line) as Partial<GatewayEvent> | null
    const isEvent =
      typeof value === 'object' &&
      typeof value?.id === 'string' &&
      isEventId(value.id) &&
      typeof value.name === 'string' &&
      isEventName(value.name) &&
      typeof value.at === 'string' &&
      typeof value.subject === 'string' &&
      typeof value.message === 'string' &&
      Array.isArray(value.targets) &&
      typeof value.fields === 'object'
    return isEvent ? [value as GatewayEvent] : []
  } catch {
    return []
  }
}
