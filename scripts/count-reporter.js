/** A Jest reporter that writes `N passed, N failed, N skipped` as the very last line, for machines that read only that. */
export default class CountReporter {
  onRunComplete(_contexts, results) {
    // A file that could not even be loaded has no tests to count, but it is a failure.
    const failed = results.numFailedTests + results.numRuntimeErrorTestSuites
    const skipped = results.numPendingTests + results.numTodoTests
    const line = `${results.numPassedTests} passed, ${failed} failed, ${skipped} skipped\n`
    // Jest's own summary always comes after the reporters of the project, hence at exit.
    process.once('exit', () => process.stdout.write(line))
  }
}
