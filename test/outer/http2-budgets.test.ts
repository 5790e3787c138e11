/** Heads that clients of HTTP/2 have open, in all. */
import { describe, expect, test } from '@jest/globals'
import { Http2Budgets } from '../../src/outer/http-edge/http2-budgets.ts'

const MIB = 1_048_576

describe('heads of open requests of a process', () => {
  const held = (budget: { hold(bytes: number): boolean }, each: number, most = 2_000): number => {
    let count = 0
    while (count < most && budget.hold(each)) count++
    return count * each
  }

  test('have one bound for all connections of a trusted proxy, and each has its fair part beyond it', () => {
    const budgets = new Http2Budgets(() => 0)
    const open = () => budgets.open('127.0.0.1', true).budget
    const all = Array.from({ length: 400 }, open)
    const parts = all.map(budget => held(budget, 16_384))
    expect(parts[0]).toBe(MIB)
    expect(parts.at(-1)).toBe(65_536)
    expect(parts.reduce((sum, bytes) => sum + bytes, 0)).toBeLessThanOrEqual(64 * MIB + 400 * 65_536)

    // What is given back is there for others.
    const last = all.at(-1)!
    for (const budget of all.slice(0, 336)) for (let left = parts[all.indexOf(budget)]!; left > 0; left -= 16_384) budget.release(16_384)
    expect(held(last, 16_384)).toBe(MIB - 65_536)
  })

  test('are those of strangers as well, whose addresses have bounds of their own', () => {
    const budgets = new Http2Budgets(() => 0)
    const ofAddress = (address: string): number =>
      Array.from({ length: 20 }, () => held(budgets.open(address, false).budget, 16_384)).reduce((sum, bytes) => sum + bytes, 0)
    expect(['192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.4'].map(ofAddress)).toEqual([16 * MIB, 16 * MIB, 16 * MIB, 16 * MIB])
    expect(ofAddress('192.0.2.5')).toBe(20 * 65_536)
    expect(held(budgets.open('127.0.0.1', true).budget, 16_384)).toBe(65_536)
  })
})
