/** Small requests while bulk downloads saturate the link. */
import { setTimeout as delay } from 'node:timers/promises'
import { load, Samples, type Measurement } from '../bench.ts'
import { staticTarget } from '../contenders.ts'
import type { Group } from '../report.ts'

const DOWNLOADS = 8
/** Time for the windows to grow. */
const SETTLE_MS = 500
const MAX_P99_MS = 30
/** On a machine that is busy with other things every process waits for its turn: the one-hop proxy, which has no link, says for how long. */
const MAX_P99_RATIO = 1

export const fairness: Measurement = {
  name: 'fairness',
  measure: async (bench): Promise<Group> => {
    const contenders = bench.contenders.filter(({ name }) => name === 'one-hop Node proxy' || name === 'gateway')
    // The small requests need a process that is not busy with the bulk.
    const bulkClient = bench.hasWrk ? bench.client : bench.fleet.client()
    const samples = await Samples.collect(bench, contenders, async contender => {
      await bulkClient.ask({ kind: 'loop-downloads', target: staticTarget(contender, '/100m'), count: DOWNLOADS })
      await delay(SETTLE_MS)
      const { requests, seconds, p50Us, p99Us } = await load(bench, staticTarget(contender, '/1k'), {
        connections: 1,
        seconds: bench.isQuick ? 1 : 2,
      })
      const reply = await bulkClient.ask({ kind: 'release' })
      if (!('transferred' in reply)) throw new Error('the client answered another question')
      const { transferred } = reply
      return { rate: requests / seconds, p50: p50Us / 1000, p99: p99Us / 1000, bulk: transferred.bytes / transferred.seconds / 1e6 }
    })
    return {
      name: 'fairness',
      title: `1 KiB GET, 1 connection, beside ${DOWNLOADS} downloads`,
      columns: [
        { key: 'rate', title: 'req/s', digits: 0 },
        { key: 'p50', title: 'p50 ms', digits: 1 },
        { key: 'p99', title: 'p99 ms', digits: 1 },
        { key: 'bulk', title: 'downloads MB/s', digits: 0 },
      ],
      rows: contenders.map(({ name: label }) => ({ label, values: samples.medians(label) })),
      requirements: [
        {
          what: `p99 of a 1 KiB GET while ${DOWNLOADS} downloads saturate the link`,
          unit: 'ms',
          limit: { atMost: MAX_P99_MS },
          measured: samples.medians('gateway').p99 ?? NaN,
        },
        {
          what: "the same to the one-hop proxy's beside as many",
          unit: '×',
          limit: { atMost: MAX_P99_RATIO },
          measured: samples.ratio('gateway', 'p99'),
        },
      ],
    }
  },
}
