/** The cost of a start, and the memory of a layer that has nothing to do. */
import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import type { Bench, Figures, Measurement } from '../bench.ts'
import { keyPairOf, listenHere } from '../contenders.ts'
import { freePorts, type Service } from '../fleet.ts'
import { cpuSeconds, rssBytes } from '../proc.ts'
import type { Group } from '../report.ts'
import { median } from '../stats.ts'

const NODE = 'Node.js with nothing to do'
const VERSION = '--version'
const OUTER = 'outer layer, until it listens'
const INNER = 'inner layer, until it is connected'
const LABELS = [NODE, VERSION, OUTER, INNER]

/** Each start is short, and what disturbs one is longer. */
const ROUNDS_EACH = 3
const LOOK_MS = 2
const MAX_START_MS = 60_000
/** So long nothing is asked of them before their memory is looked at. */
const IDLE_MS = 5_000
const QUICK_IDLE_MS = 500
const MEBIBYTE = 1024 ** 2
const MAX_VERSION_MS = 150
const MAX_LISTENING_MS = 500
const MAX_IDLE_MIB = 75

/** Milliseconds that a program takes to its end. */
const untilEnd = async ({ fleet }: Bench, args: readonly string[]): Promise<number> => {
  const begunMs = performance.now()
  await fleet.run([process.execPath, ...args])
  return performance.now() - begunMs
}

interface Started {
  readonly service: Service
  readonly figures: Figures
}

/** Starts a layer. Looks for the line of its log that says that it serves. */
const startLayer = async ({ fleet }: Bench, line: string, args: readonly (string | number)[]): Promise<Started> => {
  const begunMs = performance.now()
  const service = fleet.serve([process.execPath, fleet.program(), ...args.map(String), '--log-format', 'json'])
  while (!readFileSync(service.logFile, 'utf8').includes(line)) {
    if (performance.now() - begunMs > MAX_START_MS) throw new Error(`no line with "${line}" after ${MAX_START_MS} ms`)
    await delay(LOOK_MS)
  }
  return { service, figures: { ms: performance.now() - begunMs, cpuMs: cpuSeconds([service.pid]) * 1_000 } }
}

const startBoth = async (bench: Bench): Promise<Record<string, Figures>> => {
  const { fleet, isQuick } = bench
  const { key, certificate } = await keyPairOf(fleet)
  const [port = 0, socketPort = 0] = await freePorts(2)
  const targets = fleet.file(
    `targets-${port}.yaml`,
    JSON.stringify({ targets: { '*': { protocol: 'http', hostname: '127.0.0.1', port } } }),
  )
  const files = ['--public-key', certificate, '--targets', targets]
  const outer = await startLayer(bench, 'outer layer ready', ['outer-layer', ...files, ...listenHere(port, socketPort)])
  const link = ['--outer-layer', `ws://127.0.0.1:${socketPort}`, '--connections', 1]
  const inner = await startLayer(bench, '"connected to ', ['inner-layer', '--private-key', key, ...link, '--allow', '127.0.0.1:*'])
  await delay(isQuick ? QUICK_IDLE_MS : IDLE_MS)
  const both = { [OUTER]: outer, [INNER]: inner }
  const figures = Object.entries(both).map(([label, layer]) => [
    label,
    { ...layer.figures, idleMiB: rssBytes(layer.service.pid) / MEBIBYTE },
  ])
  outer.service.stop()
  inner.service.stop()
  return Object.fromEntries(figures) as Record<string, Figures>
}

/** Programs that are started, one after the other. */
export const start: Measurement = {
  name: 'start',
  measure: async (bench): Promise<Group> => {
    const rounds: Record<string, Figures>[] = []
    const count = bench.isQuick ? 1 : bench.runs * ROUNDS_EACH
    for (let round = 1; round <= count; round++) {
      rounds.push({
        [NODE]: { ms: await untilEnd(bench, ['--eval', '0']) },
        [VERSION]: { ms: await untilEnd(bench, [bench.fleet.program(), '--version']) },
        ...(await startBoth(bench)),
      })
      bench.say(`  round ${round} of ${count}`)
    }
    const of = (label: string, key: string): number => median(rounds.map(figures => figures[label]?.[key] ?? NaN))
    return {
      name: 'start',
      title: 'Starts of the program, and layers that have nothing to do',
      columns: [
        { key: 'ms', title: 'ms', digits: 0 },
        { key: 'cpuMs', title: 'CPU ms', digits: 0 },
        { key: 'idleMiB', title: 'idle MiB', digits: 0 },
      ],
      rows: LABELS.map(label => ({
        label,
        values: { ms: of(label, 'ms'), cpuMs: of(label, 'cpuMs'), idleMiB: of(label, 'idleMiB') },
      })),
      requirements: [
        { what: 'time of --version', unit: 'ms', limit: { atMost: MAX_VERSION_MS }, measured: of(VERSION, 'ms') },
        ...[OUTER, INNER].flatMap(label => [
          { what: `time of the ${label}`, unit: 'ms', limit: { atMost: MAX_LISTENING_MS }, measured: of(label, 'ms') },
          {
            what: `memory of the idle ${label.split(',')[0]!}`,
            unit: 'MiB',
            limit: { atMost: MAX_IDLE_MIB },
            measured: of(label, 'idleMiB'),
          },
        ]),
      ],
    }
  },
}
