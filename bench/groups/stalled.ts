/** Memory while 100 or 300 transfers stand still at the far end. */
import { setTimeout as delay } from 'node:timers/promises'
import { load, type Bench, type Measurement } from '../bench.ts'
import type { Job } from '../client.ts'
import { asContender, fetchText, nodeTarget, startGateway, staticTarget, type Gateway } from '../contenders.ts'
import { rssBytes } from '../proc.ts'
import type { Group } from '../report.ts'

const COUNT = 100
const MANY = 300
const BODY_BYTES = 2 ** 30
const LIMIT_MIB = 64
const SAMPLE_MS = 100
/** Steady: less than this much of a difference for so long. */
const STEADY_BYTES = 1 << 20
const STEADY_MS = 2_500
const MAX_MS = 15_000
const MAX_QUICK_MS = 6_000
const MIB = 2 ** 20

/** Resident memory of both layers at one moment. */
interface Sample {
  readonly outer: number
  readonly inner: number
}

const sample = ({ outer, inner }: Gateway): Sample => ({ outer: rssBytes(outer.pid), inner: rssBytes(inner.pid) })

/** Samples until memory stands still. */
const untilSteady = async (gateway: Gateway, maxMs: number): Promise<Sample[]> => {
  const samples: Sample[] = []
  const window = STEADY_MS / SAMPLE_MS
  const spread = (of: (one: Sample) => number): number => {
    const last = samples.slice(-window).map(of)
    return Math.max(...last) - Math.min(...last)
  }
  for (;;) {
    await delay(SAMPLE_MS)
    samples.push(sample(gateway))
    const isSteady = samples.length >= window && spread(({ outer }) => outer) < STEADY_BYTES && spread(({ inner }) => inner) < STEADY_BYTES
    if (isSteady || samples.length * SAMPLE_MS >= maxMs) return samples
  }
}

interface Shape {
  readonly name: string
  readonly title: string
  readonly what: string
  readonly count: number
  readonly job: (nodePort: number) => Extract<Job, { kind: 'hold-downloads' | 'hold-uploads' }>
  /** What the origin must count, or the transfers never got there and nothing was measured. */
  readonly counted: 'streams' | 'unread'
}

const openAtOrigin = async ({ origins }: Bench, counted: Shape['counted']): Promise<number> => {
  const state = JSON.parse(await fetchText(nodeTarget(origins, '/state'))) as Record<Shape['counted'], number>
  return state[counted]
}

const measurement = ({ name, title, what, count, job, counted }: Shape): Measurement => ({
  name,
  measure: async (bench): Promise<Group> => {
    // Fresh layers: what a load before this one had left in their heaps would hide growth. But warm, or compiling would count as growth.
    const gateway = await startGateway(bench.fleet, bench.origins)
    const maxMs = bench.isQuick ? MAX_QUICK_MS : MAX_MS
    const contender = asContender(gateway)
    await load(bench, staticTarget(contender, '/1k'), { connections: 64, seconds: bench.isQuick ? 1 : 3 })
    const before = (await untilSteady(gateway, maxMs)).at(-1)!
    // An origin that never reads does not see the requests of an earlier gateway leave.
    const left = counted === 'unread' ? await openAtOrigin(bench, counted) : 0
    await bench.client.ask(job(contender.nodePort))
    const samples = await untilSteady(gateway, maxMs)
    const open = (await openAtOrigin(bench, counted)) - left
    if (open !== count) throw new Error(`${name}: the origin has ${open} requests, not ${count}`)
    await bench.client.ask({ kind: 'release' })
    gateway.stop()
    const grown = (of: (one: Sample) => number): { readonly peak: number; readonly steady: number } => ({
      peak: (Math.max(...samples.map(of)) - of(before)) / MIB,
      steady: (of(samples.at(-1)!) - of(before)) / MIB,
    })
    const layers = { 'outer layer': grown(({ outer }) => outer), 'inner layer': grown(({ inner }) => inner) }
    const starts = { 'outer layer': before.outer / MIB, 'inner layer': before.inner / MIB }
    return {
      name,
      title,
      columns: [
        { key: 'before', title: 'before, MiB', digits: 0 },
        { key: 'peak', title: 'most growth, MiB', digits: 1 },
        { key: 'steady', title: 'growth in the end, MiB', digits: 1 },
      ],
      rows: (['outer layer', 'inner layer'] as const).map(label => ({ label, values: { before: starts[label], ...layers[label] } })),
      requirements: (['outer layer', 'inner layer'] as const).map(label => ({
        what: `growth of the ${label} with ${what}`,
        unit: 'MiB',
        limit: { atMost: LIMIT_MIB },
        // The most, not what is left in the end: a machine without that memory would have ended the process on the way.
        measured: layers[label].peak,
      })),
    }
  },
})

const downloads = (name: string, count: number): Measurement =>
  measurement({
    name,
    title: `${count} clients that never read an answer of 1 GiB`,
    what: `${count} stalled downloads`,
    count,
    job: nodePort => ({ kind: 'hold-downloads', target: nodeTarget({ nodePort }, '/stream'), count }),
    counted: 'streams',
  })

const uploads = (name: string, count: number): Measurement =>
  measurement({
    name,
    title: `${count} uploads of 1 GiB to an origin that never reads`,
    what: `${count} stalled uploads`,
    count,
    job: nodePort => ({ kind: 'hold-uploads', target: nodeTarget({ nodePort }, '/unread'), count, bytes: BODY_BYTES }),
    counted: 'unread',
  })

export const stalled: readonly Measurement[] = [
  downloads('stalled-downloads', COUNT),
  uploads('stalled-uploads', COUNT),
  downloads('stalled-many-downloads', MANY),
  uploads('stalled-many-uploads', MANY),
]
