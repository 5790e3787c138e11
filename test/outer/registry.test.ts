import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { LoginOrder } from '../../src/outer/inner-layers/login-order.ts'
import { Registry, type InnerConnection } from '../../src/outer/inner-layers/registry.ts'
import { connectionOf, HereCarrier } from './carriers.ts'

const carrier = new HereCarrier()

test.each(['operator', 'tunnel'] as const)('ten thousand connections of pool %s come and go within a second of CPU', pool => {
  const registry = new Registry()
  const all = Array.from({ length: 10_000 }, (_, i) => connectionOf(carrier, `inner-${i}`, `process ${i}`, pool))
  const begun = process.cpuUsage()
  for (const connection of all) registry.add(connection)
  for (const connection of all) registry.remove(connection)
  const { user, system } = process.cpuUsage(begun)
  expect([registry.size, registry.pick({ identifiers: undefined, pool })]).toEqual([0, 'none'])
  expect(user + system).toBeLessThan(1_000_000)
})

test('the connections of a key are found by it', () => {
  const registry = new Registry()
  const [a, b] = ['a', 'b'].map(identifier => connectionOf(carrier, identifier))
  for (const connection of [a!, b!]) registry.add(connection)
  registry.remove(a!)
  expect([registry.ofKey('no key'), registry.ofKey('another')]).toEqual([[b], []])
})

test('a process that comes back to its tunnel is no newer login than the one that came meanwhile', () => {
  const registry = new Registry()
  const [old, renewed, newest] = ['old', 'old', 'newest'].map(process => connectionOf(new HereCarrier(), 'a tunnel', process, 'tunnel'))
  const isTakenOver = (process: string): boolean => registry.isTakenOver('a tunnel', process)
  registry.add(old!)
  expect([isTakenOver('old'), isTakenOver('newest')]).toEqual([false, false])
  registry.remove(old!)
  registry.add(newest!)
  expect([isTakenOver('old'), isTakenOver('newest'), isTakenOver('never seen')]).toEqual([true, false, false])
  registry.remove(newest!)
  expect(isTakenOver('old')).toBe(false)
  registry.add(renewed!)
  // The newest may come back to it, in turn.
  expect([isTakenOver('old'), isTakenOver('newest')]).toEqual([false, false])
})

test('the number that the service has given a login counts before the order of arrival, as after a restart', () => {
  const registry = new Registry()
  const login = (process: string, number?: number): InnerConnection => ({
    ...connectionOf(new HereCarrier(), 'a tunnel', process, 'tunnel'),
    login: number,
  })
  const isTakenOver = (process: string, number?: number): boolean => registry.isTakenOver('a tunnel', process, number)
  registry.add(login('newest', 20))
  expect([isTakenOver('older', 10), isTakenOver('newest', 20), isTakenOver('next', 30), isTakenOver('unknown')]).toEqual([
    true,
    false,
    false,
    false,
  ])
  const next = login('next', 30)
  registry.add(next)
  registry.remove(next)
  registry.add(login('newest again', 20))
  expect([isTakenOver('next', 30), isTakenOver('newest', 20)]).toEqual([false, true]) // of one login, the one that came last
  registry.add(login('without a number'))
  expect(isTakenOver('newest again', 20)).toBe(true)
})

test('of processes that are gone so many are remembered', () => {
  const order = new LoginOrder()
  for (const name of ['first', 'second', 'third']) order.came(name)
  order.left('first')
  for (let other = 0; other < 4_095; other++) {
    order.came(`other ${other}`)
    order.left(`other ${other}`)
  }
  expect([order.isBefore('first', 'second'), order.isBefore('second', 'third')]).toEqual([true, true])
  order.came('one more')
  order.left('one more')
  expect([order.isBefore('first', 'second'), order.isBefore('second', 'third')]).toEqual([false, true])
})

describe('whatever comes and goes', () => {
  const step = fc.record({ adds: fc.boolean(), identifier: fc.constantFrom('a', 'b', 'c'), process: fc.nat(2), at: fc.nat() })

  test('the index says the same as a look at all connections', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), steps => {
        const registry = new Registry()
        const gone: [string, boolean][] = []
        registry.onRemove = ({ instance }, wasLast) => gone.push([instance, wasLast])
        let expected: InnerConnection[] = []
        for (const { adds, identifier, process, at } of steps) {
          if (adds || expected.length === 0) {
            const connection = connectionOf(carrier, identifier, `${identifier} ${process}`)
            expected.push(connection)
            registry.add(connection)
          } else {
            const leaving = expected[at % expected.length]!
            expected = expected.filter(connection => connection !== leaving)
            registry.remove(leaving)
            registry.remove(leaving) // a second time does nothing
            expect(gone.at(-1)).toEqual([leaving.instance, expected.every(({ instance }) => instance !== leaving.instance)])
          }
          expect(registry.connections).toEqual(expected)
          expect(registry.size).toBe(expected.length)
          for (const identifiers of [undefined, ['a'], ['b', 'c'], ['d']]) {
            const serving = expected.filter(connection => identifiers?.includes(connection.identifier) ?? true)
            const picked = registry.pick({ identifiers })
            if (serving.length === 0) expect(picked).toBe('none')
            else expect(serving).toContain(picked)
            expect(registry.serves({ identifiers })).toBe(serving.length > 0)
          }
        }
      }),
    )
  })
})
