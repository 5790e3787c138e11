import { isIP, isIPv6 } from 'node:net'
import ipaddr from 'ipaddr.js'
import type { AddressRange } from './guarded.ts'

const NAMED: ReadonlyMap<string, readonly string[]> = new Map([
  ['loopback', ['127.0.0.0/8', '::1/128']],
  ['linklocal', ['169.254.0.0/16', 'fe80::/10']],
  ['uniquelocal', ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7']],
])

/** The forms of an entry in words, for the messages of those who read one. */
export const ADDRESS_RANGE = 'an address, a CIDR such as 10.0.0.0/8, loopback, linklocal or uniquelocal'

/** Addresses of clients or proxies, as an operator lists them. */
export class AddressRanges {
  readonly #ranges: readonly AddressRange[]

  /**
   * @param entries  CIDRs, single addresses, or `loopback`, `linklocal`, `uniquelocal`; empty: no address is in
   * @throws RangeError for an entry that is none of these, with the entry as its message
   */
  constructor(readonly entries: readonly string[]) {
    this.#ranges = entries.flatMap(entry => NAMED.get(entry) ?? [entry]).map(parseRange)
  }

  /** Is the address in one of the ranges? An IPv4 address mapped into IPv6 is the IPv4 address; what is no address is in none. */
  has(address: string): boolean {
    if (this.#ranges.length === 0 || isIP(address) === 0) return false
    const parsed = ipaddr.process(address)
    return this.#ranges.some(([base, bits]) => base.kind() === parsed.kind() && parsed.match([base, bits] as [ipaddr.IPv4, number]))
  }
}

/** Is it what `AddressRanges` takes as an entry? */
export const isAddressRange = (entry: string): boolean => {
  try {
    new AddressRanges([entry])
    return true
  } catch {
    return false
  }
}

function parseRange(entry: string): AddressRange {
  try {
    const [address = '', bits] = entry.split('/')
    if (!isIPv6(address) && !ipaddr.IPv4.isValidFourPartDecimal(address)) throw new Error('not an address')
    return bits === undefined ? [ipaddr.parse(address), isIPv6(address) ? 128 : 32] : ipaddr.parseCIDR(entry)
  } catch (cause) {
    throw new RangeError(entry, { cause })
  }
}
