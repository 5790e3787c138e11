/** Ten thousand connections that come and go at once, at the registry of an outer layer alone: no sockets, no proofs. */
import { join } from 'node:path'
import type { Measurement } from '../bench.ts'
import { ROOT } from '../fleet.ts'
import type { Group } from '../report.ts'

const COUNT = 10_000
const QUICK_COUNT = 1_000
const MAX_CPU_MS = 1_000
const MAX_STALL_MS = 50
const POOLS = ['operator', 'tunnel'] as const

interface Figures {
  readonly cpuMs: number
  readonly comeMs: number
  readonly goMs: number
}

export const registry: Measurement = {
  name: 'registry',
  measure: async ({ fleet, isQuick }): Promise<Group> => {
    const count = isQuick ? QUICK_COUNT : COUNT
    const rows = []
    for (const pool of POOLS) {
      const script = join(ROOT, 'bench', 'registry-churn.ts')
      const output = await fleet.run([process.execPath, '--import', 'tsx', script, pool, String(count)])
      const figures = JSON.parse(output) as Figures
      rows.push({ label: pool === 'operator' ? 'inner layers' : 'tunnels', values: { ...figures } })
    }
    return {
      name: 'registry',
      title: `${count.toLocaleString('en')} connections come in one turn of the loop, and go in one`,
      columns: [
        { key: 'cpuMs', title: 'CPU ms, the first time', digits: 1 },
        { key: 'comeMs', title: 'stall as they come, ms', digits: 1 },
        { key: 'goMs', title: 'stall as they go, ms', digits: 1 },
      ],
      rows,
      requirements: rows.flatMap(({ label, values }) => [
        { what: `CPU of ${label} that come and go`, unit: 'ms', limit: { atMost: MAX_CPU_MS }, measured: values.cpuMs },
        {
          what: `stall of the loop by ${label}`,
          unit: 'ms',
          limit: { atMost: MAX_STALL_MS },
          measured: Math.max(values.comeMs, values.goMs),
        },
      ]),
    }
  },
}
