/** A service of the program that is measured: its file, an account, sockets. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Bench } from './bench.ts'
import { freePorts, type Client, type Fleet, type Service } from './fleet.ts'
import type { Target } from './load.ts'
import type { PacedResult } from './paced-load.ts'

const DEADLINE_MS = 30_000
const POLL_MS = 2
const PASSWORD = 'a password for this run'

/** Waits for `look` to give something, half a minute at most. @throws Error when it does not within half a minute */
export const until = async <T>(what: string, look: () => Promise<T | undefined> | T | undefined): Promise<T> => {
  const end = performance.now() + DEADLINE_MS
  for (;;) {
    const found = await look()
    if (found !== undefined) return found
    if (performance.now() > end) throw new Error(`waited ${DEADLINE_MS} ms for ${what}`)
    await delay(POLL_MS)
  }
}

/** The file of a service that nobody has used yet, and who may. */
export interface ServiceFile {
  readonly file: string
  readonly admin: string
  /** The invitation of its first account. */
  readonly link: string
}

/** What a service has beyond what every one has. */
export interface ServiceOptions {
  /** More lines of its file. */
  readonly yaml?: string
  /** Absent: SQLite. */
  readonly store?: string
  /** Where inner layers are told to go; absent: the socket port. */
  readonly linkPort?: number
  /** Of the outer layer. */
  readonly options?: readonly string[]
  /** For clients and for inner layers. */
  readonly ports?: readonly [number, number]
}

/** Writes the file of a service for the zone localhost whose inner layers come to `socketPort`. */
export const initService = async (
  fleet: Fleet,
  socketPort: number,
  { yaml = '', store, linkPort = socketPort }: ServiceOptions = {},
): Promise<ServiceFile> => {
  const file = join(fleet.directory, `service-${socketPort}`, 'service.yaml')
  const place = store === undefined ? [] : ['--store', store]
  const init = await fleet.run([
    process.execPath,
    fleet.program(),
    'service',
    'init',
    '--zone',
    'localhost',
    '--service',
    file,
    '--json',
    ...place,
  ])
  const { link, admin } = JSON.parse(init) as { readonly link: string; readonly admin: string }
  writeFileSync(file, readFileSync(file, 'utf8').replace('localhost:3001', `localhost:${linkPort}`) + yaml)
  return { file, admin, link }
}

/** Makes the first account once the API at `api` answers, and logs in; resolves with the file of the login. */
export const joinService = async (fleet: Fleet, api: string, { admin, link }: ServiceFile): Promise<string> => {
  const program = [process.execPath, fleet.program()]
  await until('the API', () =>
    fetch(`${api}/api/v1/version`).then(
      ({ ok }) => (ok ? true : undefined),
      () => undefined,
    ),
  )
  const credentials = join(fleet.directory, `credentials-${new URL(api).port}.json`)
  const invitation = link.replace('http://localhost:3000', api)
  await fleet.run([...program, 'account', 'create', '--server', api, '--invitation', invitation, '--name', 'Bench', '--password', PASSWORD])
  await fleet.run([...program, 'login', '--server', api, '--email', admin, '--password', PASSWORD, '--credentials', credentials])
  return credentials
}

/** A service that runs, with one account that is logged in. */
export interface RunningService {
  readonly outer: Service
  /** Its service.yaml. */
  readonly file: string
  readonly appPort: number
  /** URL of the API. */
  readonly api: string
  /** File of the login. */
  readonly credentials: string
}

/** The command that starts an outer layer with a service. @param ports  for clients and for inner layers */
export const outerCommand = (fleet: Fleet, file: string, [appPort, socketPort]: readonly [number, number]): string[] => [
  ...[process.execPath, fleet.program(), 'outer-layer', '--service', file],
  ...['--app-host', 'localhost', '--socket-host', 'localhost'],
  ...['--app-port', String(appPort), '--socket-port', String(socketPort), '--admin-port', 'none', '--log-format', 'json'],
]

/** Starts an outer layer with a service, on free ports unless they are given. */
export const startService = async (fleet: Fleet, more: ServiceOptions = {}): Promise<RunningService> => {
  const [appPort = 0, socketPort = 0] = more.ports ?? (await freePorts(2))
  const service = await initService(fleet, socketPort, more)
  const outer = fleet.serve([...outerCommand(fleet, service.file, [appPort, socketPort]), ...(more.options ?? [])])
  const api = `http://localhost:${appPort}`
  return { outer, file: service.file, appPort, api, credentials: await joinService(fleet, api, service) }
}

/** The process of the service beside its outer layer, and whatever else that has started. */
export const childrenOf = ({ pid }: Service): number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number)

/** Serves an origin of this machine by `connect`; resolves when it is connected. */
export const connectOrigin = async (
  { fleet, origins }: Bench,
  { credentials, appPort }: RunningService,
): Promise<{ readonly connect: Service; readonly target: Target }> => {
  const connect = fleet.serve([
    process.execPath,
    fleet.program(),
    'connect',
    String(origins.staticPort),
    '--quiet',
    '--credentials',
    credentials,
  ])
  const host = await until(
    'the URL',
    () => /http:\/\/([a-z0-9-]+\.localhost):\d+ .*connected/.exec(readFileSync(connect.logFile, 'utf8'))?.[1],
  )
  return { connect, target: { port: appPort, host, path: '/1k' } }
}

/** The token of a login. */
export const tokenOf = (credentials: string): string => {
  const { servers } = JSON.parse(readFileSync(credentials, 'utf8')) as { readonly servers: Record<string, { readonly token: string }> }
  return Object.values(servers)[0]?.token ?? ''
}

/** Ends a paced load; resolves with what became of it. */
export const endPace = async (client: Client): Promise<PacedResult> => {
  const reply = await client.ask({ kind: 'pace-end' })
  if (!('paced' in reply)) throw new Error('the client answered another question')
  return reply.paced
}

/** Makes so many sockets that nobody serves. */
export const makeSockets = async (api: string, credentials: string, count: number): Promise<void> => {
  const token = tokenOf(credentials)
  for (let made = 0; made < count; made++) {
    const response = await fetch(`${api}/api/v1/sockets`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
      body: JSON.stringify({ name: `idle ${made}`, type: 'http' }),
    })
    if (!response.ok) throw new Error(`a socket was not made: ${response.status} ${await response.text()}`)
    await response.arrayBuffer()
  }
}
