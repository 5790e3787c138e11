import { isIP } from 'node:net'
import { parseOriginHost } from '../../address/host.ts'
import { isThisMachine } from '../../address/this-machine.ts'
import { messageOf, GatewayError } from '../../errors.ts'
import { readWishes, type Findings, type FoundService, type RefusedService } from '../found.ts'
import type { Container } from './engine.ts'

/** Labels begin with this. */
export const LABEL_PREFIX = 'socket-gateway.'

/** The way to a container. */
export interface Reach {
  /** The network whose address counts; undefined: the only one. */
  readonly network: string | undefined
  /** `address`, or the name by which other containers of the network know it. */
  readonly by: 'address' | 'name'
}

/** Longest name of a container that is told. */
const MAX_NAME = 128

const nameOf = ({ Names, Id }: Container): string => {
  const first: unknown = Array.isArray(Names) ? Names[0] : undefined
  return (typeof first === 'string' ? first.replace(/^\//, '') : Id.slice(0, 12)).slice(0, MAX_NAME)
}

/** A container may be called `localhost`, `10.0.0.1` or `2130706433`: it would be another machine, or this one. */
function nameAsHost(container: Container): string {
  const host = parseOriginHost(nameOf(container))
  if (isIP(host) !== 0 || isThisMachine(host))
    throw new GatewayError('CONFIG_INVALID', 'has the name of another place, by which it cannot be reached')
  return host
}

function hostOf(container: Container, { network, by }: Reach): string {
  if (by === 'name') return nameAsHost(container)
  const networks = Object.entries(container.NetworkSettings?.Networks ?? {})
  const [first, second] = network === undefined ? networks : networks.filter(([name]) => name === network)
  if (first === undefined)
    throw new GatewayError('CONFIG_INVALID', network === undefined ? 'is in no network' : `is not in the network ${network}`)
  if (second !== undefined)
    throw new GatewayError(
      'CONFIG_INVALID',
      `is in ${networks.length} networks (${networks.map(([name]) => name).join(', ')}); say which with --network`,
    )
  const address = first[1]?.IPAddress || first[1]?.GlobalIPv6Address
  if (address === undefined || address === '')
    throw new GatewayError(
      'CONFIG_INVALID',
      `has no address in the network ${first[0]}; for one of the host itself use --by name, or a targets file`,
    )
  return address
}

function portOf({ Ports }: Container, wanted: number | string | undefined): number {
  if (typeof wanted === 'number') return wanted
  if (wanted !== undefined)
    throw new GatewayError('CONFIG_INVALID', `${LABEL_PREFIX}port: ${JSON.stringify(wanted)} is no port; expected 1 to 65535`)
  const ports = [...new Set((Ports ?? []).filter(({ Type }) => Type === undefined || Type === 'tcp').map(({ PrivatePort }) => PrivatePort))]
  const [port, second] = ports
  if (port === undefined) throw new GatewayError('CONFIG_INVALID', `exposes no port; say which with the label ${LABEL_PREFIX}port`)
  if (second !== undefined)
    throw new GatewayError(
      'CONFIG_INVALID',
      `exposes ${ports.length} ports (${ports.join(', ')}); say which with the label ${LABEL_PREFIX}port`,
    )
  return port
}

/** The containers that ask for publication by a label: `socket-gateway.host`, or `socket-gateway.expose: true` where the service chooses the name. */
export function readContainers(containers: readonly Container[], reach: Reach): Findings {
  const found: FoundService[] = []
  const refused: RefusedService[] = []
  for (const container of containers) {
    const labels = container.Labels ?? {}
    if (!Object.keys(labels).some(label => label.startsWith(LABEL_PREFIX)) || labels[`${LABEL_PREFIX}expose`] === 'false') continue
    const name = `docker ${nameOf(container)}`
    try {
      const { host, port, type, policy, access } = readWishes(labels, LABEL_PREFIX)
      found.push({ name, host, type, policy, access, origin: { host: hostOf(container, reach), port: portOf(container, port) } })
    } catch (error) {
      refused.push({ name, reason: messageOf(error) })
    }
  }
  return { found, refused }
}
