import { isIPv6 } from 'node:net'

/** Where an origin is. */
export interface OriginAddress {
  readonly protocol: 'http' | 'https'
  /** A name or an address, IPv6 without brackets. */
  readonly hostname: string
  readonly port: number
}

/** HOST:PORT for a log. */
export const namedOrigin = ({ hostname, port }: Pick<OriginAddress, 'hostname' | 'port'>): string =>
  `${isIPv6(hostname) ? `[${hostname}]` : hostname}:${port}`
