import { expect, test } from '@jest/globals'
import { FRAME_COST, FrameBudget } from '../../src/outer/http-edge/frame-budget.ts'
import { Penalties } from '../../src/outer/access/penalties.ts'

test('a penalty ends by itself, and begins anew', () => {
  let now = 0
  const penalties = new Penalties(100, () => now)
  expect(penalties.has('a')).toBe(false)
  penalties.add('a')
  now = 60
  penalties.add('a')
  now = 150
  expect([penalties.has('a'), penalties.has('b')]).toEqual([true, false])
  now = 160
  expect(penalties.has('a')).toBe(false)
})

test('ten thousand addresses are remembered, the oldest is the first to go free', () => {
  const penalties = new Penalties(100, () => 0)
  for (let i = 0; i <= 10_000; i++) penalties.add(String(i))
  expect([penalties.has('0'), penalties.has('1'), penalties.has('10000')]).toEqual([false, true, true])
})

test('a budget is spent, and comes back with time and with work', () => {
  let now = 0
  const budget = new FrameBudget(() => now)
  for (let i = 0; i < 500; i++) expect(budget.spend(FRAME_COST.brokenStream)).toBe(true)
  expect(budget.spend(FRAME_COST.brokenStream)).toBe(false)
  now = 1_000
  for (let i = 0; i < 24; i++) expect(budget.spend(FRAME_COST.brokenStream)).toBe(true)
  expect(budget.spend(FRAME_COST.brokenStream)).toBe(false)
  // A client that breaks off every second stream never runs out.
  for (let i = 0; i < 10; i++) budget.earn(FRAME_COST.wholeStream)
  for (let i = 0; i < 10_000; i++) {
    budget.earn(FRAME_COST.wholeStream)
    expect(budget.spend(FRAME_COST.brokenStream)).toBe(true)
  }
})
