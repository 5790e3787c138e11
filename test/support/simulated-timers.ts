/** Intervals that pass when a test says so (`jest.advanceTimersByTime`), for each test of a file or of a `describe`. All else of these tests is real. */
import { afterEach, beforeEach, jest } from '@jest/globals'

/** Has intervals simulated in each test. */
export function simulateIntervals(): void {
  beforeEach(() => {
    jest.useFakeTimers({
      doNotFake: [
        'Date',
        'nextTick',
        'performance',
        'queueMicrotask',
        'setImmediate',
        'clearImmediate',
        'setTimeout',
        'clearTimeout',
        'hrtime',
      ],
    })
  })
  afterEach(() => {
    jest.useRealTimers()
  })
}
