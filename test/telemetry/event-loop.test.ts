/** Layers that share a process, and the words about its event loop. */
import { setEnvironmentData } from 'node:worker_threads'
import { expect, test } from '@jest/globals'
import { EventLoopWatch } from '../../src/telemetry/event-loop.ts'
import { STACKS_KEY } from '../../src/telemetry/stall-tracer.ts'
import { captureLog } from '../support/layers.ts'
import { until } from '../support/wait.ts'

const PROMISE = /the next time the log will say where$/

test('of many layers in one process one reads stacks, and another one once that is closed', async () => {
  // Whatever ran in this process before.
  setEnvironmentData(STACKS_KEY, undefined)
  let lateMs = 0
  const layers = Array.from({ length: 3 }, () => {
    const { log, records } = captureLog('warn')
    const watch = new EventLoopWatch(log, { clock: () => performance.now() + lateMs, nowMs: () => 0 })
    watch.start()
    return { watch, promises: () => records.filter(({ msg }) => PROMISE.test(msg)).length }
  })
  const stall = async (): Promise<number[]> => {
    const before = layers.map(({ watch }) => watch.stallCount)
    lateMs += 5_000
    await until(() => layers.every(({ watch }, i) => watch.stallCount > before[i]!))
    return layers.map(({ promises }) => promises())
  }
  const first = await stall()
  expect(first.toSorted()).toEqual([0, 0, 1])
  expect(await stall()).toEqual(first)
  const [owner] = layers.splice(first.indexOf(1), 1)
  owner!.watch.stop()
  expect((await stall()).toSorted()).toEqual([0, 1])
  for (const { watch } of layers) watch.stop()
})
