import { expect, test } from '@jest/globals'
import { Attempts } from '../../src/service/core/attempts.ts'

const limited = (seconds: number) => expect.objectContaining({ code: 'RATE_LIMITED', fields: ['Retry-After', String(seconds)] })

test('attempts are ten of one address, then one each six seconds; a network of IPv6 is one address', () => {
  let now = 0
  const attempts = new Attempts(() => now)
  for (let count = 0; count < 10; count++) attempts.take(`2001:db8::${count}`)
  expect(() => attempts.take('2001:db8::ffff')).toThrow(limited(6))
  attempts.take('2001:db8:0:1::1')
  attempts.take('192.0.2.1')
  now = 6_000
  attempts.take('2001:db8::1')
  expect(() => attempts.take('2001:db8::1')).toThrow(limited(6))
})

test('attempts at one account are five of one address, and others are not locked out', () => {
  let now = 0
  const attempts = new Attempts(() => now)
  for (let count = 0; count < 5; count++) attempts.take('192.0.2.1', 'ada@example.com')
  expect(() => attempts.take('192.0.2.1', 'ada@example.com')).toThrow(limited(30))
  attempts.take('192.0.2.2', 'ada@example.com')
  attempts.take('192.0.2.1', 'bob@example.com')
  now = 30_000
  attempts.take('192.0.2.1', 'ada@example.com')
})

test('attempts at one account from everywhere are a hundred, but for who has logged in there before', () => {
  let now = 0
  const attempts = new Attempts(() => now)
  const at = (address: string) => attempts.take(address, 'ada@example.com')
  at('192.0.2.1')() // she gets in
  for (let count = 0; count < 100; count++) at(`2001:db8:${count}::1`)
  expect(() => at('198.51.100.1')).toThrow(limited(10))
  at('192.0.2.1')()
  attempts.take('198.51.100.1', 'bob@example.com')
  now = 10_000
  at('198.51.100.1')()
  // That was right, and the address is one of hers from now on.
  at('198.51.100.1')
  now = 15 * 86_400_000
  for (let count = 0; count < 100; count++) at(`2001:db8:${count}::2`)
  expect(() => at('192.0.2.1')).toThrow(limited(10))
})

test('what succeeds does not count', () => {
  const attempts = new Attempts(() => 0)
  for (let count = 0; count < 100; count++) attempts.take('192.0.2.1', 'ada@example.com')()
})

test('passwords of sockets are hashed few for each account, and letters to one person are few', () => {
  const attempts = new Attempts(() => 0)
  for (let count = 0; count < 20; count++) attempts.takeHash('a')
  expect(() => attempts.takeHash('a')).toThrow(limited(6))
  attempts.takeHash('b')
  expect([1, 2, 3, 4].map(() => attempts.mayWrite('ada@example.com'))).toEqual([true, true, true, false])
})
