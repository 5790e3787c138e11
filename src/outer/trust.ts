import { isIPv6 } from 'node:net'
import ipaddr from 'ipaddr.js'
import { GatewayError } from '../errors.ts'

const NAMED: Readonly<Record<string, readonly string[]>> = {
  loopback: ['127.0.0.0/8', '::1/128'],
  linklocal: ['169.254.0.0/16', 'fe80::/10'],
  uniquelocal: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'],
}

/**
 * Makes the test whether an address belongs to a proxy of ours.
 * @param entries  CIDRs, single addresses, or `loopback`, `linklocal`, `uniquelocal`; empty: nobody is trusted
 * @throws GatewayError USAGE for an entry that is none of these
 */
export function createTrust(entries: readonly string[]): (address: string) => boolean {
  const ranges = entries.flatMap(entry => NAMED[entry] ?? [entry]).map(parseRange)
  const known = new Map<string, boolean>()
  return address => {
    const cached = known.get(address)
    if (cached !== undefined) return cached
    const verdict = matches(address, ranges)
    if (known.size >= 10_000) known.clear()
    known.set(address, verdict)
    return verdict
  }
}

type Range = readonly [ipaddr.IPv4 | ipaddr.IPv6, number]

function parseRange(entry: string): Range {
  try {
    const [address = '', bits] = entry.split('/')
    if (!isIPv6(address) && !ipaddr.IPv4.isValidFourPartDecimal(address)) throw new Error('not an address')
    return bits === undefined ? [ipaddr.parse(address), isIPv6(address) ? 128 : 32] : ipaddr.parseCIDR(entry)
  } catch (cause) {
    throw new GatewayError(
      'USAGE',
      `--trust-proxy: "${entry}" is neither an address, a CIDR such as 10.0.0.0/8, nor loopback, linklocal or uniquelocal`,
      { cause },
    )
  }
}

function matches(address: string, ranges: readonly Range[]): boolean {
  if (!ipaddr.isValid(address)) return false
  const parsed = ipaddr.process(address)
  return ranges.some(([base, bits]) => base.kind() === parsed.kind() && parsed.match([base, bits] as [ipaddr.IPv4, number]))
}
