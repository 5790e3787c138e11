/** An outer layer with a service that has sockets and nothing to do, next to one without: what the directory costs requests of others. */
import { load, withCpu, type Bench, type Figures, type Measurement } from '../bench.ts'
import { startGateway, staticTarget, type Gateway } from '../contenders.ts'
import { freePorts } from '../fleet.ts'
import type { Group } from '../report.ts'
import { childrenOf, initService, joinService, makeSockets } from '../service.ts'
import { median, medianRatio } from '../stats.ts'

const SOCKETS = 100
const QUICK_SOCKETS = 5
const CONNECTIONS = 64
const WARM_UP_SECONDS = 6
const SECONDS = 2
/** Rounds are short and many: what is looked for is smaller than what one of them differs from the next. */
const ROUNDS_EACH = 3
const MAX_RATIO = 1.03

const WITHOUT = 'without a service'
const WITH = 'with an idle service'

const startWithService = async ({ fleet, origins, isQuick }: Bench): Promise<Gateway> => {
  const [socketPort = 0] = await freePorts(1)
  const service = await initService(fleet, socketPort, { yaml: `limits: { http: ${SOCKETS}, creationsPerHour: ${SOCKETS} }\n` })
  const gateway = await startGateway(fleet, origins, { outer: ['--service', service.file] })
  const api = `http://localhost:${gateway.port}`
  const credentials = await joinService(fleet, api, service)
  await makeSockets(api, credentials, isQuick ? QUICK_SOCKETS : SOCKETS)
  return gateway
}

/** Small requests to a target of the targets file. */
export const idleService: Measurement = {
  name: 'idle-service',
  measure: async (bench): Promise<Group> => {
    const { fleet, origins, isQuick, runs } = bench
    const gateways = [
      { label: WITHOUT, gateway: await startGateway(fleet, origins) },
      { label: WITH, gateway: await startWithService(bench) },
    ].map(({ label, gateway }) => ({
      label,
      target: staticTarget({ staticPort: gateway.port }, '/1k'),
      // The process of the service, too: what it does while nobody asks is a cost of it.
      pids: [gateway.outer.pid, ...childrenOf(gateway.outer), gateway.inner.pid],
    }))
    for (const { target } of gateways) await load(bench, target, { connections: CONNECTIONS, seconds: isQuick ? 1 : WARM_UP_SECONDS })
    const rounds: Record<string, Figures>[] = []
    for (let round = 1; round <= runs * ROUNDS_EACH; round++) {
      const figures: Record<string, Figures> = {}
      // Now one of them is the first, now the other.
      for (const { label, target, pids } of round % 2 === 0 ? gateways : gateways.toReversed()) {
        const options = { connections: CONNECTIONS, seconds: isQuick ? 1 : SECONDS }
        const { result, cpuSeconds } = await withCpu(pids, () => load(bench, target, options))
        const { requests, seconds, p50Us, p99Us } = result
        figures[label] = { rate: requests / seconds, cpuUs: (cpuSeconds / requests) * 1e6, p50Us, p99Us }
      }
      rounds.push(figures)
      bench.say(`  round ${round} of ${runs * ROUNDS_EACH}`)
    }
    const of = (label: string, key: string): number[] => rounds.map(figures => figures[label]?.[key] ?? NaN)
    const ratio = (label: string, key: string): number => medianRatio(of(label, key), of(WITHOUT, key))
    return {
      name: 'idle-service',
      title: `1 KiB GET, ${CONNECTIONS} connections, beside a service with ${isQuick ? QUICK_SOCKETS : SOCKETS} sockets that nobody asks for`,
      columns: [
        { key: 'rate', title: 'req/s', digits: 0 },
        { key: 'rateRatio', title: '× without', digits: 3 },
        { key: 'cpuUs', title: 'CPU µs/req', digits: 1 },
        { key: 'cpuRatio', title: '× without', digits: 3 },
        { key: 'p50Us', title: 'p50 µs', digits: 0 },
        { key: 'p99Us', title: 'p99 µs', digits: 0 },
      ],
      rows: [WITHOUT, WITH].map(label => ({
        label,
        values: {
          ...Object.fromEntries(['rate', 'cpuUs', 'p50Us', 'p99Us'].map(key => [key, median(of(label, key))])),
          rateRatio: ratio(label, 'rate'),
          cpuRatio: ratio(label, 'cpuUs'),
        },
      })),
      requirements: [
        {
          what: 'CPU per request with an idle service to that without one',
          unit: '×',
          limit: { atMost: MAX_RATIO },
          measured: ratio(WITH, 'cpuUs'),
        },
      ],
    }
  },
}
