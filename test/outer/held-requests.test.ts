import { describe, expect, test } from '@jest/globals'
import { HeldRequests } from '../../src/outer/inner-layers/held-requests.ts'

const start = (holdMs: number | undefined, leaving: readonly string[] = []) => {
  let nowMs = 5
  const held = new HeldRequests({
    max: 2,
    holdMs,
    registry: { serves: ({ identifiers }) => (identifiers ?? leaving).some(identifier => leaving.includes(identifier)) },
    clock: () => nowMs,
  })
  return {
    held,
    wait: (ms: number): void => {
      nowMs += ms
    },
  }
}

describe('requests that wait for an inner layer', () => {
  test('do so by default for 5 s in the first ten seconds after a start, and after the loss of one that could have served them', () => {
    const { held, wait } = start(undefined)
    expect(held.patienceMs({ identifiers: ['a'] })).toBe(5_000)
    wait(10_000)
    expect([held.patienceMs({ identifiers: ['a'] }), held.patienceMs({ identifiers: undefined })]).toEqual([0, 0])
    held.lost({ identifier: 'a', pool: 'operator' })
    expect([
      held.patienceMs({ identifiers: ['b', 'a'] }),
      held.patienceMs({ identifiers: ['b'] }),
      held.patienceMs({ identifiers: undefined }),
    ]).toEqual([5_000, 0, 5_000])
    wait(10_000)
    expect([held.patienceMs({ identifiers: ['a'] }), held.patienceMs({ identifiers: undefined })]).toEqual([0, 0])
  })

  test('do so while the one that could serve them is leaving', () => {
    const { held, wait } = start(undefined, ['a'])
    wait(60_000)
    expect([held.patienceMs({ identifiers: ['a'] }), held.patienceMs({ identifiers: ['b'] })]).toEqual([5_000, 0])
  })

  test('do so for as long as --hold says, always or never', () => {
    for (const holdMs of [0, 7_000]) {
      const { held, wait } = start(holdMs)
      expect(held.patienceMs({ identifiers: ['a'] })).toBe(holdMs)
      wait(60_000)
      expect(held.patienceMs({ identifiers: ['a'] })).toBe(holdMs)
    }
  })

  test('are two at most here, and all try again when one has come', () => {
    const { held } = start(1)
    const tried: number[] = []
    const requests = [1, 2, 3].map(number => ({ retry: () => void tried.push(number) }))
    expect(requests.map(request => held.add(request, { identifiers: undefined }))).toEqual([true, true, false])
    held.wake({ identifier: 'a', pool: 'operator' })
    held.wake({ identifier: 'a', pool: 'operator' })
    expect(tried).toEqual([1, 2])
  })

  test('try again when one has come that may serve them, of their own pool', () => {
    const { held } = start(1)
    const tried: string[] = []
    const add = (name: string, pool: 'operator' | 'tunnel'): void =>
      void held.add({ retry: () => void tried.push(`${pool} ${name}`) }, { identifiers: [name], pool })
    for (const pool of ['operator', 'tunnel'] as const) for (const name of ['a', 'b']) add(name, pool)
    for (const pool of ['tunnel', 'operator'] as const) held.wake({ identifier: 'b', pool })
    expect(tried).toEqual(['tunnel b', 'operator b'])
    held.lost({ identifier: 'a', pool: 'tunnel' })
    expect(held.add({ retry: () => undefined }, { identifiers: ['c'], pool: 'operator' })).toBe(true)
  })

  test('of a pool are not expected to be served by what the other one has lost', () => {
    const { held, wait } = start(undefined)
    wait(20_000)
    held.lost({ identifier: 'a', pool: 'tunnel' })
    const identifiers = ['a']
    expect([held.patienceMs({ identifiers, pool: 'tunnel' }), held.patienceMs({ identifiers })]).toEqual([5_000, 0])
    expect(held.patienceMs({ identifiers: undefined })).toBe(0)
  })
})
