import ipaddr from 'ipaddr.js'
import { isIPv4 } from 'node:net'
import { unmapped } from './mapped.ts'

/**
 * Returns the key under which a client is counted for its address: all of its /64 for an IPv6 address, the IPv4 address for one mapped into
 * IPv6, and the text itself for what is no address.
 */
export function addressKey(address: string): string {
  const plain = unmapped(address)
  if (!plain.includes(':') || !ipaddr.IPv6.isValid(plain)) return plain
  const parsed = ipaddr.IPv6.parse(plain)
  if (parsed.isIPv4MappedAddress()) return parsed.toIPv4Address().toString()
  return parsed.parts
    .slice(0, 4)
    .map(part => part.toString(16))
    .join(':')
}

/** The network of an address, which often belongs to one owner: /24 of IPv4, /48 of IPv6; what is no address is itself. */
export function networkKey(address: string): string {
  const key = addressKey(address)
  if (isIPv4(key)) return key.slice(0, key.lastIndexOf('.'))
  const parts = key.split(':')
  return parts.length === 4 ? parts.slice(0, 3).join(':') : key
}
