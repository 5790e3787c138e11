/** Requests through links of ours while the process of the service is killed again and again. */
import type { Measurement } from '../bench.ts'
import type { Group } from '../report.ts'
import { childrenOf, connectOrigin, endPace, startService, until } from '../service.ts'
import { setTimeout as delay } from 'node:timers/promises'

const PER_SECOND = 200
const KILLS = 10
const QUICK_KILLS = 2
/** Between the API being back and the next kill: somebody uses it for a while. */
const PAUSE_MS = 3_500
const MAX_BACK_MS = 2_000
const LIMITS = 'limits: { requestsPerSecond: 1000000 }\n'

/** Kills it; resolves with the milliseconds until another one answers a call. */
const killOnce = async ({ outer, api }: Awaited<ReturnType<typeof startService>>): Promise<number> => {
  const [pid] = childrenOf(outer)
  if (pid === undefined) throw new Error('there is no process of the service')
  const start = performance.now()
  process.kill(pid, 'SIGKILL')
  await until('the API to be back', async () => {
    if (childrenOf(outer).every(child => child === pid)) return undefined
    const { ok } = await fetch(`${api}/api/v1/version`).catch(() => ({ ok: false }))
    return ok ? true : undefined
  })
  return performance.now() - start
}

export const serviceKilled: Measurement = {
  name: 'service-killed',
  measure: async (bench): Promise<Group> => {
    const { client, isQuick } = bench
    const service = await startService(bench.fleet, { yaml: LIMITS })
    const { target } = await connectOrigin(bench, service)
    await client.ask({ kind: 'pace', target, perSecond: PER_SECOND })
    const back: number[] = []
    while (back.length < (isQuick ? QUICK_KILLS : KILLS)) {
      await delay(PAUSE_MS)
      back.push(await killOnce(service))
      bench.say(`  back after ${Math.round(back.at(-1)!)} ms`)
    }
    const { requests, failed, reasons, p50Us, p99Us, mostUs } = await endPace(client)
    if (failed > 0) bench.say(`  failed: ${JSON.stringify(reasons)}`)
    const longest = Math.max(...back)
    return {
      name: 'service-killed',
      title: `${PER_SECOND} requests/s through a link of connect, while the process of the service is killed ${back.length} times`,
      columns: [
        { key: 'requests', title: 'requests', digits: 0 },
        { key: 'failed', title: 'failed', digits: 0 },
        { key: 'p50', title: 'p50 ms', digits: 1 },
        { key: 'p99', title: 'p99 ms', digits: 1 },
        { key: 'most', title: 'most ms', digits: 1 },
        { key: 'back', title: 'API back, most ms', digits: 0 },
      ],
      rows: [{ label: 'gateway', values: { requests, failed, p50: p50Us / 1e3, p99: p99Us / 1e3, most: mostUs / 1e3, back: longest } }],
      requirements: [
        { what: 'requests that fail while the process of the service is killed', unit: 'requests', limit: { atMost: 0 }, measured: failed },
        { what: 'API back after the process of the service was killed', unit: 'ms', limit: { atMost: MAX_BACK_MS }, measured: longest },
      ],
    }
  },
}
