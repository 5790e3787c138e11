/** 100 MiB bodies, down and up. */
import { Samples, withCpu, type Bench, type Measurement } from '../bench.ts'
import { nodeTarget, staticTarget, type Contender } from '../contenders.ts'
import type { Transferred } from '../client.ts'
import type { Column, Group, Requirement } from '../report.ts'

const BODY_BYTES = 100 << 20
/** One after the other in each run: one alone is over before the CPU has used enough ticks of 10 ms to be counted well. */
const TIMES = 3

const COLUMNS: readonly Column[] = [
  { key: 'rate', title: 'MB/s', digits: 0 },
  { key: 'rateRatio', title: '× one hop', digits: 2 },
  { key: 'cpu', title: 'CPU s/GB', digits: 2 },
  { key: 'cpuRatio', title: '× one hop', digits: 2 },
]

const download = async ({ client }: Bench, contender: Contender, times: number): Promise<Transferred> => {
  const reply = await client.ask({ kind: 'download', target: staticTarget(contender, '/100m'), times })
  if (!('transferred' in reply)) throw new Error('the client answered another question')
  return reply.transferred
}

const upload = async ({ client }: Bench, contender: Contender, times: number): Promise<Transferred> => {
  const reply = await client.ask({ kind: 'upload', target: nodeTarget(contender, '/sink'), times, bytes: BODY_BYTES })
  if (!('transferred' in reply)) throw new Error('the client answered another question')
  return reply.transferred
}

interface Shape {
  readonly name: string
  readonly title: string
  readonly transfer: typeof download
  readonly required: (rateRatio: number) => Requirement[]
}

const measurement = ({ name, title, transfer, required }: Shape): Measurement => ({
  name,
  measure: async (bench): Promise<Group> => {
    const { contenders } = bench
    for (const contender of contenders) await transfer(bench, contender, bench.isQuick ? 2 : 6)
    const samples = await Samples.collect(bench, contenders, async contender => {
      const { result, cpuSeconds } = await withCpu(contender.pids, () => transfer(bench, contender, bench.isQuick ? 1 : TIMES))
      const megabytes = result.bytes / 1e6
      return { rate: megabytes / result.seconds, cpu: contender.pids.length === 0 ? NaN : cpuSeconds / (megabytes / 1000) }
    })
    const rows = contenders.map(({ name: label }) => ({
      label,
      values: { ...samples.medians(label), rateRatio: samples.ratio(label, 'rate'), cpuRatio: samples.ratio(label, 'cpu') },
    }))
    return { name, title, columns: COLUMNS, rows, requirements: required(samples.ratio('gateway', 'rate')) }
  },
})

export const bulk: readonly Measurement[] = [
  measurement({
    name: 'download',
    title: '100 MiB download, one connection',
    transfer: download,
    required: measured => [{ what: "rate of a 100 MiB download to the one-hop proxy's", unit: '×', limit: { atLeast: 0.6 }, measured }],
  }),
  measurement({ name: 'upload', title: '100 MiB upload, one connection', transfer: upload, required: () => [] }),
]
