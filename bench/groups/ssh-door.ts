/** The SSH door next to our own link: small requests, bulk, transfers that stand still, and many tunnels. */
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { load, withCpu, type Bench, type Measurement } from '../bench.ts'
import { builtModules } from '../built-modules.ts'
import { keyPairOf, nodeTarget, startGateway } from '../contenders.ts'
import { freePorts, ready, type Fleet, type Service } from '../fleet.ts'
import { cpuSeconds, rssBytes } from '../proc.ts'
import type { Group, Requirement } from '../report.ts'
import { median, medianRatio } from '../stats.ts'
import type { Target } from '../load.ts'
import { fetchText } from '../contenders.ts'
import { programPath } from '../../test/support/needs.ts'

const MIB = 2 ** 20
const COUNT = 100
const TUNNELS = 500
/** Tunnels that are there before. */
const WARM_TUNNELS = 100
const BODY_BYTES = 2 ** 30
const MAX_GROWTH_MIB = 64
const HOLD_MS = 12_000
const QUICK_HOLD_MS = 4_000
const SAMPLE_MS = 200
const STOP_MS = 200

/** An outer layer, a door, and where its tunnels are. */
interface Stage {
  readonly outer: Service
  readonly door: Service
  readonly port: number
  readonly doorPort: number
  target(tunnel: number, path: string): Target
  stop(): void
}

const startStage = async (fleet: Fleet, tunnels: number): Promise<Stage> => {
  const { key, certificate } = await keyPairOf(fleet)
  const modules = await builtModules(fleet)
  const [port = 0, doorPort = 0] = await freePorts(2)
  const outer = fleet.serveScript('ssh-outer.ts', port, certificate, tunnels, modules)
  const [, servicePort = ''] = await written(outer, /^service port (\d+)$/m)
  const door = fleet.serveServiceScript('ssh-door.ts', doorPort, servicePort, key, modules)
  await ready(door, 'the SSH door', () => listens(doorPort))
  const stop = (): void => {
    door.stop()
    outer.stop()
  }
  return { outer, door, port, doorPort, stop, target: (tunnel, path) => ({ port, host: `t${tunnel}.bench`, path }) }
}

/** Waits for what a script writes. @throws Error with all of it after a minute */
const written = async ({ logFile }: Service, pattern: RegExp): Promise<RegExpExecArray> => {
  for (let tries = 0; tries < 600; tries++) {
    const match = pattern.exec(readFileSync(logFile, 'utf8'))
    if (match !== null) return match
    await delay(100)
  }
  throw new Error(`nothing like ${String(pattern)} after a minute: ${readFileSync(logFile, 'utf8').slice(-1_000)}`)
}

const listens = (port: number): Promise<boolean> =>
  new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    socket
      .once('error', () => resolve(false))
      .once('connect', () => {
        socket.destroy()
        resolve(true)
      })
  })

/** OpenSSH that forwards tunnels to ports of this machine. */
const startSsh = async (fleet: Fleet, { doorPort }: Stage, ports: readonly number[]): Promise<Service> => {
  const identity = join(fleet.directory, `id-${doorPort}`)
  await fleet.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', identity])
  const options = ['IdentitiesOnly=yes', 'IdentityAgent=none', 'BatchMode=yes', 'StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null']
  return fleet.serve([
    programPath('ssh')!,
    ...['-F', '/dev/null', '-N', '-i', identity, '-p', String(doorPort), ...options.flatMap(option => ['-o', option])],
    ...ports.flatMap((port, tunnel) => ['-R', `t${tunnel}:80:127.0.0.1:${port}`]),
    'bench@127.0.0.1',
  ])
}

/** Starts everything, and answers to the first request have come. */
const startServed = async ({ fleet, origins }: Bench): Promise<Stage & { readonly ssh: Service }> => {
  const stage = await startStage(fleet, 2)
  const ssh = await startSsh(fleet, stage, [origins.staticPort, origins.nodePort])
  await ready(ssh, 'the SSH tunnel', async () => (await fetchText(stage.target(0, '/1k'))).length === 1024)
  return {
    ...stage,
    ssh,
    stop: () => {
      ssh.stop()
      stage.stop()
    },
  }
}

const skipped = (name: string, bench: Bench): Group | undefined => {
  if (programPath('ssh') !== undefined && programPath('ssh-keygen') !== undefined) return undefined
  bench.say('  skipped: ssh not installed')
  return { name, title: 'The SSH door', columns: [], rows: [], requirements: [] }
}

