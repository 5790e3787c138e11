import { useCallback, useEffect, useRef, useState } from 'preact/hooks'
import { asFault, call, send, type ApiFault } from '../api/client.ts'
import type { InspectorState, RequestSummary } from './records.ts'

/** The records that are known, newest first, as they come. */
export interface LiveRequests {
  readonly rows: readonly RequestSummary[]
  readonly state: InspectorState | undefined
  readonly fault: ApiFault | undefined
  readonly isLive: boolean
  readonly again: () => void
}

type Change =
  | { readonly type: 'request'; readonly request: RequestSummary }
  | { readonly type: 'gone'; readonly ids: readonly string[] }
  | { readonly type: 'reset' }
  | { readonly type: 'state'; readonly state: InspectorState }

interface RequestPage {
  readonly items: readonly RequestSummary[]
  readonly next: string | null
}

/** Rows that a page of the list has, and the most that are kept in this browser. */
const PAGE = 1_000
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
  const [shown, setShown] = useState<Omit<LiveRequests, 'again'>>({ rows: [], state: undefined, fault: undefined, isLive: false })
  const [round, setRound] = useState(0)
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
    const drawNow = (): void => {
      clearTimeout(timer)
      timer = undefined
      if (signal.aborted) return
      if (paused.current) setShown(before => ({ ...before, state, fault, isLive }))
      else setShown({ rows: newestFirst(known), state, fault, isLive })
    }
    draw.current = drawNow
    const soon = (): void => void (timer ??= setTimeout(drawNow, DRAW_MS))
    const take = (change: Change): void => {
      if (change.type === 'request') known.set(change.request.id, change.request)
      else if (change.type === 'gone') for (const id of change.ids) known.delete(id)
      else if (change.type === 'state') state = change.state
      else throw new Reset()
      soon()
    }
    const follow = async (): Promise<void> => {
      while (!signal.aborted) {
        try {
          const query = filter === '' ? '' : `filter=${encodeURIComponent(filter)}`
          const stream = await send('GET', `inspector/requests/stream?${query}`, { signal, timeoutMs: 0 })
          isLive = true
          fault = undefined
          const reading = readLines(stream, take)
          await Promise.all([reading, fill(query, known, { signal, soon })])
          throw new Reset()
        } catch (error) {
          isLive = false
          if (signal.aborted) return
          if (error instanceof Reset) known.clear()
          else fault = asFault(error)
          // What cannot be read stays so.
          if (fault?.status === 400) {
            drawNow()
            return
          }
          soon()
          if (!(error instanceof Reset)) await new Promise(resolve => setTimeout(resolve, RETRY_MS))
        }
      }
    }
    void follow()
    return () => {
      controller.abort()
      clearTimeout(timer)
    }
  }, [filter, round])
  useEffect(() => {
    if (!isPaused) draw.current()
  }, [isPaused])
  const again = useCallback(() => setRound(before => before + 1), [])
  return { ...shown, again }
}

/** The list has to be asked for again. */
class Reset extends Error {}

async function fill(
  query: string,
  known: Map<string, RequestSummary>,
  { signal, soon }: { readonly signal: AbortSignal; readonly soon: () => void },
) {
  let cursor: string | null = ''
  while (cursor !== null && known.size < MAX_ROWS) {
    const from: string = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`
    const page: RequestPage = await call<RequestPage>('GET', `inspector/requests?limit=${PAGE}${from}&${query}`, { signal })
    // What the stream has said is younger.
    for (const item of page.items) if (!known.has(item.id)) known.set(item.id, item)
    cursor = page.next
    soon()
  }
}

/** Reads lines of JSON; an empty line says that the connection is alive. */
export async function readLines<T>(response: Response, take: (value: T) => void): Promise<void> {
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    const lines = (rest + value).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) if (line.trim() !== '') take(JSON.parse(line) as T)
  }
}

const newestFirst = (known: ReadonlyMap<string, RequestSummary>): readonly RequestSummary[] =>
  [...known.values()].sort((a, b) => (a.id < b.id ? 1 : a.id > b.id ? -1 : 0))
