import { call, type CallOptions } from '../api/client.ts'
import { useAnswer, usePoll, type Ask, type Polled } from '../api/poll.ts'
import { useCallback } from 'preact/hooks'
import type { Page } from '../../src/client/wire.ts'

/** Calls /api/v1. @throws ApiFault */
export const v1 = <T>(method: string, path: string, options: CallOptions = {}): Promise<T> => call(method, `api/v1/${path}`, options)

const get = <T>(path: string, signal: AbortSignal): Promise<T> => v1('GET', path, { signal })

/** Asks a path of /api/v1 again and again. @param periodMs  0: once */
export const useV1 = <T>(path: string | undefined, periodMs = 0): Polled<T> => useAnswer<T>(path, periodMs, get)

/** Entries of a list that are read at most. */
const MAX_ITEMS = 100_000
/** Between two looks at what has come of a long one, milliseconds. */
const SHOW_MS = 500

/** Asks for a list to its end, and shows what is there of it meanwhile. */
export function useList<T>(path: string, periodMs = 0): Polled<readonly T[]> {
  const ask = useCallback<Ask<readonly T[]>>((signal, show) => readAll<T>(path, signal, show), [path])
  return usePoll(ask, periodMs)
}

async function readAll<T>(path: string, signal: AbortSignal, show: (soFar: readonly T[]) => void): Promise<readonly T[]> {
  const items: T[] = []
  let cursor: string | null = ''
  let shownMs = performance.now()
  while (cursor !== null && items.length < MAX_ITEMS) {
    const more: string = cursor === '' ? '' : `${path.includes('?') ? '&' : '?'}cursor=${encodeURIComponent(cursor)}`
    const page: Page<T> = await v1<Page<T>>('GET', path + more, { signal })
    // A long page is more than a call takes as arguments.
    for (const item of page.items) items.push(item)
    cursor = page.next
    if (cursor === null || performance.now() - shownMs < SHOW_MS) continue
    shownMs = performance.now()
    show([...items])
  }
  return items
}
