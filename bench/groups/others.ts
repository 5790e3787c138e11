/** The gateway beside what people use instead, in one table: small requests, bulk both ways, memory. */
import { load, Samples, withCpu, type Bench, type Measurement } from '../bench.ts'
import { asContender, fetchText, mintServerPair, nodeTarget, startGateway, staticTarget, type Contender } from '../contenders.ts'
import { freePorts, ready } from '../fleet.ts'
import { NODE_HOST, STATIC_HOST } from '../hosts.ts'
import { isInstalled, OTHERS, withChildren } from '../others.ts'
import { rssBytes } from '../proc.ts'
import type { Column, Group } from '../report.ts'

const MIB = 2 ** 20
const BODY_BYTES = 100 << 20
const WARM_UP_SECONDS = 6
const MAX_MS = 1_800_000

const COLUMNS: readonly Column[] = [
  { key: 'rate', title: '1 KiB, c=64, req/s', digits: 0 },
  { key: 'rateRatio', title: '×', digits: 2 },
  { key: 'cpuUs', title: 'CPU µs/req', digits: 1 },
  { key: 'cpuRatio', title: '×', digits: 2 },
  { key: 'p99Us', title: 'p99 µs', digits: 0 },
  { key: 'p50Us', title: 'c=1, p50 µs', digits: 0 },
  { key: 'p50Ratio', title: '×', digits: 2 },
  { key: 'manyRate', title: 'c=512, req/s', digits: 0 },
  { key: 'largeRate', title: '64 KiB, c=64, req/s', digits: 0 },
  { key: 'down', title: 'down MB/s', digits: 0 },
  { key: 'downRatio', title: '×', digits: 2 },
  { key: 'up', title: 'up MB/s', digits: 0 },
  { key: 'upRatio', title: '×', digits: 2 },
  { key: 'rss', title: 'RSS MiB', digits: 0 },
]

/** Starts everything that is installed. */
const startAll = async (bench: Bench): Promise<Contender[]> => {
  const { fleet, origins, contenders } = bench
  const all = contenders.filter(({ name }) => name !== 'direct')
  const encrypted = await mintServerPair(fleet)
  all.push({ ...asContender(await startGateway(fleet, origins, { linkTls: encrypted })), name: 'gateway (link wss://)' })
  for (const [scheme, link] of [['ws', {}] as const, ['wss', { linkTls: encrypted }] as const]) {
    const [staticPort = 0, nodePort = 0] = await freePorts(2)
    const place = (port: number): object => ({ host: '127.0.0.1', hostname: '127.0.0.1', port, maxConnections: 10_000 })
    const tcp = { [staticPort]: place(origins.staticPort), [nodePort]: place(origins.nodePort) }
    const gateway = asContender(await startGateway(fleet, origins, { tcp, ...link }))
    all.push({ ...gateway, name: `gateway, TCP port (link ${scheme}://)`, staticPort, nodePort })
  }
  for (const other of OTHERS.filter(isInstalled)) {
    const { services, ...ports } = await other.start(fleet, origins)
    const isThere = async (): Promise<boolean> =>
      (await fetchText({ port: ports.staticPort, host: STATIC_HOST, path: '/1k' })).length === 1024 &&
      (await fetchText({ port: ports.nodePort, host: NODE_HOST, path: '/1k' })).length === 1024
    await ready(services.at(-1)!, other.name, isThere)
    all.push({ name: other.name, ...ports, pids: withChildren(services.map(({ pid }) => pid)) })
  }
  return all
}

const bytesPerSecond = async ({ client }: Bench, job: Parameters<Bench['client']['ask']>[0]): Promise<number> => {
  const reply = await client.ask(job)
  if (!('transferred' in reply)) throw new Error('the client answered another question')
  return reply.transferred.bytes / reply.transferred.seconds / 1e6
}

/** The row of one contender in one round. */
const measureOne = async (bench: Bench, contender: Contender): Promise<Record<string, number>> => {
  const { isQuick } = bench
  const seconds = isQuick ? 1 : 2
  const { pids } = contender
  const small = staticTarget(contender, '/1k')
  const { result, cpuSeconds } = await withCpu(pids, () => load(bench, small, { connections: 64, seconds }))
  const one = await load(bench, small, { connections: 1, seconds })
  const many = await load(bench, small, { connections: 512, seconds })
  const large = await load(bench, staticTarget(contender, '/64k'), { connections: 64, seconds })
  const times = isQuick ? 1 : 5
  return {
    rate: result.requests / result.seconds,
    cpuUs: (cpuSeconds / result.requests) * 1e6,
    p99Us: result.p99Us,
    p50Us: one.p50Us,
    manyRate: many.requests / many.seconds,
    largeRate: large.requests / large.seconds,
    down: await bytesPerSecond(bench, { kind: 'download', target: staticTarget(contender, '/100m'), times }),
    up: await bytesPerSecond(bench, { kind: 'upload', target: nodeTarget(contender, '/sink'), times, bytes: BODY_BYTES }),
    rss: pids.reduce((sum, pid) => sum + rssBytes(pid), 0) / MIB,
  }
}

const RATIOS = { rateRatio: 'rate', cpuRatio: 'cpuUs', p50Ratio: 'p50Us', downRatio: 'down', upRatio: 'up' } as const

/** `others`: needs nothing, and compares with whatever is installed. */
export const others: Measurement = {
  name: 'others',
  maxMs: MAX_MS,
  measure: async (bench): Promise<Group> => {
    const missing = OTHERS.filter(other => !isInstalled(other))
    if (missing.length > 0) bench.say(`  not installed: ${missing.map(({ name }) => name).join('; ')}`)
    const contenders = await startAll(bench)
    for (const contender of contenders)
      await load(bench, staticTarget(contender, '/1k'), { connections: 64, seconds: bench.isQuick ? 1 : WARM_UP_SECONDS })
    const samples = await Samples.collect(bench, contenders, contender => measureOne(bench, contender))
    const rows = contenders.map(({ name }) => {
      const ratios = Object.entries(RATIOS).map(([key, figure]) => [key, samples.ratio(name, figure)] as const)
      return { label: name, values: { ...samples.medians(name), ...Object.fromEntries(ratios) } }
    })
    const label = 'Beside what people use instead; × is to the one-hop Node proxy, and each link is encrypted where it says so'
    return { name: 'others', title: label, columns: COLUMNS, rows, requirements: [] }
  },
}
