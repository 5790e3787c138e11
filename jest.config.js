/** Native ESM: swc strips the types, `npm run typecheck` checks them. */
export default {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  testMatch: ['**/*.test.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '^.+\\.ts$': ['@swc/jest', { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' } }] },
  // A wait of a test gives up after a minute (test/support/wait.ts) and says for what; this is for what waits in no other way.
  testTimeout: 240_000,
  // Most tests wait most of the time.
  maxWorkers: '100%',
  reporters: ['default', '<rootDir>/scripts/count-reporter.js'],
}
