/** Schedules of the mux in virtual time: commands at both ends, a link that moves when it is told to, and messages that are falsified. */
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { SEED } from '../support/seed.ts'
import { Simulation } from './mux-simulator.ts'

const SCHEDULES = Number(process.env['SG_SCHEDULES'] ?? 2_000)

/** For a million of them. */
const LONG_MS = 7_200_000

const commands = fc.array(fc.nat(2 ** 30 - 1), { minLength: 1, maxLength: 160, size: 'max' })
const run = (isHostile: boolean): void => {
  fc.assert(
    fc.property(commands, list => {
      expect(new Simulation().run(list, isHostile)).toEqual([])
    }),
    { numRuns: SCHEDULES / 2, seed: SEED },
  )
}

describe(`${SCHEDULES} schedules`, () => {
  test('of peers of good faith lose, repeat and reorder nothing, and leave nothing behind', () => run(false), LONG_MS)
  test('of messages that were falsified end sessions at worst, and leave nothing behind', () => run(true), LONG_MS)
})
