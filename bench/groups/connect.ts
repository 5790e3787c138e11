/** From Enter to the URL: how long `connect` takes with a service on this machine, the start of the program included. */
import { readFileSync } from 'node:fs'
import type { Bench, Measurement } from '../bench.ts'
import type { Group } from '../report.ts'
import { startService, until } from '../service.ts'
import { median } from '../stats.ts'

const MAX_MS = 1_000

const measureOnce = async ({ fleet, origins }: Bench, credentials: string): Promise<{ readonly whole: number; readonly own: number }> => {
  const startedMs = performance.now()
  const run = fleet.serve([process.execPath, fleet.program(), 'connect', String(origins.nodePort), '--credentials', credentials])
  const own = await until('the URL', () => /connected, (\d+) ms/.exec(readFileSync(run.logFile, 'utf8'))?.[1])
  const whole = performance.now() - startedMs
  run.stop()
  return { whole, own: Number(own) }
}

/** `connect`. */
export const connect: Measurement = {
  name: 'connect',
  measure: async (bench): Promise<Group> => {
    const { credentials } = await startService(bench.fleet)
    const runs: { readonly whole: number; readonly own: number }[] = []
    for (let run = 0; run < Math.max(3, bench.runs); run++) runs.push(await measureOnce(bench, credentials))
    const whole = median(runs.map(run => run.whole))
    return {
      name: 'connect',
      title: 'socket-gateway connect, from Enter to the URL',
      columns: [
        { key: 'whole', title: 'ms', digits: 0 },
        { key: 'own', title: 'of it once the program is loaded', digits: 0 },
      ],
      rows: [{ label: 'on loopback', values: { whole, own: median(runs.map(run => run.own)) } }],
      requirements: [{ what: 'connect on loopback, from Enter to the URL', unit: 'ms', limit: { atMost: MAX_MS }, measured: whole }],
    }
  },
}
