/** An outer layer of two processes, next to one of one process: with one connection, and with many. */
import { load, type Bench, type Measurement } from '../bench.ts'
import { startGateway, staticTarget } from '../contenders.ts'
import type { Group } from '../report.ts'
import { median, medianRatio } from '../stats.ts'

const FEW = 1
const MANY = 512
const WARM_UP_SECONDS = 4
const SECONDS = 3
const ROUNDS_EACH = 3
/** "Not slower", beside what two runs of the same differ by. */
const MAX_P50_RATIO = 1.1

const ONE = 'one process'
const TWO = 'two processes'

interface Figures {
  readonly p50Us: number
  readonly perSecond: number
}

/** `workers`. */
export const workers: Measurement = {
  name: 'workers',
  measure: async (bench: Bench): Promise<Group> => {
    const { fleet, origins, isQuick, runs } = bench
    const one = await startGateway(fleet, origins)
    const two = await startGateway(fleet, origins, { outer: ['--workers', '2'] })
    const ways = [
      { label: ONE, target: staticTarget({ staticPort: one.port }, '/1k') },
      { label: TWO, target: staticTarget({ staticPort: two.port }, '/1k') },
    ]
    for (const { target } of ways) await load(bench, target, { connections: MANY, seconds: isQuick ? 1 : WARM_UP_SECONDS })
    const rounds: Readonly<Record<string, Figures>>[] = []
    for (let round = 1; round <= runs * ROUNDS_EACH; round++) {
      const figures: Record<string, Figures> = {}
      for (const { label, target } of round % 2 === 0 ? ways : ways.toReversed()) {
        const seconds = isQuick ? 1 : SECONDS
        const { p50Us } = await load(bench, target, { connections: FEW, seconds })
        const { requests } = await load(bench, target, { connections: MANY, seconds })
        figures[label] = { p50Us, perSecond: requests / seconds }
      }
      rounds.push(figures)
      bench.say(`  round ${round} of ${runs * ROUNDS_EACH}`)
    }
    const of = (label: string, key: keyof Figures): number[] => rounds.map(figures => figures[label]?.[key] ?? NaN)
    const ratio = (key: keyof Figures): number => medianRatio(of(TWO, key), of(ONE, key))
    return {
      name: 'workers',
      title: `1 KiB GET through an outer layer of two processes, at ${FEW} and ${MANY} connections; client, origin and inner layer share the cores`,
      columns: [
        { key: 'p50Us', title: `p50 µs at ${FEW}`, digits: 0 },
        { key: 'perSecond', title: `requests/s at ${MANY}`, digits: 0 },
      ],
      rows: [ONE, TWO].map(label => ({
        label,
        values: { p50Us: median(of(label, 'p50Us')), perSecond: median(of(label, 'perSecond')) },
      })),
      requirements: [
        { what: `p50 at ${FEW} connection`, unit: '×', limit: { atMost: MAX_P50_RATIO }, measured: ratio('p50Us') },
        { what: `requests/s at ${MANY} connections`, unit: '×', limit: { atLeast: 1 }, measured: ratio('perSecond') },
      ],
    }
  },
}
