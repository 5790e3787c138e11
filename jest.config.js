/** Native ESM: swc strips the types, `npm run typecheck` checks them. */
export default {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  testMatch: ['**/*.test.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '^.+\\.ts$': ['@swc/jest', { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' } }] },
  // Generous: real sockets and real processes on a machine that may be busy. Tests set their own, shorter deadlines.
  testTimeout: 30_000,
  // Most tests wait most of the time.
  maxWorkers: '100%',
  reporters: ['default', '<rootDir>/scripts/count-reporter.js'],
}
