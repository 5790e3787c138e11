/** Addresses and names that give out credentials of a machine, or that only mean something on one network card. */
import { domainToASCII } from 'node:url'
import ipaddr from 'ipaddr.js'

/** An address, parsed. */
export type Address = ipaddr.IPv4 | ipaddr.IPv6
/** A range of addresses: its base and the length of its prefix in bits. */
export type AddressRange = readonly [Address, number]

const GUARDED: readonly AddressRange[] = [
  '169.254.0.0/16', // link-local; AWS, Azure, Google Cloud, OpenStack, Oracle Cloud at .169.254, ECS at .170.2
  'fe80::/10', // link-local
  'fd00:ec2::/32', // AWS
  'fd20:ce::254/128', // Google Cloud
  'fd00:42::42/128', // Scaleway
  'fd00:c1::a9fe:a9fe/128', // Oracle Cloud
  '100.100.100.200/32', // Alibaba Cloud
  '168.63.129.16/32', // Azure
  '192.0.0.192/32', // Oracle Cloud
  '64:ff9b:1::/48', // NAT64 of this network (RFC 8215): its operator alone knows where in it the IPv4 address stands
].map(range => Object.freeze(ipaddr.parseCIDR(range)))

/** Host names that lead to such addresses. */
const GUARDED_NAMES: ReadonlySet<string> = new Set([
  'metadata',
  'metadata.goog',
  'metadata.google.internal',
  'metadata.azure.internal',
  'instance-data',
  'instance-data.ec2.internal',
])

/** IPv6 forms that carry an IPv4 address, and the octet where it starts: a router or the kernel may take them to that address. */
const CARRIERS: readonly (readonly [AddressRange, number])[] = [
  [ipaddr.parseCIDR('::/96'), 12], // IPv4-compatible
  [ipaddr.parseCIDR('::ffff:0:0/96'), 12], // IPv4-mapped
  [ipaddr.parseCIDR('::ffff:0:0:0/96'), 12], // IPv4-translated, RFC 2765
  [ipaddr.parseCIDR('64:ff9b::/96'), 12], // NAT64, RFC 6052
  [ipaddr.parseCIDR('2002::/16'), 2], // 6to4, RFC 3056
]

/** Whether `range` has `address`; one of the other family is never in it. */
export const within = (address: Address, [base, bits]: AddressRange): boolean => address.kind() === base.kind() && address.match(base, bits)

/** An address in a strict spelling, IPv4 where it is an IPv4 address mapped into IPv6. Undefined for everything else. */
export function parseAddress(text: string): Address | undefined {
  const bare = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text
  if (ipaddr.IPv4.isValidFourPartDecimal(bare)) return ipaddr.IPv4.parse(bare)
  if (!bare.includes(':') || !ipaddr.IPv6.isValid(bare)) return undefined
  const address = ipaddr.IPv6.parse(bare)
  return address.isIPv4MappedAddress() ? address.toIPv4Address() : address
}

/** The guarded range that `address` is in, also as an IPv4 address that an IPv6 one carries. */
export function guardOf(address: Address): AddressRange | undefined {
  const carrier = CARRIERS.find(([range]) => within(address, range))
  const carried = carrier && ipaddr.fromByteArray(address.toByteArray().slice(carrier[1], carrier[1] + 4))
  return GUARDED.find(range => within(address, range) || (carried !== undefined && within(carried, range)))
}

/** Whether a name, in lower case and without a trailing dot, is guarded. */
export const isGuardedName = (name: string): boolean => GUARDED_NAMES.has(name)

/** Whether an inner layer refuses this host unless an entry of its allow-list names it. */
export function isGuardedHost(hostname: string): boolean {
  const address = parseAddress(hostname)
  if (address !== undefined) return guardOf(address) !== undefined
  const name = hostname.toLowerCase().replace(/\.$/, '')
  return isGuardedName(/^[\x00-\x7f]*$/.test(name) ? name : domainToASCII(name))
}
