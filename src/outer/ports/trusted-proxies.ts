import { GatewayError, messageOf } from '../../errors.ts'
import { ADDRESS_RANGE, AddressRanges } from '../../address/address-ranges.ts'

/**
 * Makes the test whether an address belongs to a proxy of ours.
 * @param entries  as `AddressRanges` takes them; empty: nobody is trusted
 * @throws GatewayError USAGE for an entry that is none of these
 */
export function createTrust(entries: readonly string[]): (address: string) => boolean {
  const ranges = rangesOf(entries)
  const known = new Map<string, boolean>()
  return address => {
    const cached = known.get(address)
    if (cached !== undefined) return cached
    const verdict = ranges.has(address)
    if (known.size >= 10_000) known.clear()
    known.set(address, verdict)
    return verdict
  }
}

function rangesOf(entries: readonly string[]): AddressRanges {
  try {
    return new AddressRanges(entries)
  } catch (cause) {
    throw new GatewayError('USAGE', `--trust-proxy: "${messageOf(cause)}" is not ${ADDRESS_RANGE}`, { cause })
  }
}
