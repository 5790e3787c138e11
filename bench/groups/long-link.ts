/** One stream over a link with a long round trip, and a small request beside bulk on a slow one. */
import { setTimeout as delay } from 'node:timers/promises'
import { load, type Bench, type Measurement } from '../bench.ts'
import type { Transferred } from '../client.ts'
import { nodeTarget, startGateway, startRelay, staticTarget, type Gateway } from '../contenders.ts'
import type { Service } from '../fleet.ts'
import type { Group } from '../report.ts'
import { median } from '../stats.ts'

const ROUND_TRIP_MS = 100
const RATES_MBIT = [10, 50, 200, 800]
const QUICK_RATE_MBIT = 50
/** What both ends need to know the way, and what is measured then, seconds. */
const SETTLE_SECONDS = 3
const SECONDS = 5
const REQUIRED_PART = 0.9
/** Four rates, three rounds, some 45 seconds each. */
const LONG_LINK_MAX_MS = 1_200_000
const BYTES_OF_MBIT = 125_000

const transferred = (reply: object): Transferred => {
  if (!('transferred' in reply)) throw new Error('the client answered another question')
  return reply.transferred as Transferred
}

const rateOf = ({ bytes, seconds }: Transferred): number => bytes / seconds / 1e6

/** MB/s of one download once it has gone on for some seconds; `change` is called before them. */
const download = async ({ client }: Bench, staticPort: number, change?: () => Promise<void>): Promise<number> => {
  await client.ask({ kind: 'loop-downloads', target: staticTarget({ staticPort }, '/100m'), count: 1 })
  await change?.()
  await delay(SETTLE_SECONDS * 1_000)
  const before = transferred(await client.ask({ kind: 'so-far' }))
  await delay(SECONDS * 1_000)
  const { bytes, seconds } = transferred(await client.ask({ kind: 'release' }))
  return rateOf({ bytes: bytes - before.bytes, seconds: seconds - before.seconds })
}

/** MB/s of one upload of `bytes`. */
const upload = async ({ client }: Bench, nodePort: number, bytes: number): Promise<number> =>
  rateOf(transferred(await client.ask({ kind: 'upload', target: nodeTarget({ nodePort }, '/sink'), times: 1, bytes })))

/** A gateway whose link goes through a relay. */
const overRelay = async (
  { fleet, origins }: Bench,
  link: { readonly roundTripMs: number; readonly bytesPerSecond: number },
): Promise<{ readonly gateway: Gateway; readonly relay: Service }> => {
  let relay: Service | undefined
  const gateway = await startGateway(fleet, origins, {
    link: async targetPort => {
      const started = await startRelay(fleet, { targetPort, ...link })
      relay = started.service
      return started.port
    },
  })
  return { gateway, relay: relay! }
}

/** Each way, over a way that is long from the start, and down over one that becomes so. */
const measureRate = async (bench: Bench, mbit: number): Promise<Record<'plain' | 'down' | 'up' | 'changed', number>> => {
  const bytesPerSecond = mbit * BYTES_OF_MBIT
  const plain = await startRelay(bench.fleet, { targetPort: bench.origins.staticPort, roundTripMs: ROUND_TRIP_MS, bytesPerSecond })
  const long = await overRelay(bench, { roundTripMs: ROUND_TRIP_MS, bytesPerSecond })
  const changing = await overRelay(bench, { roundTripMs: 0, bytesPerSecond })
  const changed = await download(bench, changing.gateway.port, async () => {
    await delay(1_000)
    changing.relay.tell(ROUND_TRIP_MS / 2)
  })
  const down = await download(bench, long.gateway.port)
  // Until it is over, and with its beginning: it has to be longer.
  const up = await upload(bench, long.gateway.port, bytesPerSecond * 2 * (SETTLE_SECONDS + SECONDS))
  const result = { plain: await download(bench, plain.port), down, up, changed }
  for (const service of [plain.service, long.gateway, long.relay, changing.gateway, changing.relay]) service.stop()
  return result
}

