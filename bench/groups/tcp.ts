/** TCP ports, next to a plain Node relay: bulk, latency, the cost of idle connections, and OpenSSH. */
import { setTimeout as delay } from 'node:timers/promises'
import { withCpu, type Bench, type Figures, type Measurement } from '../bench.ts'
import { startGateway, type Gateway } from '../contenders.ts'
import { ready } from '../fleet.ts'
import { rssBytes } from '../proc.ts'
import type { Group } from '../report.ts'
import { median, medianRatio } from '../stats.ts'
import type { TcpJob, TcpResult } from '../tcp-jobs.ts'
import { measureShell, SSH_PROGRAMS } from '../ssh.ts'
import { programPath } from '../../test/support/needs.ts'
import { freePort } from '../../test/support/ports.ts'

const BULK_BYTES = 512 << 20
const QUICK_BYTES = 128 << 20
const ECHO_BYTES = 65_536
const IDLE = 1_000
const WARM = 50
const MAX_IDLE_KIB = 30
const SETTLE_MS = 3_000
const MAX_KEY_MS = 100
const SCP_BYTES = 1 << 30
const QUICK_SCP_BYTES = 1 << 28

/** Who carries the connections, and the processes whose CPU is its own. */
interface Carrier {
  readonly label: 'direct' | 'plain Node relay' | 'gateway'
  readonly port: number
  readonly pids: readonly number[]
}

interface Stage {
  readonly carriers: readonly Carrier[]
  readonly gateway: Gateway
  stop(): void
}

/** Starts a relay and a gateway in front of a TCP server. */
const startStage = async ({ fleet, origins }: Bench, originPort: number): Promise<Stage> => {
  const [relayPort, publicPort] = [await freePort(), await freePort()]
  const relay = fleet.serveScript('tcp-relay.ts', relayPort, originPort)
  const tcp = { [publicPort]: { host: '127.0.0.1', hostname: '127.0.0.1', port: originPort, maxConnections: 10_000 } }
  const gateway = await startGateway(fleet, origins, { tcp })
  return {
    gateway,
    carriers: [
      { label: 'direct', port: originPort, pids: [] },
      { label: 'plain Node relay', port: relayPort, pids: [relay.pid] },
      { label: 'gateway', port: publicPort, pids: [gateway.outer.pid, gateway.inner.pid] },
    ],
    stop: () => {
      relay.stop()
      gateway.stop()
    },
  }
}

const ask = async ({ client }: Bench, job: TcpJob): Promise<TcpResult> => {
  const reply = await client.ask(job)
  if (!('tcp' in reply)) throw new Error('the client answered another question')
  return reply.tcp
}

const startOrigin = async (bench: Bench): Promise<{ readonly port: number; stop(): void }> => {
  const port = await freePort()
  const origin = bench.fleet.serveScript('tcp-origin.ts', port)
  await ready(origin, 'the TCP origin', async () => (await ask(bench, { kind: 'tcp-download', port, bytes: 1 })).bytes === 1)
  return { port, stop: () => origin.stop() }
}

/** Runs the carriers in turns; the figures of each, in the order of the rounds. */
const collect = async (
  bench: Bench,
  carriers: readonly Carrier[],
  run: (carrier: Carrier) => Promise<Figures>,
): Promise<(label: Carrier['label'], key: string) => number[]> => {
  const rounds: Record<string, Figures>[] = []
  for (let round = 1; round <= bench.runs; round++) {
    const figures: Record<string, Figures> = {}
    for (const carrier of carriers) figures[carrier.label] = await run(carrier)
    rounds.push(figures)
    bench.say(`  round ${round} of ${bench.runs}`)
  }
  return (label, key) => rounds.map(figures => figures[label]?.[key] ?? NaN)
}

const bulk: Measurement = {
  name: 'tcp-bulk',
  measure: async (bench): Promise<Group> => {
    const origin = await startOrigin(bench)
    const { carriers, stop } = await startStage(bench, origin.port)
    const bytes = bench.isQuick ? QUICK_BYTES : BULK_BYTES
    for (const { port } of carriers) {
      await ask(bench, { kind: 'tcp-download', port, bytes })
      await ask(bench, { kind: 'tcp-upload', port, bytes })
    }
    const of = await collect(bench, carriers, async ({ port, pids }) => {
      const down = await withCpu(pids, () => ask(bench, { kind: 'tcp-download', port, bytes }))
      const up = await withCpu(pids, () => ask(bench, { kind: 'tcp-upload', port, bytes }))
      const perGigabyte = (cpuSeconds: number): number => (pids.length === 0 ? NaN : cpuSeconds / (bytes / 1e9))
      return {
        down: bytes / 1e6 / down.result.seconds,
        downCpu: perGigabyte(down.cpuSeconds),
        up: bytes / 1e6 / up.result.seconds,
        upCpu: perGigabyte(up.cpuSeconds),
      }
    })
    stop()
    origin.stop()
    const keys = ['down', 'downCpu', 'up', 'upCpu'] as const
    const ratio = (label: Carrier['label'], key: string): number => medianRatio(of(label, key), of('plain Node relay', key))
    const required = (key: 'down' | 'up', what: string) => ({
      what: `rate of a TCP ${what} to the plain Node relay's`,
      unit: '×',
      limit: { atLeast: 0.6 },
      measured: ratio('gateway', key),
    })
    return {
      name: 'tcp-bulk',
      title: `${bytes >> 20} MiB over one TCP connection`,
      columns: [
        { key: 'down', title: 'down MB/s', digits: 0 },
        { key: 'downRatio', title: '× relay', digits: 2 },
        { key: 'downCpu', title: 'CPU s/GB', digits: 2 },
        { key: 'up', title: 'up MB/s', digits: 0 },
        { key: 'upRatio', title: '× relay', digits: 2 },
        { key: 'upCpu', title: 'CPU s/GB', digits: 2 },
      ],
      rows: carriers.map(({ label }) => ({
        label,
        values: {
          ...Object.fromEntries(keys.map(key => [key, median(of(label, key))])),
          downRatio: ratio(label, 'down'),
          upRatio: ratio(label, 'up'),
        },
      })),
      requirements: [required('down', 'download'), required('up', 'upload')],
    }
  },
}

