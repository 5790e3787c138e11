/** Requests through links of ours while PostgreSQL is stopped for a minute, and a tunnel that has to connect again meanwhile. */
import { get } from 'node:http'
import { connect, createServer, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { cleanUp } from '../../test/support/cleanup.ts'
import { programPath } from '../../test/support/needs.ts'
import { createPostgres, POSTGRES_PROGRAMS } from '../../test/support/postgres.ts'
import type { Bench, Measurement } from '../bench.ts'
import { freePorts } from '../fleet.ts'
import type { Target } from '../load.ts'
import type { Group } from '../report.ts'
import { connectOrigin, endPace, startService, tokenOf, until } from '../service.ts'

const PER_SECOND = 200
const AWAY_MS = 60_000
const QUICK_AWAY_MS = 5_000
const MAX_SERVED_MS = 5_000
const LIMITS = 'limits: { requestsPerSecond: 1000000, creationsPerHour: 10000, http: 1000 }\n'

/** Stands between inner layers and the outer one, so that the connection of one of them can be cut. */
const startRelay = async (port: number, targetPort: number): Promise<readonly Socket[]> => {
  const clients: Socket[] = []
  const server = createServer({ noDelay: true }, client => {
    const upstream = connect({ port: targetPort, host: '127.0.0.1', noDelay: true })
    client.on('error', () => upstream.destroy()).on('close', () => upstream.destroy())
    upstream.on('error', () => client.destroy()).on('close', () => client.destroy())
    client.pipe(upstream).pipe(client)
    clients.push(client)
  })
  server.unref()
  await new Promise<void>(resolve => server.listen(port, 'localhost', resolve))
  return clients
}

/** Status of one answer, and whether it says when to come back. */
const statusOf = (url: string, init: RequestInit = {}): Promise<string> =>
  fetch(url, init).then(
    async response => {
      await response.arrayBuffer()
      return response.status === 503 && response.headers.get('retry-after') === null ? '503 without Retry-After' : String(response.status)
    },
    (error: unknown) => (error as Error).message,
  )

/** fetch lets nobody choose the host. */
const getStatus = ({ port, host, path }: Target): Promise<number> =>
  new Promise(resolve => {
    get({ host: '127.0.0.1', port, path, headers: { Host: host }, agent: false }, response => {
      response.resume()
      resolve(response.statusCode ?? 0)
    }).on('error', () => resolve(0))
  })

const measureAway = async (bench: Bench): Promise<Group> => {
  const { client, fleet, isQuick } = bench
  const awayMs = isQuick ? QUICK_AWAY_MS : AWAY_MS
  const postgres = await createPostgres()
  await postgres.start()
  const [appPort = 0, socketPort = 0, linkPort = 0] = await freePorts(3)
  const links = await startRelay(linkPort, socketPort)
  const store = `postgres://postgres@127.0.0.1:${postgres.port}/postgres`
  const service = await startService(fleet, { yaml: LIMITS, store, linkPort, ports: [appPort, socketPort] })
  const loaded = await connectOrigin(bench, service)
  const other = await connectOrigin(bench, service)
  const authorization = { Authorization: `Bearer ${tokenOf(service.credentials)}`, 'Content-Type': 'application/json' }
  const write = (): Promise<string> =>
    statusOf(`${service.api}/api/v1/sockets`, { method: 'POST', headers: authorization, body: JSON.stringify({ name: 'x', type: 'http' }) })
  const before = await write()
  if (before !== '201') throw new Error(`a socket is not made: ${before}`)

  await client.ask({ kind: 'pace', target: loaded.target, perSecond: PER_SECOND })
  await delay(2_000)
  bench.say('  PostgreSQL is stopped')
  await postgres.stop()
  const end = performance.now() + awayMs
  const writes = new Map<string, number>()
  const count = async (): Promise<void> => {
    const status = await write()
    writes.set(status, (writes.get(status) ?? 0) + 1)
  }
  for (let i = 0; i < 3; i++) await count()
  const cutAt = performance.now()
  links[1]?.destroy()
  await until('the tunnel to be served again', async () => {
    if (links.length < 3) return undefined
    return (await getStatus(other.target)) === 200 ? true : undefined
  })
  const servedMs = performance.now() - cutAt
  while (performance.now() < end) {
    await count()
    await delay(1_000)
  }
  bench.say('  PostgreSQL is started')
  await postgres.start()
  const startedAt = performance.now()
  await until('a write', async () => ((await write()) === '201' ? true : undefined))
  const backMs = performance.now() - startedAt
  const { requests, failed, reasons, p50Us, p99Us, mostUs } = await endPace(client)
  const others = [...writes].filter(([status]) => status !== '503')
  if (failed > 0 || others.length > 0) bench.say(`  failed: ${JSON.stringify(reasons)}, writes: ${JSON.stringify([...writes])}`)
  const sum = (counts: readonly (readonly [string, number])[]): number => counts.reduce((total, [, times]) => total + times, 0)
  return {
    name: 'store-away',
    title: `${PER_SECOND} requests/s through a link of connect, while PostgreSQL is stopped for ${awayMs / 1_000} s`,
    columns: [
      { key: 'requests', title: 'requests', digits: 0 },
      { key: 'failed', title: 'failed', digits: 0 },
      { key: 'p50', title: 'p50 ms', digits: 1 },
      { key: 'p99', title: 'p99 ms', digits: 1 },
      { key: 'most', title: 'most ms', digits: 1 },
      { key: 'writes', title: 'writes', digits: 0 },
      { key: 'refused', title: 'of them 503', digits: 0 },
      { key: 'served', title: 'cut tunnel served again, ms', digits: 0 },
      { key: 'back', title: 'first write afterwards, ms', digits: 0 },
    ],
    rows: [
      {
        label: 'gateway',
        values: {
          ...{ requests, failed, p50: p50Us / 1e3, p99: p99Us / 1e3, most: mostUs / 1e3 },
          ...{ writes: sum([...writes]), refused: writes.get('503') ?? 0, served: servedMs, back: backMs },
        },
      },
    ],
    requirements: [
      { what: 'requests that fail while the database is away', unit: 'requests', limit: { atMost: 0 }, measured: failed },
      { what: 'writes that get anything but 503 with Retry-After meanwhile', unit: 'writes', limit: { atMost: 0 }, measured: sum(others) },
      { what: 'a tunnel that is cut meanwhile is served again', unit: 'ms', limit: { atMost: MAX_SERVED_MS }, measured: servedMs },
    ],
  }
}

export const storeAway: Measurement = {
  name: 'store-away',
  measure: async (bench): Promise<Group> => {
    const missing = POSTGRES_PROGRAMS.find(program => programPath(program) === undefined)
    if (missing !== undefined) throw new Error(`needs ${missing}: install the package postgresql`)
    try {
      return await measureAway(bench)
    } finally {
      await cleanUp()
    }
  },
}
