import { expect, test } from '@jest/globals'
import { addressKey, networkKey } from '../../src/address/address-key.ts'

test.each([
  ['192.0.2.1', '192.0.2.1'],
  ['::ffff:192.0.2.1', '192.0.2.1'],
  ['::ffff:c000:201', '192.0.2.1'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
  ['2001:DB8:1:2::', '2001:db8:1:2'],
  ['::1', '0:0:0:0'],
  ['fe80::1%eth0', 'fe80:0:0:0'],
  ['', ''],
  ['no:address', 'no:address'],
])('%s counts as %s', (address, key) => {
  expect(addressKey(address)).toBe(key)
})

test.each([
  ['192.0.2.77', '192.0.2'],
  ['::ffff:192.0.2.77', '192.0.2'],
  ['2001:db8:7:1::5', '2001:db8:7'],
  ['2001:db8:7:ffff:1::', '2001:db8:7'],
  ['fe80::1%eth0', networkKey('fe80::2%eth0')],
  ['no address', 'no address'],
])('the network of %s is %s', (address, key) => {
  expect(networkKey(address)).toBe(key)
})
