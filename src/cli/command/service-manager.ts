/** The service manager that has started this process: sockets that it has opened, and what it wants to hear. systemd.socket(5), sd_listen_fds(3), sd_notify(3). */
import { execFile } from 'node:child_process'
import { GatewayError } from '../../errors.ts'
import type { Log } from '../../telemetry/log.ts'
import type { CliContext } from './context.ts'

/** Names of sockets, as `FileDescriptorName=` of a socket unit has them, and the options whose place they take. */
const SOCKETS = new Map([
  ['clients', 'app-host'],
  ['redirect', 'app-http-host'],
  ['links', 'socket-host'],
  ['admin', 'admin-host'],
] as const)
type SocketName = 'clients' | 'redirect' | 'links' | 'admin'
/** Names of sockets that stand for ports of the targets file. */
const TCP = /^tcp-([1-9]\d{0,4})$/

const FIRST_FD = 3
/** As many as anybody can have. */
const MAX_SOCKETS = 16
const NOTIFY_MS = 10_000

/** Hosts of ports that are open already, by the name of the option, or of the socket of a TCP port of the targets file. */
export type InheritedHosts = Readonly<
  Partial<Record<'app-host' | 'app-http-host' | 'socket-host' | 'admin-host' | `tcp-${number}`, string>>
>

/** Hosts of TCP ports that are open already, by the port. */
export const inheritedTcp = (hosts: InheritedHosts): ReadonlyMap<number, string> =>
  new Map(
    Object.entries(hosts).flatMap(([name, host]) => (TCP.test(name) && host !== undefined ? [[Number(name.slice(4)), host] as const] : [])),
  )

/** Those before it are input, output, errors, and the channel to the primary. */
const FIRST_WORKER_FD = 4

/** The sockets that workers serve. The process that hands them down never uses them itself, so they stay open however many workers end. */
export function handedDown({ 'admin-host': _, ...hosts }: InheritedHosts): {
  readonly fds: readonly number[]
  readonly hosts: InheritedHosts
} {
  const all = Object.entries(hosts).filter(([, host]) => host !== undefined)
  return {
    fds: all.map(([, host]) => Number(host?.slice('fd:'.length))),
    hosts: Object.fromEntries(all.map(([name], index) => [name, `fd:${FIRST_WORKER_FD + index}`])),
  }
}

const isName = (name: string): name is SocketName => SOCKETS.has(name as SocketName)

/**
 * The sockets that the service manager has opened for this process.
 * @returns a host for each, as `listen` takes it; none when there are none, or they are those of another process
 * @throws GatewayError USAGE for one whose name is not known, or that is there twice
 */
export function inheritedHosts({ env, pid }: Pick<CliContext, 'env' | 'pid'>): InheritedHosts {
  const { LISTEN_PID: owner, LISTEN_FDS: count, LISTEN_FDNAMES: names = '' } = env
  if (owner === undefined || pid === undefined || owner !== String(pid)) return {}
  const hosts = new Map<string, string>()
  const known = [...SOCKETS.keys()].join(', ')
  const list = names.split(':')
  for (let i = 0; i < Math.min(Number(count), MAX_SOCKETS); i++) {
    const name = list[i] ?? ''
    const option = isName(name) ? SOCKETS.get(name)! : TCP.test(name) ? name : undefined
    if (option === undefined)
      throw new GatewayError(
        'USAGE',
        `the service manager gave a socket ${name === '' ? 'without a name' : `called ${JSON.stringify(name)}`}; expected FileDescriptorName= ${known} in its unit, or tcp-PORT for a TCP port of the targets file`,
      )
    if (hosts.has(option))
      throw new GatewayError('USAGE', `the service manager gave two sockets called ${name}; one port has one, so give one ListenStream=`)
    hosts.set(option, `fd:${FIRST_FD + i}`)
  }
  return Object.fromEntries(hosts)
}

/** Whoever tells it: a part of another process does not, which begins and ends within the life of the whole. */
export type Teller = Pick<CliContext, 'env' | 'parent'>

/**
 * Tells the service manager, where it wants to hear of this process (`Type=notify`, `NotifyAccess=all`). Node.js has no sockets of this kind, so
 * a program of systemd says it; it ends when it was heard.
 * @returns what is wrong; undefined: it was told, or nobody asked
 */
export async function tell(state: string, { env, parent }: Teller): Promise<string | undefined> {
  const socket = env['NOTIFY_SOCKET']
  if (parent !== undefined || socket === undefined || socket === '') return undefined
  return new Promise(resolve => {
    const options = { env: { NOTIFY_SOCKET: socket, PATH: env['PATH'] ?? '' }, timeout: NOTIFY_MS }
    execFile('systemd-notify', [state], options, (error, _, words) =>
      resolve(error === null ? undefined : `systemd-notify ${state}: ${words.trim() || error.message}`),
    )
  })
}

/** Tells the service manager that all ports are open. */
export async function tellReady(context: Teller, log: Pick<Log, 'warn'>): Promise<void> {
  const untold = await tell('READY=1', context)
  if (untold !== undefined) log.warn({}, `the service manager does not know that this process is ready: ${untold}`)
}

/** Tells the service manager that the process drains; nobody waits for it. */
export const tellStopping = (context: Teller): void => void tell('STOPPING=1', context)
