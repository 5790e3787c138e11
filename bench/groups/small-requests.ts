/** 1 KiB GETs at 64 connections and at one. */
import { load, Samples, withCpu, type Bench, type Measurement } from '../bench.ts'
import { staticTarget } from '../contenders.ts'
import type { Column } from '../report.ts'

/** Just-in-time compilation goes on for seconds: a first round without this costs twice as much. */
const WARM_UP_SECONDS = 6

const COLUMNS: readonly Column[] = [
  { key: 'rate', title: 'req/s', digits: 0 },
  { key: 'rateRatio', title: '× one hop', digits: 2 },
  { key: 'cpuUs', title: 'CPU µs/req', digits: 1 },
  { key: 'cpuRatio', title: '× one hop', digits: 2 },
  { key: 'p50Us', title: 'p50 µs', digits: 0 },
  { key: 'p99Us', title: 'p99 µs', digits: 0 },
]

interface Shape {
  readonly name: string
  readonly connections: number
  readonly seconds: number
  readonly maxCpuRatio?: number
}

const measurement = ({ name, connections, seconds, maxCpuRatio }: Shape): Measurement => ({
  name,
  measure: async (bench: Bench) => {
    const { contenders, isQuick } = bench
    for (const contender of contenders.filter(one => !bench.warm.has(one))) {
      bench.warm.add(contender)
      await load(bench, staticTarget(contender, '/1k'), { connections: 64, seconds: isQuick ? 1 : WARM_UP_SECONDS })
    }
    const samples = await Samples.collect(bench, contenders, async contender => {
      const { pids } = contender
      const target = staticTarget(contender, '/1k')
      const { result, cpuSeconds } = await withCpu(pids, () => load(bench, target, { connections, seconds: isQuick ? 1 : seconds }))
      const { requests, p50Us, p99Us } = result
      return { rate: requests / result.seconds, cpuUs: pids.length === 0 ? NaN : (cpuSeconds / requests) * 1e6, p50Us, p99Us }
    })
    const rows = contenders.map(({ name: label }) => ({
      label,
      values: { ...samples.medians(label), rateRatio: samples.ratio(label, 'rate'), cpuRatio: samples.ratio(label, 'cpuUs') },
    }))
    return {
      name,
      title: `1 KiB GET, ${connections} ${connections === 1 ? 'connection' : 'connections'}`,
      columns: COLUMNS,
      rows,
      requirements:
        maxCpuRatio === undefined
          ? []
          : [
              {
                what: `CPU per request at ${connections} connections, outer and inner layer together, to the one-hop proxy's`,
                unit: '×',
                limit: { atMost: maxCpuRatio },
                measured: samples.ratio('gateway', 'cpuUs'),
              },
            ],
    }
  },
})

export const smallRequests: readonly Measurement[] = [
  measurement({ name: '1k-64', connections: 64, seconds: 2, maxCpuRatio: 1.6 }),
  measurement({ name: '1k-1', connections: 1, seconds: 1 }),
]
