import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { bracketed, formatHostPort, parseHostPort, parsePortRange } from '../../src/address/host-port.ts'
import { isThisMachine } from '../../src/address/this-machine.ts'

test.each([
  'localhost',
  'LOCALHOST',
  'localhost.',
  'a.localhost',
  '127.0.0.1',
  '127.255.0.9',
  '::1',
  '[::1]',
  '0:0:0:0:0:0:0:1',
  '::ffff:127.0.0.1',
  '[::ffff:7f00:1]',
])('%s is this machine', host => {
  expect(isThisMachine(host)).toBe(true)
})

test.each([
  '',
  'localhost.example.com',
  'notlocalhost',
  '127.example.com',
  '127.0.0.1.example.com',
  '127.1',
  '0.0.0.0',
  '::',
  '10.0.0.1',
  '::2',
  '[::ffff:10.0.0.1]',
  '2130706433',
])('%j is not', host => {
  expect(isThisMachine(host)).toBe(false)
})

test('HOST:PORT is read as it is written', () => {
  const host = fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain())
  fc.assert(
    fc.property(host, fc.integer({ min: 0, max: 65_535 }), (name, port) => {
      expect(parseHostPort(formatHostPort({ host: name, port }))).toEqual({ host: name, port })
      expect(formatHostPort({ host: name, port })).toBe(`${bracketed(name)}:${port}`)
    }),
  )
})

test.each([
  ['0', [0, 0]],
  ['8000-8099', [8000, 8099]],
  ['80-80', [80, 80]],
  ['65535', [65_535, 65_535]],
])('%s is a range of ports', (text, range) => {
  expect(parsePortRange(text)).toEqual(range)
})

test.each(['', '-', '*', '80-', '-80', '81-80', '65536', '1-65536', '000080', '1-2-3', ' 80', '80\n'])('%j is no range of ports', text => {
  expect(parsePortRange(text)).toBeUndefined()
})
