import { expect, test } from '@jest/globals'
import { shareAttempts, type AttemptsOfAll } from '../../src/platform/shared-attempts.ts'
import { Attempts } from '../../src/service/core/attempts.ts'
import { until } from '../support/wait.ts'

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

/** The attempts of services that tell each other, as JSON. */
function joinedAttempts(count: number): readonly Attempts[] {
  const onFault = (thrown: unknown): void => {
    throw thrown
  }
  const all: AttemptsOfAll[] = Array.from({ length: count }, (_, index) =>
    shareAttempts((topic, message) => {
      const text = JSON.stringify(message)
      for (const [at, other] of all.entries()) if (at !== index) other.told(topic, JSON.parse(text))
    }, onFault),
  )
  return all.map(({ attempts }) => new Attempts(() => performance.now(), attempts))
}

const isLimited = (attempt: () => void): boolean => {
  try {
    attempt()
    return false
  } catch (thrown) {
    expect(thrown).toMatchObject({ code: 'RATE_LIMITED' })
    return true
  }
}

test('what is wrong at one of several services counts at all of them, what was right at none', async () => {
  const [a, b, c] = joinedAttempts(3)
  for (let count = 0; count < 20; count++) a!.take('192.0.2.1', 'ada@example.com')()
  for (let count = 0; count < 3; count++) a!.take('192.0.2.1', 'ada@example.com')
  for (let count = 0; count < 2; count++) b!.take('192.0.2.1', 'ada@example.com')
  // Taken back at once where it is let in, so that looking changes nothing.
  const look = (attempts: Attempts) => () => attempts.take('192.0.2.1', 'ada@example.com')()
  for (const attempts of [a!, b!, c!]) await until(() => isLimited(look(attempts)), { what: 'a service to know of all five' })
  for (const attempts of [a!, b!, c!]) {
    expect(isLimited(() => attempts.take('192.0.2.1', 'bob@example.com')())).toBe(false)
    expect(isLimited(() => attempts.take('192.0.2.2', 'ada@example.com')())).toBe(false)
  }
})

test('who has logged in at one of several services is known at all of them, beside guesses from everywhere', async () => {
  const [a, b] = joinedAttempts(2)
  a!.take('192.0.2.1', 'ada@example.com')()
  for (let count = 0; count < 100; count++) a!.take(`2001:db8:${count}::1`, 'ada@example.com')
  let looks = 0
  // From elsewhere each time: where she is let in, she is known from then on.
  const look = (): void => b!.take(`198.51.100.${++looks}`, 'ada@example.com')()
  await until(() => isLimited(look), { what: 'the other service to know of the guesses' })
  expect(isLimited(() => b!.take('192.0.2.1', 'ada@example.com')())).toBe(false)
})

test('what another service says is not believed where it is nothing that one says', () => {
  const faults: unknown[] = []
  const { attempts, told } = shareAttempts(
    () => undefined,
    thrown => faults.push(thrown),
  )
  const known = new Attempts(() => 0, attempts)
  for (const message of [
    undefined,
    null,
    7,
    {},
    { taken: 'x', held: [[]] },
    { taken: [{ meter: 'attempts of addresses', rate: {}, counts: [['x', 9]] }] },
  ])
    for (const topic of ['counts', 'known', 'whatever', '__proto__']) told(topic, message)
  told('known', 'x'.repeat(10_000))
  for (let count = 0; count < 10; count++) known.take('192.0.2.1')
  expect(() => known.take('192.0.2.1')).toThrow(expect.objectContaining({ code: 'RATE_LIMITED' }))
  expect(faults).toEqual([])
})
