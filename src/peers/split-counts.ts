import type { CountsChange } from '../rates/shared-counts.ts'

/** Bytes of one message: less than a frame of a link has. */
const MAX_BYTES = 48_000
/** The longest key that is taken from others, characters. */
const MAX_KEY = 1_024
const MAX_COUNT = 1e9

type Taken = CountsChange['taken'][number]
type Held = CountsChange['held'][number]

/** One change as several, each of which fits into a message. */
export function splitCounts(change: CountsChange): readonly CountsChange[] {
  if (Buffer.byteLength(JSON.stringify(change)) <= MAX_BYTES) return [change]
  const entries: readonly (Held | Taken)[] = [
    ...change.taken.flatMap(({ counts, ...of }) => counts.map(one => ({ ...of, counts: [one] }))),
    ...change.held,
  ]
  // One entry is far below the limit: whoever counts cuts the keys that strangers choose.
  if (entries.length < 2) return []
  const half = Math.ceil(entries.length / 2)
  return [entries.slice(0, half), entries.slice(half)].map(joined).flatMap(splitCounts)
}

function joined(entries: readonly (Held | Taken)[]): CountsChange {
  const taken = new Map<string, Taken & { readonly counts: [string, number][] }>()
  const held: Held[] = []
  for (const entry of entries) {
    if (!('meter' in entry)) {
      held.push(entry)
      continue
    }
    const id = JSON.stringify([entry.meter, entry.rate])
    const known = taken.get(id) ?? { ...entry, counts: [] }
    for (const [key, count] of entry.counts) known.counts.push([key, count])
    taken.set(id, known)
  }
  return { taken: [...taken.values()], held }
}

const isText = (value: unknown): value is string => typeof value === 'string' && value.length <= MAX_KEY
const isCount = (value: unknown): value is number => Number.isInteger(value) && Math.abs(value as number) <= MAX_COUNT
const isPositive = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value) && value > 0
const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])
const recordOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {}

/** The counts of another process; entries that are none are left out, as another release may have others. */
export function parseCounts(value: unknown): CountsChange {
  const { taken, held } = recordOf(value)
  return {
    taken: listOf(taken).flatMap(entry => {
      const { meter, rate, counts } = recordOf(entry)
      const { perSecond, burst } = recordOf(rate)
      if (!isText(meter) || !isPositive(perSecond) || !isPositive(burst)) return []
      const known = listOf(counts).filter((one): one is [string, number] => Array.isArray(one) && isText(one[0]) && isCount(one[1]))
      return [{ meter, rate: { perSecond, burst }, counts: known }]
    }),
    held: listOf(held).filter(
      (one): one is [string, string, number] => Array.isArray(one) && isText(one[0]) && isText(one[1]) && isCount(one[2]) && one[2] >= 0,
    ),
  }
}
