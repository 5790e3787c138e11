import { expect, test } from '@jest/globals'
import { LastSeen } from '../../src/rates/last-seen.ts'

test('what was seen last comes first, with how often, and strangers cannot make it grow', () => {
  let now = 0
  const seen = new LastSeen<string>(3, () => ++now)
  for (const key of ['a', 'b', 'a', 'c']) seen.see(key, key.toUpperCase())
  expect(seen.list).toEqual([
    { value: 'C', count: 1, atMs: 4 },
    { value: 'A', count: 2, atMs: 3 },
    { value: 'B', count: 1, atMs: 2 },
  ])
  for (let i = 0; i < 1_000; i++) seen.see(`stranger ${i}`, '')
  expect(seen.list).toHaveLength(3)
  expect(seen.list[0]!.atMs).toBe(now)
})
