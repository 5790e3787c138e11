import { remedyOf } from '../../net/listen.ts'
import type { TcpPort } from '../../route/tcp-port.ts'
import { fail, ok, type Finding } from './finding.ts'
import { tryPort } from './network.ts'

/** A port that an outer layer would open. */
export interface ListeningPort {
  /** Its option, such as `app-port`; `tcp port` for one of the targets file. */
  readonly option: string
  readonly port: number
  /** Undefined: all addresses. */
  readonly host: string | undefined
}

/** The name of ports of the section `tcp`. */
const TCP = 'tcp port'

/** The ports of the targets file. @param hasCertificate  is there one for ports that end TLS? */
export function* checkTcpPorts(ports: readonly TcpPort[], hasCertificate: boolean): Generator<Finding, readonly ListeningPort[]> {
  for (const { options } of ports) {
    if (options.tls === 'terminate' && !hasCertificate)
      yield fail(TCP, `${options.port} has tls: true, and there is no certificate`, 'give --tls-certificate and --tls-key')
  }
  return ports.map(({ options }) => ({ option: TCP, port: options.port, host: options.host }))
}

/** Is each of the ports free, and given once? 0 picks a free one. @param isRunning  an outer layer has its ports already */
export async function* checkPorts(ports: readonly ListeningPort[], isRunning: boolean): AsyncGenerator<Finding> {
  const fixed = ports.filter(({ port }) => port > 0)
  for (const [index, port] of fixed.entries()) {
    const other = fixed.slice(0, index).find(before => collide(before, port))
    yield other === undefined
      ? await checkPort(port, isRunning)
      : fail(port.option, `${placeOf(port)} is ${nameOf(other)} as well`, changeOf(port))
  }
}

const ANY = new Set([undefined, '', '0.0.0.0', '::'])

/** Port and address alike; one that listens on all addresses takes each of them. */
const collide = (one: ListeningPort, other: ListeningPort): boolean =>
  one.port === other.port && (one.host === other.host || ANY.has(one.host) || ANY.has(other.host))

const placeOf = ({ host, port }: ListeningPort): string => `${host ?? '*'}:${port}`

const nameOf = ({ option }: ListeningPort): string => (option === TCP ? 'a TCP port of the targets file' : `--${option}`)

const changeOf = ({ option }: ListeningPort): string =>
  option === TCP ? 'choose another port in the targets file' : `choose another port with --${option}`

async function checkPort(facts: ListeningPort, isRunning: boolean): Promise<Finding> {
  const { option, port, host } = facts
  const place = placeOf(facts)
  const code = await tryPort(port, host)
  if (code === undefined) return ok(option, `${place} is free`)
  if (code === 'EADDRINUSE' && isRunning) return ok(option, `${place} is taken; an outer layer runs here already`)
  if (code === 'EADDRINUSE') return fail(option, `${place} is taken by another program`, `stop that, or ${changeOf(facts)}`)
  return fail(option, `${place} cannot be opened (${code})`, remedyOf(code, port, changeOf(facts)))
}
