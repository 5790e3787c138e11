/** Sizes and durations: what people write, and what it is. */
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { doubtOfDuration, DURATION_FORM, formatDuration, parseDuration } from '../../src/units/durations.ts'
import { parseSize, SIZE_FORM } from '../../src/units/sizes.ts'

describe('sizes', () => {
  test.each([
    ['0', 0],
    ['1048576', 1_048_576],
    ['5B', 5],
    ['10kB', 10_000],
    ['10KB', 10_000],
    ['10K', 10_240],
    ['10k', 10_240],
    ['10KiB', 10_240],
    ['10kib', 10_240],
    ['2MB', 2_000_000],
    ['2M', 2_097_152],
    ['2MiB', 2_097_152],
    ['1GB', 1_000_000_000],
    ['1G', 1_073_741_824],
    ['1GiB', 1_073_741_824],
  ])('%s is %d bytes', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes)
  })

  test.each(['', 'K', '-1', '1.5M', '1 M', '1T', '1KK', '1Ki', '1e3', '0x10', ' 1', '1\n', '999999999999999G'])('%j is none', text => {
    expect(parseSize(text)).toBeUndefined()
  })

  test('whatever has not the form is none, and what is one has it', () => {
    fc.assert(fc.property(fc.string(), text => expect(parseSize(text) === undefined || SIZE_FORM.test(text)).toBe(true)))
  })
})

describe('durations', () => {
  test.each([
    ['0', 0],
    ['1500', 1_500],
    ['500ms', 500],
    ['30s', 30_000],
    ['5m', 300_000],
    ['1h', 3_600_000],
    ['7d', 604_800_000],
  ])('%s is %d ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms)
  })

  test.each(['', 's', '-1s', '1.5s', '5 s', '5S', '1w', '1h30m', '5\n', '9999999999999d'])('%j is none', text => {
    expect(parseDuration(text)).toBeUndefined()
  })

  test('written out again, it is the same time', () => {
    fc.assert(
      fc.property(fc.nat(), ms => {
        expect(parseDuration(formatDuration(ms))).toBe(ms)
        expect(formatDuration(ms)).toMatch(DURATION_FORM)
      }),
    )
  })

  test('a small number without a unit is read as it stands, and doubted', () => {
    expect(doubtOfDuration('5')).toMatch(/^5 milliseconds; did you mean 5s\?/)
    expect(doubtOfDuration('1')).toMatch(/^1 millisecond; did you mean 1s\?/)
    for (const text of ['0', '1000', '5s', '5ms', 'x']) expect(doubtOfDuration(text)).toBeUndefined()
  })
})
