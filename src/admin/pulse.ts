import type { Readiness } from './health.ts'
import type { Reading } from './minutes.ts'

/** The numbers of a worker at one moment, as JSON: the answer of `/api/worker/pulse`. */
export interface Pulse {
  readonly readiness: Readiness
  readonly reading: EncodedReading
}

type EncodedReading = Omit<Reading, 'durations'> & {
  readonly durations: { readonly bounds: readonly number[]; readonly counts: readonly number[] }
}

/** The numbers as JSON has them. */
export const encodeReading = ({ counters, gauges, durations }: Reading): EncodedReading => ({
  counters,
  gauges,
  durations: { bounds: durations?.bounds ?? [], counts: [...(durations?.counts ?? [])] },
})

const NOTHING: EncodedReading = { counters: {}, gauges: {}, durations: { bounds: [], counts: [] } }

/** The sums of several; of those that have ended, the counters alone. */
export function sumOfReadings(alive: readonly EncodedReading[], ended: readonly EncodedReading[] = []): EncodedReading {
  const all = [...alive, ...ended]
  const counted = all.find(({ durations }) => durations.bounds.length > 0) ?? NOTHING
  const { bounds } = counted.durations
  return {
    counters: sumsOf(all.map(({ counters }) => counters)),
    gauges: sumsOf(alive.map(({ gauges }) => gauges)),
    durations: {
      bounds,
      counts: counted.durations.counts.map((_, i) => all.reduce((sum, { durations }) => sum + (durations.counts[i] ?? 0), 0)),
    },
  }
}

/** The numbers as those who remember them by minute want them. */
export const decodeReading = ({ counters, gauges, durations }: EncodedReading): Reading => ({
  counters,
  gauges,
  durations: { bounds: durations.bounds, counts: Float64Array.from(durations.counts) },
})

function sumsOf(records: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sums = new Map<string, number>()
  for (const record of records) for (const [name, value] of Object.entries(record)) sums.set(name, (sums.get(name) ?? 0) + value)
  return Object.fromEntries(sums)
}
