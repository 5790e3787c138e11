import type { Log } from '../telemetry/log.ts'
import type { Service } from '../service/contract.ts'
import type { PortalOptions } from './portal/portal.ts'
import type { Actor, Socket } from '../service/model.ts'

/** A visitor of a socket, as somebody sees it who watches the socket. */
export interface LogLine {
  /** As it is printed: combined format and response time for a request, the line of a connection for others. No control characters. */
  readonly text: string
  /** Facts behind it, each a value of JSON; `at` in milliseconds since 1970. */
  readonly [fact: string]: unknown
}

/** Visitors of sockets, while they come. */
export interface LogFeed {
  /**
   * The visitors of a socket of the actor from now on, until `signal` is aborted or the socket is gone. Whoever reads slowly gets a line that says how
   * many were left out.
   * @throws GatewayError NOT_FOUND, LIMIT_REACHED for one watcher too many; before the first line
   */
  watch(actor: Actor, socketId: string, signal: AbortSignal): AsyncIterable<LogLine> | Promise<AsyncIterable<LogLine>>
}

/** Facts of the installation that answers name; a function, where the configuration may change. */
export interface ApiFacts {
  /** Public URL of a socket; default: https:// and its name, or tcp:// and tls:// with its port. */
  readonly urlOf: (socket: Socket) => string
  /** The text of /latest_version.txt; undefined: 404. */
  readonly clientVersion: () => string | undefined
  readonly logs: LogFeed | undefined
}

/** Options of the API. */
export interface ApiOptions extends Partial<ApiFacts> {
  readonly service: Service
  readonly log: Log
  /**
   * Does every request come through our own outer layer? Then X-Real-IP, which it sets to the client that it believes in, is the address of the
   * client; else that of the connection.
   */
  readonly isBehindGateway: boolean
  /** The console for users; absent: there is none. */
  readonly portal?: PortalOptions | undefined
  /** Folder with OS_ARCH/mysocketctl for `version upgrade` of the old client, at the moment; undefined: there is none. */
  readonly downloads?: (() => string | undefined) | undefined
  /** Between two empty lines of a log in which nothing happens; default 15 s. */
  readonly keepAliveMs?: number | undefined
}

/** The public URL of a socket where nothing is said about ports of the outer layer. */
export function defaultUrlOf({ type, dnsName, ports }: Socket): string {
  return type === 'http' || type === 'https' ? `https://${dnsName}` : `${type}://${dnsName}:${ports[0] ?? 0}`
}
