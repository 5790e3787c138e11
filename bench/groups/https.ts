/** 1 KiB GETs by HTTPS, 64 at a time, next to a proxy of one hop that ends TLS as well: HTTP/1.1 and HTTP/2. */
import { withCpu, type Bench, type Figures, type Measurement } from '../bench.ts'
import { mintServerPair, startGateway, startTlsProxy } from '../contenders.ts'
import { h2loadArguments, parseH2load, type H2LoadOptions, type H2LoadResult } from '../h2load.ts'
import type { Column, Group } from '../report.ts'
import { median, medianRatio } from '../stats.ts'
import { programPath } from '../../test/support/needs.ts'

/** Just-in-time compilation goes on for seconds. */
const WARM_UP_SECONDS = 6
const SECONDS = 3

const COLUMNS: readonly Column[] = [
  { key: 'rate', title: 'req/s', digits: 0 },
  { key: 'rateRatio', title: '× one hop', digits: 2 },
  { key: 'cpuUs', title: 'CPU µs/req', digits: 1 },
  { key: 'cpuRatio', title: '× one hop', digits: 2 },
  { key: 'meanUs', title: 'mean µs', digits: 0 },
]
const ONE_HOP = 'one-hop Node proxy'

const load = async ({ fleet }: Bench, options: H2LoadOptions): Promise<H2LoadResult> =>
  parseH2load(await fleet.run(['h2load', ...h2loadArguments(options)]))

const measurement = (name: string, shape: Pick<H2LoadOptions, 'version' | 'connections' | 'streams'>, what: string): Measurement => ({
  name,
  measure: async (bench): Promise<Group> => {
    const title = `1 KiB GET by HTTPS, ${what}`
    if (programPath('h2load') === undefined) {
      bench.say('  skipped: h2load not installed (nghttp2-client)')
      return { name, title, columns: [], rows: [], requirements: [] }
    }
    const { fleet, origins, isQuick } = bench
    const tls = await mintServerPair(fleet)
    const proxy = await startTlsProxy(fleet, origins, tls)
    const gateway = await startGateway(fleet, origins, { tls })
    const contenders = [
      { label: ONE_HOP, port: proxy.port, pids: [proxy.service.pid] },
      { label: 'gateway', port: gateway.port, pids: [gateway.outer.pid, gateway.inner.pid] },
    ]
    const run = (port: number, seconds: number): Promise<H2LoadResult> => load(bench, { ...shape, port, path: '/1k', seconds })
    for (const { port } of contenders) await run(port, isQuick ? 1 : WARM_UP_SECONDS)
    const rounds: Record<string, Figures>[] = []
    for (let round = 1; round <= bench.runs; round++) {
      const figures: Record<string, Figures> = {}
      for (const { label, port, pids } of contenders) {
        const { result, cpuSeconds } = await withCpu(pids, () => run(port, isQuick ? 1 : SECONDS))
        figures[label] = { rate: result.perSecond, cpuUs: (cpuSeconds / result.requests) * 1e6, meanUs: result.meanUs }
      }
      rounds.push(figures)
      bench.say(`  round ${round} of ${bench.runs}`)
    }
    proxy.service.stop()
    gateway.stop()
    const of = (label: string, key: string): number[] => rounds.map(figures => figures[label]?.[key] ?? NaN)
    const ratio = (label: string, key: string): number => medianRatio(of(label, key), of(ONE_HOP, key))
    const rows = contenders.map(({ label }) => ({
      label,
      values: {
        ...Object.fromEntries(['rate', 'cpuUs', 'meanUs'].map(key => [key, median(of(label, key))])),
        rateRatio: ratio(label, 'rate'),
        cpuRatio: ratio(label, 'cpuUs'),
      },
    }))
    return { name, title, columns: COLUMNS, rows, requirements: [] }
  },
})

export const https: readonly Measurement[] = [
  measurement('https1-1k', { version: '1.1', connections: 64, streams: 1 }, 'HTTP/1.1, 64 connections'),
  measurement('https2-1k', { version: '2', connections: 8, streams: 8 }, 'HTTP/2, 8 connections with 8 streams each'),
]
