/** A third of what the machine can do, for a long time: what rises is left behind. */
import { Agent, createServer, get } from 'node:http'
import { PacedLoad } from '../../bench/paced-load.ts'
import { wait } from '../chaos/fault.ts'
import { listen } from '../support/ports.ts'
import { slopeOf, type Figure } from './figure.ts'
import { Stand } from './stand.ts'

const SHARE = 0.3
const CALIBRATION_MS = 8_000
const CLIENTS = 32
const SAMPLE_MS = 5_000
const BODIES = new Map([
  ['/small', Buffer.alloc(1_024, 'x')],
  ['/large', Buffer.alloc(65_536, 'x')],
])

/** Requests per second of clients that ask one thing after the other. */
const mostPerSecond = async (port: number): Promise<number> => {
  const agent = new Agent({ keepAlive: true, maxSockets: CLIENTS })
  const end = performance.now() + CALIBRATION_MS
  let count = 0
  const once = (): Promise<void> =>
    new Promise((resolve, reject) => {
      get({ port, host: '127.0.0.1', path: '/small', headers: { host: 'a.test' }, agent }, response => {
        response.resume().on('end', resolve).on('error', reject)
      }).on('error', reject)
    })
  const client = async (): Promise<void> => {
    for (; performance.now() < end; count++) await once()
  }
  await Promise.all(Array.from({ length: CLIENTS }, client))
  agent.destroy()
  return count / (CALIBRATION_MS / 1_000)
}

export const soak = async (minutes: number, say: (text: string) => void): Promise<readonly Figure[]> => {
  const originPort = await listen(
    createServer({ keepAliveTimeout: 0 }, (request, response) => void response.end(BODIES.get(request.url!) ?? 'ok')),
  )
  const stand = await Stand.start({ originPort })
  const layers = [stand.outers[0]!, stand.inners[0]!] as const
  const { app } = stand.outers[0]!.ports
  const most = await mostPerSecond(app)
  const perSecond = Math.max(10, Math.round(most * SHARE))
  say(`${Math.round(most)} requests/s at most, so ${perSecond}`)
  const host = 'a.test'
  const loads = [
    new PacedLoad({ port: app, host, path: '/small' }, perSecond * 0.9),
    new PacedLoad({ port: app, host, path: '/large' }, perSecond * 0.1),
  ]
  await wait(30_000)
  const before = await Promise.all(layers.map(layer => layer.held()))
  const points = layers.map(() => ({ rss: [] as [number, number][], open: [] as [number, number][] }))
  const startedMs = performance.now()
  while (performance.now() - startedMs < minutes * 60_000) {
    await wait(SAMPLE_MS)
    const hours = (performance.now() - startedMs) / 3_600_000
    layers.forEach((layer, i) => {
      points[i]!.rss.push([hours, layer.rssMiB])
      points[i]!.open.push([hours, layer.open])
    })
  }
  const after = await Promise.all(layers.map(layer => layer.held()))
  const results = await Promise.all(loads.map(load => load.end()))
  const failed = results.reduce((sum, result) => sum + result.failed, 0)
  const requests = results.reduce((sum, result) => sum + result.requests, 0)
  if (failed > 0) say(JSON.stringify(results.map(({ reasons }) => reasons)))
  /** The beginning is how a heap finds its size. */
  const laterHalf = (all: readonly (readonly [number, number])[]): (readonly [number, number])[] => all.slice(all.length >> 1)
  return [
    { what: `failed requests of ${perSecond} a second for ${minutes} min`, value: failed, unit: `of ${requests}`, atMost: 0 },
    ...(['outer', 'inner'] as const).flatMap((name, i): Figure[] => [
      { what: `held more than at the start, ${name} layer`, value: after[i]! - before[i]!, unit: 'MiB', atMost: 4 },
      { what: `slope of resident memory in the second half, ${name} layer`, value: slopeOf(laterHalf(points[i]!.rss)), unit: 'MiB/h' },
      { what: `resident memory at the end, ${name} layer`, value: layers[i]!.rssMiB, unit: 'MiB' },
      {
        what: `slope of sockets and files in the second half, ${name} layer`,
        value: slopeOf(laterHalf(points[i]!.open)),
        unit: 'each hour',
      },
    ]),
  ]
}
