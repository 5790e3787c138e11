/** The short form of `npm run load -- workers`. */
import { expect, test } from '@jest/globals'
import { restartWorkers } from '../load/workers.ts'

test('two restarts, one by SIGHUP: no GET fails, and WebSockets that have to move end with 1012', async () => {
  const told = await restartWorkers({ rounds: 2, perSecond: 30, sockets: 6 }, () => undefined)
  expect(told.failures).toEqual([])
  expect(told.asked).toBeGreaterThan(0)
  expect(told.echoes).toBeGreaterThan(0)
  // Each of them has had to move in each round, or was at a new worker already.
  expect(told.codes.length).toBeGreaterThanOrEqual(6)
  expect(new Set(told.codes)).toEqual(new Set([1012]))
})
