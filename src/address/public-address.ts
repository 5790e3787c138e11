import { guardOf, parseAddress } from './guarded.ts'

/** Is this an address of the Internet, that of no private network, no machine of its own, and no metadata service? @param text  as a resolver gives it */
export function isPublicAddress(text: string): boolean {
  const address = parseAddress(text)
  // Ranges that stand for others, such as 6to4, are none of these.
  return address?.range() === 'unicast' && guardOf(address) === undefined
}
