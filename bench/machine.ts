/** What the figures were measured on. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus, loadavg, release, totalmem } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { parseCores } from './proc.ts'

/** Share of the CPU above which others disturb the figures. */
const BUSY_SHARE = 0.1
/** The same for the last minute: runnable processes per core. A build just before leaves 0.1 or so. */
const BUSY_LOAD_PER_CORE = 0.5
const LOOK_MS = 1_000

/** The machine, and how busy it was before the first process was started. */
export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryGiB: number
  readonly kernel: string
  readonly node: string
  readonly nginx: string | undefined
  readonly wrk: string | undefined
  readonly loadAverage: number
  /** 0 … 1 of all cores, in the second before. */
  readonly busyShare: number
  readonly isBusy: boolean
}

const versionOf = (program: string, pattern: RegExp): string | undefined => {
  const { stdout, stderr, error } = spawnSync(program, ['-v'], { encoding: 'utf8' })
  return error === undefined ? (pattern.exec(`${stdout}${stderr}`)?.[1] ?? 'unknown version') : undefined
}

/** Looks at the machine for a second. */
export const lookAtMachine = async (): Promise<Machine> => {
  const cores = cpus()
  const [loadAverage = 0] = loadavg()
  const before = parseCores(readFileSync('/proc/stat', 'utf8'))
  await delay(LOOK_MS)
  const after = parseCores(readFileSync('/proc/stat', 'utf8'))
  const busyShare = (after.busy - before.busy) / Math.max(1, after.all - before.all)
  return {
    cpu: cores[0]?.model ?? 'unknown CPU',
    cores: cores.length,
    memoryGiB: totalmem() / 2 ** 30,
    kernel: release(),
    node: process.version,
    nginx: versionOf('nginx', /nginx\/(\S+)/),
    wrk: versionOf('wrk', /^wrk (\S+)/m),
    loadAverage,
    busyShare,
    isBusy: busyShare > BUSY_SHARE || loadAverage > BUSY_LOAD_PER_CORE * cores.length,
  }
}

/** The facts as sentences, warnings among them. */
export const factsOf = (machine: Machine, { isPrivileged, runs }: { readonly isPrivileged: boolean; readonly runs: number }): string[] => [
  `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB.toFixed(0)} GiB; Linux ${machine.kernel}; Node ${machine.node}`,
  machine.nginx === undefined
    ? 'origin: Node, and no nginx to compare with (install the package nginx for both)'
    : `origin of files: nginx ${machine.nginx}; of uploads and streams: Node`,
  machine.wrk === undefined ? 'load: own generator in Node (install the package wrk for a lighter one)' : `load: wrk ${machine.wrk}`,
  `median of ${runs} runs; processes at ${isPrivileged ? 'high' : 'ordinary'} priority`,
  `load average before the run ${machine.loadAverage.toFixed(2)}, CPU busy with something else ${(machine.busyShare * 100).toFixed(0)} %`,
  ...(machine.isBusy ? ['WARNING: the machine was busy; read ratios, and read them with doubt'] : []),
]
