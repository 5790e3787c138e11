import { describe, expect, test } from '@jest/globals'
import { mutedText, Repeats } from '../../src/telemetry/repeats.ts'

describe('what repeats itself', () => {
  test('is said once, then once a period with the number of times in between', () => {
    let nowMs = 0
    const repeats = new Repeats(1_000, () => nowMs)
    expect(repeats.take('a')).toBe(0)
    for (nowMs = 100; nowMs < 1_000; nowMs += 100) expect(repeats.take('a')).toBeUndefined()
    expect(repeats.take('b')).toBe(0)
    expect(repeats.take('a')).toBe(9)
    expect(repeats.take('a')).toBeUndefined()
    nowMs = 9_000
    expect(repeats.take('a')).toBe(1)
    nowMs = 99_000
    expect(repeats.take('a')).toBe(0)
  })

  test('in a thousand forms is muted until the period is over', () => {
    let nowMs = 0
    const repeats = new Repeats(1_000, () => nowMs)
    const said = (): number => Array.from({ length: 5_000 }, (_, i) => repeats.take(`${nowMs} ${i}`)).filter(taken => taken === 0).length
    expect(said()).toBe(1_000)
    nowMs = 500
    expect(said()).toBe(0)
    nowMs = 1_000
    expect(said()).toBe(1_000)
  })

  test('is counted in words', () => {
    expect(mutedText(0)).toBe('')
    expect(mutedText(3)).toBe(' (3 more like it since the last such line)')
  })
})