const longLinkOf = async (bench: Bench): Promise<Group> => {
  const rows: Group['rows'][number][] = []
  let worst = Infinity
  for (const mbit of bench.isQuick ? [QUICK_RATE_MBIT] : RATES_MBIT) {
    const runs: Awaited<ReturnType<typeof measureRate>>[] = []
    for (let round = 1; round <= Math.min(bench.runs, 3); round++) {
      runs.push(await measureRate(bench, mbit))
      bench.say(`  ${mbit} Mbit/s: round ${round}`)
    }
    const ratio = (key: 'down' | 'up' | 'changed'): number => median(runs.map(run => run[key] / run.plain))
    const [down, up, changed] = [ratio('down'), ratio('up'), ratio('changed')]
    worst = Math.min(worst, down, up, changed)
    rows.push({ label: `link of ${mbit} Mbit/s`, values: { plain: median(runs.map(run => run.plain)), down, up, changed } })
  }
  return {
    name: 'long-link',
    title: `one stream, ${ROUND_TRIP_MS} ms round trip`,
    columns: [
      { key: 'plain', title: 'plain TCP MB/s', digits: 1 },
      { key: 'down', title: 'download ×', digits: 2 },
      { key: 'up', title: 'upload ×', digits: 2 },
      { key: 'changed', title: 'download × after 0 → 100 ms', digits: 2 },
    ],
    rows,
    requirements: [
      {
        what: `rate of one stream at ${ROUND_TRIP_MS} ms to plain TCP's through the same relay, the worst`,
        unit: '×',
        limit: { atLeast: REQUIRED_PART },
        measured: worst,
      },
    ],
  }
}

const SLOW_LINKS = [
  { label: '64 kbit/s', mbit: 0.064, mostMs: 500 },
  { label: '1 Mbit/s', mbit: 1, mostMs: 100 },
]
const SLOW_ROUND_TRIP_MS = 20
const SLOW_SECONDS = 20

const slowLinkOf = async (bench: Bench): Promise<Group> => {
  const rows: Group['rows'][number][] = []
  const requirements: Group['requirements'][number][] = []
  for (const { label, mbit, mostMs } of SLOW_LINKS) {
    const { gateway, relay } = await overRelay(bench, { roundTripMs: SLOW_ROUND_TRIP_MS, bytesPerSecond: mbit * BYTES_OF_MBIT })
    const bulkClient = bench.hasWrk ? bench.client : bench.fleet.client()
    await bulkClient.ask({ kind: 'loop-downloads', target: staticTarget({ staticPort: gateway.port }, '/100m'), count: 1 })
    const seconds = bench.isQuick ? SLOW_SECONDS / 4 : SLOW_SECONDS
    const small = await load(bench, nodeTarget({ nodePort: gateway.port }, '/state'), { connections: 1, seconds })
    const bulk = transferred(await bulkClient.ask({ kind: 'release' }))
    const part = (rateOf(bulk) * 1e6) / (mbit * BYTES_OF_MBIT)
    rows.push({ label: `link of ${label}`, values: { p50: small.p50Us / 1000, p99: small.p99Us / 1000, part } })
    requirements.push({
      what: `p99 of a small GET beside a download on a link of ${label} and ${SLOW_ROUND_TRIP_MS} ms`,
      unit: 'ms',
      limit: { atMost: mostMs },
      measured: small.p99Us / 1000,
    })
    gateway.stop()
    relay.stop()
  }
  return {
    name: 'slow-link',
    title: 'small GET beside a download on a slow link',
    columns: [
      { key: 'p50', title: 'p50 ms', digits: 0 },
      { key: 'p99', title: 'p99 ms', digits: 0 },
      { key: 'part', title: 'download, part of the link', digits: 2 },
    ],
    rows,
    requirements,
  }
}

export const longLink: readonly Measurement[] = [
  { name: 'long-link', maxMs: LONG_LINK_MAX_MS, measure: longLinkOf },
  { name: 'slow-link', measure: slowLinkOf },
]
