/** One list of guarded addresses for the allow-list of inner layers and for the warnings about a targets file. */
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { isGuardedHost } from '../../src/address/guarded.ts'
import { lintTargets } from '../../src/config/lint.ts'
import { parseTargets } from '../../src/config/targets.ts'
import { AllowList } from '../../src/origin/allow-list.ts'

const open = new AllowList([])
const everything = new AllowList(['*:*'])

const isWarned = (hostname: string): boolean =>
  lintTargets(parseTargets(JSON.stringify({ targets: { 'a.test': { hostname } } }), 't.yaml')).some(({ message }) =>
    message.includes('metadata address'),
  )

const v4 = fc.oneof(
  fc.ipV4(),
  fc.ipV4().map(address => address.replace(/^\d+\.\d+/, '169.254')),
  fc.constantFrom('100.100.100.200', '168.63.129.16', '192.0.0.192', '169.254.169.254', '10.0.0.1'),
)
const hex = (address: string): string => {
  const [a = 0, b = 0, c = 0, d = 0] = address.split('.').map(Number)
  return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`
}
const v6 = fc.oneof(
  fc.ipV6(),
  v4.map(address => `::ffff:${address}`),
  v4.map(address => `::ffff:${hex(address)}`),
  v4.map(address => `::ffff:0:${hex(address)}`),
  v4.map(address => `::${address}`),
  v4.map(address => `64:ff9b::${hex(address)}`),
  v4.map(address => `64:ff9b:1::${hex(address)}`),
  v4.map(address => `2002:${hex(address)}::1`),
  fc.constantFrom('fe80::1', 'fd00:ec2::254', 'fd20:ce::254', 'fd00:42::42', 'fd00:c1::a9fe:a9fe', '64:ff9b:1:2::3', '2001:db8::1'),
)

test('lint warns of every address that an open allow-list refuses, and of no other', () => {
  fc.assert(
    fc.property(fc.oneof(v4, v6), address => {
      const isRefused = open.check(address, 80) === 'no'
      expect([address, isWarned(address)]).toEqual([address, isRefused])
      expect(isGuardedHost(address)).toBe(isRefused)
      expect(everything.check(address, 80)).toBe(isRefused ? 'no' : 'yes')
    }),
    { numRuns: 1_000 },
  )
})

test.each(['metadata', 'metadata.goog', 'Metadata.Google.Internal.', 'instance-data', 'a.example'])('and of names: %s', name => {
  expect([name, isWarned(name)]).toEqual([name, open.check(name, 80) === 'no'])
})

describe('guarded', () => {
  test.each([
    'fd00:c1::a9fe:a9fe', // Oracle Cloud
    '64:ff9b:1::a9fe:a9fe', // NAT64 with a prefix of this network, in whatever length
    '64:ff9b:1:a9fe:a9:fe00::',
    '::ffff:0:169.254.169.254',
    '::ffff:0:a9fe:a9fe',
    '64:ff9b::169.254.169.254',
    '2002:a83f:8110::',
  ])('%s', address => {
    expect(isGuardedHost(address)).toBe(true)
    expect(isGuardedHost(`[${address}]`)).toBe(true)
    expect(open.checkAddress('innocent.example', address, 80)).toBe(false)
    expect(everything.checkAddress('innocent.example', address, 80)).toBe(false)
  })

  test.each(['fd00:c1::a9fe:a9ff', '64:ff9b:2::1', '::ffff:0:10.0.0.1', '64:ff9b::10.0.0.1', '2002:a00:1::', 'fd00:ec3::1'])(
    'not %s',
    address => expect(isGuardedHost(address)).toBe(false),
  )
})
