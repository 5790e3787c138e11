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
  // A wait of a test gives up after two minutes (test/support/wait.ts) and says for what; this is for what waits in no other way.
  testTimeout: 600_000,
  // Most tests wait: with three files for two cores, a third of the time of both was idle. (Jest takes "200%" for 200.)
  maxWorkers: availableParallelism() * 2,
  reporters: ['default', '<rootDir>/scripts/count-reporter.js'],
}
