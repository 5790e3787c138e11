/** Changes of the targets file under load: each is in force, and nobody notices. */
import { createServer } from 'node:http'
import { PacedLoad } from '../../bench/paced-load.ts'
import { exchange } from '../support/exchange.ts'
import { listen } from '../support/ports.ts'
import { until } from '../support/wait.ts'
import { percentileOf, type Figure } from './figure.ts'
import { Stand } from './stand.ts'

const TIMES = 1_000
const PER_SECOND = 300
/** So many targets beside those that are asked for. */
const OTHERS = 50

export const reloads = async (_minutes: number, say: (text: string) => void): Promise<readonly Figure[]> => {
  const originPort = await listen(createServer({ keepAliveTimeout: 0 }, (_request, response) => void response.end('ok')))
  const stand = await Stand.start({ originPort })
  const outer = stand.outers[0]!
  const load = new PacedLoad({ port: outer.ports.app, host: 'a.test', path: '/' }, PER_SECOND)
  const target = (host: string): string => `  '${host}': { protocol: http, hostname: 127.0.0.1, port: ${originPort} }\n`
  const others = Array.from({ length: OTHERS }, (_, i) => target(`other-${i}.test`)).join('')
  const timesMs: number[] = []
  let before = { held: 0, open: 0 }
  for (let i = 0; i < TIMES; i++) {
    if (i === 20) before = { held: await outer.held(), open: outer.open }
    const startedMs = performance.now()
    stand.writeTargets(others + target(`added-${i}.test`))
    await until(async () => (await exchange(outer.ports.app, { host: `added-${i}.test` })).status === 200, {
      what: `change ${i} to be in force`,
    })
    timesMs.push(performance.now() - startedMs)
    if (i % 200 === 199) say(`${i + 1} changes`)
  }
  const { failed, requests, p99Us, reasons } = await load.end()
  if (failed > 0) say(JSON.stringify(reasons))
  await stand.quiet()
  return [
    { what: `requests that failed during ${TIMES} changes`, value: failed, unit: `of ${requests}`, atMost: 0 },
    { what: 'a change in force, most', value: Math.max(...timesMs) / 1_000, unit: 's', atMost: 1 },
    { what: 'a change in force, median', value: percentileOf(timesMs, 0.5), unit: 'ms' },
    { what: 'p99 of the requests', value: p99Us / 1_000, unit: 'ms' },
    { what: 'held more than after the first 20', value: (await outer.held()) - before.held, unit: 'MiB', atMost: 4 },
    { what: 'sockets and files more', value: outer.open - before.open, unit: '' },
  ]
}
