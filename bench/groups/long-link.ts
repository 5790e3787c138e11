/** One stream over a link with a long round trip, and a small request beside bulk on a slow one. */
import { setTimeout as delay } from 'node:timers/promises'
import { load, type Bench, type Figures, type Measurement } from '../bench.ts'
import type { Transferred } from '../client.ts'
import { fetchText, nodeTarget, startGateway, startRelay, staticTarget, type Gateway } from '../contenders.ts'
import type { Service } from '../fleet.ts'
import type { Column, Group } from '../report.ts'
import { median } from '../stats.ts'

const ROUND_TRIP_MS = 100
const RATES_MBIT = [10, 50, 200, 800]
const QUICK_RATE_MBIT = 50
/** What both ends need to know the way, and what is measured then, seconds. */
const SETTLE_SECONDS = 3
const SECONDS = 5
const REQUIRED_PART = 0.9
const IDLE_MS = 60_000
/** More than is measured, at every rate. */
const UPLOAD_BYTES = 2 ** 31
/** Four rates, three rounds, some 45 seconds each, and a minute of nothing for each rate. */
const LONG_LINK_MAX_MS = 1_500_000
const BYTES_OF_MBIT = 125_000

const transferred = (reply: object): Transferred => {
  if (!('transferred' in reply)) throw new Error('the client answered another question')
  return reply.transferred as Transferred
}

const rateOf = ({ bytes, seconds }: Transferred): number => bytes / seconds / 1e6

/** MB/s of one download once it has gone on for some seconds; `change` is called before them. */
const download = async ({ client }: Bench, staticPort: number, change?: () => Promise<void>): Promise<number> => {
  // One that is longer than the measurement: each begins with a small window.
  await client.ask({ kind: 'loop-downloads', target: staticTarget({ staticPort }, '/2g'), count: 1 })
  await change?.()
  await delay(SETTLE_SECONDS * 1_000)
  const before = transferred(await client.ask({ kind: 'so-far' }))
  await delay(SECONDS * 1_000)
  const { bytes, seconds } = transferred(await client.ask({ kind: 'release' }))
  return rateOf({ bytes: bytes - before.bytes, seconds: seconds - before.seconds })
}

/** MB/s at which an upload arrives at the origin once it has gone on for some seconds. */
const upload = async ({ client, origins }: Bench, nodePort: number): Promise<number> => {
  const sunk = async (): Promise<Transferred> => {
    const { sunk: bytes } = JSON.parse(await fetchText(nodeTarget(origins, '/state'))) as { sunk: number }
    return { bytes, seconds: performance.now() / 1000 }
  }
  await client.ask({ kind: 'hold-uploads', target: nodeTarget({ nodePort }, '/sink'), count: 1, bytes: UPLOAD_BYTES })
  await delay(SETTLE_SECONDS * 1_000)
  const before = await sunk()
  await delay(SECONDS * 1_000)
  const after = await sunk()
  await client.ask({ kind: 'release' })
  return rateOf({ bytes: after.bytes - before.bytes, seconds: after.seconds - before.seconds })
}

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

/** Each way, over a way that is long from the start, both again after a minute in which nothing was asked, and down over one that becomes so. */
const measureRate = async (bench: Bench, mbit: number, isWithIdle: boolean): Promise<Figures> => {
  const bytesPerSecond = mbit * BYTES_OF_MBIT
  const plain = await startRelay(bench.fleet, { targetPort: bench.origins.staticPort, roundTripMs: ROUND_TRIP_MS, bytesPerSecond })
  const long = await overRelay(bench, { roundTripMs: ROUND_TRIP_MS, bytesPerSecond })
  const changing = await overRelay(bench, { roundTripMs: 0, bytesPerSecond })
  const down = await download(bench, long.gateway.port)
  const up = await upload(bench, long.gateway.port)
  const idle = delay(isWithIdle ? IDLE_MS : 0)
  const changed = await download(bench, changing.gateway.port, async () => {
    await delay(1_000)
    changing.relay.tell(ROUND_TRIP_MS / 2)
  })
  const tcp = await download(bench, plain.port)
  await idle
  const again = isWithIdle ? await download(bench, long.gateway.port) : NaN
  for (const service of [plain.service, long.gateway, long.relay, changing.gateway, changing.relay]) service.stop()
  return { plain: tcp, part: tcp / (bytesPerSecond / 1e6), down: down / tcp, up: up / tcp, changed: changed / tcp, again: again / tcp }
}

const COLUMNS: readonly Column[] = [
  { key: 'plain', title: 'plain TCP MB/s', digits: 1 },
  { key: 'part', title: 'of the link', digits: 2 },
  { key: 'down', title: 'download ×', digits: 2 },
  { key: 'up', title: 'upload ×', digits: 2 },
  { key: 'changed', title: 'download × after 0 → 100 ms', digits: 2 },
  { key: 'again', title: 'download × after a minute of nothing', digits: 2 },
]

const longLinkOf = async (bench: Bench): Promise<Group> => {
  const rows: Group['rows'][number][] = []
  let worst = Infinity
  const rounds = Math.min(bench.runs, 3)
  for (const mbit of bench.isQuick ? [QUICK_RATE_MBIT] : RATES_MBIT) {
    const runs: Figures[] = []
    for (let round = 1; round <= rounds; round++) {
      runs.push(await measureRate(bench, mbit, !bench.isQuick && round === rounds))
      bench.say(`  ${mbit} Mbit/s: round ${round}`)
    }
    const values = Object.fromEntries(
      COLUMNS.map(({ key }) => [key, median(runs.map(run => run[key] ?? NaN).filter(figure => !Number.isNaN(figure)))]),
    )
    const ratios = [values['down'], values['up'], values['changed'], values['again']]
    worst = Math.min(worst, ...ratios.filter(ratio => ratio !== undefined && !Number.isNaN(ratio)).map(Number))
    rows.push({ label: `link of ${mbit} Mbit/s`, values })
  }
  return {
    name: 'long-link',
    title: `one stream, ${ROUND_TRIP_MS} ms round trip`,
    columns: COLUMNS,
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
