/** From Enter to the URL: how long `connect` takes with a service on this machine, the start of the program included. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Bench, Measurement } from '../bench.ts'
import { freePorts } from '../fleet.ts'
import type { Group } from '../report.ts'
import { median } from '../stats.ts'

const MAX_MS = 1_000
const DEADLINE_MS = 30_000
const POLL_MS = 2
const PASSWORD = 'a password for this run'

/** Waits for `look` to give something. */
const until = async <T>(what: string, look: () => Promise<T | undefined> | T | undefined): Promise<T> => {
  const end = performance.now() + DEADLINE_MS
  for (;;) {
    const found = await look()
    if (found !== undefined) return found
    if (performance.now() > end) throw new Error(`waited ${DEADLINE_MS} ms for ${what}`)
    await delay(POLL_MS)
  }
}

/** A service on free ports with one account that is logged in; resolves with the file of the login. */
const startService = async ({ fleet }: Bench): Promise<string> => {
  const program = [process.execPath, fleet.program()]
  const [appPort = 0, socketPort = 0] = await freePorts(2)
  const file = join(fleet.directory, 'service.yaml')
  const init = await fleet.run([...program, 'service', 'init', '--zone', 'localhost', '--service', file, '--json'])
  const { link, admin } = JSON.parse(init) as { readonly link: string; readonly admin: string }
  writeFileSync(file, readFileSync(file, 'utf8').replace('localhost:3001', `localhost:${socketPort}`))
  const ports = [
    '--app-port',
    appPort,
    '--app-host',
    'localhost',
    '--socket-port',
    socketPort,
    '--socket-host',
    'localhost',
    '--admin-port',
    'none',
  ]
  fleet.serve([...program, 'outer-layer', '--service', file, ...ports.map(String), '--log-format', 'json'])
  const api = `http://localhost:${appPort}`
  await until('the API', () =>
    fetch(`${api}/api/v1/version`).then(
      ({ ok }) => (ok ? true : undefined),
      () => undefined,
    ),
  )
  const credentials = join(fleet.directory, 'credentials.json')
  const invitation = link.replace('http://localhost:3000', api)
  await fleet.run([...program, 'account', 'create', '--server', api, '--invitation', invitation, '--name', 'Bench', '--password', PASSWORD])
  await fleet.run([...program, 'login', '--server', api, '--email', admin, '--password', PASSWORD, '--credentials', credentials])
  return credentials
}

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
    const credentials = await startService(bench)
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
