/** The service manager that has started this process: sockets that it has opened, and what it wants to hear. systemd.socket(5), sd_listen_fds(3), sd_notify(3). */
import { execFile } from 'node:child_process'
import { GatewayError } from '../../errors.ts'
import type { CliContext } from './context.ts'

/** Names of sockets, as `FileDescriptorName=` of a socket unit has them, and the options whose place they take. */
const SOCKETS = new Map([
  ['clients', 'app-host'],
  ['redirect', 'app-http-host'],
  ['links', 'socket-host'],
] as const)
type SocketName = 'clients' | 'redirect' | 'links'

const FIRST_FD = 3
/** As many as anybody can have. */
const MAX_SOCKETS = 16
const NOTIFY_MS = 10_000

/** Hosts of ports that are open already, by the name of the option. */
export type InheritedHosts = Readonly<Partial<Record<'app-host' | 'app-http-host' | 'socket-host', string>>>

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
    if (!isName(name))
      throw new GatewayError(
        'USAGE',
        `the service manager gave a socket called ${JSON.stringify(name)}; expected FileDescriptorName= ${known} in its unit`,
      )
    const option = SOCKETS.get(name)!
    if (hosts.has(option))
      throw new GatewayError('USAGE', `the service manager gave two sockets called ${name}; one port has one, so give one ListenStream=`)
    hosts.set(option, `fd:${FIRST_FD + i}`)
  }
  return Object.fromEntries(hosts)
}

/**
 * Tells the service manager, where it wants to hear of this process (`Type=notify`, `NotifyAccess=all`). Node.js has no sockets of this kind, so a program of systemd says it; it
 * ends when it was heard.
 * @param state  such as READY=1
 * @returns what is wrong; undefined: it was told, or nobody asked
 */
export async function tellServiceManager(state: string, { env }: Pick<CliContext, 'env'>): Promise<string | undefined> {
  const socket = env['NOTIFY_SOCKET']
  if (socket === undefined || socket === '') return undefined
  return new Promise(resolve => {
    const options = { env: { NOTIFY_SOCKET: socket, PATH: env['PATH'] ?? '' }, timeout: NOTIFY_MS }
    execFile('systemd-notify', [state], options, (error, _, words) =>
      resolve(error === null ? undefined : `systemd-notify ${state}: ${words.trim() || error.message}`),
    )
  })
}