const latency: Measurement = {
  name: 'tcp-echo',
  measure: async (bench): Promise<Group> => {
    const origin = await startOrigin(bench)
    const { carriers, stop } = await startStage(bench, origin.port)
    const seconds = bench.isQuick ? 0.5 : 2
    const echo = (port: number): Promise<TcpResult> => ask(bench, { kind: 'tcp-echo', port, bytes: ECHO_BYTES, seconds })
    for (const { port } of carriers) await echo(port)
    const of = await collect(bench, carriers, async ({ port }) => {
      const { p50Ms = NaN, p99Ms = NaN, bytes, seconds: took } = await echo(port)
      return { p50: p50Ms, p99: p99Ms, rate: bytes / ECHO_BYTES / took }
    })
    stop()
    origin.stop()
    return {
      name: 'tcp-echo',
      title: '64 KiB there and back, one TCP connection',
      columns: [
        { key: 'p50', title: 'p50 ms', digits: 2 },
        { key: 'p99', title: 'p99 ms', digits: 2 },
        { key: 'rate', title: 'echoes/s', digits: 0 },
      ],
      rows: carriers.map(({ label }) => ({
        label,
        values: Object.fromEntries(['p50', 'p99', 'rate'].map(key => [key, median(of(label, key))])),
      })),
      requirements: [],
    }
  },
}

const idle: Measurement = {
  name: 'tcp-idle',
  measure: async (bench): Promise<Group> => {
    const origin = await startOrigin(bench)
    const { carriers, gateway, stop } = await startStage(bench, origin.port)
    const { port } = carriers.at(-1)!
    const layers = { 'outer layer': gateway.outer.pid, 'inner layer': gateway.inner.pid }
    // Warm, since compiling is no cost of connections; but few at a time, so that the heap has not grown for them before.
    for (let i = 0; i < IDLE / WARM; i++) {
      await ask(bench, { kind: 'tcp-hold', port, count: WARM })
      await ask(bench, { kind: 'tcp-release' })
    }
    await delay(SETTLE_MS)
    const memory = (): Record<string, number> => Object.fromEntries(Object.entries(layers).map(([label, pid]) => [label, rssBytes(pid)]))
    const before = memory()
    await ask(bench, { kind: 'tcp-hold', port, count: IDLE })
    await delay(SETTLE_MS)
    const after = memory()
    await ask(bench, { kind: 'tcp-release' })
    stop()
    origin.stop()
    const each = (label: string): number => ((after[label] ?? NaN) - (before[label] ?? NaN)) / IDLE / 1024
    return {
      name: 'tcp-idle',
      title: `${IDLE} idle TCP connections`,
      columns: [
        { key: 'before', title: 'before, MiB', digits: 1 },
        { key: 'after', title: 'with them, MiB', digits: 1 },
        { key: 'each', title: 'KiB each', digits: 1 },
      ],
      rows: Object.keys(layers).map(label => ({
        label,
        values: { before: (before[label] ?? NaN) / 2 ** 20, after: (after[label] ?? NaN) / 2 ** 20, each: each(label) },
      })),
      requirements: [
        {
          what: 'memory of the outer layer for each idle TCP connection',
          unit: 'KiB',
          limit: { atMost: MAX_IDLE_KIB },
          measured: each('outer layer'),
        },
      ],
    }
  },
}

const ssh: Measurement = {
  name: 'tcp-ssh',
  measure: async (bench): Promise<Group> => {
    const absent = SSH_PROGRAMS.filter(program => programPath(program) === undefined)
    if (absent.length > 0) {
      bench.say(`  skipped: ${absent.join(', ')} not installed`)
      return { name: 'tcp-ssh', title: 'OpenSSH', columns: [], rows: [], requirements: [] }
    }
    const bytes = bench.isQuick ? QUICK_SCP_BYTES : SCP_BYTES
    const figures = await measureShell(bench, bytes, async port => startStage(bench, port))
    return {
      name: 'tcp-ssh',
      title: `Keys in a shell of OpenSSH while scp copies ${bytes >> 20} MiB`,
      columns: [
        { key: 'alone', title: 'echo alone, p99 ms', digits: 1 },
        { key: 'p50', title: 'beside scp, p50 ms', digits: 1 },
        { key: 'p99', title: 'p99 ms', digits: 1 },
        { key: 'rate', title: 'scp MB/s', digits: 0 },
      ],
      rows: figures.map(({ label, ...values }) => ({ label, values })),
      requirements: [
        {
          what: 'p99 of the echo of a key in a shell while scp copies through the same inner layer',
          unit: 'ms',
          limit: { atMost: MAX_KEY_MS },
          measured: figures.find(({ label }) => label === 'gateway')?.p99 ?? NaN,
        },
      ],
    }
  },
}

export const tcp: readonly Measurement[] = [bulk, latency, idle, ssh]
