import type { Response } from 'express'
import { GatewayError } from '../errors.ts'
import { guarded } from '../net/guard.ts'

/** Options of a stream of lines. */
export interface LineStreamOptions {
  /** Aborted when the client is gone. */
  readonly signal: AbortSignal
  /** Between two empty lines while nothing happens. */
  readonly keepAliveMs: number
}

/**
 * Sends what comes, one JSON object a line, and empty lines while nothing does. A line is asked for when the one before has left, so that a client that stands
 * still holds nothing here. Resolves when the lines end or the client is gone.
 */
export async function streamLines(res: Response, lines: AsyncIterable<unknown>, { signal, keepAliveMs }: LineStreamOptions): Promise<void> {
  res.status(200).setHeader('Content-Type', 'application/x-ndjson; charset=utf-8')
  res.setHeader('X-Accel-Buffering', 'no') // nginx would keep lines until it has many
  res.flushHeaders()
  const timer = setInterval(
    guarded(
      () => res.destroy(),
      () => {
        if (!res.writableNeedDrain) res.write('\n')
      },
    ),
    keepAliveMs,
  )
  try {
    for await (const line of lines) {
      if (signal.aborted) return
      timer.refresh()
      if (!res.write(`${JSON.stringify(line)}\n`)) await drained(res, signal)
    }
    res.end()
  } catch (thrown) {
    if (!signal.aborted) throw thrown
  } finally {
    clearInterval(timer)
  }
}

/** Resolves when there is room again; rejects when the client is gone. */
const drained = (res: Response, signal: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    const over = (): void => {
      res.off('drain', onDrain)
      reject(new GatewayError('CANCELLED'))
    }
    const onDrain = (): void => {
      signal.removeEventListener('abort', over)
      resolve()
    }
    if (signal.aborted) return over()
    res.once('drain', onDrain)
    signal.addEventListener('abort', over, { once: true })
  })
