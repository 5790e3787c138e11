import { attempt } from '../net/guard.ts'
import type { Log } from '../telemetry/log.ts'

/** The numbers of a layer at one moment. */
export interface Reading {
  /** Sums since the start, which only grow. */
  readonly counters: Readonly<Record<string, number>>
  /** Numbers as they are now. */
  readonly gauges: Readonly<Record<string, number>>
  /** Sums of a histogram of milliseconds since the start; the last range has no end. */
  readonly durations?: { readonly bounds: readonly number[]; readonly counts: Float64Array }
}

/** The answer of `/api/minutes`: one entry of each list for a minute, the last one for the minute that is not over. */
export interface Minutes {
  /** When each began, seconds since 1970. */
  readonly at: readonly number[]
  /** Durations of them, seconds. */
  readonly seconds: readonly number[]
  /** By name: what was counted in each minute, or how much it was at its end; null where there is nothing to measure. */
  readonly series: Readonly<Record<string, readonly (number | null)[]>>
}

interface Row {
  readonly at: number
  readonly seconds: number
  readonly values: ReadonlyMap<string, number | null>
}

/** Minutes that are kept: a day. */
export const MAX_MINUTES = 1_440
const MINUTE_MS = 60_000
/** Of the times of a minute, so many percent are at most as long. */
const PERCENTILES = [
  ['p50Ms', 0.5],
  ['p95Ms', 0.95],
  ['p99Ms', 0.99],
] as const

/** Remembers the numbers of a layer by minute, for a day, while its admin port is open. */
export class MinuteLog {
  readonly #rows: Row[] = []
  #last: Reading
  #lastMs: number
  #timer: NodeJS.Timeout | undefined

  /**
   * @param read   reads the numbers now
   * @param nowMs  milliseconds since 1970
   */
  constructor(
    private readonly read: () => Reading,
    private readonly nowMs: () => number,
    private readonly log: Log,
  ) {
    this.#last = read()
    this.#lastMs = nowMs()
  }

  start(): void {
    this.#timer = setInterval(
      () =>
        attempt(
          thrown => this.log.error({ err: thrown }, 'the numbers of a minute were not kept'),
          () => this.close(),
        ),
      MINUTE_MS,
    )
    this.#timer.unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  /** Ends the minute that is under way. */
  close(): void {
    const reading = this.read()
    this.#rows.push(this.#rowOf(reading))
    if (this.#rows.length > MAX_MINUTES) this.#rows.shift()
    this.#last = reading
    this.#lastMs = this.nowMs()
  }

  /** The last `count` minutes, with the one that is under way. */
  latest(count: number): Minutes {
    const rows = [...this.#rows, this.#rowOf(this.read())].slice(-count)
    const names = [...new Set(rows.flatMap(({ values }) => [...values.keys()]))]
    return {
      at: rows.map(({ at }) => at),
      seconds: rows.map(({ seconds }) => seconds),
      series: Object.fromEntries(names.map(name => [name, rows.map(({ values }) => values.get(name) ?? null)])),
    }
  }

  #rowOf({ counters, gauges, durations }: Reading): Row {
    const before = this.#last
    const values = new Map<string, number | null>(Object.entries(gauges))
    // A target that is no longer in force takes its sums with it.
    for (const [name, sum] of Object.entries(counters)) values.set(name, Math.max(0, sum - (before.counters[name] ?? 0)))
    if (durations !== undefined) {
      const counts = durations.counts.map((count, i) => Math.max(0, count - (before.durations?.counts[i] ?? 0)))
      for (const [name, share] of PERCENTILES) values.set(name, percentile(durations.bounds, counts, share))
    }
    return { at: Math.floor(this.#lastMs / 1000), seconds: Math.max(0, Math.round((this.nowMs() - this.#lastMs) / 1000)), values }
  }
}

/** The time that a share of the values did not exceed, as well as the ranges of a histogram tell; null without values. */
export function percentile(bounds: readonly number[], counts: Float64Array, share: number): number | null {
  const total = counts.reduce((sum, count) => sum + count, 0)
  if (total === 0) return null
  let left = total * share
  for (const [i, count] of counts.entries()) {
    if (count >= left) {
      const from = bounds[i - 1] ?? 0
      const to = bounds[i] ?? bounds.at(-1) ?? 0
      return Math.round((from + ((to - from) * left) / Math.max(1, count)) * 100) / 100
    }
    left -= count
  }
  return bounds.at(-1) ?? null
}
