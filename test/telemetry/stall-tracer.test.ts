/** The threads that look at what holds the event loop, several of them in one process. */
import { expect, test } from '@jest/globals'
import { builtModule } from '../support/built-module.ts'
import { runProcess } from '../support/process.ts'
import { tempFile } from '../support/temp.ts'

const TRACER = await builtModule('telemetry/stall-tracer.ts')

test('eight of them see the same stalls, and none complains that it is woken by another', async () => {
  // Beats at its start are what a thread counts from; so a stall begins when each has told the stack of one before it.
  const program = tempFile(
    'stalls.mjs',
    `import { StallTracer } from '${TRACER}'
const tracers = Array.from({ length: 8 }, () => new StallTracer(100))
setInterval(() => { for (const tracer of tracers) tracer.beat() }, 10)
function computeForever() { for (const end = Date.now() + 500; Date.now() < end; ) JSON.parse('[1, 2, 3]') }
const stackOf = tracer => new Promise(resolve => tracer.take(resolve))
const seen = new Set()
for (let stalls = 0; seen.size < tracers.length || stalls < 3; stalls++) {
  computeForever()
  const stacks = await Promise.all(tracers.map(stackOf))
  stacks.forEach((stack, i) => { if (stack?.[0].startsWith('computeForever ')) seen.add(i) })
}
process.exit()`,
  )
  const { code, stderr } = await runProcess([program], { program: process.execPath })
  expect(stderr).toBe('')
  expect(code).toBe(0)
})
