/**
 * Loaded into a process that is watched (test/support/held.ts): on SIGUSR2 it says what it holds, on standard error. Objects and buffers after a full
 * collection, so that the figure follows from what is kept, and not from when the collector came round.
 */
process.on('SIGUSR2', () => {
  globalThis.gc()
  globalThis.gc() // buffers are given back beside the program, and the next collection waits for the last of them
  const { heapUsed, external } = process.memoryUsage()
  process.stderr.write(`held ${heapUsed + external}\n`)
})
