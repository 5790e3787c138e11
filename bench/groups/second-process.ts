/** One service with two outer layers on one PostgreSQL: what is changed at one of them, and how long the other takes until it is in force there. */
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { get } from 'node:http'
import { dirname, join } from 'node:path'
import { cleanUp } from '../../test/support/cleanup.ts'
import { programPath } from '../../test/support/needs.ts'
import { createPostgres, POSTGRES_PROGRAMS } from '../../test/support/postgres.ts'
import type { Bench, Measurement } from '../bench.ts'
import { freePorts } from '../fleet.ts'
import type { Group } from '../report.ts'
import { outerCommand, startService, tokenOf, until } from '../service.ts'
import { median, percentile } from '../stats.ts'

const CHANGES = 30
const QUICK_CHANGES = 3
const MAX_MS = 1_000
const LIMITS = 'limits: { creationsPerHour: 10000, http: 1000 }\n'

/** The code of the error with which a host is answered by which nothing is served: another one as soon as its socket is known. */
const codeOf = (port: number, host: string): Promise<string> =>
  new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, headers: { Host: host, Accept: 'application/json' }, agent: false }, response => {
      let text = ''
      response.setEncoding('utf8').on('data', (piece: string) => (text += piece))
      response.on('end', () => resolve(String(/[A-Z]+_[A-Z_]+/.exec(text)?.[0])))
    }).on('error', reject)
  })

const measureBoth = async (bench: Bench): Promise<Group> => {
  const { fleet, isQuick } = bench
  const postgres = await createPostgres()
  await postgres.start()
  const [appPort = 0, socketPort = 0, otherApp = 0, otherSocket = 0] = await freePorts(4)
  const store = `postgres://postgres@127.0.0.1:${postgres.port}/postgres`
  const service = await startService(fleet, { yaml: LIMITS, store, ports: [appPort, socketPort] })
  const folder = join(dirname(service.file), '..', 'second-service')
  cpSync(dirname(service.file), folder, { recursive: true })
  const file = join(folder, 'service.yaml')
  writeFileSync(file, readFileSync(file, 'utf8').replace(`localhost:${socketPort}`, `localhost:${otherSocket}`))
  // In the seconds after a start, a request for a socket that is known waits for its tunnel.
  const other = fleet.serve([...outerCommand(fleet, file, [otherApp, otherSocket]), '--hold', '0'])
  const headers = { Authorization: `Bearer ${tokenOf(service.credentials)}`, 'Content-Type': 'application/json' }
  const change = async (method: string, path: string, body?: object): Promise<{ readonly id: string; readonly dnsName: string }> => {
    const init = { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) }
    const response = await fetch(`${service.api}/api/v1/sockets${path}`, init)
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
    return (text === '' ? {} : JSON.parse(text)) as { id: string; dnsName: string }
  }
  const isThere = async (host: string): Promise<boolean> => (await codeOf(otherApp, host)) === 'NO_TUNNEL'
  const first = await change('POST', '', { name: 'before', type: 'http' })
  await until(`the second outer layer (${other.logFile})`, async () =>
    (await isThere(first.dnsName).catch(() => false)) ? true : undefined,
  )
  const times: { readonly made: number[]; readonly removed: number[] } = { made: [], removed: [] }
  for (let round = 0; round < (isQuick ? QUICK_CHANGES : CHANGES); round++) {
    const { id, dnsName } = await change('POST', '', { name: `round ${round}`, type: 'http' })
    const answered = performance.now()
    await until('a new socket at the other outer layer', async () => ((await isThere(dnsName)) ? true : undefined))
    times.made.push(performance.now() - answered)
    await change('DELETE', `/${id}`)
    const gone = performance.now()
    await until('a removed socket to be gone there', async () => ((await isThere(dnsName)) ? undefined : true))
    times.removed.push(performance.now() - gone)
  }
  const rows = [
    { label: 'a socket is made', of: times.made },
    { label: 'a socket is removed', of: times.removed },
  ].map(({ label, of }) => ({ label, values: { changes: of.length, p50: median(of), p99: percentile(of, 0.99), most: Math.max(...of) } }))
  return {
    name: 'second-process',
    title: 'From the answer of the API until it is in force at the outer layer of another process of the service',
    columns: [
      { key: 'changes', title: 'changes', digits: 0 },
      { key: 'p50', title: 'p50 ms', digits: 1 },
      { key: 'p99', title: 'p99 ms', digits: 1 },
      { key: 'most', title: 'most ms', digits: 1 },
    ],
    rows,
    requirements: rows.map(({ label, values }) => ({
      what: `${label}: in force in a second process`,
      unit: 'ms',
      limit: { atMost: MAX_MS },
      measured: values.most,
    })),
  }
}

export const secondProcess: Measurement = {
  name: 'second-process',
  measure: async (bench): Promise<Group> => {
    const missing = POSTGRES_PROGRAMS.find(program => programPath(program) === undefined)
    if (missing !== undefined) throw new Error(`needs ${missing}: install the package postgresql`)
    try {
      return await measureBoth(bench)
    } finally {
      await cleanUp()
    }
  },
}