const requests: Measurement = {
  name: 'ssh-1k',
  measure: async bench => {
    const absent = skipped('ssh-1k', bench)
    if (absent !== undefined) return absent
    const gateway = await startGateway(bench.fleet, bench.origins)
    const stage = await startServed(bench)
    const times = bench.isQuick ? 1 : 3
    const ways = [
      {
        label: 'our link',
        pids: [gateway.outer.pid, gateway.inner.pid],
        small: { port: gateway.port, host: 'static.bench', path: '/1k' },
        large: nodeTarget({ nodePort: gateway.port }, '/100m'),
      },
      {
        label: 'SSH, less the client',
        pids: [stage.outer.pid, stage.door.pid],
        small: stage.target(0, '/1k'),
        large: stage.target(1, '/100m'),
      },
    ]
    const options = { connections: 64, seconds: bench.isQuick ? 1 : 3 }
    for (const { small } of ways) await load(bench, small, { connections: 64, seconds: bench.isQuick ? 1 : 6 })
    const rounds: Record<string, Record<string, number>>[] = []
    for (let round = 1; round <= bench.runs; round++) {
      const figures: Record<string, Record<string, number>> = {}
      for (const { label, pids, small, large } of ways) {
        const { result, cpuSeconds } = await withCpu(pids, () => load(bench, small, options))
        const bulk = await withCpu(pids, () => bench.client.ask({ kind: 'download', target: large, times }))
        if (!('transferred' in bulk.result)) throw new Error('the client answered another question')
        const { bytes, seconds } = bulk.result.transferred
        figures[label] = {
          rate: result.requests / result.seconds,
          cpuUs: (cpuSeconds / result.requests) * 1e6,
          p99Us: result.p99Us,
          down: bytes / 1e6 / seconds,
          downCpu: bulk.cpuSeconds / (bytes / 1e9),
        }
      }
      rounds.push(figures)
      bench.say(`  round ${round} of ${bench.runs}`)
    }
    stage.stop()
    gateway.stop()
    const of = (label: string, key: string): number[] => rounds.map(figures => figures[label]?.[key] ?? NaN)
    const ratio = (key: string): number => medianRatio(of(ways[1]!.label, key), of(ways[0]!.label, key))
    return {
      name: 'ssh-1k',
      title: '1 KiB GET at 64 connections and a download of 100 MiB, through ssh -R and through our own link',
      columns: [
        { key: 'rate', title: 'req/s', digits: 0 },
        { key: 'cpuUs', title: 'CPU µs/req', digits: 1 },
        { key: 'cpuRatio', title: '× our link', digits: 2 },
        { key: 'p99Us', title: 'p99 µs', digits: 0 },
        { key: 'down', title: 'down MB/s', digits: 0 },
        { key: 'downCpu', title: 'CPU s/GB', digits: 2 },
      ],
      rows: ways.map(({ label }, index) => ({
        label,
        values: {
          ...Object.fromEntries(['rate', 'cpuUs', 'p99Us', 'down', 'downCpu'].map(key => [key, median(of(label, key))])),
          cpuRatio: index === 0 ? 1 : ratio('cpuUs'),
        },
      })),
      requirements: [
        {
          what: "CPU per request through SSH, outer layer and door together, to our own link's",
          unit: '×',
          limit: { atMost: 1.6 },
          measured: ratio('cpuUs'),
        },
      ],
    }
  },
}

const growth = (
  name: string,
  title: string,
  hold: (bench: Bench, stage: Stage & { readonly ssh: Service }) => Promise<void>,
): Measurement => ({
  name,
  measure: async bench => {
    const absent = skipped(name, bench)
    if (absent !== undefined) return absent
    const stage = await startServed(bench)
    await load(bench, stage.target(0, '/1k'), { connections: 16, seconds: bench.isQuick ? 1 : 4 })
    await delay(bench.isQuick ? 1_000 : 4_000)
    const sample = (): readonly [number, number] => [rssBytes(stage.outer.pid), rssBytes(stage.door.pid)]
    const before = sample()
    const most = [...before] as [number, number]
    await hold(bench, stage)
    const end = performance.now() + (bench.isQuick ? QUICK_HOLD_MS : HOLD_MS)
    while (performance.now() < end) {
      sample().forEach((bytes, index) => (most[index] = Math.max(most[index]!, bytes)))
      await delay(SAMPLE_MS)
    }
    await bench.client.ask({ kind: 'release' })
    process.kill(stage.ssh.pid, 'SIGCONT')
    stage.stop()
    const rows = ['outer layer', 'SSH door'].map((label, index) => ({
      label,
      values: { before: before[index]! / MIB, peak: (most[index]! - before[index]!) / MIB },
    }))
    return {
      name,
      title,
      columns: [
        { key: 'before', title: 'before, MiB', digits: 0 },
        { key: 'peak', title: 'most growth, MiB', digits: 1 },
      ],
      rows,
      requirements: rows.map(({ label, values }): Requirement => ({
        what: `growth of the ${label} with ${title}`,
        unit: 'MiB',
        limit: { atMost: MAX_GROWTH_MIB },
        measured: values.peak,
      })),
    }
  },
})

