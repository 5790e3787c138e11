import { resolve } from 'node:path'
import { parseHostPort, type HostPort } from '../../address/host-port.ts'
import { isThisMachine } from '../../address/this-machine.ts'
import { GatewayError } from '../../errors.ts'

/** The thing that `http` makes reachable. */
export type Destination =
  ({ readonly kind: 'port'; readonly protocol: 'http' | 'https' } & HostPort) | { readonly kind: 'folder'; readonly path: string }

/** Values of options that say the same as the argument. */
export interface DestinationValues {
  readonly port: number | undefined
  readonly host: string
}

const DEFAULT_PORT = { http: 80, https: 443 } as const
const WANTED = 'a port, a URL or a folder, such as: socket-gateway http 8080'

const usage = (message: string): GatewayError => new GatewayError('USAGE', message)

/** Reads what the command is for: a port, HOST:PORT, the URL of an origin, or the path of a folder. @throws GatewayError USAGE */
export function parseDestination(argument: string | undefined, { port, host }: DestinationValues): Destination {
  if (argument !== undefined && port !== undefined)
    throw usage(`the port is given twice: the argument and --port ${port} both mean your service; the port for clients is --app-port`)
  if (port !== undefined) return { kind: 'port', protocol: 'http', host, port }
  if (argument === undefined || argument === '') throw usage(`expected ${WANTED}`)
  if (/^\d+$/.test(argument)) return { kind: 'port', protocol: 'http', ...placeOf({ host, port: Number(argument) }, argument) }
  if (/^https?:\/\//i.test(argument)) return parseUrl(argument)
  const place = parseHostPort(argument)
  if (place !== undefined) return { kind: 'port', protocol: 'http', ...placeOf(place, argument) }
  return { kind: 'folder', path: resolve(argument) }
}

function placeOf(place: HostPort, argument: string): HostPort {
  if (place.port < 1 || place.port > 65_535) throw usage(`${JSON.stringify(argument)}: expected a port from 1 to 65535`)
  return place
}

function parseUrl(argument: string): Destination {
  const refuse = (why: string): never => {
    throw usage(`the URL ${why}; expected scheme, host and port alone, such as http://127.0.0.1:8080`)
  }
  if (!URL.canParse(argument)) return refuse('cannot be read')
  const { protocol: scheme, hostname, port, username, password, pathname, search, hash } = new URL(argument)
  if (username !== '' || password !== '') return refuse('has a name or a password')
  if (pathname !== '/' || search !== '' || hash !== '') return refuse('has more than an origin')
  const protocol = scheme === 'https:' ? 'https' : 'http'
  return { kind: 'port', protocol, host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? DEFAULT_PORT[protocol] : Number(port) }
}

/** Is the destination on this machine? */
export const isLocal = (destination: Destination): boolean => destination.kind === 'folder' || isThisMachine(destination.host)
