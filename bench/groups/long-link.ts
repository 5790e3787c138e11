/** One download over a link with a long round trip: do the windows grow fast enough to fill it? */
import { type Bench, type Measurement } from '../bench.ts'
import { startGateway, startRelay, staticTarget } from '../contenders.ts'
import type { Group } from '../report.ts'
import { median } from '../stats.ts'

const ROUND_TRIP_MS = 100
/** 200 Mbit/s, which is required; and four times as much, which shows how it goes on. */
const RATES = [25e6, 100e6]
const REQUIRED_RATE = 25e6

/** Seconds for 50 MiB, of plain TCP and of the gateway, each through a relay of its own, in turns. */
const compare = async (bench: Bench, bytesPerSecond: number): Promise<{ plain: number[]; gateway: number[] }> => {
  const { fleet, origins, client } = bench
  const services: { stop(): void }[] = []
  const relayTo = async (targetPort: number): Promise<number> => {
    const { port, service } = await startRelay(fleet, { targetPort, roundTripMs: ROUND_TRIP_MS, bytesPerSecond })
    services.push(service)
    return port
  }
  const rate = async (staticPort: number): Promise<number> => {
    const reply = await client.ask({ kind: 'download', target: staticTarget({ staticPort }, '/50m'), times: 1 })
    if (!('transferred' in reply)) throw new Error('the client answered another question')
    return reply.transferred.bytes / reply.transferred.seconds / 1e6
  }
  const plainPort = await relayTo(origins.staticPort)
  const gateway = await startGateway(fleet, origins, relayTo)
  services.push(gateway)
  const rates = { plain: [] as number[], gateway: [] as number[] }
  // The first of each warms up. Every download begins with a small window, so a warm process is no warm stream.
  if (!bench.isQuick) {
    await rate(plainPort)
    await rate(gateway.port)
  }
  const runs = bytesPerSecond === REQUIRED_RATE ? bench.runs : Math.min(bench.runs, 3)
  for (let round = 1; round <= runs; round++) {
    rates.plain.push(await rate(plainPort))
    rates.gateway.push(await rate(gateway.port))
    bench.say(`  ${(bytesPerSecond * 8) / 1e6} Mbit/s: round ${round} of ${runs}`)
  }
  for (const service of services) service.stop()
  return rates
}

export const longLink: Measurement = {
  name: 'long-link',
  measure: async (bench): Promise<Group> => {
    const rows: Group['rows'][number][] = []
    let requiredRatio = NaN
    for (const bytesPerSecond of bench.isQuick ? [REQUIRED_RATE] : RATES) {
      const { plain, gateway } = await compare(bench, bytesPerSecond)
      const ratio = median(gateway.map((rate, round) => rate / (plain[round] ?? NaN)))
      if (bytesPerSecond === REQUIRED_RATE) requiredRatio = ratio
      const label = `link of ${(bytesPerSecond * 8) / 1e6} Mbit/s`
      rows.push({ label, values: { plain: median(plain), gateway: median(gateway), ratio } })
    }
    return {
      name: 'long-link',
      title: `50 MiB download, ${ROUND_TRIP_MS} ms round trip`,
      columns: [
        { key: 'plain', title: 'plain TCP MB/s', digits: 1 },
        { key: 'gateway', title: 'gateway MB/s', digits: 1 },
        { key: 'ratio', title: '× plain TCP', digits: 2 },
      ],
      rows,
      requirements: [
        {
          what: `rate of a 50 MiB download at ${ROUND_TRIP_MS} ms and ${(REQUIRED_RATE * 8) / 1e6} Mbit/s to plain TCP's through the same relay`,
          unit: '×',
          limit: { atLeast: 0.8 },
          measured: requiredRatio,
        },
      ],
    }
  },
}
