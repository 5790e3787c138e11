/** A request that comes in at one node and is served by another, next to one that is served where it comes in. */
import { programPath } from '../../test/support/needs.ts'
import { load, withCpu, type Bench, type Figures, type Measurement } from '../bench.ts'
import { fetchText, keyPairOf, listenHere, nodeTarget, startGateway, staticTarget, type Gateway } from '../contenders.ts'
import { freePorts, ready, type Service } from '../fleet.ts'
import { NODE_HOST } from '../hosts.ts'
import type { Group } from '../report.ts'
import { median, medianRatio } from '../stats.ts'

const CONNECTIONS = 64
const WARM_UP_SECONDS = 6
const SECONDS = 2
const ROUNDS_EACH = 3
const BODIES = 3
const MAX_CPU_RATIO = 0.6
const MIN_RATE_RATIO = 0.7

const LOCAL = 'served by the node itself'
const RELAYED = 'served by another node'

/** Two nodes: the one that has the inner layer, and the one that clients come to. */
const startNodes = async ({
  fleet,
  origins,
}: Bench): Promise<{ readonly relaying: Gateway; readonly entry: Service; readonly port: number }> => {
  const redis = programPath('redis-server')
  if (redis === undefined) throw new Error('redis-server is absent: apt-get install redis-server')
  const [redisPort = 0, port = 0, socketPort = 0] = await freePorts(3)
  fleet.serve([redis, '--port', String(redisPort), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'])
  const { key, certificate } = await keyPairOf(fleet)
  const node = ['--cluster', `redis://127.0.0.1:${redisPort}`, '--node-key', key]
  const relaying = await startGateway(fleet, origins, { outer: node })
  const target = (to: number): object => ({ protocol: 'http', hostname: '127.0.0.1', port: to })
  const targets = { '*': target(origins.staticPort), [NODE_HOST]: target(origins.nodePort) }
  const file = fleet.file('targets-entry.yaml', JSON.stringify({ targets }))
  const layer = ['outer-layer', '--public-key', certificate, '--targets', file, ...listenHere(port, socketPort), '--log-format', 'json']
  const entry = fleet.serve([process.execPath, fleet.program(), ...layer.map(String), ...node])
  await ready(entry, 'the second node', async () => (await fetchText(staticTarget({ staticPort: port }, '/1k'))).length === 1024)
  return { relaying, entry, port }
}

/** `cluster`. */
export const cluster: Measurement = {
  name: 'cluster',
  measure: async (bench): Promise<Group> => {
    const { fleet, origins, isQuick, runs, client } = bench
    const alone = await startGateway(fleet, origins)
    const { relaying, entry, port } = await startNodes(bench)
    const ways = [
      { label: LOCAL, port: alone.port, pids: [alone.outer.pid], all: [alone.outer.pid, alone.inner.pid] },
      { label: RELAYED, port, pids: [relaying.outer.pid], all: [entry.pid, relaying.outer.pid, relaying.inner.pid] },
    ]
    const seconds = isQuick ? 1 : SECONDS
    for (const way of ways)
      await load(bench, staticTarget({ staticPort: way.port }, '/1k'), { connections: CONNECTIONS, seconds: isQuick ? 1 : WARM_UP_SECONDS })
    const rounds: Record<string, Figures>[] = []
    for (let round = 1; round <= runs * ROUNDS_EACH; round++) {
      const figures: Record<string, Figures> = {}
      for (const { label, port: at, pids, all } of round % 2 === 0 ? ways : ways.toReversed()) {
        const target = staticTarget({ staticPort: at }, '/1k')
        let wholeSeconds = 0
        const { result, cpuSeconds } = await withCpu(pids, async () => {
          const whole = await withCpu(all, () => load(bench, target, { connections: CONNECTIONS, seconds }))
          wholeSeconds = whole.cpuSeconds
          return whole.result
        })
        const down = await client.ask({ kind: 'download', target: staticTarget({ staticPort: at }, '/100m'), times: isQuick ? 1 : BODIES })
        const up = await client.ask({
          kind: 'upload',
          target: nodeTarget({ nodePort: at }, '/sink'),
          times: isQuick ? 1 : BODIES,
          bytes: 100 << 20,
        })
        if (!('transferred' in down) || !('transferred' in up)) throw new Error('the client answered another question')
        const { requests, p50Us } = result
        figures[label] = {
          nodeUs: (cpuSeconds / requests) * 1e6,
          allUs: (wholeSeconds / requests) * 1e6,
          p50Us,
          down: down.transferred.bytes / 1e6 / down.transferred.seconds,
          up: up.transferred.bytes / 1e6 / up.transferred.seconds,
        }
      }
      rounds.push(figures)
      bench.say(`  round ${round} of ${runs * ROUNDS_EACH}`)
    }
    const of = (label: string, key: string): number[] => rounds.map(figures => figures[label]?.[key] ?? NaN)
    const ratio = (key: string): number => medianRatio(of(RELAYED, key), of(LOCAL, key))
    return {
      name: 'cluster',
      title: `1 KiB GET at ${CONNECTIONS} connections and 100 MiB bodies, by way of another node`,
      columns: [
        { key: 'nodeUs', title: 'CPU µs/req of the node with the inner layer', digits: 1 },
        { key: 'allUs', title: 'of all', digits: 1 },
        { key: 'p50Us', title: 'p50 µs', digits: 0 },
        { key: 'down', title: 'down MB/s', digits: 0 },
        { key: 'up', title: 'up MB/s', digits: 0 },
      ],
      rows: [LOCAL, RELAYED].map(label => ({
        label,
        values: Object.fromEntries(['nodeUs', 'allUs', 'p50Us', 'down', 'up'].map(key => [key, median(of(label, key))])),
      })),
      requirements: [
        {
          what: 'CPU per request of a node that relays, to that of one that takes requests itself',
          unit: '×',
          limit: { atMost: MAX_CPU_RATIO },
          measured: ratio('nodeUs'),
        },
        { what: 'download by way of another node', unit: '×', limit: { atLeast: MIN_RATE_RATIO }, measured: ratio('down') },
        { what: 'upload by way of another node', unit: '×', limit: { atLeast: MIN_RATE_RATIO }, measured: ratio('up') },
      ],
    }
  },
}
