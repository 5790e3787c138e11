import { availableParallelism } from 'node:os'

/** Native ESM: swc strips the types, `npm run typecheck` checks them. */
export default {
  testEnvironment: '<rootDir>/scripts/jest/environment.cjs',
  runtime: '<rootDir>/scripts/jest/runtime.cjs',
  testSequencer: '<rootDir>/scripts/jest/sequencer.cjs',
  roots: ['<rootDir>/test'],
  testMatch: ['**/*.test.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  setupFilesAfterEnv: ['<rootDir>/test/support/before-file.ts'],
  transform: {},
  // A wait of a test gives up after a minute (test/support/wait.ts) and says for what; this is for what waits in no other way.
  testTimeout: 600_000,
  // Most tests wait most of the time: three files keep two cores busy. (Jest takes "150%" for 150.)
  maxWorkers: Math.ceil(availableParallelism() * 1.5),
  reporters: ['default', '<rootDir>/scripts/count-reporter.js'],
}
