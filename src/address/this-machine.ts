import { parseAddress } from './guarded.ts'

/**
 * Does this host, by its own words, stand for this machine: `localhost` and what is below it (RFC 6761 §6.3), 127.0.0.0/8, `::1`? Asked where
 * something may stay unencrypted, or be without a password. Names that only resolve to such an address are others.
 * @param host  a name or an address, IPv6 with or without brackets
 */
export function isThisMachine(host: string): boolean {
  const name = host.toLowerCase().replace(/\.$/, '')
  if (name === 'localhost' || name.endsWith('.localhost')) return true
  const address = parseAddress(name)
  return address !== undefined && address.range() === 'loopback'
}
