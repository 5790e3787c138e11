/** What a layer says when its event loop stands still, blocked on purpose. */
import { join } from 'node:path'
import { beforeAll, expect, test } from '@jest/globals'
import type { OuterStatus } from '../../src/admin/status.ts'
import { ask, parseMetrics } from '../support/admin.ts'
import { startProcess, type RunningProcess } from '../support/process.ts'
import { tempDir, tempFile } from '../support/temp.ts'
import { until } from '../support/wait.ts'
import { run } from './context.ts'

const directory = tempDir()
const crt = join(directory, 'lan-a.crt')
beforeAll(async () => {
  await run(['certificates', '--type', 'ec', '--private-key', join(directory, 'lan-a.key'), '--certificate', crt])
})

/** An outer layer that computes for `ms` without a pause at each SIGUSR2, `times` times with a look at what else there is in between. */
const startBlockable = async (ms: number, times = 1): Promise<{ outer: RunningProcess; port: number }> => {
  const preload = tempFile(
    'block.mjs',
    `import process from 'node:process'
const cell = new Int32Array(new SharedArrayBuffer(4))
function computeForever() { for (const end = Date.now() + ${ms}; Date.now() < end; ) Atomics.wait(cell, 0, 0, 5) }
process.on('SIGUSR2', (_signal, _number, left = ${times}) => {
  computeForever()
  if (left > 1) setImmediate(() => process.emit('SIGUSR2', 'SIGUSR2', 0, left - 1))
})`,
  )
  const targets = tempFile('targets.yaml', 'targets: {}\n')
  const ports = ['--app-port', '0', '--socket-port', '0', '--admin-port', '0']
  const outer = startProcess(['outer-layer', '--public-key', crt, '--targets', targets, ...ports], { nodeArgs: ['--import', preload] })
  const [, port] = await outer.waitForLine(/"adminPort":(\d+)/)
  return { outer, port: Number(port) }
}

interface StallLine {
  readonly msg: string
  readonly stallMs: number
  readonly stack?: readonly string[]
}

const stallsOf = ({ stdout }: RunningProcess): StallLine[] =>
  stdout
    .split('\n')
    .filter(line => line.includes('"stallMs"'))
    .map(line => JSON.parse(line) as StallLine)

test('a stall of more than a second is logged, and from the second one on with what held the loop', async () => {
  const { outer, port } = await startBlockable(2_000)
  await until(async () => (await ask(port, '/healthz')).status === 200)
  outer.child.kill('SIGUSR2')
  const [first] = await until(() => (stallsOf(outer).length === 1 ? stallsOf(outer) : undefined))
  expect(first!.msg).toMatch(/^the event loop stood still for \d+\.\d s; the next time the log will say where$/)
  // The thread that looks is up once it has seen a beat; one that gets no processor before the stall is over sees what comes after it.
  await until(async () => {
    const known = stallsOf(outer).length
    outer.child.kill('SIGUSR2')
    await until(() => stallsOf(outer).length > known)
    return stallsOf(outer).at(-1)!.stack?.[0]?.startsWith('computeForever')
  })
  const last = stallsOf(outer).at(-1)!
  expect(last.msg).toMatch(/^the event loop stood still for \d+\.\d s$/)
  expect(last.stack!.join('\n')).toMatch(/^computeForever \(.*block\.mjs:3\)/)
  const metrics = parseMetrics((await ask(port, '/metrics')).text)
  expect(metrics.get('socket_gateway_event_loop_stalls_total')).toBeGreaterThanOrEqual(2)
  // Seconds are no reason to send traffic elsewhere.
  expect((await ask(port, '/readyz')).text).not.toContain('stood still')
  expect((await outer.stop()).code).toBe(0)
})

test('a stall of more than ten seconds answers no probe, and takes the readiness away for a minute', async () => {
  const { outer, port } = await startBlockable(10_600)
  outer.child.kill('SIGUSR2')
  // A probe gets no answer before the stall is over; one whose connection was taken just before it may get none at all.
  await until(
    async () => {
      const begunMs = performance.now()
      await ask(port, '/healthz').catch(() => undefined)
      return performance.now() - begunMs > 5_000
    },
    { what: 'a probe that waits' },
  )
  await outer.waitForLine(/stood still for 1\d\.\d s/)
  const { status, text } = await ask(port, '/readyz')
  expect(status).toBe(503)
  expect(text).toMatch(/the event loop stood still for 1\d\.\d s, until \d+\.\d s ago/)
  const { eventLoop } = JSON.parse((await ask(port, '/status')).text) as OuterStatus
  expect(eventLoop).toMatchObject({ stalls: 1, lastStall: { ms: expect.any(Number), at: expect.any(String) } })
})

test('a loop that is late all the time makes the process not ready, until it keeps up again', async () => {
  const { outer, port } = await startBlockable(700, 20)
  const reasons = async (): Promise<string> => (await ask(port, '/readyz')).text
  expect(await reasons()).not.toContain('overloaded')
  outer.child.kill('SIGUSR2')
  expect(await until(async () => /overloaded: everything is \d+ ms late/.exec(await reasons()))).not.toBeNull()
  await until(async () => !(await reasons()).includes('overloaded'))
})