const tunnels: Measurement = {
  name: 'ssh-tunnels',
  measure: async bench => {
    const { fleet } = bench
    const count = bench.isQuick ? 100 : TUNNELS
    const stage = await startStage(fleet, count + WARM_TUNNELS)
    // Compiling is no cost of tunnels, nor is the room that a young heap takes for whatever comes.
    const warm = fleet.serveScript('ssh-clients.ts', stage.doorPort, WARM_TUNNELS, stage.port, count)
    await result(warm)
    await settled(stage)
    const before = [rssBytes(stage.outer.pid), rssBytes(stage.door.pid)] as const
    const used = [cpuSeconds([stage.outer.pid]), cpuSeconds([stage.door.pid])] as const
    const clients = fleet.serveScript('ssh-clients.ts', stage.doorPort, count, stage.port)
    const { upMs, takeoverMs } = await result(clients)
    const [outerCpu, doorCpu] = [cpuSeconds([stage.outer.pid]) - used[0], cpuSeconds([stage.door.pid]) - used[1]]
    await settled(stage)
    const after = [rssBytes(stage.outer.pid), rssBytes(stage.door.pid)] as const
    clients.stop()
    warm.stop()
    stage.stop()
    const each = (index: 0 | 1): number => (after[index] - before[index]) / count / 1024
    return {
      name: 'ssh-tunnels',
      title: `${count} SSH tunnels at once, and one that is taken over from a client that has vanished`,
      columns: [
        { key: 'up', title: 'all up, s', digits: 1 },
        { key: 'outerCpu', title: 'CPU ms each, outer layer', digits: 1 },
        { key: 'doorCpu', title: 'CPU ms each, door', digits: 1 },
        { key: 'outer', title: 'KiB each, outer layer', digits: 0 },
        { key: 'door', title: 'KiB each, door', digits: 0 },
        { key: 'takeover', title: 'taken over, ms', digits: 0 },
      ],
      rows: [
        {
          label: 'SSH door',
          values: {
            up: upMs / 1000,
            outerCpu: (outerCpu / count) * 1000,
            doorCpu: (doorCpu / count) * 1000,
            outer: each(0),
            door: each(1),
            takeover: takeoverMs,
          },
        },
      ],
      requirements: [
        { what: `time until ${count} SSH tunnels are up`, unit: 's', limit: { atMost: 10 }, measured: upMs / 1000 },
        { what: 'memory of the door for each SSH tunnel', unit: 'KiB', limit: { atMost: 60 }, measured: each(1) },
        {
          what: 'time from a login to visitors, at a tunnel of a client that has vanished',
          unit: 'ms',
          limit: { atMost: 1_000 },
          measured: takeoverMs,
        },
      ],
    }
  },
}

/** Waits until what was begun is over, and its garbage is collected: pages are given back a while after that. */
const settled = async ({ door }: Stage): Promise<void> => {
  await delay(3_000)
  process.kill(door.pid, 'SIGUSR2')
  await delay(3_000)
}

/** What bench/ssh-clients.ts has written. */
const result = async (clients: Service): Promise<{ readonly upMs: number; readonly takeoverMs: number }> => {
  const [line] = await written(clients, /^\{.*\}$/m)
  return JSON.parse(line) as { upMs: number; takeoverMs: number }
}

export const sshDoor: readonly Measurement[] = [
  requests,
  growth('ssh-stalled-downloads', `${COUNT} visitors that never read an answer of 1 GiB through SSH`, async ({ client }, stage) => {
    await client.ask({ kind: 'hold-downloads', target: stage.target(1, '/stream'), count: COUNT })
  }),
  growth('ssh-stalled-uploads', `${COUNT} uploads of 1 GiB to an SSH client that stands still`, async ({ client }, stage) => {
    await client.ask({ kind: 'hold-uploads', target: stage.target(1, '/unread'), count: COUNT, bytes: BODY_BYTES })
    // The channels are open by then, each with the 2 MiB that OpenSSH lets us send.
    await delay(STOP_MS)
    process.kill(stage.ssh.pid, 'SIGSTOP')
  }),
  tunnels,
]
