import { useCallback, useEffect, useRef, useState } from 'preact/hooks'
import { asFault, type ApiFault } from './client.ts'

/** The state of something that is asked for again and again. */
export interface Polled<T> {
  /** The last good answer. */
  readonly data: T | undefined
  /** Why the last question failed. */
  readonly fault: ApiFault | undefined
  /** When `data` came, milliseconds since 1970. */
  readonly atMs: number
  readonly refresh: () => void
}

/** Asks once. @param show  shows what is there already, as long as there is nothing else to be seen */
export type Ask<T> = (signal: AbortSignal, show: (soFar: T) => void) => Promise<T>

/** A question that takes long is asked less often: so many times as long as it takes. */
const REST = 4

/**
 * Asks again and again while the page can be seen, and at once when it can be seen again.
 * @param ask       asks once; a new function begins anew
 * @param periodMs  0: once
 */
export function usePoll<T>(ask: Ask<T> | undefined, periodMs: number): Polled<T> {
  const [state, setState] = useState<Omit<Polled<T>, 'refresh'>>({ data: undefined, fault: undefined, atMs: 0 })
  const again = useRef<() => void>(() => undefined)
  useEffect(() => {
    if (ask === undefined) return
    const controller = new AbortController()
    let timer: ReturnType<typeof setTimeout> | undefined
    let isAsking = false
    let isWanted = false
    let isWhole = false
    const once = async (): Promise<void> => {
      if (isAsking) return
      isAsking = true
      clearTimeout(timer)
      const beganMs = performance.now()
      const show = (soFar: T): void => {
        if (!controller.signal.aborted && !isWhole) setState({ data: soFar, fault: undefined, atMs: Date.now() })
      }
      try {
        const data = await ask(controller.signal, show)
        isWhole = true
        if (!controller.signal.aborted) setState({ data, fault: undefined, atMs: Date.now() })
      } catch (error) {
        if (!controller.signal.aborted) setState(before => ({ ...before, fault: asFault(error) }))
      }
      isAsking = false
      if (isWanted && !controller.signal.aborted) {
        isWanted = false
        return once()
      }
      if (!controller.signal.aborted && periodMs > 0 && !document.hidden)
        timer = setTimeout(() => void once(), Math.max(periodMs, REST * (performance.now() - beganMs)))
    }
    const seen = (): void => {
      if (!document.hidden && periodMs > 0) void once()
    }
    // What is under way may have been answered before what somebody wants to see has happened.
    again.current = () => {
      if (isAsking) isWanted = true
      else void once()
    }
    document.addEventListener('visibilitychange', seen)
    window.addEventListener('console-refresh', again.current)
    const { current } = again
    void once()
    return () => {
      controller.abort()
      clearTimeout(timer)
      document.removeEventListener('visibilitychange', seen)
      window.removeEventListener('console-refresh', current)
    }
  }, [ask, periodMs])
  const refresh = useCallback(() => again.current(), [])
  return { ...state, refresh }
}

/** Asks a path of the API again and again. */
export const useAnswer = <T>(path: string | undefined, periodMs: number, get: Getter): Polled<T> => {
  const ask = useCallback((signal: AbortSignal) => get<T>(path ?? '', signal), [path, get])
  return usePoll<T>(path === undefined ? undefined : ask, periodMs)
}

/** Asks for the answer of a path. */
export type Getter = <T>(path: string, signal: AbortSignal) => Promise<T>
