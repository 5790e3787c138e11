/** Very many inner layers that lose their links at once and come back, each from an address of its own, or all from one. */
import { createServer, connect, type Socket } from 'node:net'
import { createServer as createHttpServer } from 'node:http'
import { PacedLoad } from '../../bench/paced-load.ts'
import { wait } from '../chaos/fault.ts'
import { Fleet } from '../chaos/fleet.ts'
import { exchange } from '../support/exchange.ts'
import { testKeyPair } from '../support/layers.ts'
import { listen } from '../support/ports.ts'
import { until } from '../support/wait.ts'
import type { Figure } from './figure.ts'
import { Stand } from './stand.ts'

const COUNT = 1_000
const PER_SECOND = 50
const HOST = 'b.test'
const LIMIT_S = 10
const PATIENCE_MS = 600_000

/** What stands between: each connection goes on from the next of many addresses of this machine, no more than ten of one network of /24. */
class Way {
  readonly #pairs = new Set<readonly [Socket, Socket]>()
  #next = 0
  hasOwnAddresses = true
  port = 0

  async start(target: number): Promise<this> {
    const server = createServer(near => {
      const number = this.#next++ % COUNT
      const localAddress = this.hasOwnAddresses ? `127.1.${number % 100}.${1 + Math.floor(number / 100)}` : '127.0.0.2'
      const far = connect({ port: target, host: '127.0.0.1', localAddress, noDelay: true })
      const pair = [near, far] as const
      this.#pairs.add(pair)
      for (const [one, other] of [pair, [far, near] as const]) {
        one.pipe(other)
        one.on('error', () => other.destroy())
        one.on('close', () => (other.destroy(), this.#pairs.delete(pair)))
      }
    })
    this.port = await listen(server)
    return this
  }

  cut(): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.resetAndDestroy()
  }
}

export const storm = async (_minutes: number, say: (text: string) => void): Promise<readonly Figure[]> => {
  const originPort = await listen(createHttpServer({ keepAliveTimeout: 0 }, (_request, response) => void response.end('ok')))
  const stand = await Stand.start({ originPort, isTls: true })
  const outer = stand.outers[0]!
  // Those of the storm serve nobody.
  stand.writeTargets(`  '${HOST}': { protocol: http, hostname: 127.0.0.1, port: ${originPort}, identifier: inner-0 }\n`)
  await until(async () => (await exchange(outer.ports.app, { host: HOST })).status === 200, { what: 'the target to be in force' })
  const way = await new Way().start(outer.ports.socket)
  const url = `wss://localhost:${way.port}`
  const fleet = new Fleet({ count: COUNT, pair: await testKeyPair(), url, ca: stand.link.pair.certificatePem })
  await until(() => fleet.up >= COUNT, { deadlineMs: PATIENCE_MS, what: `${COUNT} links` })
  say(`${COUNT} inner layers are there`)
  const once = async (name: string): Promise<Figure[]> => {
    const load = new PacedLoad({ port: outer.ports.app, host: HOST, path: '/' }, PER_SECOND)
    await wait(2_000)
    const before = fleet.made
    const startedMs = performance.now()
    way.cut()
    const isBack = (): boolean => fleet.made >= before + COUNT && fleet.up >= COUNT
    await until(isBack, { deadlineMs: PATIENCE_MS, what: `${COUNT} links again` })
    const seconds = (performance.now() - startedMs) / 1_000
    const { failed, requests, p99Us, reasons } = await load.end()
    say(`${name}: ${seconds.toFixed(1)} s; ${JSON.stringify(reasons)}`)
    return [
      { what: `${COUNT} inner layers back, ${name}`, value: seconds, unit: 's', atMost: LIMIT_S },
      { what: `failed requests of another inner layer's clients meanwhile, ${name}`, value: failed, unit: `of ${requests}`, atMost: 0 },
      { what: `their p99, ${name}`, value: p99Us / 1_000, unit: 'ms' },
    ]
  }
  const own = await once('each from an address of its own')
  way.hasOwnAddresses = false
  const one = await once('all from one address')
  return [...own, ...one]
}
