import { describe, expect, test } from '@jest/globals'
import { HeldRequests } from '../../src/outer/inner-layers/held-requests.ts'

const start = (holdMs: number | undefined, leaving: readonly string[] = []) => {
  let nowMs = 5
  const held = new HeldRequests({
    max: 2,
    holdMs,
    registry: { serves: identifiers => (identifiers ?? leaving).some(identifier => leaving.includes(identifier)) },
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
    expect(held.patienceMs(['a'])).toBe(5_000)
    wait(10_000)
    expect([held.patienceMs(['a']), held.patienceMs(undefined)]).toEqual([0, 0])
    held.lost('a')
    expect([held.patienceMs(['b', 'a']), held.patienceMs(['b']), held.patienceMs(undefined)]).toEqual([5_000, 0, 5_000])
    wait(10_000)
    expect([held.patienceMs(['a']), held.patienceMs(undefined)]).toEqual([0, 0])
  })

  test('do so while the one that could serve them is leaving', () => {
    const { held, wait } = start(undefined, ['a'])
    wait(60_000)
    expect([held.patienceMs(['a']), held.patienceMs(['b'])]).toEqual([5_000, 0])
  })

  test('do so for as long as --hold says, always or never', () => {
    for (const holdMs of [0, 7_000]) {
      const { held, wait } = start(holdMs)
      expect(held.patienceMs(['a'])).toBe(holdMs)
      wait(60_000)
      expect(held.patienceMs(['a'])).toBe(holdMs)
    }
  })

  test('are two at most here, and all try again when one has come', () => {
    const { held } = start(1)
    const tried: number[] = []
    const requests = [1, 2, 3].map(number => ({ retry: () => void tried.push(number) }))
    expect(requests.map(request => held.add(request))).toEqual([true, true, false])
    held.wake()
    held.wake()
    expect(tried).toEqual([1, 2])
  })
})
