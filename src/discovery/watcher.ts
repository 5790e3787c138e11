import { setTimeout as wait } from 'node:timers/promises'
import { GatewayError } from '../errors.ts'
import type { Findings } from './found.ts'

/** Something that can be listed and followed. */
export interface Source {
  /** All that is there now. @throws GatewayError SERVICE_UNREACHABLE */
  list(signal: AbortSignal): Promise<Findings>
  /** Yields when something has changed since it began; ends when whoever is asked goes away. @throws GatewayError SERVICE_UNREACHABLE */
  changes(signal: AbortSignal): Promise<AsyncIterable<unknown>>
}

/** Those who want to know. */
export interface WatchHandlers {
  /** Awaited: the next look comes after it. */
  readonly findings: (findings: Findings) => Promise<void>
  readonly trouble: (error: unknown) => void
}

/** Changes that come within this time are one, milliseconds. */
const TOGETHER_MS = 100
const FIRST_PAUSE_MS = 500
const MAX_PAUSE_MS = 10_000

const pause = (ms: number, signal: AbortSignal): Promise<void> => wait(ms, undefined, { signal }).then(undefined, () => undefined)

/** Follows a source until `signal` is aborted. What was found stays while the source is away: it is not the way that requests take. */
export async function watch(source: Source, { findings, trouble }: WatchHandlers, signal: AbortSignal): Promise<void> {
  let pauseMs = FIRST_PAUSE_MS
  while (!signal.aborted) {
    const round = new AbortController()
    const both = AbortSignal.any([signal, round.signal])
    try {
      // Changes first, or what happens between the list and them would be heard by nobody.
      const changes = await source.changes(both)
      let isChanged = true
      let isOver = false
      let wake: () => void = () => undefined
      const reading = (async () => {
        try {
          for await (const _change of changes) {
            isChanged = true
            wake()
          }
        } finally {
          isOver = true
          wake()
        }
      })()
      reading.catch(() => undefined) // awaited below
      while (!isOver && !signal.aborted) {
        if (!isChanged) await new Promise<void>(resolve => (wake = resolve))
        if (isOver || signal.aborted) break
        await pause(TOGETHER_MS, signal)
        isChanged = false
        const all = await source.list(both)
        await findings(all)
        pauseMs = FIRST_PAUSE_MS
      }
      await reading
      if (!signal.aborted) trouble(new GatewayError('SERVICE_UNREACHABLE', 'the stream of changes has ended; looking again'))
    } catch (error) {
      if (!signal.aborted) trouble(error)
    } finally {
      round.abort()
    }
    await pause(pauseMs, signal)
    pauseMs = Math.min(pauseMs * 2, MAX_PAUSE_MS)
  }
}
