/** Evaluated before each test file (`setupFilesAfterEnv` of jest.config.js). */
import { afterAll } from '@jest/globals'
import fc from 'fast-check'
import { cleanUp } from './cleanup.ts'
import { SEED } from './seed.ts'
import { giveUpWaits } from './wait.ts'

fc.configureGlobal({ seed: SEED })
afterAll(() => cleanUp().finally(giveUpWaits))
