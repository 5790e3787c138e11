import { parseTargets } from '../../config/targets.ts'
import type { LogLine } from '../../payload/log-note.ts'
import { RouteTable } from '../../route/table.ts'
import type { Owner } from '../../route/target.ts'
import { isLocal, type Destination } from './destination.ts'

/** RFC 6761 §6.4: no resolver knows it. */
export const FOLDER_HOST = 'folder.invalid'

/** The parts of the table of a gateway on this machine. */
export interface LocalTargets {
  readonly destination: Destination
  /** Names and addresses under which it may be asked for. */
  readonly hosts: readonly string[]
  readonly password: { readonly user: string; readonly hash: string } | undefined
  /** Told of each request. @param isStranger  it was for another host, and nothing was asked of the destination */
  readonly onLine: (line: LogLine, isStranger: boolean) => void
}

const STRANGER =
  'This gateway is for the names of this machine. If the host in the URL is one of them, name it: socket-gateway http … --allow-host NAME'

/**
 * The names of this machine → the destination. A page of another site could reach a port of this machine by a name of its own that leads
 * here (DNS rebinding), so other names get nothing.
 */
export function localTable({ destination, hosts, password, onLine }: LocalTargets): RouteTable {
  const origin =
    destination.kind === 'folder'
      ? { protocol: 'http', hostname: FOLDER_HOST, port: 80 }
      : { protocol: destination.protocol, hostname: destination.host, port: destination.port }
  const target = {
    ...origin,
    // An application here sees the name that its links have to have; one elsewhere is asked for by its own.
    preserveHost: isLocal(destination),
    // Nobody else can be at its end.
    ...(origin.protocol === 'https' && isLocal(destination) && { tls: { verify: false } }),
    ...(password !== undefined && { basicAuth: { users: { [password.user]: password.hash }, realm: 'socket-gateway' } }),
  }
  const targets = {
    ...Object.fromEntries(hosts.map(host => [host, target])),
    '*': { respond: { status: 421, headers: { 'Content-Type': 'text/plain; charset=utf-8' }, body: `${STRANGER}\n` } },
  }
  const table = parseTargets(JSON.stringify({ targets }), 'the options')
  const ours = ownerOf(line => onLine(line, false))
  const strangers = ownerOf(line => onLine(line, true))
  return new RouteTable(table.targets.map(each => Object.freeze({ ...each, owner: each.name === '*' ? strangers : ours })))
}

const ownerOf = (tell: Owner['tell']): Owner => ({
  socketId: 'local',
  accountId: 'local',
  isWatched: true,
  checkQuota: () => undefined,
  follow: () => undefined,
  countRequest: () => undefined,
  countConnection: () => undefined,
  tell,
})
