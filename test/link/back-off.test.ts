import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { BackOff } from '../../src/link/back-off.ts'

describe('the back-off of an inner layer', () => {
  test('never waits longer than 1.5 s for an outer layer that is away, and doubles until then', () => {
    const backOff = new BackOff(() => 1)
    expect(Array.from({ length: 6 }, () => backOff.next('OUTER_LAYER_LOST'))).toEqual([500, 1_000, 1_500, 1_500, 1_500, 1_500])
  })

  test('asks one that refuses more and more rarely, up to 30 s', () => {
    const backOff = new BackOff(() => 1)
    expect(Array.from({ length: 8 }, () => backOff.next('AUTH'))).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000])
  })

  test('starts anew after a good connection', () => {
    const backOff = new BackOff(() => 1)
    for (let i = 0; i < 5; i++) backOff.next('AUTH')
    backOff.reset()
    expect(backOff.next('GOING_AWAY')).toBe(500)
  })

  test('spreads a thousand that lost the same outer layer over the whole pause', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 10 }), fc.double({ min: 0, max: 1, noNaN: true }), (attempts, random) => {
        const backOff = new BackOff(() => random)
        for (let i = 0; i < attempts; i++) backOff.next('OUTER_LAYER_LOST')
        expect(backOff.next('OUTER_LAYER_LOST')).toBe(Math.round(Math.min(1_500, 500 * 2 ** attempts) * random))
      }),
    )
  })
})
