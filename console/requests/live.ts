import { useCallback, useEffect, useRef, useState } from 'preact/hooks'
import { asFault, type ApiFault } from '../api/client.ts'
import type { InspectorState, RequestSummary } from './records.ts'
import { useSource, type Change, type MissingNodes, type RequestSource } from './source.ts'

/** The records that are known, newest first, as they come. */
export interface LiveRequests {
  readonly rows: readonly RequestSummary[]
  readonly state: InspectorState | undefined
  readonly fault: ApiFault | undefined
  readonly isLive: boolean
  /** Nodes whose requests are not among them. */
  readonly missing: MissingNodes
  readonly again: () => void
}

/** Most rows that are kept in this browser. */
const MAX_ROWS = 200_000
/** Changes are drawn at most so often, milliseconds. */
const DRAW_MS = 100
/** Between two attempts, milliseconds. */
const RETRY_MS = 2_000

/**
 * Follows the list of an inspector: first what there is, then what happens. Begins anew when the connection is lost.
 * @param filter  what the inspector itself has to look for, in heads and bodies; empty: everything
 * @param isPaused  keeps what is there as it is
 */
export function useRequests(filter: string, isPaused: boolean): LiveRequests {
  const [shown, setShown] = useState<Omit<LiveRequests, 'again'>>({
    rows: [],
    state: undefined,
    fault: undefined,
    isLive: false,
    missing: 0,
  })
  const [round, setRound] = useState(0)
  const source = useSource()
  const paused = useRef(isPaused)
  const draw = useRef<() => void>(() => undefined)
  paused.current = isPaused

  useEffect(() => {
    const controller = new AbortController()
    const { signal } = controller
    const known = new Map<string, RequestSummary>()
    let state: InspectorState | undefined
    let timer: ReturnType<typeof setTimeout> | undefined
    let isLive = false
    let fault: ApiFault | undefined
    let missing: MissingNodes = 0
    const drawNow = (): void => {
      clearTimeout(timer)
      timer = undefined
      if (signal.aborted) return
      if (paused.current) setShown(before => ({ ...before, state, fault, isLive, missing }))
      else setShown({ rows: newestFirst(known), state, fault, isLive, missing })
    }
    draw.current = drawNow
    const soon = (): void => void (timer ??= setTimeout(drawNow, DRAW_MS))
    const take = (change: Change): void => {
      if (change.type === 'request') known.set(change.request.id, change.request)
      else if (change.type === 'gone') for (const id of change.ids) known.delete(id)
      else if (change.type === 'state') state = change.state
      else if (change.type === 'nodes') missing = change.missing
      else throw new Reset()
      soon()
    }
    const follow = async (): Promise<void> => {
      while (!signal.aborted) {
        const attempt = new AbortController()
        const both = AbortSignal.any([signal, attempt.signal])
        let mayAskAtOnce = false
        try {
          await new Promise<void>((resolve, reject) => {
            const onOpen = (): void => {
              isLive = true
              fault = undefined
              known.clear()
              const onMissing = (nodes: MissingNodes): void => void (missing = nodes)
              fill(source, filter, known, { signal: both, soon, onMissing }).catch(reject)
            }
            source.follow(filter, take, { signal: both, onOpen }).then(resolve, reject)
          })
        } catch (error) {
          if (signal.aborted) return
          mayAskAtOnce = error instanceof Reset
          if (!mayAskAtOnce) fault = asFault(error)
        }
        isLive = false
        attempt.abort()
        if (signal.aborted) return
        // What cannot be read stays so.
        if (fault?.status === 400) return drawNow()
        soon()
        if (!mayAskAtOnce) await new Promise(resolve => setTimeout(resolve, RETRY_MS))
      }
    }
    void follow()
    return () => {
      controller.abort()
      clearTimeout(timer)
    }
  }, [filter, round, source])
  useEffect(() => {
    if (!isPaused) draw.current()
  }, [isPaused])
  const again = useCallback(() => setRound(before => before + 1), [])
  return { ...shown, again }
}

/** The list has to be asked for again. */
class Reset extends Error {}

async function fill(
  source: RequestSource,
  filter: string,
  known: Map<string, RequestSummary>,
  waits: { readonly signal: AbortSignal; readonly soon: () => void; readonly onMissing: (nodes: MissingNodes) => void },
) {
  let cursor: string | null = null
  do {
    const page = await source.list(filter, cursor, waits.signal)
    if (page.missing !== undefined) waits.onMissing(page.missing)
    // What the stream has said is younger.
    for (const item of page.items) if (!known.has(item.id)) known.set(item.id, item)
    cursor = page.next
    waits.soon()
  } while (cursor !== null && known.size < MAX_ROWS)
}

const newestFirst = (known: ReadonlyMap<string, RequestSummary>): readonly RequestSummary[] =>
  [...known.values()].sort((a, b) => (a.id < b.id ? 1 : a.id > b.id ? -1 : 0))
