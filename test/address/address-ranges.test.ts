import { describe, expect, test } from '@jest/globals'
import { AddressRanges, isAddressRange } from '../../src/address/address-ranges.ts'

describe('ranges of addresses', () => {
  test('an address, a range and a named one', () => {
    const ranges = new AddressRanges(['192.0.2.7', '10.1.0.0/16', '2001:db8::/32', 'loopback'])
    for (const address of ['192.0.2.7', '10.1.255.255', '2001:db8::1', '127.3.2.1', '::1']) expect(ranges.has(address)).toBe(true)
    for (const address of ['192.0.2.8', '10.2.0.0', '2001:db9::1', '128.0.0.1', '::2']) expect(ranges.has(address)).toBe(false)
  })

  test('an IPv4 address in IPv6 clothing is the IPv4 address', () => {
    expect(new AddressRanges(['10.0.0.0/8']).has('::ffff:10.1.2.3')).toBe(true)
  })

  test('what is no address is in no range, not even in all of them', () => {
    const all = new AddressRanges(['0.0.0.0/0', '::/0'])
    for (const address of ['', 'unknown', '_hidden', '10.0.0', '1.2.3.4:80']) expect(all.has(address)).toBe(false)
  })

  test.each(['', 'localhost', '10.0.0.0/33', '10.0.0.0/', '10.1', '0x7f.1', '::1/129', 'constructor'])('%j is no entry', entry => {
    expect(isAddressRange(entry)).toBe(false)
    expect(() => new AddressRanges(['10.0.0.0/8', entry])).toThrow(entry)
  })
})
