/** Evaluated before each test file (`setupFilesAfterEnv` of jest.config.js). */
import { afterAll } from '@jest/globals'
import { cleanUp } from './cleanup.ts'

afterAll(cleanUp)
